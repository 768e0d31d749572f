"""Heads of WARC and ARC records, and where in damaged bytes the next record starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Buffer = bytes | bytearray

MAX_HEAD_BYTES = 1 << 16
# How much of a record's start must be in view before `find_record` can judge it.
LOOK_AHEAD = 1 << 14

# Line ends are LF with any CR before: files that went through a text conversion have two.
_VERSION = rb"WARC/\d{1,2}\.\d{1,3}[ \t\r]*\n"
_WARC_LINE = re.compile(_VERSION, re.IGNORECASE)
_WARC_START = re.compile(_VERSION + rb"[A-Za-z][A-Za-z-]*[ \t]*:", re.IGNORECASE)
_WARC_NEXT = re.compile(rb"\n(?=" + _VERSION + rb"[A-Za-z][A-Za-z-]*[ \t]*:)", re.IGNORECASE)
_ARC_NEXT = re.compile(rb"\n(?=[A-Za-z][A-Za-z0-9+.-]{1,15}:)")
_ARC_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{1,15}:")
# What follows the URL of an ARC line: address and date. URLs may hold spaces.
_ARC_PLACE = re.compile(rb" (?=([0-9A-Fa-f.:]{1,64}|-) (\d{12,18}) )")
_MAX_ARC_URL = 1 << 13
_MAX_ARC_TYPE = 1 << 10
_MAX_ARC_LENGTH = 20
_BLANK_LINE = re.compile(rb"\n\r*\n")
_JOINED = frozenset((b"content-encoding", b"transfer-encoding"))


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one record.

    Attributes:
        kind: the WARC-Type in lower case; "" if there is none.
        length: the Content-Length, None if missing or not a number.
        size: bytes from the record's start to its block.
        fields: names in lower case; of repeated ones the first.
    """

    kind: str
    length: int | None
    size: int
    fields: Mapping[bytes, bytes]


def parse_fields(block: bytes) -> dict[bytes, bytes]:
    """Return `name: value` lines as a dict, in lower case, continuation lines joined."""
    fields: dict[bytes, list[bytes]] = {}
    last = b""
    for line in block.split(b"\n"):
        if line.startswith((b" ", b"\t")) and last:
            if more := line.strip():
                fields[last] += b" ", more
            continue
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if not colon or not name:
            last = b""
        elif name not in fields:
            fields[name] = [value.strip()]
            last = name
        else:
            last = b""
            if name in _JOINED:
                fields[name] += b", ", value.strip()
    return {name: b"".join(parts).strip() for name, parts in fields.items()}


def starts_record(data: Buffer, at: int = 0, arc: bool | None = None) -> bool:
    """Tell whether a record starts at `at`; of either format if `arc` is None."""
    if not arc and _WARC_START.match(data, at):
        return True
    return arc is not False and _arc_line(data, at) is not None


def find_record(data: Buffer, start: int, arc: bool | None) -> int:
    """Return where after a line end at or after `start` a record starts; -1 if nowhere."""
    if not arc and (found := _WARC_NEXT.search(data, start)):
        return found.end()
    if arc is not False:
        for found in _ARC_NEXT.finditer(data, start):
            if _arc_line(data, found.end()):
                return found.end()
    return -1


def is_arc(data: Buffer, at: int) -> bool:
    """Tell whether the record at `at` has the head of an ARC file."""
    return data[at : at + 5].upper() != b"WARC/"


def head_size(data: Buffer, at: int, scanned: int) -> int:
    """Return the bytes of the head at `at`; 0 if its end is not in view.

    Args:
        scanned: bytes of it that an earlier call has looked through.
    """
    limit = at + MAX_HEAD_BYTES + 4
    if is_arc(data, at):
        return max(0, data.find(b"\n", at, limit) + 1 - at)
    end = _BLANK_LINE.search(data, at + max(0, scanned - 3), limit)
    return end.end() - at if end else 0


def parse_head(head: bytes) -> Head | None:
    """Return the head of one record; None if it is none."""
    if not is_arc(head, 0):
        line = _WARC_LINE.match(head)
        if line is None:
            return None
        fields = parse_fields(head[line.end() :])
        kind = fields.get(b"warc-type", b"").decode("ascii", "replace").lower()
        return Head(kind, _number(fields.get(b"content-length", b"")), len(head), fields)
    arc = _arc_line(head, 0)
    return _arc_head(arc, len(head)) if arc else None


def _arc_line(data: Buffer, at: int) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return URL, date, type and length of the ARC line at `at`; None if there is none.

    The line is URL, address, date, then type (and in version 2 five more) and length. One regular
    expression for all of it takes cubic time on lines that hold many dates.
    """
    scheme = _ARC_SCHEME.match(data, at)
    end = data.find(b"\n", at, at + LOOK_AHEAD) if scheme else -1
    if scheme is None or end < 0:
        return None
    line = bytes(data[at:end]).rstrip(b" \t\r")
    for place in _ARC_PLACE.finditer(line, scheme.end() - at, _MAX_ARC_URL + 128):
        if len(line) - place.end(2) > _MAX_ARC_TYPE + _MAX_ARC_LENGTH:
            continue
        kind, _, length = line[place.end(2) + 1 :].rpartition(b" ")
        if len(length) <= _MAX_ARC_LENGTH and length.split() == [length]:
            return line[: place.start()], place[2], kind, length
    return None


def _arc_head(line: tuple[bytes, bytes, bytes, bytes], size: int) -> Head:
    """Return an ARC line as the WARC head that says the same."""
    url, date, mime, length = line
    http = url[:5].lower() in (b"http:", b"https")
    fields = {
        b"warc-target-uri": url,
        b"warc-date": _arc_date(date),
        b"content-type": b"application/http" if http else mime.split(b" ")[0],
        b"content-length": length,
    }
    kind = "arcinfo" if url.startswith(b"filedesc:") else "response"
    return Head(kind, _number(length), size, fields)


def _arc_date(digits: bytes) -> bytes:
    d = digits.decode().ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z".encode()


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 18 else None
