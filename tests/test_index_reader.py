"""Finding PDFs in Common Crawl's columnar index."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.document import Document
from curate.errors import CurateError, InputError
from curate.readers.index import IndexReader
from curate.readers.payload import LoadPayload
from curate.readers.pdf import PdfWarcReader
from curate.steps import Failure

from .test_pdf_reader import PDF, PDF_TYPE
from .warc_files import Fate, http, members, page, record

ARCHIVE = "crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-1.warc.gz"
ROW: dict[str, Any] = {
    "url_surtkey": "org,example)/a",
    "url": "http://example.org/a",
    "url_path": "/a",
    "fetch_time": datetime(2024, 3, 1, 12, tzinfo=timezone.utc),
    "fetch_status": 200,
    "content_digest": "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
    "content_mime_type": "application/pdf",
    "content_mime_detected": "application/pdf",
    "content_languages": None,
    "content_truncated": None,
    "warc_filename": ARCHIVE,
    "warc_record_offset": 1000,
    "warc_record_length": 500,
}
TYPES = {
    "fetch_time": pa.timestamp("ms", tz="UTC"),
    "fetch_status": pa.int16(),
    "warc_record_offset": pa.int32(),
    "warc_record_length": pa.int32(),
}


def index(*rows: dict[str, Any], without: tuple[str, ...] = (), **options: Any) -> bytes:
    """Return an index file; each row says what differs from ROW."""
    names = [name for name in ROW if name not in without]
    columns = {
        name: pa.array([{**ROW, **row}[name] for row in rows], TYPES.get(name, pa.string()))
        for name in names
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **{"compression": "gzip", **options})
    return sink.getvalue()


def read(data: bytes, reader: IndexReader | None = None) -> list[tuple[Document, Fate]]:
    reader = reader or IndexReader("x")
    return list(reader.read("cc-index/crawl=CC-MAIN-2024-10/part-0.parquet", io.BytesIO(data)))


def reasons(data: bytes, reader: IndexReader | None = None) -> list[str]:
    return [fate.reason if fate else "" for _, fate in read(data, reader)]


def test_a_row_has_its_columns() -> None:
    ((doc, fate),) = read(index({}))
    assert fate is None
    assert doc.id == f"{ARCHIVE}#1000"
    assert doc.payload is None
    assert doc.metadata == {
        "url": "http://example.org/a",
        "date": "2024-03-01T12:00:00Z",
        "dump": "CC-MAIN-2024-10",
        "file_path": f"s3://commoncrawl/{ARCHIVE}",
        "offset": 1000,
        "length": 500,
        "mime": "application/pdf",
        "truncated_by": None,
        "is_truncated": None,
        "payload_digest": "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
    }
    assert IndexReader("x").columns == PdfWarcReader("x").columns


def test_root_and_dump_are_what_the_user_says() -> None:
    for root in ("/data/cc", "/data/cc/"):
        ((doc, _),) = read(index({}), IndexReader("x", root=root, dump="mine"))
        assert doc.metadata["file_path"] == f"/data/cc/{ARCHIVE}"
        assert doc.metadata["dump"] == "mine"
        assert doc.id == f"{ARCHIVE}#1000"
    ((doc, _),) = read(index({"warc_filename": "a.warc"}), IndexReader("x", root=""))
    assert doc.metadata["file_path"] == "a.warc"
    assert doc.metadata["dump"] == "CC-MAIN-2024-10"


HTML = {"content_mime_type": "text/html", "content_mime_detected": "text/html"}


@pytest.mark.parametrize(
    ("row", "fates"),
    [
        ({}, [""]),
        ({**HTML}, []),
        ({**HTML, "content_mime_type": "application/pdf"}, ["no_pdf_header"]),
        ({**HTML, "url": "http://example.org/A.PDF?x"}, ["no_pdf_header"]),
        ({**HTML, "url": "http://example.org/?a.pdf"}, []),
        ({**HTML, "content_mime_detected": "Application/X-PDF"}, [""]),
        ({"content_mime_type": None, "content_mime_detected": None}, []),
        ({"content_mime_detected": None}, [""]),
        ({"content_mime_type": "application/octet-stream"}, [""]),
        ({"url": "http://x.org/a.pdf", "content_mime_detected": "application/gzip"}, [""]),
        ({"fetch_status": 199}, ["http_status"]),
        ({"fetch_status": 200}, [""]),
        ({"fetch_status": 299}, [""]),
        ({"fetch_status": 300}, ["http_status"]),
        ({"fetch_status": None}, [""]),
        ({"url": None}, ["no_place"]),
        ({"warc_filename": None}, ["no_place"]),
        ({"warc_record_offset": None}, ["no_place"]),
        ({"warc_record_length": None}, [""]),
        ({"content_digest": None, "fetch_time": None}, [""]),
    ],
)
def test_rows_that_are_pdfs_enter(row: dict[str, Any], fates: list[str]) -> None:
    assert reasons(index(row)) == fates


def test_rows_without_a_place_have_names_of_their_own() -> None:
    nowhere = {"warc_filename": None}
    docs = [doc for doc, _ in read(index(HTML, nowhere, HTML, nowhere), IndexReader("x"))]
    assert [doc.id.rpartition("#")[2] for doc in docs] == ["1", "3"]


@pytest.mark.parametrize("mark", ["length", "disconnect", "time", "unspecified"])
def test_what_the_crawl_marked_is_truncated(mark: str) -> None:
    ((doc, _),) = read(index({"content_truncated": mark}))
    assert doc.metadata["truncated_by"] == mark
    assert doc.metadata["is_truncated"] is True


def test_the_index_of_an_old_crawl_lacks_columns() -> None:
    """Only the place is needed; what is not known is None."""
    missing = ("content_truncated", "content_languages", "content_mime_detected", "fetch_status")
    ((doc, fate),) = read(index({}, without=missing))
    assert fate is None
    assert doc.metadata["is_truncated"] is doc.metadata["truncated_by"] is None
    rest = ("content_mime_type", "fetch_time", "content_digest")
    ((doc, fate),) = read(index({"url": "http://x.org/a.pdf"}, without=missing + rest))
    assert fate is None
    assert doc.metadata["date"] is doc.metadata["mime"] is doc.metadata["payload_digest"] is None


@pytest.mark.parametrize("kind", ["int96", "ns", "string"])
def test_times_are_read_however_they_are_written(kind: str, monkeypatch: Any) -> None:
    stamps = {"int96": pa.timestamp("ns"), "ns": pa.timestamp("ns"), "string": pa.string()}
    monkeypatch.setitem(TYPES, "fetch_time", stamps[kind])
    moment = datetime(2024, 3, 1, 12)
    time = "2024-03-01T12:00:00Z" if kind == "string" else moment
    data = index({"fetch_time": time}, use_deprecated_int96_timestamps=kind == "int96")
    ((doc, _),) = read(data)
    assert doc.metadata["date"] == "2024-03-01T12:00:00Z"


@pytest.mark.parametrize("name", ["url", "warc_filename", "warc_record_offset"])
def test_a_file_that_is_no_index_says_so(name: str) -> None:
    with pytest.raises(CurateError, match=f"no column '{name}'"):
        read(index({}, without=(name,)))
    with pytest.raises(CurateError, match="not a Parquet file"):
        read(b"PAR1" + b"x" * 99)


def test_a_damaged_row_group_is_one_failure_and_costs_no_other() -> None:
    rows = [{"url": f"http://example.org/{'x' * n}", "warc_record_offset": n} for n in range(300)]
    data = bytearray(index(*rows, row_group_size=100))
    chunk = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(1)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    entries = read(bytes(data))
    offsets = [doc.metadata["offset"] for doc, fate in entries if fate is None]
    assert offsets == [*range(100), *range(200, 300)]
    ((doc, fate),) = [entry for entry in entries if entry[1]]
    assert isinstance(fate, Failure) and fate.reason == "parquet_damaged"
    assert doc.metadata["file_path"].endswith("part-0.parquet")


class Failing(io.BytesIO):
    """A file on a disk that breaks."""

    broken = False

    def read(self, size: int | None = -1) -> bytes:
        if self.broken:
            raise OSError("Input/output error")
        return super().read(size)


def test_a_file_that_cannot_be_read_is_no_damaged_index() -> None:
    """The disk or the store may mend: the unit is tried again."""
    stream = Failing(index(*[{}] * 10, row_group_size=5))
    entries = IndexReader("x").read("x", stream)
    for _ in range(3):
        next(entries)
    stream.broken = True
    with pytest.raises(InputError, match="Input/output error"):
        list(entries)


class Counting(io.BytesIO):
    """A file that counts the bytes that are read of it."""

    bytes_read = 0
    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        self.largest = max(self.largest, len(data))
        return data


def test_only_the_columns_that_are_needed_are_read() -> None:
    """What an index holds besides is not touched, and no row group is held as a whole."""
    noise = bytes(range(256)) * 8
    rows: list[dict[str, Any]] = [
        {
            "url": f"http://example.org/{n}",
            "url_surtkey": noise.hex()[n % 50 :] + str(n),
            "warc_record_offset": n,
        }
        for n in range(2000)
    ]
    data = index(*rows, compression="none", use_dictionary=False)
    stream = Counting(data)
    assert sum(1 for _ in IndexReader("x").read("x", stream)) == 2000
    unneeded = sum(len(row["url_surtkey"]) for row in rows)
    assert unneeded > 8_000_000
    assert stream.bytes_read < len(data) - unneeded + 200_000


def test_the_index_finds_what_the_archive_holds(tmp_path: Path) -> None:
    """Found in the index and loaded, PDFs are what they are when the archive is read."""
    cut = record(http(PDF[:-6], PDF_TYPE), number=3, url="http://example.org/3")
    parts = members([page(0), record(http(PDF, PDF_TYPE), number=1), page(2), cut])
    (tmp_path / ARCHIVE).parent.mkdir(parents=True)
    (tmp_path / ARCHIVE).write_bytes(b"".join(parts))
    root = f"{tmp_path}/"
    stream = io.BytesIO(b"".join(parts))
    reader = PdfWarcReader("x")
    found = [doc for doc, fate in reader.read(root + ARCHIVE, stream) if fate is None]
    rows = [
        {
            "url": doc.metadata["url"],
            "warc_record_offset": doc.metadata["offset"],
            "warc_record_length": doc.metadata["length"],
            "content_digest": doc.metadata["payload_digest"].removeprefix("sha1:"),
        }
        for doc in found
    ]
    listed = [doc for doc, _ in read(index(HTML, *rows), IndexReader("x", root=root))]
    step = LoadPayload()
    for doc in listed:
        step.apply(doc)
    step.close()
    assert [doc.payload for doc in listed] == [PDF, PDF[:-6]] == [doc.payload for doc in found]
    assert [doc.metadata for doc in listed] == [doc.metadata for doc in found]
    assert found[1].metadata["truncated_by"] == "no_end"
