"""The bytes inside a WARC file, whatever it is packed in: gzip, zstd, lz4 or nothing.

A packed WARC file is a row of members (gzip) or frames (zstd, lz4), by custom one per record. Each
is unpacked on its own, so that a damaged one costs itself only: reading goes on at the next place
that has the magic number and does unpack to the start of a record.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO, NamedTuple

from isal import isal_zlib

from .frames import (
    STARTS,
    Frame,
    FrameDamaged,
    FrameNeedsDictionary,
    first_blocks,
    frame_codec,
    skippable_bytes,
    unpack,
)
from .heads import Buffer, starts_record

READ_BYTES = 1 << 18
# What one call may unpack to: bounds memory, and fits nearly every page.
PIECE_BYTES = 1 << 20
_AHEAD_BYTES = 1 << 16
# What may be looked at to tell whether a record starts; all of it may be made to cost.
_PROBE_BYTES = {"gzip": 1 << 10, "zstd": 1 << 18, "lz4": 1 << 18}
_PROBED_BYTES = 1 << 9
_CAREFUL_BYTES = 1 << 9
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # as its stub has it
_GZIP = b"\x1f\x8b\x08"
# With the flags that follow the magic number, as far as the formats allow them.
_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]|" + STARTS, re.DOTALL)
_START_BYTES = 6


class Piece(NamedTuple):
    """Unpacked bytes.

    Attributes:
        data: the bytes.
        offset: where in the file their member starts; 0 in a file that is not packed.
        first: whether they are the first of their member.
        last: whether they are the last of it, its checksum verified.
    """

    data: bytes
    offset: int
    first: bool
    last: bool


class Damage(NamedTuple):
    """A place of the file that cannot be unpacked."""

    reason: str
    offset: int
    message: str


class Raw:
    """The file's own bytes: what has been read and not yet dropped is `data` from `pos` on.

    Short reads are joined, so that what happens does not depend on how a stream delivers.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = 0
        self.data = b""
        self.pos = 0

    @property
    def at(self) -> int:
        """Where in the file the bytes in view start."""
        return self._end - self.left

    @property
    def left(self) -> int:
        """How many bytes are in view."""
        return len(self.data) - self.pos

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        parts = [self.data[self.pos :]]
        missing = READ_BYTES
        while missing and (part := self._stream.read(missing)):
            parts.append(part)
            missing -= len(part)
        self.data, self.pos = b"".join(parts), 0
        self._end += READ_BYTES - missing
        return len(parts) > 1

    def ahead(self, count: int) -> bool:
        """Have `count` bytes in view, or all there are; False if there is none."""
        while self.left < count and self.more():
            pass
        return self.left > 0

    def head(self, count: int) -> bytes:
        """Return the first `count` bytes in view, or fewer if there are fewer."""
        return self.data[self.pos : self.pos + count]

    def seek(self, at: int) -> None:
        """Go to an offset of the file; without reading again if it is in view."""
        if self.at <= at <= self._end:
            self.pos = at - (self._end - len(self.data))
            return
        self._stream.seek(at)
        self.data, self.pos, self._end = b"", 0, at


def container(raw: Raw) -> str:
    """Tell what the file is packed in: "gzip", "zstd", "lz4" or "" for nothing.

    A file whose first bytes say nothing is taken for packed if a member follows further down.
    """
    raw.ahead(_AHEAD_BYTES)
    kind = _kind(raw.head(8))
    if not kind and not starts_record(raw.head(_AHEAD_BYTES).lstrip(b"\r\n")):
        kind = _kind(raw.head(8)) if resync(raw, 0) else ""
        raw.seek(0)
    return kind


def pieces(raw: Raw, packed: bool) -> Iterator[Piece | Damage]:
    """Yield the unpacked bytes of the file, and every place that cannot be unpacked."""
    if not packed:
        yield from _plain(raw)
        return
    while raw.ahead(_AHEAD_BYTES):
        start, kind = raw.at, _kind(raw.head(8))
        if kind == "gzip":
            damage = yield from _gzip_member(raw)
        elif skip := skippable_bytes(raw.head(8)):
            damage = _skip(raw, skip)
        elif kind:
            damage = yield from _frame(raw, kind)
        else:
            damage = Damage("garbage", start, "these bytes start neither a member nor a record")
        if damage is not None:
            yield damage
            if not resync(raw, start + 1):
                return


