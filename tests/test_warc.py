"""Reading whole WARC and ARC files: which records enter, with which bytes and columns."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from curate.readers.warc import WarcReader
from curate.steps import Drop, Failure

from .warc_files import PAGE, http, kept, members, page, read, reasons, record, record_id


def arrow(codec: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(data)
        return bytes(sink.getvalue().to_pybytes())

    return pack


CONTAINERS: dict[str, Callable[[list[bytes]], bytes]] = {
    "gzip per record": lambda records: b"".join(members(records)),
    "one gzip member": lambda records: gzip.compress(b"".join(records)),
    "plain": b"".join,
    "zstd per record": lambda records: b"".join(map(arrow("zstd"), records)),
    "one zstd frame": lambda records: arrow("zstd")(b"".join(records)),
    "lz4 per record": lambda records: b"".join(map(arrow("lz4"), records)),
    "one lz4 frame": lambda records: arrow("lz4")(b"".join(records)),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_pages(container: str) -> None:
    bodies = [PAGE, PAGE * 50, PAGE * 40_000, b"<p>last"]
    data = CONTAINERS[container]([page(number, body) for number, body in enumerate(bodies)])
    docs = kept(data)
    assert [doc.id for doc in docs] == [record_id(number) for number in range(4)]
    assert [doc.payload for doc in docs] == bodies


def test_a_page_has_its_columns() -> None:
    first, second = members([page(1), page(2)])
    (_, doc) = kept(first + second)
    assert doc.id == record_id(2)
    assert doc.metadata == {
        "url": "http://example.org/2",
        "date": "2024-03-01T12:00:00Z",
        "dump": "test",
        "file_path": "test.warc.gz",
        "offset": len(first),
        "charset": "utf-8",
        "charset_source": "utf-8",
        "truncated": None,
    }
    assert set(doc.metadata) == set(WarcReader("x").columns)


def test_offsets_of_a_plain_file_are_those_of_its_records() -> None:
    first, second = page(1), page(2)
    assert [doc.metadata["offset"] for doc in kept(first + second)] == [0, len(first)]


def test_only_records_that_can_be_pages_enter() -> None:
    data = b"".join(
        record(b"software: test\r\n", kind=kind, number=number)
        for number, kind in enumerate(("warcinfo", "request", "metadata", "revisit", "unheard-of"))
    )
    assert read(data + page(9))[0][0].id == record_id(9)
    assert reasons(data) == []


def test_a_saved_page_enters_as_resource_and_a_log_does_not() -> None:
    html = [("Content-Type", "text/html")]
    saved = record(PAGE, kind="resource", fields=html)
    log = record(b"a log", kind="resource", url="metadata://gnu.org/wget.log")
    image = record(b"\x89PNG", kind="resource", fields=[("Content-Type", "image/png")])
    assert reasons(saved + log + image) == ["", "not_html"]


def test_extracted_text_enters_with_its_text() -> None:
    (doc,) = kept(record("Grüße".encode(), kind="conversion"))
    assert doc.text == "Grüße"


def test_a_page_that_is_not_html_is_dropped() -> None:
    pdf = ["Content-Type: application/pdf"]
    identified = [("WARC-Identified-Payload-Type", "application/pdf")]
    assert reasons(record(http(b"%PDF-1.7", pdf))) == ["not_html"]
    assert reasons(record(http(b"%PDF-1.7", ["Server: none"]))) == ["not_html"]
    assert reasons(record(http(PAGE), fields=identified)) == ["not_html"]
    assert reasons(record(http(PAGE, pdf), fields=[("WARC-Identified-Payload-Type", "text/html")]))


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE HTML><p>",
        b"\xef\xbb\xbf \r\n<html>",
        b"<!-- x --><p>",
        b"<?xml version='1.0'?><html>",
    ],
)
@pytest.mark.parametrize("headers", [[], ["Content-Type: unknown/unknown"], ["Content-Type: html"]])
def test_a_page_without_a_type_is_known_by_its_bytes(body: bytes, headers: list[str]) -> None:
    assert reasons(record(http(body, headers))) == [""]


def test_status_says_why_it_was_dropped() -> None:
    ((doc, fate),) = read(record(http(status="HTTP/1.1 404 Not Found")))
    assert fate == Drop("http_status", value=404)
    assert doc.metadata["url"] == "http://example.org/"
    assert doc.payload is None


@pytest.mark.parametrize(
    ("status", "reason"), [(199, "http_status"), (200, ""), (299, ""), (300, "http_status")]
)
def test_statuses_from_200_to_299_are_read(status: int, reason: str) -> None:
    assert reasons(record(http(status=f"HTTP/1.1 {status} X"))) == [reason]


def test_an_empty_body_is_dropped() -> None:
    assert reasons(record(http(b""))) == ["empty_body"]


def test_a_record_without_uri_fails() -> None:
    assert reasons(record(http(), url=None)) == ["no_uri"]


def test_a_record_without_id_is_named_by_its_place() -> None:
    nameless = record(http(), fields=[("WARC-Record-ID", "")])
    first, second = (doc.id for doc in kept(page(1) + nameless))
    assert first == record_id(1)
    assert second == f"test.warc.gz#{len(page(1))}"
    two = kept(gzip.compress(nameless + nameless))
    assert len({doc.id for doc in two}) == 2


def test_odd_heads_are_read() -> None:
    latin = record(http(), fields=[("X-Note", "caf")]).replace(b"caf", b"caf\xe9")
    wget = record(http(), url="<http://example.org/a b>", number=1)
    dated = record(http(), number=2, fields=[("WARC-Date", "yesterday")])
    folded = record(http(), number=3, fields=[("X-Note", "one\r\n  two")])
    lines = record(http(), number=4, line_end="\n")
    cased = record(http(), number=5).replace(b"Content-Length", b"content-LENGTH")
    docs = kept(latin + wget + dated + folded + lines + cased)
    assert [doc.id for doc in docs] == [record_id(number) for number in range(6)]
    assert docs[1].metadata["url"] == "http://example.org/a b"
    assert docs[2].metadata["date"] == "yesterday"


@pytest.mark.parametrize(
    "block",
    [
        http().replace(b"\r\n", b"\n"),
        http(status="HTTP/1.1 200"),
        http(status="ICY 200 OK"),
        http(headers=["Content-Type: text/html;", "\tcharset=utf-8"]),
        http(headers=["no colon here", "Content-Type: text/html"]),
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(),
        b"Content-Type: text/html\r\n\r\n" + PAGE,
        PAGE,
    ],
)
def test_odd_responses_are_read(block: bytes) -> None:
    (doc,) = kept(record(block))
    assert doc.payload == PAGE


def chunked(body: bytes, size: int = 10) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in two members": ("gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    "gzip with padding": ("x-gzip", lambda b: gzip.compress(b) + b"\0" * 9),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "brotli": ("br", arrow("brotli")),
    "zstd": ("ZSTD", arrow("zstd")),
    "gzip with a weight": ("gzip;q=1.0", gzip.compress),
    "gzip in quotes": ('"gzip"', gzip.compress),
    "stacked": ("deflate, gzip", lambda b: gzip.compress(zlib.compress(b))),
    "declared and not done": ("gzip", bytes),
    "brotli not done": ("br", bytes),
    "deflate not done": ("deflate", bytes),
    "zstd not done": ("zstd", bytes),
    "unheard of": ("utf-8", bytes),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("transfer", ["none", "chunked", "gzip, chunked", "declared and not done"])
def test_codings_are_undone(coding: str, transfer: str) -> None:
    name, pack = CODINGS[coding]
    headers = ["Content-Type: text/html", f"Content-Encoding: {name}"]
    body = pack(PAGE)
    body = gzip.compress(body) if "gzip" in transfer else body
    if transfer != "none":
        headers.append(f"Transfer-Encoding: {transfer if 'gzip' in transfer else 'chunked'}")
        body = chunked(body) if "chunked" in transfer else body
    (doc,) = kept(record(http(body, headers)))
    assert doc.payload == PAGE
    assert doc.metadata["truncated"] is None


def test_a_body_cut_within_its_coding_is_kept_and_marked() -> None:
    body = b"<p>" + bytes(range(32, 127)) * 400
    packed = gzip.compress(body)
    (doc,) = kept(record(http(packed[:-9], ["Content-Type: text/html", "Content-Encoding: gzip"])))
    assert doc.payload and body.startswith(doc.payload)
    assert doc.metadata["truncated"] == "content_encoding"
    (doc,) = kept(record(http(chunked(body)[:900], ["Transfer-Encoding: chunked"])))
    assert doc.payload and b"<p>" in doc.payload
    assert doc.metadata["truncated"] == "transfer_encoding"


def test_a_body_of_which_nothing_can_be_decoded_fails() -> None:
    headers = ["Content-Type: text/html", "Content-Encoding: gzip"]
    assert reasons(record(http(b"\x1f\x8b\x08\xff\xff", headers))) == ["body_damaged"]
    assert reasons(record(http(b"\x01\x02\x03", [*headers[:1], "Content-Encoding: br"]))) == [
        "body_damaged"
    ]


def test_a_page_the_crawler_cut_is_marked() -> None:
    (doc,) = kept(record(http(), fields=[("WARC-Truncated", "length")]))
    assert doc.metadata["truncated"] == "length"


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", arrow("brotli")),
        ("zstd", arrow("zstd")),
    ],
)
def test_a_bomb_fails(name: str, pack: Callable[[bytes], bytes]) -> None:
    reader = WarcReader("x", max_body_bytes=100_000)
    headers = ["Content-Type: text/html", f"Content-Encoding: {name}"]
    bomb = record(http(pack(b"<p>" + b" " * 200_000), headers))
    assert reasons(bomb + page(1), reader) == ["body_too_large", ""]


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_record_over_the_limit_fails_and_costs_no_other(container: str) -> None:
    reader = WarcReader("x", max_record_bytes=100_000)
    video = record(http(b"\0" * 300_000, ["Content-Type: video/mp4"]), number=1)
    records = [page(0), page(5, PAGE * 3000), video, page(2)]
    assert reasons(CONTAINERS[container](records), reader) == [
        "",
        "record_too_large",
        "not_html",
        "",
    ]


ARC = (
    b"filedesc://test.arc 0.0.0.0 20080430204825 text/plain 77\n"
    b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"
)


def arc_record(url: str, block: bytes, kind: str = "text/html") -> bytes:
    return f"{url} 192.0.2.1 20080430204825 {kind} {len(block)}\n".encode() + block + b"\n"


@pytest.mark.parametrize("container", ["plain", "gzip per record", "one gzip member"])
def test_arc_files_are_read(container: str) -> None:
    saved = arc_record("http://example.org/a b", http())
    name = arc_record("dns:example.org", b"192.0.2.1", "text/dns")
    ftp = arc_record("ftp://example.org/x.html", PAGE)
    docs = read(CONTAINERS[container]([ARC, saved, name, ftp]))
    assert [fate.reason if fate else "" for _, fate in docs] == ["", "not_html", ""]
    doc = docs[0][0]
    assert doc.metadata["url"] == "http://example.org/a b"
    assert doc.metadata["date"] == "2008-04-30T20:48:25Z"
    assert doc.payload == docs[2][0].payload == PAGE


@pytest.mark.parametrize(
    "data",
    [
        b"org,example)/ 20240101000000 http://example.org/ text/html 200\n" * 99,
        bytes(range(256)) * 50,
        PAGE,
        gzip.compress(PAGE),
        gzip.compress(b"a line\n") * 9,
        b"\n",
    ],
)
def test_a_file_of_another_kind_is_one_failure(data: bytes) -> None:
    ((doc, fate),) = read(data)
    assert isinstance(fate, Failure)
    assert fate.reason == ("empty_file" if data == b"\n" else "not_a_warc")
    assert doc.metadata["offset"] == 0


def test_an_empty_file_is_one_failure() -> None:
    assert reasons(b"") == reasons(gzip.compress(b"")) == ["empty_file"]


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time, as a network does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))


@pytest.mark.parametrize("container", CONTAINERS)
def test_short_reads_change_nothing(container: str) -> None:
    data = CONTAINERS[container]([page(number) for number in range(20)])[:-30]
    reader = WarcReader("test.warc.gz", dump="test")
    assert list(reader.read("test.warc.gz", Dribble(data))) == read(data)


BODIES = st.lists(st.binary(max_size=300), min_size=1, max_size=12)


@given(BODIES, st.sampled_from(["gzip per record", "one gzip member", "plain", "lz4 per record"]))
def test_clean_files_read_as_fastwarc_reads_them(bodies: list[bytes], container: str) -> None:
    data = CONTAINERS[container](
        [page(number, b"<p>" + body) for number, body in enumerate(bodies)]
    )
    theirs = [
        (one.headers["WARC-Record-ID"], one.reader.read())
        for one in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.response)
    ]
    assert [(doc.id, doc.payload) for doc in kept(data)] == theirs


def test_the_sample_holds_what_its_sources_page_says() -> None:
    folder = Path(__file__).parent.parent / "sample_data" / "warc"
    entries = [
        entry for path in sorted(folder.glob("*.warc.gz")) for entry in read(path.read_bytes())
    ]
    assert Counter(fate.reason for _, fate in entries if fate) == {
        "not_html": 2,
        "http_status": 1,
        "empty_body": 1,
        "gzip_damaged": 1,
        "no_uri": 1,
    }
    assert sum(fate is None for _, fate in entries) == 397
    charsets = {doc.metadata["charset"] for doc, fate in entries if fate is None}
    assert charsets == {"utf-8", "euc-kr", "windows-1251", "windows-1252", "shift_jis"}
