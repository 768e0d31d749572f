"""Lines of a file of any size, none of which takes more memory than it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from isal import isal_zlib

from ..errors import CurateError

_BLOCK = 1 << 20
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
}
_PACKED_BLOCK = 1 << 14  # becomes 16 MB at the most
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # as its stub has it


class GzipDamaged(Exception):
    """What follows in a gzip file cannot be found."""


def blocks_of(path: str, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked if it is gzip.

    Raises:
        GzipDamaged: it is gzip that is damaged or cut; what came before it was yielded.
        CurateError: it is packed in another way: its lines cannot even be counted.
    """
    head = stream.read(6)
    stream.seek(0)
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise CurateError(f"{path}: is packed with {name}.\nUnpack it, or pack it with gzip.")
    if head.startswith(b"\x1f\x8b"):
        yield from _unpacked(stream)
    else:
        while block := stream.read(_BLOCK):
            yield block


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    member: Any = None
    data = b""
    while data := data or stream.read(_PACKED_BLOCK):
        if member is None:
            data = data.lstrip(b"\0")  # padding between members, as gzip takes it
            if not data:
                continue
            member = isal_zlib.decompressobj(31)
        try:
            block = member.decompress(data)
        except _IsalError as error:
            raise GzipDamaged(str(error)) from error
        yield block
        data = member.unused_data
        if member.eof:
            member = None
    if member is not None:
        raise GzipDamaged("the file ends within it")


def read_lines(blocks: Iterable[bytes], limit: int) -> Iterator[bytes | None]:
    """Yield the lines of a file, without their ends.

    Args:
        blocks: the file, in pieces.
        limit: bytes of a line; None is yielded for one that has more.
    """
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for line in ended:
            size += len(line)
            yield b"".join([*pieces, line]) if size <= limit else None
            pieces, size = [], 0
        size += len(rest)
        if size <= limit:
            pieces.append(rest)
        else:
            pieces.clear()
    if size:
        yield b"".join(pieces) if size <= limit else None
