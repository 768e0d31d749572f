"""Records of a WARC or ARC file, whole ones and damaged ones.

A record is believed when its block is as long as its head says: after the block comes a blank
line, the next record or the end of the member. Everything else is one damaged place, and reading
goes on at the next head that can be found, at the latest at the next member.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from .containers import Damage, Piece
from .heads import (
    LOOK_AHEAD,
    MAX_HEAD_BYTES,
    Buffer,
    Head,
    find_record,
    head_size,
    parse_head,
    starts_record,
)

_NO_LINE_END = re.compile(rb"[^\r\n]")

# Enough of a block that is too large to tell what it holds.
SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Record:
    """One record, or one damaged place.

    Attributes:
        offset: where its member starts in the file; in a file that is not packed, where it does.
        position: where it starts in the unpacked member.
        kind: the WARC-Type in lower case; "" where it is not known.
        fields: the WARC header, names in lower case; an ARC head in the same words.
        block: what follows the head; of a damaged record nothing.
        cut: the block is larger than the limit and holds its start only.
        reason: what is wrong with it; "" if nothing is.
        message: the same for a person.
    """

    offset: int
    position: int
    kind: str = ""
    fields: Mapping[bytes, bytes] = field(default_factory=dict)
    block: bytes = b""
    cut: bool = False
    reason: str = ""
    message: str = ""


class Window:
    """The unpacked bytes from the current record on.

    All positions are counted from the record's start, `pos`. `stop` tells why no more can be
    filled in: "end" of the member, its checksum verified, or the Damage that was met.
    """

    def __init__(self, pieces: Iterator[Piece | Damage], packed: bool) -> None:
        self._pieces = pieces
        self.packed = packed
        self._held: Piece | Damage | None = None
        self._member = 0
        self._base = 0
        self.data: Buffer = b""
        self.pos = 0
        self.stop: str | Damage = "end"

    @property
    def left(self) -> int:
        return len(self.data) - self.pos

    @property
    def place(self) -> tuple[int, int]:
        """The record's offset in the file and its position in the member."""
        position = self._base + self.pos
        return (self._member if self.packed else position), position

    def next_member(self) -> bool:
        """Go on to the next member; False at the end of the file. What is in view is given up."""
        item = self._held or next(self._pieces, None)
        self._held = None
        self.data, self.pos, self._base = b"", 0, 0
        if item is None:
            return False
        self._member = item.offset
        if isinstance(item, Damage):
            self.stop = item
        else:
            self.data, self.stop = item.data, "end" if item.last else ""
        return True

    def fill(self) -> bool:
        """Add more of this member; False if there is none."""
        if self.stop:
            return False
        item = next(self._pieces)
        if isinstance(item, Damage):
            self.stop = item
            return False
        self._append(item)
        return True

    def need(self, count: int) -> bool:
        """Have `count` bytes in view; False if the member, and what continues it, has fewer."""
        while self.left < count:
            if not self.fill() and not self._join():
                return False
        return True

    def _join(self) -> bool:
        """Take the next member in if it does not start with a record but continues this one."""
        if self.stop != "end" or self._held:
            return False
        item = next(self._pieces, None)
        if isinstance(item, Piece) and not starts_record(item.data.lstrip(b"\r\n")):
            self._append(item)
            return True
        self._held = item
        return False

    def _append(self, item: Piece) -> None:
        if isinstance(self.data, bytes):
            self.data = bytearray(memoryview(self.data)[self.pos :])
        else:
            del self.data[: self.pos]
        self._base += self.pos
        self.pos = 0
        self.data += item.data
        self.stop = "end" if item.last else ""

    def cut(self, start: int, end: int) -> bytes:
        return bytes(memoryview(self.data)[self.pos + start : self.pos + end])

    def skip_line_ends(self) -> bool:
        """Pass over CR and LF; False if nothing else is left of the member."""
        while True:
            found = _NO_LINE_END.search(self.data, self.pos)
            self.pos = found.start() if found else len(self.data)
            if found:
                return True
            if not self.fill():
                return False

    def skip_to_record(self, start: int, end: int | None, arc: bool | None) -> str:
        """Drop bytes up to the next head that follows a line end.

        Args:
            start: where to search from.
            end: drop no more than this many; to the end of the member if None.
            arc: which heads to look for; both if None.

        Returns:
            What it stands at: "head", "end", or "stop" if the member has no more bytes.
        """
        while True:
            found = find_record(self.data, self.pos + start, arc)
            if found >= 0 and (end is None or found - self.pos < end):
                self.pos = found
                return "head"
            # A head may begin in what is in view and end in what is not.
            passed = self.left if self.stop else max(start, self.left - LOOK_AHEAD)
            if end is not None and passed >= end:
                self.pos += end
                return "end"
            self.pos += passed
            start = 0
            end = None if end is None else end - passed
            if self.stop or not (self.fill() or self.left):
                return "stop"


