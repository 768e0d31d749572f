"""No regular expression of ours searches a text for longer than its length warrants."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .conftest import ROOT

# Pattern's place to why it may: what it searches is short, or not of the crawl.
BOUNDED = {
    "fetch/params.py": "the user's own parameters",
    "formatters/page_forms.py": "lines of at most 40 characters",
    "formatters/pdf_normalize.py": "replaced once, where it was seen to match",
    "formatters/pdf_lines.py": "only looked for at the start of a line",
    "tokens.py:67": "a window of the text's end",
}


def test_every_pattern_is_linear_on_texts_made_against_it() -> None:
    """20,000 characters take a quadratic search seconds and a linear one a millisecond."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.regex_attacks", "20000", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["patterns"] > 100
    slow = {
        place: why
        for place, why in found["slow"].items()
        if not any(place.startswith(known) for known in BOUNDED)
    }
    assert not slow
