"""Arrays in the files of a unit: raw little-endian rows, read in slices from any store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..manifest import Manifest
from ..storage import join, open_input

if TYPE_CHECKING:
    from ..task import Work

# What is kept of a document: the columns that choose whom to keep of a cluster.
RANKS = np.dtype([("date", "<i8"), ("chars", "<i8"), ("id", "<u8")])
KEYS = np.dtype([("key", "<u8", (2,)), ("row", "<u4")])
BUCKET_KEYS = np.dtype([("key", "<u8", (2,)), ("document", "<i8")])
EARLIER = np.dtype([("document", "<i8"), ("run", "<i8"), ("earlier", "<i8")])
PAIRS = np.dtype(("<i8", (2,)))
CANDIDATES = np.dtype([("cluster", "<u8"), ("row", "<u4"), ("count", "<i8")])
VERDICTS = np.dtype([("document", "<i8"), ("leader", "<i8"), ("similarity", "<f8")])
PREFIXES = 4096  # slices that a unit's sorted keys can be read in, by their first 12 bits


def write(work: Work, role: str, values: NDArray[Any]) -> None:
    """Write an array as a file of the unit."""
    with work.create(role, work.path(f"{role}.bin")) as output:
        output.write(np.ascontiguousarray(values).tobytes())
    work.rows[role] = len(values)


def read(
    out: str,
    manifest: Manifest,
    role: str,
    dtype: np.dtype[Any],
    start: int = 0,
    stop: int | None = None,
) -> NDArray[Any]:
    """Read rows [start, stop) of an array of a unit."""
    info = manifest.files[role]
    stop = info.rows if stop is None else stop
    if stop <= start:
        return np.empty(0, dtype)
    with open_input(join(out, info.name)) as stream:
        stream.seek(start * dtype.itemsize)
        data = stream.read((stop - start) * dtype.itemsize)
    return np.frombuffer(data, dtype)


def prefix_index(sorted_hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where the hashes of each 12-bit prefix begin, and the end: int64 of PREFIXES + 1."""
    starts = np.arange(PREFIXES, dtype=np.uint64) << np.uint64(52)
    found = np.append(np.searchsorted(sorted_hashes, starts), len(sorted_hashes))
    return found.astype("<i8")


def bases(signatures: list[Manifest]) -> NDArray[np.int64]:
    """Return where each unit's documents begin when all are counted through, and the end."""
    counts = [manifest.files["ranks"].rows for manifest in signatures]
    return np.cumsum([0, *counts], dtype=np.int64)
