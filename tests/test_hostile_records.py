"""JSON lines and Parquet made to harm: each record costs itself only, and says why."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import CurateError, DefinitionError
from curate.readers.lines import blocks_of, read_lines
from curate.readers.records import JsonlReader, ParquetReader
from curate.steps import Reader

from .conftest import Cli
from .hostile_files import RECORDS, measure
from .test_hostile_warc import zeros

GOOD = b'{"text": "a text", "id": "good"}\n'
KEEP = (("url", "string"), ("size", "int64"), ("tags", "list<string>"))
JSONL = JsonlReader("x", keep=KEEP)
PARQUET = ParquetReader("x", keep=KEEP)

# Name, what makes the file, what becomes of its lines; a good line follows where one can.
LINES: dict[str, tuple[Callable[[], bytes], dict[str, int]]] = {
    "an empty file": (lambda: b"", {}),
    "not JSON": (lambda: b"{'text': 1}\n\x00\n\n" + GOOD, {"not_json": 3, "kept": 1}),
    "no object": (lambda: b'["text"]\n"text"\n1\nnull\n' + GOOD, {"no_text": 4, "kept": 1}),
    "no text": (lambda: b'{"id": "1"}\n{"text": null}\n' + GOOD, {"no_text": 2, "kept": 1}),
    "a text of another type": (
        lambda: b'{"text": 1}\n{"text": ["a"]}\n{"text": {"a": "b"}}\n' + GOOD,
        {"no_text": 3, "kept": 1},
    ),
    "values of other types": (
        lambda: (
            b'{"text": "a", "url": 1}\n{"text": "a", "size": "1"}\n{"text": "a", "size": true}\n'
            b'{"text": "a", "tags": "b"}\n{"text": "a", "tags": [1]}\n' + GOOD
        ),
        {"invalid_value": 5, "kept": 1},
    ),
    "an id that is no name": (
        lambda: b'{"text": "a", "id": []}\n{"text": "a", "id": {"a": 1}}\n' + GOOD,
        {"invalid_value": 2, "kept": 1},
    ),
    "an empty id": (lambda: b'{"text": "a", "id": ""}\n', {"kept": 1}),
    "a key twice": (lambda: b'{"text": 1, "text": "the last"}\n', {"kept": 1}),
    "bytes of no encoding": (
        lambda: b'{"text": "\xff\xfe"}\n{"text": "\xc3"}\n' + GOOD,
        {"not_json": 2, "kept": 1},
    ),
    "lone surrogates": (
        lambda: (
            b'{"text": "\\ud800"}\n{"text": "a", "id": "\\udfff"}\n'
            b'{"text": "a", "url": "\\ud800"}\n{"text": "\xed\xa0\x80"}\n' + GOOD
        ),
        {"invalid_unicode": 4, "kept": 1},
    ),
    "numbers of 5,000 digits": (
        lambda: b'{"text": "a", "size": ' + b"9" * 5000 + b"}\n" + GOOD,
        {"not_json": 1, "kept": 1},
    ),
    "numbers beyond 64 bits": (
        lambda: b'{"text": "a", "size": 9223372036854775808}\n' + GOOD,
        {"invalid_value": 1, "kept": 1},
    ),
    "1,000,000 nested lists": (
        lambda: b'{"text": "a", "b": ' + b"[" * 1_000_000 + b"\n" + GOOD,
        {"not_json": 1, "kept": 1},
    ),
    "100,000 nested objects, closed": (
        lambda: b'{"text": "a", "b": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"\n" + GOOD,
        {"not_json": 1, "kept": 1},
    ),
    "a line of 100 MB": (
        lambda: b'{"text": "' + b"a" * 100_000_000 + b'"}\n' + GOOD,
        {"too_large": 1, "kept": 1},
    ),
    "a line of 32 MB": (
        lambda: b'{"text": "' + b"a" * 32_000_000 + b'"}\n' + GOOD,
        {"kept": 2},
    ),
    "a line of a million objects": (
        lambda: b'{"text": "a", "b": [' + b"{}," * 1_000_000 + b"{}]}\n" + GOOD,
        {"kept": 2},
    ),
    "a line of 256 MB in 256 KB of gzip": (
        lambda: zeros(256 << 20, GOOD),
        {"kept": 1, "gzip_damaged": 1},
    ),
    "a gzip file that is cut": (
        lambda: gzip.compress(GOOD * 100_000)[:-8],
        {"kept": 100_000, "gzip_damaged": 1},
    ),
    "gzip of something else": (lambda: b"\x1f\x8b" + GOOD, {"gzip_damaged": 1}),
}
# Those that take the most memory of all, and some seconds: for the table alone.
LARGEST: dict[str, tuple[Callable[[], bytes], dict[str, int]]] = {
    "a line of 32 MB of objects in objects": (
        lambda: b'{"text": "a", "b": [' + b'{"":{"":{}}},' * 2_580_000 + b"{}]}\n" + GOOD,
        {"kept": 2},
    ),
}


def table(**columns: Any) -> bytes:
    """Return a Parquet file of two rows or more whose other columns are as they should be."""
    rows = max((len(values) for values in columns.values()), default=2)
    whole = {
        "text": ["a text"] * rows,
        "url": ["http://a.example/"] * rows,
        "size": list(range(rows)),
        "tags": [["a"]] * rows,
    }
    return written(pa.table({**whole, **columns}), dictionary_pagesize_limit=1 << 30)


def written(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(content, stream, **options)
    return stream.getvalue()


def repeated(name: str, value: Any, rows: int) -> bytes:
    """Return a file in which a value stands in each row, and takes the bytes of one."""
    whole = pq.read_table(io.BytesIO(table(size=list(range(rows)))))
    at = whole.column_names.index(name)
    whole = whole.set_column(at, name, value.take(pa.array([0] * rows)))
    path = "tags.list.element" if name == "tags" else name
    encoding = {path: "DELTA_BYTE_ARRAY"}
    return written(whole, use_dictionary=False, column_encoding=encoding)


def damaged(rows: int) -> bytes:
    """Return a file of three row groups, of which the second is overwritten in part."""
    texts = [f"a text {number} of many" * 20 for number in range(rows)]
    data = bytearray(table(text=texts))
    whole = pq.read_table(io.BytesIO(data))
    data = bytearray(written(whole, row_group_size=rows // 3, compression="gzip"))
    second = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    start = second.data_page_offset + 100
    data[start : start + 2000] = b"\xa5" * 2000
    return bytes(data)


def invalid(values: list[bytes | None]) -> Any:
    """Return an array of strings that holds these bytes, valid or not."""
    return pa.array(values, pa.binary()).cast(pa.string(), safe=False)


# Name, what makes the file, what becomes of its rows.
TABLES: dict[str, tuple[Callable[[], bytes], dict[str, int]]] = {
    "no rows": (lambda: table(text=pa.array([], pa.string()), **EMPTY), {}),
    "texts that are null": (lambda: table(text=["a", None]), {"kept": 1, "no_text": 1}),
    "only nulls": (lambda: table(text=pa.nulls(2)), {"no_text": 2}),
    "other widths of strings": (
        lambda: table(text=pa.array(["a", "b"], pa.large_string())),
        {"kept": 2},
    ),
    "texts as a dictionary": (
        lambda: table(text=pa.array(["a", None]).dictionary_encode()),
        {"kept": 1, "no_text": 1},
    ),
    "ids of any type": (lambda: table(id=[1, None]), {"kept": 2}),
    "ids beyond the calendar": (
        lambda: table(id=pa.array([1, 1 << 62, 2], pa.timestamp("us"))),
        {"kept": 2, "invalid_value": 1},
    ),
    "bytes of no encoding": (
        lambda: table(text=invalid([b"\xff", b"good"]), url=invalid([b"a", b"\xc3"])),
        {"invalid_unicode": 2},
    ),
    "tags of no encoding": (
        lambda: table(
            tags=pa.ListArray.from_arrays(pa.array([0, 1, 2]), invalid([b"\xff", b"a"])),
        ),
        {"invalid_unicode": 1, "kept": 1},
    ),
    "numbers beyond 64 bits": (
        lambda: table(size=pa.array([1, 1 << 63], pa.uint64())),
        {"kept": 1, "invalid_value": 1},
    ),
    "a text of 40 MB": (
        lambda: table(text=["a" * 40_000_000, "b"]),
        {"too_large": 1, "kept": 1},
    ),
    "a URL of 40 MB": (
        lambda: table(url=["a" * 40_000_000, "b"]),
        {"too_large": 1, "kept": 1},
    ),
    "a text of 30 MB in 40 rows, once in the file": (
        lambda: table(text=pa.DictionaryArray.from_arrays([0] * 40, ["a" * 30_000_000])),
        {"kept": 40},
    ),
    "a text of 60 MB in 20 rows, once in the page": (
        lambda: repeated("text", pa.array(["a" * 60_000_000], pa.large_string()), 20),
        {"too_large": 20},
    ),
    "tags of 20 MB in 40 rows, once in the page": (
        lambda: repeated(
            "tags", pa.array([["a" * 20_000_000]], pa.large_list(pa.large_string())), 40
        ),
        {"kept": 40},
    ),
    "a page that is damaged": (lambda: damaged(3000), {"kept": 2000, "parquet_damaged": 1}),
}
EMPTY: dict[str, Any] = {
    "url": pa.array([], pa.string()),
    "size": pa.array([], pa.int64()),
    "tags": pa.array([], pa.list_(pa.string())),
}

# Name, what makes the file, what the message says.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "not a Parquet file"),
    "JSON lines": (lambda: GOOD * 100, "not a Parquet file"),
    "a file that is cut": (lambda: table()[:-20], "not a Parquet file"),
    "a footer of random bytes": (
        lambda: b"PAR1" + b"\x15\xff" * 500 + (1000).to_bytes(4, "little") + b"PAR1",
        "not a Parquet file",
    ),
    "a footer longer than the file": (
        lambda: b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
        "not a Parquet file",
    ),
    "no text": (
        lambda: written(pa.table({"content": ["a"]})),
        "no column 'text'. There are: content",
    ),
    "a text that is a number": (lambda: table(text=[1, 2]), "'text' is int64 and not string"),
    "a text that is bytes": (lambda: table(text=[b"a", b"b"]), "'text' is binary and not string"),
    "a text that is nested": (
        lambda: table(text=[{"a": "b"}] * 2),
        "'text' is struct.* not string",
    ),
    "texts in a list": (lambda: table(text=[["a"], ["b"]]), "'text' is list.* and not string"),
    "a URL that is a number": (lambda: table(url=[1, 2]), "'url' is int64 and not string"),
    "a size that is a string": (lambda: table(size=["1", "2"]), "'size' is string and not int64"),
    "tags that are numbers": (lambda: table(tags=[[1], [2]]), "'tags' is list.* not list<string>"),
    "a column twice": (
        lambda: written(
            pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
        ),
        "has 2 columns 'text'",
    ),
}


def fates(reader: Reader, data: bytes) -> dict[str, int]:
    """Read a file within the limits, and write what is kept."""
    outcome = measure(reader, data, RECORDS)
    assert outcome.status == 0, "it took more memory or time than it may"
    return outcome.found


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_line_costs_itself_only(name: str) -> None:
    """It fails for what it is, or is kept; the next one is read."""
    make, expected = LINES[name]
    assert fates(JSONL, make()) == expected


@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_row_costs_itself_only(name: str) -> None:
    """It fails for what it is, or is kept; damage costs the rest of its row group."""
    make, expected = TABLES[name]
    assert fates(PARQUET, make()) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_read_is_refused_in_words(name: str) -> None:
    """The message names the file, what is wrong, and what there is."""
    make, expected = REFUSED[name]
    with pytest.raises(CurateError, match=f"^x: .*{expected}"):
        list(PARQUET.read("x", io.BytesIO(make())))


@pytest.mark.parametrize(
    "pack", [bz2.compress, lzma.compress, lambda data: pa.compress(data, "zstd", asbytes=True)]
)
def test_lines_packed_in_a_way_that_is_not_read_are_refused(pack: Callable[[bytes], bytes]) -> None:
    """The file's documents are not a few lines that are no JSON."""
    with pytest.raises(CurateError, match=r"^a: is packed with (bzip2|xz|zstd)\.\nUnpack"):
        next(JsonlReader("").read("a", io.BytesIO(pack(GOOD))))


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_in_any_encoding_are_read(encoding: str) -> None:
    """Other writers than pyarrow use those of DELTA without being asked; a file may have both."""
    texts = [f"{'the same beginning ' * (n % 7)}{n}" for n in range(500)]
    ids = [f"id {n}" for n in range(500)]
    written = io.BytesIO()
    pq.write_table(
        pa.table({"id": ids, "text": texts}),
        written,
        use_dictionary=["id"],
        column_encoding={"text": encoding},
        row_group_size=200,
        data_page_size=512,
    )
    read = list(ParquetReader("x").read("x", io.BytesIO(written.getvalue())))
    assert [(doc.id, doc.text, fate) for doc, fate in read] == [
        (id, text, None) for id, text in zip(ids, texts, strict=True)
    ]


