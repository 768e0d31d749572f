"""Names from the crawl that would be paths: nothing is written outside of the output folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.fetch.params import RefetchParams
from curate.fetch.store import Entry, Store

from .conftest import Cli
from .warc_files import page, record

PIPELINE = '''
from curate import Pipeline, Stage
from curate.readers.records import JsonlReader
from curate.readers.warc import WarcReader


def pipeline(paths: str = "in/*", dump: str = "", warcs: bool = False) -> Pipeline:
    """Publish documents in folders by their dump."""
    keep = (("dump", "string"),)
    source = WarcReader(paths, dump=dump) if warcs else JsonlReader(paths, keep=keep)
    loaded = Stage("load", source=source, partition="dump")
    return Pipeline("names", output=loaded, columns=("text", "id", "dump"))
'''
NAMES = [
    "../../escaped",
    "../escaped",
    "..",
    ".",
    "/escaped",
    "//escaped",
    "\\\\escaped",
    "a/../../../escaped",
    "%2e%2e%2fescaped",
    "..%2F..%2Fescaped",
    "\0",
    "a\0b",
    "a\nb",
    "\x1b[31m",
    "~/escaped",
    "$HOME/escaped",
    "`touch escaped`",
    "-rf",
    "*",
    "x=y",
    "a+b",
    "CON",
    "\u202eflipped",
    "é" * 60,
    "a" * 100,
    "a" * 101,
    "a" * 300,
    "a" * 300 + "b",
    "a" * 100_000,
    "/" * 300,
    " ",
    "",
]


@pytest.fixture
def names(tmp_path: Path) -> Cli:
    """A folder deep enough that what leaves the output is still seen."""
    folder = tmp_path / "one" / "two" / "three"
    (folder / "in").mkdir(parents=True)
    (folder / "names.py").write_text(PIPELINE)
    return Cli(folder)


def outside(cli: Cli) -> set[str]:
    """Name what lies above or beside the output, after a run."""
    top = cli.folder.parents[2]
    ours = {cli.folder / "names.py", cli.folder / "in", cli.folder / "runs"}
    return {
        str(path.relative_to(top))
        for path in top.rglob("*")
        if path not in cli.folder.parents
        and path != cli.folder
        and not any(path == one or one in path.parents for one in ours)
        and "__pycache__" not in path.parts
    }


def published(cli: Cli) -> dict[str, list[str | None]]:
    """Return the values of the dump in each folder of the dataset."""
    data = cli.folder / "runs/names/dataset/data"
    return {
        path.parent.name: pq.read_table(path, partitioning=None).column("dump").to_pylist()
        for path in data.rglob("*.parquet")
    }


def test_ids_and_dumps_that_are_paths_stay_in_the_dataset(names: Cli) -> None:
    """Each value has a folder of its own, of a name that any system takes."""
    rows = [{"text": "a text", "id": name, "dump": name} for name in NAMES]
    lines = [json.dumps(row) for row in [*rows, rows[0]]]
    (names.folder / "in" / "a.jsonl").write_text("\n".join(lines))
    names("run", "names.py")
    assert not outside(names)
    found = published(names)
    assert sorted(map(len, found.values())) == [1] * (len(NAMES) - 1) + [2]
    for folder, values in found.items():
        assert len(folder) <= 100
        assert not {"/", "\0", "\n", "\\", "*"} & set(folder)
        assert len({value or "unknown" for value in values}) == 1
    data = names.folder / "runs/names/dataset/data"
    assert {len(path.relative_to(data).parts) for path in data.rglob("*.parquet")} == {2}
    assert json.loads(names("verify", "runs/names", "--json").stdout)["ok"]
    names("why", "runs/names", "../../escaped")
    assert not outside(names)


def test_a_dump_of_a_pipeline_and_a_record_id_are_no_paths(names: Cli) -> None:
    """Whatever a user or a crawler calls them."""
    evil = record(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>Text",
        fields=[("WARC-Record-ID", "../../../escaped"), ("WARC-Target-URI", "file:///escaped")],
    )
    (names.folder / "in" / "a.warc").write_bytes(page(1) + evil)
    given = ("-p", "warcs=yes", "-p", "dump=../../../escaped")
    names("run", "names.py", *given)
    assert not outside(names)
    assert list(published(names)) == ["%2E%2E%2F%2E%2E%2F%2E%2E%2Fescaped"]


@pytest.mark.parametrize(
    "name", ["a b.jsonl", "a\nb.jsonl", "'$(touch escaped)'.jsonl", "-p.jsonl", "é" * 120, ".a"]
)
def test_an_input_of_any_name_is_read(names: Cli, name: str) -> None:
    """Its unit is named by letters and digits."""
    (names.folder / "in" / name).write_text('{"text": "a text", "dump": "x"}\n')
    names("run", "names.py", "-p", f"paths=in/{name}")
    assert not outside(names)
    (manifest,) = (names.folder / "runs/names/stages").glob("load-*/*.json")
    assert manifest.name.replace("-", "").replace("_", "").removesuffix(".json").isalnum()
    assert published(names) == {"x": ["x"]}


def test_what_is_refetched_is_not_named_by_its_url(tmp_path: Path) -> None:
    """Segments of the archive are named by hashes and chance."""
    out = tmp_path / "one" / "out"
    store = Store(str(out), 0, 4096, RefetchParams(contact="me@a.example"))
    for url in ("http://a.example/../../../escaped", "file:///escaped", "http://\0/", "a" * 70_000):
        entry = Entry(url, "http_404", chain=("../../escaped",), path="../../escaped")
        store.add(io.BytesIO(), entry)
    store.close()
    files = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*") if path.is_file()}
    assert files
    assert {parts[:2] for parts in files} == {("one", "out")}
    assert all(len(part) < 60 for parts in files for part in parts)


def test_a_partition_that_is_no_valid_text_costs_its_document(names: Cli) -> None:
    """A lone surrogate cannot be a folder's name, nor be published."""
    (names.folder / "in" / "a.jsonl").write_text(
        '{"text": "a text", "dump": "\\ud800"}\n{"text": "a text", "dump": "x"}\n'
    )
    names("run", "names.py")
    assert published(names) == {"x": ["x"]}
