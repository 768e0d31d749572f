"""Parts of a file, local or remote, read without reading on."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from ..errors import InputError

# What is read at once of a part whose length is known, and where it is not, at first.
MAX_AHEAD_BYTES = 8 << 20
FIRST_AHEAD_BYTES = 1 << 18


class Part(io.RawIOBase):
    """A part of an open file as a file of its own, its first byte at 0.

    A remote file is asked for ranges and for nothing else: fsspec's own files read 5 to 50 MB
    ahead, a thousand times what a record needs.

    Args:
        stream: the file; one opened by fsspec gives its store and path.
        path: its path, for messages.
        start: where the part starts.
        length: bytes of it; to the end of the file if None.
        exact: ask for what is read and no more; else for the whole part, or, where its length is
            not known, for pieces that double in size.

    Raises:
        InputError: from `read`, the file or its store cannot be read.
    """

    def __init__(
        self,
        stream: BinaryIO,
        path: str,
        start: int = 0,
        length: int | None = None,
        exact: bool = False,
    ) -> None:
        super().__init__()
        self._stream = stream
        self._path = path
        self._start = start
        size = max(0, stream.seek(0, io.SEEK_END) - start)
        self._size = size if length is None else min(size, length)
        self._exact = exact
        self._grows = length is None
        self._ahead = min(length or FIRST_AHEAD_BYTES, MAX_AHEAD_BYTES)
        self._pos = 0
        self._held = b""
        self._held_at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._pos

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._pos, io.SEEK_END: self._size}[whence]
        self._pos = base + offset
        return self._pos

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._pos)
        wanted = left if size is None or size < 0 else min(size, left)
        if self._exact or not wanted:
            data = self._fetch(self._pos, wanted) if wanted else b""
        else:
            data = self._hold(wanted, left)
        self._pos += len(data)
        return data

    def _hold(self, wanted: int, left: int) -> bytes:
        """Return what is held from here on, at most `wanted` bytes; fetch where nothing is."""
        at = self._pos - self._held_at
        if not 0 <= at < len(self._held):
            self._held = b""  # two pieces are never held
            self._held = self._fetch(self._pos, min(left, max(wanted, self._ahead)))
            self._held_at, at = self._pos, 0
            if self._grows:
                self._ahead = min(2 * self._ahead, MAX_AHEAD_BYTES)
        return self._held[at : at + wanted]

    def _fetch(self, at: int, count: int) -> bytes:
        start = self._start + at
        store: Any = getattr(self._stream, "fs", None)
        try:
            if store is None:
                self._stream.seek(start)
                return self._stream.read(count)
            data = store.cat_file(
                self._stream.path,  # type: ignore[attr-defined]  # every file of fsspec has it
                start=start,
                end=start + count,
            )
            self._stream.seek(start + count)  # reads nothing; whoever looks sees the progress
            return bytes(data)
        except Exception as error:  # every store raises its own kinds
            why = " ".join(str(error).split())[:300]
            raise InputError(
                f"{self._path}: bytes {start} to {start + count} cannot be read: {why}"
            ) from error
