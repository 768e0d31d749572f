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
# URL, address, date, then type (and in version 2 five more) and length. URLs may hold spaces.
_ARC_LINE = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]{1,15}:[^\n]{0,8192}?) ([0-9A-Fa-f.:]+|-) (\d{12,18}) "
    rb"([^\n]{0,1024}? )?([^\s]{1,20})[ \t\r]*\n"
)
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
    fields: dict[bytes, bytes] = {}
    last = b""
    for line in block.split(b"\n"):
        if line.startswith((b" ", b"\t")) and last:
            fields[last] = (fields[last] + b" " + line.strip()).strip()
            continue
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if not colon or not name:
            last = b""
        elif name not in fields:
            fields[name] = value.strip()
            last = name
        else:
            last = b""
            if name in _JOINED:
                fields[name] += b", " + value.strip()
    return fields


def starts_record(data: Buffer, at: int = 0, arc: bool | None = None) -> bool:
    """Tell whether a record starts at `at`; of either format if `arc` is None."""
    if not arc and _WARC_START.match(data, at):
        return True
    return arc is not False and _ARC_LINE.match(data, at) is not None


def find_record(data: Buffer, start: int, arc: bool | None) -> int:
    """Return where after a line end at or after `start` a record starts; -1 if nowhere."""
    if not arc and (found := _WARC_NEXT.search(data, start)):
        return found.end()
    if arc is not False:
        for found in _ARC_NEXT.finditer(data, start):
            if _ARC_LINE.match(data, found.end()):
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
    arc = _ARC_LINE.match(head)
    return _arc_head(arc, len(head)) if arc else None


def _arc_head(line: re.Match[bytes], size: int) -> Head:
    """Return an ARC line as the WARC head that says the same."""
    url, _, date, mime, length = line.groups()
    http = url[:5].lower() in (b"http:", b"https")
    fields = {
        b"warc-target-uri": url,
        b"warc-date": _arc_date(date),
        b"content-type": b"application/http" if http else (mime or b"").split(b" ")[0],
        b"content-length": length,
    }
    kind = "arcinfo" if url.startswith(b"filedesc:") else "response"
    return Head(kind, _number(length), size, fields)


def _arc_date(digits: bytes) -> bytes:
    d = digits.decode().ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z".encode()


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 18 else None