def resync(raw: Raw, at: int) -> bool:
    """Go to the next member at or after `at` that unpacks to the start of a record.

    A magic number alone is not believed: gzip's turns up by chance in every 16 MB.
    """
    raw.seek(at)
    while True:
        found = _START.search(raw.data, raw.pos)
        if found is None:
            raw.pos = max(raw.pos, len(raw.data) - _START_BYTES + 1)
            if not raw.more():
                return False
            continue
        raw.pos = found.start()
        size = _PROBE_BYTES[_kind(found[0])]
        raw.ahead(size)
        if starts_record(_probe(memoryview(raw.data)[raw.pos : raw.pos + size]).lstrip(b"\r\n")):
            return True
        raw.pos += 1


def _kind(data: Buffer) -> str:
    return "gzip" if data.startswith(_GZIP) else frame_codec(data)


def _plain(raw: Raw) -> Iterator[Piece]:
    first = True
    while raw.left or raw.more():
        data = raw.head(raw.left)
        raw.pos += len(data)
        yield Piece(data, 0, first, False)
        first = False
    yield Piece(b"", 0, first, True)


def _gzip_member(raw: Raw) -> Generator[Piece, None, Damage | None]:
    """Yield one gzip member; return what is wrong with it."""
    start = raw.at
    inflater: Any = isal_zlib.decompressobj(31)
    first, careful = True, False
    while True:
        chunk = memoryview(raw.data)[raw.pos :]
        if careful:
            chunk = chunk[:_CAREFUL_BYTES]
        try:
            data = inflater.decompress(chunk, PIECE_BYTES)
        except _IsalError:
            if not first:
                return Damage("gzip_damaged", start, "the compressed data are damaged")
            # isal keeps what it had; zlib in small steps gives the bytes before the damage, which
            # name the record. It also reads on where only isal could not.
            inflater, first, careful = zlib.decompressobj(31), False, True
            yield Piece(b"", start, True, False)
            continue
        except zlib.error as error:
            return Damage("gzip_damaged", start, str(error))
        rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        if len(rest) == len(chunk) > 0 and not data:
            return Damage("gzip_damaged", start, "the compressed data lead nowhere")
        raw.pos += len(chunk) - len(rest)
        yield Piece(data, start, first, inflater.eof)
        first = False
        if inflater.eof:
            return None
        if not raw.left and not raw.more() and not data:
            return Damage("clipped", start, "the file ends within this member")


def _frame(raw: Raw, codec: str) -> Generator[Piece, None, Damage | None]:
    """Yield one zstd or lz4 frame; return what is wrong with it."""
    start, first = raw.at, True
    frame = Frame(raw, codec)
    try:
        for data in unpack(frame, codec, PIECE_BYTES):
            yield Piece(data, start, first, False)
            first = False
    except FrameNeedsDictionary:
        return Damage("needs_dictionary", start, "zstd with a dictionary is not supported")
    except FrameDamaged as error:
        reason = "clipped" if frame.clipped else f"{codec}_damaged"
        return Damage(reason, start, str(error))
    yield Piece(b"", start, first, True)
    return None


def _skip(raw: Raw, count: int) -> Damage | None:
    """Pass over a skippable frame; the one of a zstd dictionary makes the file unreadable."""
    start = raw.at
    if raw.head(4) == b"\x5d\x2a\x4d\x18":
        return Damage("needs_dictionary", start, "zstd with a dictionary is not supported")
    while count:
        if not raw.left and not raw.more():
            return Damage("clipped", start, "the file ends within a skippable frame")
        step = min(count, raw.left)
        raw.pos += step
        count -= step
    return None


def _probe(data: memoryview) -> bytes:
    """Return the first bytes that `data` unpacks to; none if it does not."""
    found = b""
    try:
        if data[:3] == _GZIP:
            return zlib.decompressobj(31).decompress(data, _PROBED_BYTES)
        codec = frame_codec(bytes(data[:4]))
        blocks = first_blocks(data, codec)
        for piece in unpack(blocks, codec, 1 << 5) if blocks else ():
            found += piece
            if len(found) >= _PROBED_BYTES:
                break
    except (zlib.error, FrameDamaged):
        pass  # what came before it may name a record
    return found