def read_records(window: Window, max_bytes: int) -> Iterator[Record]:
    """Yield every record and every damaged place, in order.

    Garbage after a damaged record belongs to the same place. A file in which no record was found
    is one failure, `not_a_warc`.

    Args:
        max_bytes: a larger block is yielded `cut`, and passed over in bounded memory.
    """
    arc: bool | None = None
    lost = False
    garbage: Record | None = None
    known = False
    while window.next_member():
        while window.skip_line_ends():
            record = _read(window, arc, max_bytes)
            if record.reason == "garbage":
                garbage = garbage if lost else record
                lost = True
                continue
            if garbage is not None:
                yield garbage
            if record.kind and arc is None:
                arc = b"warc-type" not in record.fields
            lost, known, garbage = bool(record.reason), True, None
            yield record
        if isinstance(window.stop, Damage):
            if garbage is not None:
                yield garbage
            lost, known, garbage = False, True, None
            yield _ran_into(Record(*window.place), window)
    if garbage is not None:
        yield garbage if known else replace(garbage, reason="not_a_warc", message=_NOT_A_WARC)


def _read(window: Window, arc: bool | None, max_bytes: int) -> Record:
    """Read the record or the damaged place that the window stands at."""
    record = Record(*window.place)
    size = _view_head(window, arc)
    if size == 0:
        return _give_up(window, record, 1, arc, "garbage", "no record starts here")
    head = parse_head(window.cut(0, size)) if size > 0 else None
    if head is None:
        # No head ends in what was looked through, so but for its end none starts there either.
        start = MAX_HEAD_BYTES - LOOK_AHEAD if window.left > MAX_HEAD_BYTES else 1
        limit = f"the header is larger than {MAX_HEAD_BYTES} bytes or does not end"
        return _give_up(window, record, start, arc, "bad_header", limit)
    record = replace(record, kind=head.kind, fields=head.fields)
    # The next head may stand where the block should: the line end before it is this head's last.
    if not head.kind:
        return _give_up(window, record, size - 1, arc, "bad_header", "there is no WARC-Type")
    if head.length is None:
        message = f"Content-Length {head.fields.get(b'content-length', b'')!r} is not a number"
        return _give_up(window, record, size - 1, arc, "bad_length", message)
    if head.length > max_bytes:
        return _read_large(window, record, head, arc)
    end = size + head.length
    if not window.need(end) or not _ends_well(window, end, arc):
        message = f"the block is not {head.length} bytes long, as Content-Length says"
        return _give_up(window, record, size - 1, arc, "wrong_length", message)
    record = replace(record, block=window.cut(size, end))
    window.pos += end
    return _verified(window, record)


def _read_large(window: Window, record: Record, head: Head, arc: bool | None) -> Record:
    """Read the start of a block that is too large and pass over the rest.

    So large a length is not trusted: a head that turns up before its end is the next record, else
    one wrong digit would cost the rest of the file.
    """
    end = head.size + (head.length or 0)
    window.need(head.size + SAMPLE_BYTES)
    record = replace(record, cut=True, block=window.cut(head.size, head.size + SAMPLE_BYTES))
    if window.skip_to_record(head.size - 1, end, arc) == "end" and _ends_well(window, 0, arc):
        return _verified(window, record)
    message = f"the block is not {head.length} bytes long, as Content-Length says"
    failed = replace(record, block=b"", reason="wrong_length", message=message)
    return _ran_into(failed, window) if window.left == 0 else failed


def _view_head(window: Window, arc: bool | None) -> int:
    """Return the size of the head; 0 if there is none, -1 if it has no end."""
    while not starts_record(window.data, window.pos, arc):
        if window.left >= LOOK_AHEAD or not window.fill():
            return 0
    scanned = 0
    while not (size := head_size(window.data, window.pos, scanned)):
        scanned = min(window.left, MAX_HEAD_BYTES + 1)
        if scanned > MAX_HEAD_BYTES or not window.need(window.left + 1):
            return -1
    return size if size <= MAX_HEAD_BYTES else -1


def _ends_well(window: Window, end: int, arc: bool | None) -> bool:
    """Tell whether a block that ends at `end` is followed by what may follow one."""
    while window.left < end + 4 and window.fill():
        pass
    tail = window.cut(end, end + 4)
    if tail.startswith((b"\r\n\r\n", b"\n\n")) or (arc and tail.startswith((b"\n", b"\r\n"))):
        return True
    rest = tail.lstrip(b"\r\n")
    if not rest:
        return True
    start = end + len(tail) - len(rest)
    while window.left < start + LOOK_AHEAD and window.fill():
        pass
    return starts_record(window.data, window.pos + start, arc)


def _verified(window: Window, record: Record) -> Record:
    """Return `record`, failed if the member breaks before anything else follows.

    The checksum of a member stands at its end: the last record of each waits for it.
    """
    if not window.skip_line_ends() and isinstance(window.stop, Damage):
        return _ran_into(replace(record, block=b"", cut=False), window)
    return record


def _give_up(
    window: Window, record: Record, start: int, arc: bool | None, reason: str, message: str
) -> Record:
    """Return `record` failed, the window at the next head after a line end from `start` on."""
    failed = replace(record, reason=reason, message=message)
    if window.skip_to_record(start, None, arc) == "head":
        return failed
    return _ran_into(failed, window)


def _ran_into(record: Record, window: Window) -> Record:
    """Return `record` with what the window stopped at as its reason, if that is damage."""
    if isinstance(window.stop, Damage):
        damage, window.stop = window.stop, "end"
        return replace(record, reason=damage.reason, message=damage.message)
    if record.reason == "wrong_length" and not window.packed:
        return replace(record, reason="clipped", message="the file ends within this record")
    return record


_NOT_A_WARC = "no WARC or ARC record was found in this file"
