"""A file open for reading, whose failures are told from damage of what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from .errors import CurateError, InputError


class InputStream:
    """A file open for reading whose errors no reader can take for damage of what it holds.

    A disk that fails or a store that breaks off says nothing about the documents: the unit is to be
    tried again. Readers look for OSError and EOFError, which libraries raise of damaged bytes.
    """

    def __init__(self, path: str, stream: Any) -> None:
        self._path, self._stream = path, stream

    def read(self, size: int | None = -1) -> bytes:
        with reading(self._path):
            return cast(bytes, self._stream.read(-1 if size is None else size))

    def readinto(self, buffer: Any) -> int:
        with reading(self._path):
            return cast(int, self._stream.readinto(buffer))

    def readline(self, size: int = -1) -> bytes:
        with reading(self._path):
            # The files of fsspec take no size.
            return cast(bytes, self._stream.readline(*([size] if size >= 0 else [])))

    def seek(self, offset: int, whence: int = 0) -> int:
        with reading(self._path):
            return cast(int, self._stream.seek(offset, whence))

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def __enter__(self) -> InputStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn a failed read into an error that costs a try of the unit and no document."""
    try:
        yield
    except CurateError:
        raise
    except Exception as error:  # every store raises its own kinds
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
        raise InputError(f"{path}: cannot be read: {why}.") from error
