"""Inputs: each is one file, and is read as it was listed or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.errors import InputError
from curate.inputs import list_inputs, open_unchanged

from .conftest import Cli

# A step that cuts the file it is read from, once its flag is there.
CUTTING = '''
import os
from dataclasses import dataclass
from pathlib import Path

from curate import Annotator, Document, Pipeline, Stage
from curate.readers.records import JsonlReader


@dataclass(frozen=True)
class Cutting(Annotator):
    name = "cutting"

    def annotate(self, doc: Document) -> None:
        if doc.id == "0" and Path("flag").exists():
            os.truncate(doc.metadata["file_path"], 70_000)


def pipeline() -> Pipeline:
    """Cut the input while it is read."""
    read = Stage("load", source=JsonlReader("in/*.jsonl"), steps=(Cutting(),))
    return Pipeline("cut", output=read, columns=("text", "id"))
'''


def test_an_input_cut_while_it_is_read_is_read_again(cli: Cli) -> None:
    """Put back with its time, it has the name of its unit again: all of it is to be there."""
    (cli.folder / "cut.py").write_text(CUTTING)
    lines = "".join(f'{{"id": "{number}", "text": "{"x" * 40}"}}\n' for number in range(5000))
    (cli.folder / "in" / "a.jsonl").write_text(lines)
    shutil.copy2(cli.folder / "in" / "a.jsonl", cli.folder / "kept")
    (cli.folder / "flag").touch()
    done = cli("run", "cut.py", code=1)
    assert "in/a.jsonl: has changed since the run listed it" in done.stderr
    (cli.folder / "flag").unlink()
    shutil.copy2(cli.folder / "kept", cli.folder / "in" / "a.jsonl")
    cli("run", "cut.py")
    (file,) = (cli.folder / "runs/cut/dataset/data").iterdir()
    assert pq.read_metadata(file).num_rows == 5000 + 2 * 40


def put_back(path: Path) -> None:
    """Cut a file, and write what was in it with the time it had."""
    found, data = path.stat(), path.read_bytes()
    os.truncate(path, 3)
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


CHANGES: list[Callable[[Path], object]] = [
    lambda path: os.truncate(path, 3),
    lambda path: path.open("a").write("more"),
    lambda path: path.write_text("other data"),
    put_back,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_open_is_an_error(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """Cut, longer, other data of the same size, or for a moment only."""
    (tmp_path / "a").write_text("first data")
    (file,) = list_inputs(f"{tmp_path}/a")
    with open_unchanged(file.path, file.size, file.tag) as stream:
        assert stream.read() == b"first data"
    with (
        pytest.raises(InputError, match="a: has changed since"),
        open_unchanged(file.path, file.size, file.tag),
    ):
        change(tmp_path / "a")


def test_a_file_that_changed_before_it_was_opened_is_an_error(tmp_path: Path) -> None:
    """Its documents would be kept under the name of those before."""
    (tmp_path / "a").write_text("first data")
    (file,) = list_inputs(f"{tmp_path}/a")
    (tmp_path / "b").write_text("other data")
    (tmp_path / "b").replace(tmp_path / "a")
    os.utime(tmp_path / "a", ns=(0, 0))
    with (
        pytest.raises(InputError, match="has changed"),
        open_unchanged(file.path, file.size, file.tag),
    ):
        raise AssertionError("was opened")


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    """Its file would be missing in silence, as while the disk it lies on is away."""
    (tmp_path / "a").write_text("data")
    (tmp_path / "b").symlink_to("away/b")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for pattern in ("*", "b", "*/data", "**/a"):
        with pytest.raises(InputError, match="/b cannot be listed: No such file"):
            list_inputs(f"{tmp_path}/{pattern}")
    assert [file.path for file in list_inputs(f"{tmp_path}/a*")] == [f"{tmp_path}/a"]
    (tmp_path / "b").unlink()
    assert [file.path for file in list_inputs(f"{tmp_path}/*")] == [f"{tmp_path}/a"]


def test_a_file_under_two_spellings_is_one_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its documents are in the dataset once; `..` after a link leads elsewhere."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a", "in/a"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("in/deep")
    found = list_inputs("in/*,./in/a,in//a,in/deep/../a,a")
    assert [file.path for file in found] == ["a", "in/a"]
    assert [file.path for file in list_inputs("a,link/../a")] == ["a", "link/../a"]


@pytest.mark.parametrize("other", ["symbolic", "hard", "{folder}/in/a"])
def test_two_names_of_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Which of them to leave out is for the user to say."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("a")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "symbolic").symlink_to("in/a")
    (tmp_path / "hard").hardlink_to("in/a")
    path = other.format(folder=tmp_path)
    with pytest.raises(InputError, match=f"{path} and in/a are one file"):
        list_inputs(f"in/*,{path}")


COMMANDS = (("status",), ("verify",), ("report",), ("show",), ("why", "odd-3"))


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_names_need_not_be_unicode(cli: Cli, locale: dict[str, str]) -> None:
    """Nor a terminal know their letters: the documents are there, and each command works."""
    cli.environment |= {**locale, "PYTHONCOERCECLOCALE": "0"}
    for path, name in (("b\udcff\udce9d.jsonl", "odd"), ("ä.jsonl", "umlaut")):
        lines = "".join(f'{{"id": "{name}-{n}", "text": "{"x" * 40}"}}\n' for n in range(4))
        (cli.folder / "in" / path).write_text(lines)
    cli("run", "toy.py", "--out", "ü")
    for command, *query in COMMANDS:
        cli(command, "ü", *query)
    assert "nothing left to do" in cli("run", "toy.py", "--out", "ü").stderr
    (file,) = (cli.folder / "ü/dataset/data").iterdir()
    paths = pq.read_table(file)["file_path"].to_pylist()
    assert [paths.count(path) for path in ("in/b\\xff\\xe9d.jsonl", "in/ä.jsonl")] == [4, 4]
