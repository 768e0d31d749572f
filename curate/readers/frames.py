"""Frames of zstd and lz4: where each ends, and what it unpacks to.

pyarrow unpacks both in pieces but does not say where a frame ended. Both formats give the size of
every block in clear, so a frame is walked block by block and handed over as a file of its own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .containers import Raw

_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4 = b"\x04\x22\x4d\x18"
# By the formats' documents these bits of the flags are 0, and one bit of lz4's is 1; a zstd frame
# that names a dictionary is of no use. Of lz4 the size of blocks follows.
_ZSTD_FLAGS = bytes(flags for flags in range(256) if not flags & 0b1011)
_LZ4_FLAGS = bytes(flags for flags in range(0x40, 0x80) if not flags & 0b10)
STARTS = b"%b[%b]|%b[%b][\x40\x50\x60\x70]" % tuple(
    map(re.escape, (_ZSTD, _ZSTD_FLAGS, _LZ4, _LZ4_FLAGS))
)
_FIRST_BLOCKS = 64


class FrameDamaged(Exception):
    """The frame cannot be unpacked."""


class FrameNeedsDictionary(FrameDamaged):
    """The frame can only be unpacked with a dictionary."""


def frame_codec(data: bytes | bytearray) -> str:
    """Return "zstd" or "lz4" if such a frame starts here, also a skippable one; else ""."""
    if data.startswith(_ZSTD) or skippable_bytes(data):
        return "zstd"
    return "lz4" if data.startswith(_LZ4) else ""


def skippable_bytes(data: bytes | bytearray) -> int:
    """Return the size of the skippable frame that starts here; 0 if none does."""
    if len(data) >= 8 and data[1:4] == b"\x2a\x4d\x18" and 0x50 <= data[0] <= 0x5F:
        return 8 + int.from_bytes(data[4:8], "little")
    return 0


def first_blocks(data: memoryview, codec: str) -> memoryview:
    """Return the start of the frame that `data` starts with, without what follows the frame.

    Nothing if its blocks cannot be, or are empty: told without unpacking, which takes far longer.
    """
    flags, empty = data[4], True
    if codec == "zstd":
        single = flags >> 5 & 1
        at = 5 + (1 - single) + (single, 2, 4, 8)[flags >> 6]
    else:
        at = 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    limit = 1 << 17 if codec == "zstd" else 1 << 8 + 2 * (data[5] >> 4 & 7)
    for _ in range(_FIRST_BLOCKS):
        if codec == "zstd":
            value = int.from_bytes(data[at : at + 3], "little")
            last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
            end = at + 3 + (1 if kind == 1 else size)
            cannot_be = kind == 3 or size > limit
        else:
            size = int.from_bytes(data[at : at + 4], "little") & 0x7FFFFFFF
            last, cannot_be = not size, size > limit
            end = at + 4 + size + (4 if flags & 16 and size else 0)
        empty = empty and (cannot_be or not size)
        if cannot_be or end > len(data):
            break
        at = end
        if last:
            data = data[: at + (4 if flags & 4 else 0)]  # with its checksum
            break
    else:
        data = data[:at]
    return data[:0] if empty else data


def unpack(source: object, codec: str, count: int) -> Iterator[bytes]:
    """Yield what `source`, a file or a buffer, unpacks to, in pieces of at most `count` bytes.

    Raises:
        FrameDamaged: it does not unpack.
    """
    import pyarrow as pa

    file = pa.PythonFile(source, mode="r") if isinstance(source, Frame) else pa.BufferReader(source)
    try:
        with pa.CompressedInputStream(file, codec) as stream:
            while data := stream.read(count):
                yield data
    except OSError as error:
        raise FrameDamaged(str(error)) from error


class Frame(io.RawIOBase):
    """The packed bytes of one frame as a file; `clipped` tells that the file ended within it."""

    def __init__(self, raw: Raw, codec: str) -> None:
        self._raw = raw
        self._blocks = _zstd_blocks(self) if codec == "zstd" else _lz4_blocks(self)
        self._ready = b""
        self.clipped = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ready:
            try:
                self._ready = next(self._blocks)
            except StopIteration:
                return b""
        size = len(self._ready) if size < 0 else size
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def take(self, count: int) -> bytes:
        """Return the file's next `count` bytes."""
        self._raw.ahead(count)
        data = self._raw.head(count)
        if len(data) < count:
            self.clipped = True
            raise FrameDamaged("the file ends within this frame")
        self._raw.pos += count
        return data


def _zstd_blocks(frame: Frame) -> Iterator[bytes]:
    head = frame.take(5)
    flags = head[4]
    single = flags >> 5 & 1
    if flags & 3:
        raise FrameNeedsDictionary
    yield head + frame.take((1 - single) + (single, 2, 4, 8)[flags >> 6])
    last = False
    while not last:
        block = frame.take(3)
        value = int.from_bytes(block, "little")
        last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
        if kind == 3 or size > 1 << 17:
            raise FrameDamaged("a block that cannot be")
        yield block + frame.take(1 if kind == 1 else size)
    if flags & 4:
        yield frame.take(4)


def _lz4_blocks(frame: Frame) -> Iterator[bytes]:
    head = frame.take(6)
    flags, sizes = head[4], head[5]
    if flags & 1:
        raise FrameNeedsDictionary
    yield head + frame.take((8 if flags & 8 else 0) + 1)
    limit = 1 << 8 + 2 * (sizes >> 4 & 7)
    while size := int.from_bytes(word := frame.take(4), "little"):
        if size & 0x7FFFFFFF > limit:
            raise FrameDamaged("a block that cannot be")
        yield word + frame.take((size & 0x7FFFFFFF) + (4 if flags & 16 else 0))
    yield word + frame.take(4 if flags & 4 else 0)
