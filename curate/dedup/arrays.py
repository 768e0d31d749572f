"""Arrays in the files of a unit: raw little-endian rows, read in slices from any store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..manifest import Manifest
from ..pipeline import Unit
from ..storage import file_size, is_remote, join, open_input
from ..stored import telling

if TYPE_CHECKING:
    from ..task import Work

# What is kept of a document: the columns that choose whom to keep of a cluster.
RANKS = np.dtype([("date", "<i8"), ("chars", "<i8"), ("id", "<u8")])
KEYS = np.dtype([("key", "<u8", (2,)), ("row", "<u4")])
BUCKET_KEYS = np.dtype([("key", "<u8", (2,)), ("document", "<i8")])
# A document that shares a key with one of an earlier run, and the earlier ones of each cluster.
EARLIER = np.dtype([("document", "<i8"), ("run", "<i8"), ("earlier", "<i8")])
KNOWN = np.dtype([("run", "<i8"), ("earlier", "<i8"), ("cluster", "<u8")])
PAIRS = np.dtype(("<i8", (2,)))
# A sampled shingle of a document; the lowest bit of the key says whether the document asks by it.
PARTS = np.dtype([("key", "<u8"), ("row", "<u4"), ("size", "<u4"), ("tie", "<u4")])
# A member of a cluster, with the number of its shingles, which follow those of the one before it.
CANDIDATES = np.dtype([("cluster", "<u8"), ("row", "<u4"), ("count", "<i8"), ("rank", RANKS)])
# What was proven: the document that leads it (itself, if it is kept), the similarity to that one,
# and the place among KNOWN of the earlier document that it duplicates, or -1.
VERDICTS = np.dtype(
    [("document", "<i8"), ("leader", "<i8"), ("similarity", "<f8"), ("earlier", "<i8")]
)
_MAPPED_BYTES = 1 << 20
_TOO_SHORT = "it is shorter than its manifest says"
PREFIXES = 4096  # slices that a unit's sorted keys can be read in, by their first 12 bits


def write(work: Work, role: str, values: NDArray[Any]) -> None:
    """Write an array as a file of the unit."""
    write_parts(work, role, [values])


def write_parts(work: Work, role: str, parts: Iterable[NDArray[Any]]) -> None:
    """Write arrays one after the other as a file of the unit."""
    work.rows[role] = 0
    with work.create(role, work.path(f"{role}.bin")) as output:
        for part in parts:
            if len(part):
                # The array's own bytes: a copy of them may be half of a worker's memory.
                view = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
                output.write(view)  # type: ignore[arg-type]  # it takes any buffer
                work.rows[role] += len(part)


def read(
    out: str,
    manifest: Manifest,
    role: str,
    dtype: np.dtype[Any],
    start: int = 0,
    stop: int | None = None,
) -> NDArray[Any]:
    """Read rows [start, stop) of an array of a unit.

    Raises:
        CurateError: the file is shorter than its manifest says.
    """
    info = manifest.files[role]
    stop = info.rows if stop is None else stop
    if stop <= start:
        return np.empty(0, dtype)
    path, size = join(out, info.name), (stop - start) * dtype.itemsize
    with open_input(path) as stream, telling(path):
        stream.seek(start * dtype.itemsize)
        data = stream.read(size)
        if len(data) != size:
            raise ValueError(_TOO_SHORT)
    return np.frombuffer(data, dtype)


def view(
    out: str, manifest: Manifest, role: str, dtype: np.dtype[Any], start: int, stop: int
) -> NDArray[Any]:
    """Read as `read` does; of a large part of a local file only what is looked at is read.

    The system can take the memory of such an array back, however large it is.
    """
    path = join(out, manifest.files[role].name)
    if is_remote(path) or (stop - start) * dtype.itemsize < _MAPPED_BYTES:
        return read(out, manifest, role, dtype, start, stop)
    with telling(path):
        if (file_size(path) or 0) < stop * dtype.itemsize:
            raise ValueError(_TOO_SHORT)
    return np.memmap(path, dtype, "r", start * dtype.itemsize, (stop - start,))


def prefix_index(sorted_hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where the hashes of each 12-bit prefix begin, and the end: int64 of PREFIXES + 1."""
    starts = np.arange(PREFIXES, dtype=np.uint64) << np.uint64(52)
    found = np.append(np.searchsorted(sorted_hashes, starts), len(sorted_hashes))
    return found.astype("<i8")


def prefix_bounds(count: int) -> NDArray[np.int64]:
    """Return where `count` numbers from 0 begin in each of PREFIXES parts of even size."""
    return np.arange(PREFIXES + 1, dtype=np.int64) * count // PREFIXES


def spans(out: str, manifests: list[Manifest], role: str, unit: Unit) -> list[tuple[int, int]]:
    """Return which rows of each unit belong to a unit of `range_units`, by their index."""
    found = []
    for manifest in manifests:
        index = read(out, manifest, role, np.dtype("<i8"))
        found.append((int(index[unit.spec["first"]]), int(index[unit.spec["last"]])))
    return found


def bases(signatures: list[Manifest]) -> NDArray[np.int64]:
    """Return where each unit's documents begin when all are counted through, and the end."""
    counts = [manifest.files["ranks"].rows for manifest in signatures]
    return np.cumsum([0, *counts], dtype=np.int64)
