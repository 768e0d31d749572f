"""WARC files built for the tests, byte by byte."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence

from curate.document import Document
from curate.readers.warc import WarcReader
from curate.steps import Drop, Failure

Fate = Drop | Failure | None

PAGE = (
    b"<!DOCTYPE html><html><head><title>A page</title></head><body><p>Some text.</p></body></html>"
)


def record(
    block: bytes,
    *,
    kind: str = "response",
    number: int = 0,
    url: str | None = "http://example.org/",
    length: object = None,
    fields: Sequence[tuple[str, str]] = (),
    line_end: str = "\r\n",
) -> bytes:
    """Return one record with its terminator; `length` replaces the right Content-Length."""
    content_type = "application/http" if kind in ("response", "request") else "text/plain"
    head = {
        "WARC-Type": kind,
        "WARC-Record-ID": record_id(number),
        "WARC-Date": "2024-03-01T12:00:00Z",
        "WARC-Target-URI": url,
        "Content-Type": content_type,
        "Content-Length": len(block) if length is None else length,
        **dict(fields),
    }
    lines = [f"{name}: {value}" for name, value in head.items() if value is not None]
    return line_end.join(["WARC/1.0", *lines, "", ""]).encode() + block + b"\r\n\r\n"


def record_id(number: int) -> str:
    return f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"


def http(
    body: bytes = PAGE,
    headers: Sequence[str] = ("Content-Type: text/html",),
    status: str = "HTTP/1.1 200 OK",
) -> bytes:
    """Return an HTTP response."""
    return "\r\n".join([status, *headers, "", ""]).encode() + body


def page(number: int, body: bytes = PAGE) -> bytes:
    """Return the record of one good page, told from others by its number."""
    return record(http(body), number=number, url=f"http://example.org/{number}")


def members(records: Sequence[bytes]) -> list[bytes]:
    """Return each record as a gzip member of its own, as crawls are stored."""
    return [gzip.compress(one, mtime=0) for one in records]


def read(data: bytes, reader: WarcReader | None = None) -> list[tuple[Document, Fate]]:
    """Return all that the reader makes of a file with these bytes."""
    reader = reader or WarcReader("test.warc.gz", dump="test")
    return list(reader.read("test.warc.gz", io.BytesIO(data)))


def kept(data: bytes, reader: WarcReader | None = None) -> list[Document]:
    return [doc for doc, fate in read(data, reader) if fate is None]


def ids(data: bytes) -> list[str]:
    """Return the ids of the pages that are kept."""
    return [doc.id for doc in kept(data)]


def reasons(data: bytes, reader: WarcReader | None = None) -> list[str]:
    """Return the fate of every entry, "" for those kept."""
    return [fate.reason if fate else "" for _, fate in read(data, reader)]
