"""Mistakes are answered with what, where and what to do, in at most three lines."""

from __future__ import annotations

import pytest

from .conftest import Cli

MISTAKES = [
    (["run", "toy.py", "-p", "min_char=3"], "Did you mean 'min_chars'?"),
    (["run", "toy.py", "-p", "min_chars=three"], "not a whole number"),
    (["run", "toy.py", "-p", "loud=maybe"], "neither true nor false"),
    (["run", "toy.py", "-p", "loud"], "give a name and a value"),
    (["run", "toy.py", "-p", "paths=in/a.jsonl", "-p", "paths=in/b.jsonl"], "paths is given twice"),
    (["run", "toy.py", "-p", "paths=nowhere/*.jsonl"], "matches no file"),
    (["run", "toy.py", "-p", "paths="], "the path is empty"),
    (["run", "toy.py", "-p", "paths=gopher://x/*"], "gopher"),
    (["run", "toy.py", "--only", "filtr"], "Did you mean 'filter'?"),
    (["run", "missing.py"], "there is no such pipeline file"),
    (["plan", "syntax.py"], "syntax.py, line 2: SyntaxError"),
    (["plan", "typo.py"], "typo.py, line 5: TypeError"),
    (["plan", "empty.py"], "has no function `pipeline`"),
    (["plan", "nothing.py"], "and not a Pipeline"),
    (["plan", "column.py"], "no step makes the column 'txt'"),
    (["plan", "twice.py"], "two stages are called 'load'"),
    (["plan", "list.py"], "steps must be a tuple"),
    (["plan", "name.py"], "use lower-case letters"),
    (["status", "runs/none"], "there is no run here"),
    (["plan", "reserved.py"], "no stage may be called 'dataset'"),
    (["plan", "nameless.py"], "Nameless has no name"),
    (["plan", "same.py"], "two filters are called 'min_length'"),
    (["run", "exits.py"], "exits.py, line 2: SystemExit"),
    (["plan", "lines.py"], "ValueError: one two three four five"),
]
HEAD = """from curate import Pipeline, Stage
from curate.readers.records import JsonlReader
def pipeline() -> Pipeline:
    load = Stage("load", source=JsonlReader("in/*.jsonl"))
"""
FILES = {
    "syntax.py": "\ndef pipeline(:\n",
    "typo.py": HEAD + '    return Pipeline("typo", outputs=load)\n',
    "empty.py": "x = 1\n",
    "nothing.py": "def pipeline(): return None\n",
    "column.py": HEAD + '    return Pipeline("column", output=load, columns=("txt",))\n',
    "twice.py": HEAD + '    return Pipeline("twice", output=Stage("load", source=load))\n',
    "list.py": HEAD + '    return Pipeline("list", output=Stage("next", source=load, steps=[]))\n',
    "reserved.py": HEAD + '    return Pipeline("x", output=Stage("dataset", source=load))\n',
    "nameless.py": """from dataclasses import dataclass
from curate import Filter
@dataclass(frozen=True)
class Nameless(Filter):
    def reject(self, doc): return None
"""
    + HEAD
    + '    return Pipeline("x", output=Stage("y", source=load, steps=(Nameless(),)))\n',
    "same.py": """from toy import JsonlReader, MinLength, Pipeline, Stage
def pipeline():
    steps = (MinLength(), MinLength(30))
    return Pipeline("x", output=Stage("y", source=JsonlReader("in/*.jsonl"), steps=steps))
""",
    "lines.py": "raise ValueError('one\\ntwo\\nthree\\nfour\\nfive')\n",
    "exits.py": "import sys\nsys.exit(0)\n",
    "name.py": HEAD + '    return Pipeline("Name!", output=load)\n',
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_one_clear_message(cli: Cli, arguments: list[str], message: str) -> None:
    """Exit code 2, no stack trace, and the message says what is wrong."""
    for name, text in FILES.items():
        (cli.folder / name).write_text(text)
    done = cli(*arguments, code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_plan_shows_what_is_left(cli: Cli) -> None:
    """Before a run all units are left, afterwards none."""
    assert "fingerprint" in cli("plan", "toy.py").stdout
    import json

    def left() -> list[int | None]:
        return [s["left"] for s in json.loads(cli("plan", "toy.py", "--json").stdout)["stages"]]

    assert left() == [3, 3, None]
    cli("run", "toy.py")
    assert left() == [0, 0, 0]


def test_planning_loads_nothing_heavy(cli: Cli) -> None:
    """`curate plan` starts at once, because models and big libraries are left alone."""
    import subprocess
    import sys

    code = (
        "import sys; from curate.cli import main; main(['plan', 'toy.py']);"
        "print([m for m in ('numpy', 'pyarrow', 'trafilatura', 'datatrove') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cli.folder,
        env=cli.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("command", ["run toy.py --out", "status", "verify", "cancel", "plan"])
def test_a_path_that_cannot_be_looked_at_is_one_message(cli: Cli, command: str) -> None:
    """Its name is too long here; it is the same where rights are missing."""
    done = cli(*command.split(), f"{'x' * 300}/toy.py", code=2)
    assert "cannot be read: File name too long" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_cannot_be_is_one_message(cli: Cli) -> None:
    """A file where a folder should be is told without a stack trace."""
    done = cli("run", "toy.py", "--out", "toy.py", code=1)
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