def test_a_run_goes_on_past_an_input_that_is_refused(cli: Cli) -> None:
    """One bad file never stops the others, and no stack trace is shown."""
    pipeline = (cli.folder / "toy.py").read_text().replace("JsonlReader", "ParquetReader")
    (cli.folder / "toy.py").write_text(pipeline)
    (cli.folder / "in" / "good.parquet").write_bytes(table(text=["a text that is long"] * 3))
    (cli.folder / "in" / "bad.parquet").write_bytes(table(text=[1, 2]))
    done = cli("run", "toy.py", "-p", "paths=in/*.parquet", "-p", "min_chars=5", code=1)
    assert "in/bad.parquet: the column 'text' is int64 and not string" in done.stderr
    logs = "".join(path.read_text() for path in (cli.folder / "runs/toy/logs").iterdir())
    assert "Traceback" not in done.stderr + logs
    assert cli.status()["load"]["kept"] == 3


@pytest.mark.parametrize("key", ["text", "id", "file_path", "offset"])
def test_a_column_that_every_document_has_cannot_be_kept_as_another(key: str) -> None:
    """It would be written twice."""
    for kind in (JsonlReader, ParquetReader):
        with pytest.raises(DefinitionError, match="keep cannot name"):
            kind("x", keep=((key, "string"),))


