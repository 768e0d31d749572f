"""HTTP responses as crawlers saved them: head, transfer coding, content codings, kind of content.

Archives hold bodies whose codings were undone while the headers stayed, so a coding is undone
where the bytes have it and not where a header says so.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .frames import FrameDamaged, unpack
from .heads import parse_fields

_STATUS_LINE = re.compile(
    rb"\s{0,16}(?:HTTP|ICY)[^\s]{0,16}[ \t]+(\d{3})?[^\n]*(?:\n|\Z)", re.IGNORECASE
)
_FIELD_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}:[^\n]*\n")
_BLANK_LINE = re.compile(rb"\n\r*\n")
_CHUNK_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]{0,1024})?\r?\n")
_CODING = re.compile(rb"[a-z-]+")  # alone, or as '"gzip"' and "gzip;q=1.0" name it
_STEP_BYTES = 1 << 12
_MAX_HEAD_BYTES = 1 << 20
# Servers give one, proxies add one; each costs the time of the whole body.
_MAX_CODINGS = 8

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_UNKNOWN_TYPES = frozenset(("unknown/unknown", "application/unknown", "*/*", "content/unknown"))
_HTML_TAG = re.compile(
    rb"\s*<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|"
    rb"meta|link|center|frameset|!--)[\s>/-]",
    re.IGNORECASE,
)
_OTHER_TYPES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class BodyTooLarge(Exception):
    """The body is larger than the limit once its codings are undone."""


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response; `start` is where its body starts. No status: it has none."""

    status: int | None
    fields: Mapping[bytes, bytes]
    start: int


@dataclass(frozen=True, slots=True)
class Body:
    """A body with its codings undone; `damage` names the kind of coding that was broken."""

    data: bytes
    damage: str = ""


def parse_response(block: bytes) -> Response:
    """Read the head of a response, with or without its status line.

    An interim response (1xx) is passed over. A block without any head is all body.
    """
    start = 0
    while line := _STATUS_LINE.match(block, start):
        status = int(line[1]) if line[1] else None
        end = _BLANK_LINE.search(block, max(line.end() - 1, 0))
        head_end = end.end() if end else len(block)
        if status is not None and status < 200 and end and _STATUS_LINE.match(block, head_end):
            start = head_end
            continue
        fields = parse_fields(block[line.end() : min(head_end, line.end() + _MAX_HEAD_BYTES)])
        return Response(status, fields, head_end)
    end = _BLANK_LINE.search(block)
    if end and _FIELD_LINE.match(block):
        return Response(None, parse_fields(block[: min(end.end(), _MAX_HEAD_BYTES)]), end.end())
    return Response(None, {}, 0)


def decode_body(body: bytes, fields: Mapping[bytes, bytes], limit: int) -> Body:
    """Undo the transfer coding and the content codings of a body.

    A body that ends within a coding, or breaks, is what came before, with `damage` set.

    Raises:
        BodyTooLarge: it would be larger than `limit` bytes.
    """
    damage = ""
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        body, damage = _dechunk(body)
    # The transfer's lie around the content's: "Transfer-Encoding: gzip, chunked".
    names = (fields.get(name, b"") for name in (b"content-encoding", b"transfer-encoding"))
    codings = _CODING.findall(b",".join(names).lower())
    undoing = [undo for coding in reversed(codings) if (undo := _CODINGS.get(coding))]
    if len(undoing) > _MAX_CODINGS:
        return Body(b"", "content_encoding")
    for undo in undoing:
        if body:
            body, whole = undo(body, limit)
            damage = damage if whole else "content_encoding"
    if len(body) > limit:
        raise BodyTooLarge
    return Body(body, damage)


def media_type(value: bytes) -> str:
    """Return the type and subtype of a Content-Type, in lower case; "" if it says nothing."""
    found = _TYPE.match(value.decode("latin-1").strip().lower())
    return "" if found is None or found[0] in _UNKNOWN_TYPES else found[0]


