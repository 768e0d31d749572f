"""No regular expression of ours searches a text for longer than its length warrants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from .conftest import ROOT


@cache
def _attacked() -> dict[str, Any]:
    # In a process of its own: only what is compiled there for the first time is seen.
    done = subprocess.run(
        [sys.executable, "-m", "tests.regex_attacks"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_every_pattern_is_linear_on_texts_made_against_it() -> None:
    """A text four times as long takes about four times as long, whatever pattern reads it."""
    found = _attacked()
    assert found["patterns"] > 150
    assert found["texts"] > 10_000
    assert not found["growing"]


def test_what_is_not_linear_is_given_short_texts_only() -> None:
    """A pattern may be slow for its text's length where the code gives it a short one."""
    assert all(one["seconds"] < 1 for one in _attacked()["bounded"].values())


def test_a_pattern_that_is_put_together_when_needed_is_listed() -> None:
    """No pattern is out of sight: each is attacked, and no exception outlives its need."""
    assert _attacked()["unlisted"] == []
    assert _attacked()["stale"] == []
