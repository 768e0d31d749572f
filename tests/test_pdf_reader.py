"""Finding PDFs in archives: which records are PDFs, whole or cut, and where each lies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.document import Document
from curate.readers.digests import payload_digest
from curate.readers.pdf import PdfWarcReader
from curate.readers.pdf_signs import LIMIT_BYTES, OLD_LIMIT_BYTES, crawl_limit, has_pdf_end
from curate.steps import Drop, Failure

from .test_warc import ARC, CONTAINERS, arc_record, arrow, chunked
from .warc_files import Fate, http, members, page, record, record_id

PDF = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PDF_TYPE = ["Content-Type: application/pdf"]


def pdf_record(number: int = 0, body: bytes = PDF, headers: Sequence[str] = PDF_TYPE) -> bytes:
    url = f"http://example.org/files/{number}"
    return record(http(body, headers), number=number, url=url)


def read(data: bytes, reader: PdfWarcReader | None = None) -> list[tuple[Document, Fate]]:
    reader = reader or PdfWarcReader("test.warc.gz", dump="test")
    return list(reader.read("test.warc.gz", io.BytesIO(data)))


def found(data: bytes, reader: PdfWarcReader | None = None) -> Document:
    """Return the only document of a file, which is kept."""
    ((doc, fate),) = read(data, reader)
    assert fate is None
    return doc


def reasons(data: bytes, reader: PdfWarcReader | None = None) -> list[str]:
    return [fate.reason if fate else "" for _, fate in read(data, reader)]


def test_a_pdf_has_its_columns_and_its_bytes() -> None:
    first, second = members([page(1), pdf_record(2)])
    (_, fate), (doc, _) = read(first + second)
    assert fate == Drop("not_pdf")
    assert doc.id == record_id(2)
    assert doc.payload == PDF
    assert doc.text == ""
    assert doc.metadata == {
        "url": "http://example.org/files/2",
        "date": "2024-03-01T12:00:00Z",
        "dump": "test",
        "file_path": "test.warc.gz",
        "offset": len(first),
        "length": len(second),
        "mime": "application/pdf",
        "truncated_by": None,
        "is_truncated": False,
        "payload_digest": "sha1:" + base64.b32encode(hashlib.sha1(PDF).digest()).decode(),
    }
    assert set(doc.metadata) == set(PdfWarcReader.columns)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_pdf_lies_where_its_columns_say(container: str) -> None:
    """What stands at offset and length is the record, unless records share a member."""
    request = record(b"GET / HTTP/1.1\r\n\r\n", kind="request")
    parts = [pdf_record(0), request, page(1), pdf_record(2, PDF * 30_000), page(3), pdf_record(4)]
    data = CONTAINERS[container](parts)
    docs = [doc for doc, fate in read(data) if fate is None]
    assert [doc.id for doc in docs] == [record_id(number) for number in (0, 2, 4)]
    for doc, part in zip(docs, (parts[0], parts[3], parts[5]), strict=True):
        offset, length = doc.metadata["offset"], doc.metadata["length"]
        if container.startswith("one"):
            assert (offset, length) == (0, None)
        else:
            assert data[offset : offset + length] == CONTAINERS[container]([part])


def test_two_records_in_a_member_have_no_length_and_their_neighbours_do() -> None:
    single, shared = members([pdf_record(0), pdf_record(1) + pdf_record(2)])
    docs = [doc for doc, _ in read(single + shared + single)]
    lengths = [doc.metadata["length"] for doc in docs]
    assert lengths == [len(single), None, None, len(single)]


URLS = [
    ("http://example.org/a.pdf", True),
    ("http://example.org/A.PDF", True),
    ("https://example.org/a.pdf?x=1", True),
    ("http://example.org/a.pdf#page=2", True),
    ("http://example.org/a.pdf/", False),
    ("http://example.org/view?file=a.pdf", False),
    ("http://example.org/#a.pdf", False),
    ("http://example.pdf", False),
    ("http://example.org/pdf", False),
    ("http://example.org/a.pdfx", False),
]


@pytest.mark.parametrize(("url", "claims"), URLS)
def test_a_url_claims_a_pdf_by_its_path(url: str, claims: bool) -> None:
    assert reasons(record(http(), url=url)) == ["no_pdf_header" if claims else "not_pdf"]
    assert reasons(record(http(PDF), url=url)) == [""]


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        ("application/pdf", True),
        ("Application/PDF; charset=x", True),
        ("application/x-pdf", True),
        ("application/acrobat", True),
        ("applications/vnd.pdf", True),
        ("text/pdf", True),
        ("application/octet-stream", False),
        ("text/html", False),
    ],
)
def test_a_type_claims_a_pdf(kind: str, claims: bool) -> None:
    """A page that says it is a PDF and has no header of one is told from all other pages."""
    reason = "no_pdf_header" if claims else "not_pdf"
    assert reasons(record(http(headers=[f"Content-Type: {kind}"]))) == [reason]
    identified = [("WARC-Identified-Payload-Type", kind)]
    assert reasons(record(http(), fields=identified)) == [reason]
    assert reasons(record(http(PDF, [f"Content-Type: {kind}"]))) == [""]


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize(("before", "is_pdf"), [(0, True), (1019, True), (1020, False)])
def test_a_pdf_is_known_by_its_first_kilobyte(before: int, is_pdf: bool, claimed: bool) -> None:
    """The header may follow other bytes, whole within the first KiB."""
    data = record(http(b"\n" * before + PDF, PDF_TYPE if claimed else ["Server: none"]))
    assert reasons(data) == ["" if is_pdf else "no_pdf_header" if claimed else "not_pdf"]


def test_every_other_record_is_accounted_for() -> None:
    assert reasons(record(http(PDF, PDF_TYPE, "HTTP/1.1 404 Not Found"))) == ["http_status"]
    assert reasons(record(http(b"", PDF_TYPE))) == ["empty_body"]
    assert reasons(record(http(b""))) == ["not_pdf"]
    assert reasons(record(http(PDF, PDF_TYPE), url=None)) == ["no_uri"]
    assert reasons(b"") == ["empty_file"]
    assert reasons(b"no archive\n" * 99) == ["not_a_warc"]
    saved = [("Content-Type", "application/pdf")]
    assert reasons(record(PDF, kind="resource", fields=saved)) == [""]
    assert reasons(record(PDF, kind="resource", url="urn:x", fields=saved)) == []
    assert reasons(ARC + arc_record("http://example.org/", http(PDF, PDF_TYPE), "-")) == [""]


@pytest.mark.parametrize(("status", "reason"), [(199, "http_status"), (200, ""), (299, "")])
def test_statuses_from_200_to_299_are_read(status: int, reason: str) -> None:
    assert reasons(record(http(PDF, status=f"HTTP/1.1 {status} X"))) == [reason]


def test_damage_costs_the_record_it_hits() -> None:
    first, second, third = members([pdf_record(n, bytes(range(256)) + PDF) for n in range(3)])
    damaged = second[: len(second) // 2] + b"\xff" * 9 + second[len(second) // 2 + 9 :]
    assert reasons(first + damaged + third) == ["", "gzip_damaged", ""]
    assert reasons(first + second + third[:-20]) == ["", "", "clipped"]


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": arrow("brotli"),
    "zstd": arrow("zstd"),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("declared", [True, False])
def test_a_coded_pdf_is_found_whether_it_is_declared_or_not(coding: str, declared: bool) -> None:
    headers = ["Transfer-Encoding: chunked", f"Content-Encoding: {coding}"]
    headers += PDF_TYPE if declared else []
    body = PDF[:-6] + bytes(range(256)) * 200 + b"%%EOF"
    coded = CODINGS[coding](body)
    doc = found(record(http(chunked(coded), headers)))
    assert doc.payload == body
    assert doc.metadata["is_truncated"] is False
    assert doc.metadata["payload_digest"] == payload_digest(chunked(coded))
    assert reasons(record(http(chunked(CODINGS[coding](b"<p>page")), headers[:2]))) == ["not_pdf"]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_pdf_whose_coding_was_undone_is_found(coding: str) -> None:
    """Archives keep `Content-Encoding` with a body that no longer has it."""
    assert found(record(http(PDF, [*PDF_TYPE, f"Content-Encoding: {coding}"]))).payload == PDF


def test_what_is_too_large_fails_and_what_is_no_pdf_does_not() -> None:
    reader = PdfWarcReader("x", max_record_bytes=100_000)
    large = PDF + b"\0" * 200_000
    video = record(http(b"\0" * 200_000, ["Content-Type: video/mp4"]))
    files = record(http(large)) + video + pdf_record(1)
    assert reasons(files, reader) == ["record_too_large", "not_pdf", ""]
    reader = PdfWarcReader("x", max_body_bytes=100_000)
    for pack in (gzip.compress, arrow("brotli")):
        coding = "gzip" if pack is gzip.compress else "br"
        headers = [*PDF_TYPE, f"Content-Encoding: {coding}"]
        bomb = record(http(pack(large), headers)) + record(http(pack(large), headers[1:]))
        assert reasons(bomb, reader) == ["body_too_large"] * 2
    assert reasons(
        record(http(b"\x1f\x8b\x08\xff\xff", [*PDF_TYPE, "Content-Encoding: gzip"]))
    ) == ["body_damaged"]


def cause(data: bytes, **arguments: object) -> str | None:
    """Return why the only document is taken for cut."""
    doc = found(data, PdfWarcReader("x", **arguments))  # type: ignore[arg-type]  # as the test has
    value: str | None = doc.metadata["truncated_by"]
    assert doc.metadata["is_truncated"] is (value is not None)
    return value


def sized(count: int) -> bytes:
    return PDF[:-6] + b" " * (count - len(PDF)) + PDF[-6:]


@pytest.mark.parametrize("mark", ["length", "time", "disconnect", "unspecified", "whatever"])
def test_what_the_crawler_marked_is_truncated(mark: str) -> None:
    assert cause(record(http(PDF), fields=[("WARC-Truncated", mark)])) == mark


@pytest.mark.parametrize(
    ("dump", "limit"),
    [
        ("CC-MAIN-2013-20", OLD_LIMIT_BYTES),
        ("CC-MAIN-2025-08", OLD_LIMIT_BYTES),
        ("CC-MAIN-2025-13", LIMIT_BYTES),
        ("CC-MAIN-2026-04", LIMIT_BYTES),
    ],
)
def test_a_pdf_as_long_as_its_crawl_keeps_is_truncated(dump: str, limit: int) -> None:
    assert crawl_limit(dump) == limit
    for size, reason in ((limit - 1, None), (limit, "limit"), (limit + 1, "limit")):
        assert cause(pdf_record(body=sized(size)), dump=dump) == reason
    assert cause(pdf_record(body=sized(limit)), dump=dump, limit_bytes=0) is None


def test_the_limit_can_be_given_and_no_other_crawl_has_one() -> None:
    data = pdf_record(body=sized(OLD_LIMIT_BYTES))
    assert cause(data) is None
    assert cause(data, dump="mine") is None
    assert cause(data, dump="mine", limit_bytes=OLD_LIMIT_BYTES) == "limit"
    assert cause(data, dump="mine", limit_bytes=OLD_LIMIT_BYTES + 1) is None


def test_the_crawl_is_read_off_the_path_where_it_is_not_given() -> None:
    path = "s3://commoncrawl/crawl-data/CC-MAIN-2025-08/segments/1/warc/2.warc.gz"
    data = pdf_record(body=sized(OLD_LIMIT_BYTES))
    ((doc, _),) = PdfWarcReader("x").read(path, io.BytesIO(data))
    assert doc.metadata["dump"] == "CC-MAIN-2025-08"
    assert doc.metadata["truncated_by"] == "limit"
    ((doc, _),) = PdfWarcReader("x", dump="mine").read(path, io.BytesIO(data))
    assert doc.metadata["dump"] == "mine"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([f"Content-Length: {len(PDF)}"], None),
        ([f"Content-Length: {len(PDF) - 1}"], None),
        ([f"Content-Length: {len(PDF) + 1}"], "content_length"),
        (["Content-Length: many"], None),
        (
            [f"X-Crawler-Content-Length: {len(PDF) + 1}", f"Content-Length: {len(PDF)}"],
            "content_length",
        ),
        ([f"Content-Length: {len(PDF) + 20}", "Content-Encoding: gzip"], None),
        ([f"Content-Length: {len(PDF) + 1}", "Content-Encoding: identity"], "content_length"),
        ([f"X-Crawler-Content-Length: {len(PDF) + 9}"], "content_length"),
        (["X-Crawler-Content-Length: 9999", "X-Crawler-Content-Encoding: gzip"], None),
    ],
)
def test_a_pdf_shorter_than_announced_is_truncated(headers: list[str], reason: str | None) -> None:
    """The server's own length is held against the body, unless it counted coded bytes.

    Common Crawl corrects the field and keeps the server's beside it.
    """
    assert cause(record(http(PDF, [*PDF_TYPE, *headers]))) == reason


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (b"%%EOF", None),
        (b"%%EOF" + b"x" * 2043, None),
        (b"%%EOF" + b"x" * 2044, "no_end"),
        (b"%%EOF\r\n" + b"\0 \n" * 5000, None),
        (b"%%EOF" + b"x" * 2044 + b"\0" * 5000, "no_end"),
        (b"", "no_end"),
        (b"%%EO", "no_end"),
    ],
)
def test_a_pdf_without_its_end_is_truncated(end: bytes, reason: str | None) -> None:
    assert cause(record(http(PDF[:-6] + end))) == reason


def test_a_pdf_cut_within_its_coding_is_kept_and_marked() -> None:
    body = PDF[:-6] + bytes(range(256)) * 400
    packed = gzip.compress(body)[:-9]
    assert cause(record(http(packed, ["Content-Encoding: gzip"]))) == "content_encoding"
    cut = chunked(body, 1000)[:9000]
    assert cause(record(http(cut, ["Transfer-Encoding: chunked"]))) == "transfer_encoding"


@given(st.binary(max_size=5000), st.integers(0, 5000))
def test_a_pdf_cut_anywhere_before_its_end_is_seen(inside: bytes, size: int) -> None:
    body = b"%PDF-1.4\n" + inside.replace(b"%%EOF", b"") + b"\n"
    assert has_pdf_end(body + b"%%EOF\n")
    assert not has_pdf_end(body[:size])


def digest(algorithm: str, data: bytes, form: str = "base32") -> str:
    value = hashlib.new(algorithm, data).digest()
    forms = {
        "base32": base64.b32encode(value).decode(),
        "base16": value.hex(),
        "base64": base64.b64encode(value).decode(),
    }
    return f"{algorithm}:{forms[form]}"


BLOCK = http(chunked(PDF), [*PDF_TYPE, "Transfer-Encoding: chunked"])
WRONG = digest("sha1", b"other bytes")


@pytest.mark.parametrize(
    ("payload", "block", "fits"),
    [
        (digest("sha1", chunked(PDF)), None, True),
        (digest("sha1", chunked(PDF)).lower(), None, True),
        (digest("sha1", chunked(PDF), "base16"), None, True),
        (digest("sha256", chunked(PDF), "base16"), None, True),
        (digest("md5", chunked(PDF), "base64").replace("md5", "MD-5"), None, True),
        (digest("sha1", PDF), None, True),
        (digest("sha1", BLOCK), None, True),
        (WRONG, digest("sha1", BLOCK), True),
        (digest("sha1", chunked(PDF)), WRONG, True),
        (WRONG, None, False),
        (None, WRONG, False),
        (WRONG, WRONG, False),
        ("crc32:12345678", None, True),
        ("sha1:tooshort", None, True),
        ("none", "", True),
    ],
)
def test_a_record_that_no_digest_of_its_own_fits_fails(
    payload: str | None, block: str | None, fits: bool
) -> None:
    """Writers digest different bytes: what fits none of them was changed since."""
    stated = [("WARC-Payload-Digest", payload), ("WARC-Block-Digest", block)]
    fields = [(name, value) for name, value in stated if value is not None]
    ((doc, fate),) = read(record(BLOCK, fields=fields))
    assert (fate is None) is fits
    if not fits:
        assert isinstance(fate, Failure) and fate.reason == "digest_mismatch"
        assert doc.payload is None
    reader = PdfWarcReader("x", verify_digests=False)
    assert found(record(BLOCK, fields=fields), reader).payload == PDF
    cut = [*fields, ("WARC-Truncated", "length")]
    assert found(record(BLOCK, fields=cut)).metadata["truncated_by"] == "length"
