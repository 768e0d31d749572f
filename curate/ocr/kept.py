"""Answers that are kept: small JSON files, each with a checksum of what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..storage import read_json, write_json

_CHECKSUM = "sha256"


def write(path: str, value: Mapping[str, Any], replace: bool = True) -> None:
    """Write plain values and the SHA-256 of them; see storage.Output.commit for `replace`."""
    write_json(path, {**value, _CHECKSUM: _digest(value)}, replace)


def read(path: str) -> dict[str, Any]:
    """Read plain values.

    Raises:
        ValueError: they are not what was written, which those of earlier versions cannot tell.
        TypeError: they are no such file.
    """
    value = {**read_json(path)}
    if value.pop(_CHECKSUM, None) not in (None, _digest(value)):
        raise ValueError(f"{path}: its content has another SHA-256 than it says")
    return value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