def sniff_type(body: bytes) -> str:
    """Return the media type that the first bytes show, after WHATWG's MIME sniffing."""
    head = body[:512].removeprefix(b"\xef\xbb\xbf")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[2:].replace(b"\0", b"")
    if _HTML_TAG.match(head):
        return "text/html"
    if head.lstrip().startswith(b"<?xml"):
        start = body[:2048].lower()
        xhtml = b"<html" in start or b"//dtd xhtml" in start
        return "application/xhtml+xml" if xhtml else "text/xml"
    for magic, name in _OTHER_TYPES:
        if head.startswith(magic):
            return name
    return "application/octet-stream" if _BINARY.search(head) else "text/plain"


def _dechunk(body: bytes) -> tuple[bytes, str]:
    """Join the chunks of a body; return it as it is if it has none.

    Where a chunk does not end as it says, the rest is taken as it is and the damage named.
    """
    parts: list[bytes] = []
    at = 0
    while line := _CHUNK_LINE.match(body, at):
        size = int(line[1], 16)
        end = line.end() + size
        if size == 0:
            return b"".join(parts), ""
        follows = body[end : end + 1]
        if follows and follows not in b"\r\n":
            break
        parts.append(body[line.end() : end])
        at = end + (2 if body.startswith(b"\r\n", end) else 1)
    if not parts:
        return body, ""
    rest = body[at:]
    return b"".join((*parts, rest)), "transfer_encoding"


def _inflate(pieces: Iterator[bytes], errors: tuple[type[Exception], ...], limit: int) -> Body:
    """Join unpacked pieces up to the first error.

    Raises:
        BodyTooLarge: they are more than `limit` bytes.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size > limit:
                raise BodyTooLarge
    except errors:
        return Body(b"".join(parts), "content_encoding")
    return Body(b"".join(parts))


def _zlib_pieces(body: bytes, wbits: int) -> Iterator[bytes]:
    """Yield a body unpacked, in small steps so that all before a damage is had."""
    view = memoryview(body)
    inflater = zlib.decompressobj(wbits)
    at = 0
    while at < len(view):
        chunk = view[at : at + _STEP_BYTES]
        yield inflater.decompress(chunk)
        at += len(chunk) - len(inflater.unused_data)
        if inflater.eof:
            # Several gzip members make one body; what else follows is padding.
            if wbits < 31 or bytes(view[at : at + 3]) != b"\x1f\x8b\x08":
                return
            inflater = zlib.decompressobj(wbits)
    if not inflater.eof:
        raise zlib.error("the body ends within its coding")


def _gunzip(body: bytes, limit: int) -> tuple[bytes, bool]:
    if not body.startswith(b"\x1f\x8b"):
        return body, True
    found = _inflate(_zlib_pieces(body, 31), (zlib.error,), limit)
    return found.data, not found.damage


def _undeflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Undo deflate: with zlib's header as the standard has it, or bare as some servers send it."""
    best = Body(b"", "content_encoding")
    for wbits in (15, -15):
        found = _inflate(_zlib_pieces(body, wbits), (zlib.error,), limit)
        if not found.damage:
            return found.data, True
        best = max(best, found, key=lambda one: len(one.data))
    return _or_plain(body, best)


def _undo_with_arrow(codec: str) -> Callable[[bytes, int], tuple[bytes, bool]]:
    def undo(body: bytes, limit: int) -> tuple[bytes, bool]:
        found = _inflate(unpack(body, codec, _STEP_BYTES), (FrameDamaged,), limit)
        return _or_plain(body, found) if found.damage else (found.data, True)

    return undo


def _or_plain(body: bytes, found: Body) -> tuple[bytes, bool]:
    """Return what was unpacked of a damaged body, or the body if it never was packed."""
    if sniff_type(body) in ("text/html", "application/xhtml+xml", "text/xml", "text/plain"):
        return body, True
    return found.data, False


_CODINGS: Mapping[bytes, Callable[[bytes, int], tuple[bytes, bool]]] = {
    b"gzip": _gunzip,
    b"x-gzip": _gunzip,
    b"deflate": _undeflate,
    b"br": _undo_with_arrow("brotli"),
    b"zstd": _undo_with_arrow("zstd"),
}
