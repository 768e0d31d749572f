"""What a body must be to count as the whole document."""

from __future__ import annotations

import base64
import hashlib
from typing import IO

from ..readers.http_body import BodyTooLarge, decode_body
from .params import FetchError

HEAD_BYTES = 1024
TAIL_BYTES = 2048
# Content codings beyond this are bombs: PDFs hold streams that are compressed already.
_MAX_RATIO = 100
_FREE_BYTES = 1 << 20
_CODINGS = frozenset(("", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"))


def is_coded(coding: str) -> bool:
    """Tell whether a Content-Encoding changes the bytes."""
    return coding.strip().lower() not in ("", "identity")


def looks_like_pdf(head: bytes) -> bool:
    """Tell whether a body begins as a PDF: the marker is within the first KiB."""
    return b"%PDF-" in head[:HEAD_BYTES]


def digest_of(body: IO[bytes]) -> str:
    """Return the digest of a body as Common Crawl writes it: "sha1:" and base32."""
    digest = hashlib.sha1(usedforsecurity=False)
    body.seek(0)
    while data := body.read(1 << 20):
        digest.update(data)
    return "sha1:" + base64.b32encode(digest.digest()).decode()


def check_pdf(body: IO[bytes], size: int, coding: str, max_bytes: int) -> None:
    """Refuse a body that is not a whole PDF.

    Args:
        body: as it was sent, without transfer coding.
        size: its bytes.
        coding: its Content-Encoding.
        max_bytes: limit of what it may unpack to.

    Raises:
        FetchError: `not_pdf`, `incomplete` (no %%EOF in the last 2 KiB), `bad_encoding`,
            `encoding_bomb`, `too_large`.
    """
    if is_coded(coding):
        data = _decode(body, size, coding, max_bytes)
        head, tail = data[:HEAD_BYTES], data[-TAIL_BYTES:]
    else:
        body.seek(0)
        head = body.read(HEAD_BYTES)
        body.seek(max(0, size - TAIL_BYTES))
        tail = body.read(TAIL_BYTES)
    if not looks_like_pdf(head):
        raise FetchError("not_pdf", f"starts with {head[:40]!r}")
    if b"%%EOF" not in tail:
        raise FetchError("incomplete", "no %%EOF in the last 2 KiB")


def _decode(body: IO[bytes], size: int, coding: str, max_bytes: int) -> bytes:
    """Undo the codings, in bounded memory."""
    unknown = {part.strip().lower() for part in coding.split(",")} - _CODINGS
    if unknown:
        raise FetchError("bad_encoding", f"Content-Encoding {coding!r} is not known")
    limit = min(max_bytes, max(_FREE_BYTES, size * _MAX_RATIO))
    body.seek(0)
    try:
        found = decode_body(body.read(), {b"content-encoding": coding.encode()}, limit)
    except BodyTooLarge:
        cause = "too_large" if limit == max_bytes else "encoding_bomb"
        raise FetchError(cause, f"{size} bytes unpack to more than {limit}") from None
    if found.damage:
        raise FetchError("bad_encoding", f"Content-Encoding {coding!r} cannot be undone")
    return found.data
