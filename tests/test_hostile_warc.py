"""WARC files made to harm: each has its bound on time and memory, and costs no other record."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable

import pyarrow as pa
import pytest

from curate.readers.warc import WarcReader

from .hostile_files import measure
from .warc_files import http, page, record

READER = WarcReader("x")
MEMORY_BYTES = 600 << 20  # on top of what the process has


def zeros(size: int, head: bytes = b"") -> bytes:
    """Return a gzip member, without its end, that unpacks to `head` and `size` zeros."""
    start = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = start.compress(head) + start.flush(zlib.Z_FULL_FLUSH)
    piece = zlib.compressobj(9, zlib.DEFLATED, -15)
    return data + (piece.compress(bytes(1 << 20)) + piece.flush(zlib.Z_FULL_FLUSH)) * (size >> 20)


def stored(body: bytes, layers: int) -> bytes:
    """Return a body in so many layers of gzip that make it no smaller."""
    for _ in range(layers):
        packer = zlib.compressobj(0, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
    return body


def bomb(coding: str, body: bytes) -> bytes:
    return record(http(body, ["Content-Type: text/html", f"Content-Encoding: {coding}"]))


def brotli() -> bytes:
    return bytes(pa.Codec("brotli", compression_level=1).compress(bytes(200 << 20), asbytes=True))


LARGE_HEAD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n"
    b"Content-Length: 4294967296\r\nWARC-Target-URI: http://a.example/\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
)
HEAD = b"WARC/1.0\r\nWARC-Type: response\r\n"

# Name, what makes the file, what becomes of its records.
FILES: dict[str, tuple[Callable[[], bytes], dict[str, int]]] = {
    "a record of 1 GB in 1 MB of gzip": (
        lambda: zeros(1 << 30, LARGE_HEAD) + gzip.compress(page(1)),
        {"gzip_damaged": 1, "kept": 1},
    ),
    "a body of 10 GB in 10 MB of gzip": (
        lambda: bomb("gzip", zeros(10 << 30)) + page(1),
        {"body_too_large": 1, "kept": 1},
    ),
    "a body of 10 GB in 2 KB of gzip of gzip of gzip": (
        lambda: bomb("gzip,gzip,gzip", gzip.compress(gzip.compress(zeros(10 << 30)))) + page(1),
        {"body_too_large": 1, "kept": 1},
    ),
    "a body of 200 MB in a few bytes of brotli": (
        lambda: bomb("br", brotli()) + page(1),
        {"body_too_large": 1, "kept": 1},
    ),
    "a body in 300 layers of gzip": (
        lambda: bomb(",".join(["gzip"] * 300), stored(os.urandom(1 << 20), 300)) + page(1),
        {"body_damaged": 1, "kept": 1},
    ),
    "a header line of 100 MB": (
        lambda: HEAD + b"X: " + b"x" * 100_000_000 + b"\r\n\r\n" + page(1),
        {"bad_header": 1, "kept": 1},
    ),
    "a header of a million lines": (
        lambda: HEAD + b"X-Long: x\r\n" * 1_000_000 + b"\r\n\r\n" + page(1),
        {"bad_header": 1, "kept": 1},
    ),
    "an HTTP header of ten million lines": (
        lambda: record(http(b"<p>Text", ["Content-Type: text/html", "a:\n" * 10_000_000])),
        {"kept": 1},
    ),
    "a header field of 20 MB of continuation lines": (
        lambda: record(http(b"<p>Text", ["Content-Type: text/html", "X: y", *[" z"] * 5_000_000])),
        {"kept": 1},
    ),
    "lines that are nearly the heads of ARC records": (
        lambda: (b"\nhttp:" + b" 1 123456789012" * 600 + b"\n") * 1000,
        {"wrong_length": 999, "clipped": 1},
    ),
    "the start of a record, without end": (
        lambda: b"WARC/1.0\r\nA:" * 1_000_000 + b"\r\n\r\n" + page(1),
        {"bad_header": 1, "kept": 1},
    ),
    "the start of a gzip member, without end": (
        lambda: gzip.compress(page(1)) + b"\x1f\x8b\x08" * 300_000 + gzip.compress(page(2)),
        {"kept": 2, "gzip_damaged": 1},
    ),
    "empty members": (
        lambda: gzip.compress(b"") * 100_000 + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "chunks of one byte": (
        lambda: record(
            http(
                b"1\r\na\r\n" * 2_000_000 + b"0\r\n\r\n",
                ["Content-Type: text/html", "Transfer-Encoding: chunked"],
            )
        ),
        {"kept": 1},
    ),
    "a million interim responses": (
        lambda: record(http(b"HTTP/1.1 100 C\r\n\r\n" * 1_000_000 + http())),
        {"kept": 1},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_archive_is_read_within_bounds(name: str) -> None:
    """Each ends with the outcome named, under 60 CPU seconds and 600 MB; the next page is read."""
    make, expected = FILES[name]
    outcome = measure(READER, make(), MEMORY_BYTES)
    assert outcome.status == 0, "it took more memory or time than it may"
    assert outcome.found == expected
