"""WARC files made to harm: each has its bound on time and memory, and costs no other record."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable

import pyarrow as pa
import pytest

from curate.readers.warc import WarcReader

from .hostile_files import ARCHIVE, measure
from .warc_files import http, page, record

READER = WarcReader("x")


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
# Frames by the letter of their formats: RFC 8878, section 3.1.1, and the LZ4 frame format.
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_FRAME = ZSTD + b"\x00\x58"  # of any size, window of 2 MB
ZSTD_EMPTY = ZSTD + b"\x20\x00" + b"\x01\0\0"
ZSTD_BREAK = ZSTD + b"\x20\x01" + b"\x09\0\0\n"  # of one line end
LZ4 = b"\x04\x22\x4d\x18"
LZ4_EMPTY = LZ4 + b"\x60\x40\x82" + bytes(4)


def zstd_run(size: int, byte: bytes) -> bytes:
    """Return blocks of a zstd frame that unpack to one byte so often: four bytes each 128 KiB."""
    return ((1 << 17 << 3 | 2).to_bytes(3, "little") + byte) * (size >> 17)


def zstd_raw(data: bytes) -> bytes:
    """Return a block of a zstd frame that holds these bytes as they are."""
    return (len(data) << 3).to_bytes(3, "little") + data


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
    "the start of a gzip member and nothing else": (
        lambda: b"\x1f\x8b\x08" * 300_000,
        {"clipped": 1},
    ),
    "the start of a zstd frame and nothing else": (
        lambda: ZSTD * 3_000_000,
        {"zstd_damaged": 1},
    ),
    "the start of an lz4 frame and nothing else": (
        lambda: LZ4 * 3_000_000,
        {"lz4_damaged": 1},
    ),
    "zstd frames whose block does not unpack": (
        lambda: b"x" + (ZSTD + b"\x20\x00\x04\x6a\x18") * 20_000 + gzip.compress(page(1)),
        {"garbage": 1, "kept": 1},
    ),
    "a record of 256 MB in 8 KB of zstd": (
        lambda: (
            ZSTD_FRAME + zstd_raw(LARGE_HEAD) + zstd_run(256 << 20, b"\0") + gzip.compress(page(1))
        ),
        {"zstd_damaged": 1, "kept": 1},
    ),
    "128 MB of line ends in 4 KB of zstd": (
        lambda: ZSTD_FRAME + zstd_run(128 << 20, b"\n") + b"\x01\0\0" + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "zstd that asks for a window of 128 MB": (
        lambda: (
            ZSTD + b"\x00\x88" + zstd_run(150 << 20, b"\n") + b"\x01\0\0" + gzip.compress(page(1))
        ),
        {"kept": 1},
    ),
    "20,000 empty zstd frames": (
        lambda: ZSTD_EMPTY * 20_000 + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "50,000 lz4 frames of nothing after damage": (
        lambda: b"x" + LZ4_EMPTY * 50_000 + gzip.compress(page(1)),
        {"garbage": 1, "kept": 1},
    ),
    "10,000 zstd frames of one line end after damage": (
        lambda: b"x" + ZSTD_BREAK * 10_000 + gzip.compress(page(1)),
        {"garbage": 1, "kept": 1},
    ),
    "a zstd frame of 200,000 empty blocks": (
        lambda: ZSTD_FRAME + bytes(600_000) + b"\x01\0\0" + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "200,000 skippable frames": (
        lambda: b"\x50\x2a\x4d\x18\0\0\0\0" * 200_000 + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "200,000 empty members": (
        lambda: gzip.compress(b"") * 200_000 + gzip.compress(page(1)),
        {"kept": 1},
    ),
    "a thousand members one in another": (
        lambda: stored(page(1), 1000) + gzip.compress(page(2)),
        {"garbage": 1, "kept": 1},
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
    """Each ends with the outcome named, within time and memory; the next page is read."""
    make, expected = FILES[name]
    outcome = measure(READER, make(), ARCHIVE)
    assert outcome.status == 0, "it took more memory or time than it may"
    assert outcome.found == expected