@settings(max_examples=300, deadline=None)
@given(
    data=st.lists(st.sampled_from([b"\n", b"a", b"bc" * 40, b"\r\n"])).map(b"".join),
    limit=st.integers(1, 100),
    piece=st.integers(1, 200),
)
def test_lines_are_those_that_split_makes(data: bytes, limit: int, piece: int) -> None:
    """However a file is cut into blocks, and packed."""
    lines = data.split(b"\n")
    expected = [line if len(line) <= limit else None for line in lines]
    if not lines[-1]:
        expected.pop()
    blocks = [data[start : start + piece] for start in range(0, len(data), piece)]
    assert list(read_lines(blocks, limit)) == expected
    packed = b"".join(gzip.compress(block, mtime=0) + bytes(len(block) % 3) for block in blocks)
    assert list(read_lines(blocks_of("lines", io.BytesIO(packed)), limit)) == expected


_IN_LITTLE_MEMORY = """
import resource, sys
import pyarrow.parquet
from pathlib import Path
from curate.readers.records import ParquetReader
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + (384 << 20),) * 2)
with open(sys.argv[1], "rb") as stream:
    print(sum(fate is None for _, fate in ParquetReader("x").read("x", stream)))
"""


def test_a_large_row_group_of_many_texts_is_read_in_little_memory(tmp_path: Path) -> None:
    """As pyarrow writes by default: a million rows a group; nothing of it is taken for damage."""
    texts = [f"{n} " + "word " * 400 for n in range(40_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", compression="none")
    command = [sys.executable, "-c", _IN_LITTLE_MEMORY, str(tmp_path / "a.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "40000\n", done.stderr
