"""What fuzzing found is not found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .atheris_targets import seeds
from .targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_once_broke_a_target_break_it_no_more(name: str) -> None:
    """Found by `python -m tests.fuzz.atheris_targets`; good inputs pass as well."""
    found = sorted((Path(__file__).parent / "corpus" / name).glob("*"))
    for data in [*seeds(name), *(path.read_bytes() for path in found)]:
        TARGETS[name](data)
