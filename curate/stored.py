"""Tables that a stage has stored: later ones read them as they were written, or not at all.

The pages of our Parquet files have checksums, and their footer, which says where each page is and
how many rows there are, has none: its SHA-256 is in the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .document import Document, documents_of, open_parquet
from .errors import CurateError, InputError, is_of_machine
from .manifest import FileInfo
from .storage import join, open_input

_TAIL_BYTES = 64 << 10
_MARK = b"PAR1"


def footer_digest(stream: BinaryIO) -> str:
    """Return the SHA-256 of a Parquet file's footer, in hex."""
    return hashlib.sha256(_footer(stream)).hexdigest()


def _footer(stream: BinaryIO) -> bytes:
    """Return the end of a Parquet file: its metadata, their length and the mark."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read()
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != _MARK or length > size:
        raise ValueError("it does not end as a Parquet file does")
    if length > len(tail):
        stream.seek(size - length)
        tail = stream.read()
    return tail[-length:]


@contextmanager
def open_table(out: str, info: FileInfo) -> Iterator[Any]:
    """Open a Parquet file of a unit, whose footer and rows are as its manifest says.

    Args:
        out: the run's output folder.
        info: of the file; those of earlier versions have no digest of the footer.

    Raises:
        CurateError: it is missing, or not as it was written.
    """
    path = join(out, info.name)
    with _open(path) as stream, telling(path):
        yield _checked(stream, info)


def _open(path: str) -> BinaryIO:
    try:
        return open_input(path)
    except InputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise CurateError(
            f"{path}: is missing, but its manifest says that it is done.\n`curate verify OUT`"
            " tells what to remove; then run again."
        ) from error


def _checked(stream: BinaryIO, info: FileInfo) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if info.footer:
        footer = _footer(stream)
        if hashlib.sha256(footer).hexdigest() != info.footer:
            raise ValueError("its footer has another SHA-256 than its manifest says")
        file = open_parquet(stream, metadata=pq.read_metadata(pa.BufferReader(footer)))
    else:
        file = open_parquet(stream)
    if file.metadata.num_rows != info.rows:
        raise ValueError(f"it has {file.metadata.num_rows:,} rows and not {info.rows:,}")
    return file


def read_documents(
    out: str, info: FileInfo, first: int = 0, last: int | None = None
) -> Generator[Document, None, None]:
    """Yield documents `first` to before `last` of a file of a unit, as `open_table` opens it."""
    count = (info.rows if last is None else min(last, info.rows)) - first
    read = 0
    with open_table(out, info) as file:
        for doc in documents_of(file, first, last):
            read += 1
            yield doc
        if read != count:
            raise ValueError(f"{read:,} documents were read and not {count:,}")


@contextmanager
def telling(path: str) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into a message for the user."""
    try:
        yield
    except CurateError:
        raise
    except Exception as error:
        if is_of_machine(error):
            raise
        what = " ".join(str(error).split())[:200]
        kind = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        raise CurateError(
            f"{path}: cannot be read: {kind}{what}\n`curate verify OUT` tells whether it is"
            " damaged, and what to remove."
        ) from error
