"""A dataset divided into folders by the value of a column."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from .conftest import Cli

PIPELINE = '''
from dataclasses import dataclass

from curate import Annotator, Document, Pipeline, Stage
from curate.readers.records import JsonlReader


@dataclass(frozen=True)
class FirstWord(Annotator):
    name = "first_word"
    columns = {"word": "string"}

    def annotate(self, doc: Document) -> None:
        doc.metadata["word"] = doc.text.split()[0] if doc.text != "none" else None


def pipeline(paths: str = "in/*.jsonl", by: str = "word") -> Pipeline:
    """Publish documents in folders."""
    loaded = Stage("load", source=JsonlReader(paths), steps=(FirstWord(),), partition=by)
    return Pipeline("parts", output=loaded, columns=("text", "id", "word"))
'''


def _write(folder: Path, name: str, texts: list[str]) -> None:
    rows = [json.dumps({"id": f"{name}{i}", "text": text}) for i, text in enumerate(texts)]
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / f"{name}.jsonl").write_text("\n".join(rows))


def _published(folder: Path) -> dict[str, list[str]]:
    data = folder / "runs" / "parts" / "dataset" / "data"
    found: dict[str, list[str]] = {}
    for path in sorted(data.rglob("*.parquet")):
        ids = pq.read_table(path, partitioning=None).column("id").to_pylist()
        found.setdefault(str(path.parent.relative_to(data)), []).extend(ids)
    return found


def test_each_value_gets_a_folder_with_its_documents_in_order(tmp_path: Path) -> None:
    """A user finds the documents of each value together, and the card lists the folders."""
    (tmp_path / "parts.py").write_text(PIPELINE)
    _write(tmp_path, "a", ["eng one", "deu eins", "eng two", ".. one", "none"])
    _write(tmp_path, "b", ["unknown un", "eng three"])
    cli = Cli(tmp_path)
    cli("run", "parts.py", "--workers", "2")
    assert _published(tmp_path) == {
        "eng": ["a0", "a2", "b1"],
        "deu": ["a1"],
        "%2E%2E": ["a3"],
        "unknown": ["a4", "b0"],
    }
    card = (tmp_path / "runs/parts/dataset/README.md").read_text()
    assert "path: data/eng/*.parquet" in card
    assert "| eng | 3 | 23 |" in card


def test_a_folder_disappears_with_its_last_document(tmp_path: Path) -> None:
    """A user who takes an input away finds none of its documents, and the rest as it was."""
    (tmp_path / "parts.py").write_text(PIPELINE)
    _write(tmp_path, "a", ["eng one"])
    _write(tmp_path, "b", ["fra un"])
    cli = Cli(tmp_path)
    cli("run", "parts.py")
    (tmp_path / "in" / "b.jsonl").unlink()
    cli("run", "parts.py")
    assert _published(tmp_path) == {"eng": ["a0"]}
    assert "fra" not in (tmp_path / "runs/parts/dataset/README.md").read_text()


def test_a_partition_that_is_no_column_is_refused(tmp_path: Path) -> None:
    """A user who mistypes the column learns which there are."""
    (tmp_path / "parts.py").write_text(PIPELINE)
    _write(tmp_path, "a", ["eng one"])
    done = Cli(tmp_path)("run", "parts.py", "-p", "by=wrod", code=2)
    assert "partition='wrod' is no column of strings" in done.stderr
    assert "word" in done.stderr


LISTS = """
from dataclasses import dataclass

from curate import Annotator, Document, Pipeline, Stage
from curate.readers.records import JsonlReader


@dataclass(frozen=True)
class Words(Annotator):
    name = "words"
    columns = {"words": "list<string>", "lengths": "list<int64>"}

    def annotate(self, doc: Document) -> None:
        doc.metadata["words"] = doc.text.split()
        doc.metadata["lengths"] = [len(word) for word in doc.text.split()]
        if doc.text == "wrong":
            doc.metadata["words"] = [1]
        if doc.text == "broken":
            doc.metadata["words"] = ["\\ud800"]


def pipeline() -> Pipeline:
    return Pipeline("lists", Stage("load", source=JsonlReader("in/*.jsonl"), steps=(Words(),)))
"""


def test_lists_are_published_and_wrong_ones_cost_their_document(tmp_path: Path) -> None:
    """A user's lists of strings and numbers come back; a wrong item fails that document alone."""
    (tmp_path / "lists.py").write_text(LISTS)
    _write(tmp_path, "a", ["one three", "wrong", "broken", "two"])
    cli = Cli(tmp_path)
    cli("run", "lists.py")
    path = tmp_path / "runs/lists/dataset/data/train-00000-of-00001.parquet"
    rows = pq.read_table(path).select(["words", "lengths"]).to_pylist()
    assert rows == [
        {"words": ["one", "three"], "lengths": [3, 5]},
        {"words": ["two"], "lengths": [3]},
    ]
    (write,) = [
        step for step in cli.status("runs/lists")["load"]["steps"] if step["name"] == "write"
    ]
    assert write["failed"] == {"invalid_unicode": 1, "invalid_value": 1}
