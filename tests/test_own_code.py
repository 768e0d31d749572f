"""A user's own steps: a change of their code is seen where it can matter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.plan import Plan

from .conftest import Cli

OWN = '''"""A pipeline of my own."""
from dataclasses import dataclass

from curate import Document, Drop, Filter, Pipeline, Stage
from curate.filters.c4 import C4QualityFilter
from curate.readers.records import JsonlReader
from own_helpers import too_long

LIMIT = 30


@dataclass(frozen=True)
class Mine(Filter):
    """A filter of my own."""

    name = "mine"
    reasons = ("too_long",)

    def reject(self, doc: Document) -> Drop | None:
        # Says no to what is long.
        return Drop("too_long") if too_long(doc.text, LIMIT) else None


def pipeline(paths: str = "in/*.jsonl") -> Pipeline:
    """Keep what is short."""
    return Pipeline("own", output=Stage("load", source=JsonlReader(paths), steps=(Mine(),)))
'''
HELPERS = """import own_package.words as words


def too_long(text, limit):
    from own_later import UNIT
    return words.count(text) > limit * UNIT
"""
FILES = {
    "own.py": OWN,
    "own_helpers.py": HELPERS,
    "own_later.py": "UNIT = 1\n",
    "own_package/__init__.py": "SEEN = 1\n",
    "own_package/words.py": "from .signs import sign\ndef count(text): return len(text) * sign\n",
    "own_package/signs.py": "sign = 1\n",
    "own_package/other.py": "unused = 1\n",
}
MATTERS = [
    ("own.py", "LIMIT = 30", "LIMIT = 31"),
    ("own.py", "LIMIT) else", "LIMIT + 1) else"),
    ("own.py", "LIMIT = 30", "LIMIT = 30.0"),
    ("own_helpers.py", "> limit", ">= limit"),
    ("own_later.py", "1", "2"),
    ("own_package/__init__.py", "1", "2"),
    ("own_package/words.py", "len(text)", "len(text.split())"),
    ("own_package/signs.py", "1", "2"),
]
DOES_NOT_MATTER = [
    ("own.py", "# Says no to what is long.", "# Refuses what is long."),
    ("own.py", "A filter of my own.", "A filter of mine."),
    ("own.py", "LIMIT = 30", "LIMIT  =  (\n    30\n)"),
    ("own.py", '"in/*.jsonl"', '"inputs/*.jsonl"'),
    ("own.py", "steps=(Mine(),)", "steps=tuple([Mine()])"),
    ("own.py", "import C4QualityFilter", "import C4QualityFilter as C4"),
    ("own_package/other.py", "1", "2"),
]


@pytest.fixture
def own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline file and modules beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("own_")]:
        monkeypatch.delitem(sys.modules, name)
    for name, text in FILES.items():
        (cli.folder / name).parent.mkdir(exist_ok=True)
        (cli.folder / name).write_text(text)
    return cli.folder


def changed(folder: Path, name: str, old: str, new: str) -> bool:
    """Tell whether a change of a file changes the stage."""

    def fingerprint() -> str:
        return Plan(str(folder / "own.py"), {}, "out").stages[0].fingerprint

    before = fingerprint()
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return fingerprint() != before


@pytest.mark.parametrize(("name", "old", "new"), MATTERS)
def test_a_change_that_can_matter_is_seen(own: Path, name: str, old: str, new: str) -> None:
    """Constants and helpers of the file, and of the modules beside it that it imports."""
    assert changed(own, name, old, new)


@pytest.mark.parametrize(("name", "old", "new"), DOES_NOT_MATTER)
def test_a_change_that_cannot_matter_does_nothing_again(
    own: Path, name: str, old: str, new: str
) -> None:
    """Comments, layout, the function `pipeline`, modules that nobody imports."""
    assert not changed(own, name, old, new)


def test_the_function_pipeline_counts_where_a_step_uses_it(own: Path) -> None:
    """Then it is a helper as any other."""
    text = (own / "own.py").read_text()
    (own / "own.py").write_text(text.replace("doc.text, LIMIT", "pipeline.__name__, LIMIT"))
    assert changed(own, "own.py", '"in/*.jsonl"', '"inputs/*.jsonl"')


def test_a_changed_constant_does_its_stage_again(own: Path, cli: Cli) -> None:
    """Even where the file has the size and time it had, as when two changes are in one second."""
    cli.environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for limit, kept in ((30, 87), (10, 27), (20, 57)):
        (own / "own.py").write_text(OWN.replace("LIMIT = 30", f"LIMIT = {limit}"))
        os.utime(own / "own.py", (1, 1))
        cli("run", "own.py")
        (file,) = (own / "runs/own/dataset/data").iterdir()
        assert pq.read_metadata(file).num_rows == kept
