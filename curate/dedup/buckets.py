"""Buckets: the pairs of documents that share a key, in bounded memory whatever their number.

Each unit keeps its keys sorted and distinct (`collapse`). A bucket unit reads one range of keys
from every unit (`ranges`, `slice_range`) and links the documents of equal keys (`pairs`). Keys are
hashes, so ranges of equal width hold equally many; and as a unit has a key at most once, no key
has more entries than there are units, however many pages are alike.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Peak memory of `collapse`, its arguments included: measured 56 bytes per entry where no key is
# shared, 58 where 15 % of the entries share one, 75 where half do and 122 where all do. A worker
# plans for half of its memory. `pairs` takes 40 to 106.
BYTES_PER_ENTRY = 64

_KEY_SPACE = 1 << 64


class Collapsed(NamedTuple):
    """The keys of one unit, and what they already link.

    Attributes:
        keys: uint64 of shape (k, 2), sorted and distinct.
        documents: int64 of shape (k,), the smallest ordinal that has the key.
        edges: int64 of shape (m, 2), as from `pairs`.
    """

    keys: NDArray[np.uint64]
    documents: NDArray[np.int64]
    edges: NDArray[np.int64]


def collapse(keys: NDArray[np.uint64], documents: NDArray[np.integer]) -> Collapsed:
    """Sort a unit's keys and keep one document of each; the others are linked to it.

    Args:
        keys: uint64 of shape (n, 2), in any order.
        documents: shape (n,), the ordinal of the document that has the key, below 2**63.
    """
    ordinals = documents.astype(np.int64, copy=False)
    order, tied = _order(keys, ordinals)
    places = np.flatnonzero(tied)
    del tied
    among = order[places]
    edges = _edges(keys, ordinals, among)
    # Only neighbours that share the upper half of their key can have the same.
    first = np.ones(len(order), dtype=bool)
    first[places[1:]] = (keys[among[1:]] != keys[among[:-1]]).any(axis=1)
    del places, among
    kept = order[first]
    del order, first
    return Collapsed(keys[kept], ordinals[kept], edges)


def pairs(keys: NDArray[np.uint64], documents: NDArray[np.integer]) -> NDArray[np.int64]:
    """Link every document of a key to the smallest one that has it.

    Args:
        keys: uint64 of shape (n, 2), in any order.
        documents: shape (n,), the ordinal of the document that has the key, below 2**63.

    Returns:
        int64 of shape (m, 2): larger and smaller ordinal, distinct rows, sorted by the smaller.
    """
    ordinals = documents.astype(np.int64, copy=False)
    order, tied = _order(keys, ordinals)
    among = order[tied]
    del order, tied
    return _edges(keys, ordinals, among)


def _order(
    keys: NDArray[np.uint64], ordinals: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the order by key and document, and which places share the upper half of their key.

    The upper half alone parts nearly all keys: only the rest need the slower sort by all columns.
    """
    order = np.argsort(keys[:, 0])
    upper = keys[order, 0]
    tied = np.zeros(len(order), dtype=bool)
    np.equal(upper[1:], upper[:-1], out=tied[1:])
    tied[:-1] |= tied[1:]
    among = order[tied]
    order[tied] = among[np.lexsort((ordinals[among], keys[among, 1], keys[among, 0]))]
    return order, tied


def _edges(
    keys: NDArray[np.uint64], ordinals: NDArray[np.int64], order: NDArray[np.intp]
) -> NDArray[np.int64]:
    ordered = keys[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    larger = ordinals[order]
    smaller = larger[first][np.cumsum(first) - 1]
    linked = larger != smaller
    return _distinct(larger[linked], smaller[linked])


def _distinct(larger: NDArray[np.int64], smaller: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(larger) and larger.max() < 1 << 31:
        # Both fit into one number, which sorts several times faster than two.
        packed = np.sort((smaller << 31) | larger)
        packed = packed[np.append(True, packed[1:] != packed[:-1])]
        return np.column_stack((packed & ((1 << 31) - 1), packed >> 31))
    edges = np.column_stack((larger, smaller))[np.lexsort((larger, smaller))]
    first = np.ones(len(edges), dtype=bool)
    first[1:] = (edges[1:] != edges[:-1]).any(axis=1)
    return edges[first]


def ranges(total_entries: int, memory_bytes: int) -> list[tuple[int, int]]:
    """Split the keys into ranges [low, high) so that `pairs` of each fits into memory.

    Args:
        total_entries: keys of all units together.
        memory_bytes: what `pairs` may take, at `BYTES_PER_ENTRY`.

    Returns:
        Bounds of the upper half of a key; together they cover 0 to 2**64.
    """
    count = max(1, -(-total_entries * BYTES_PER_ENTRY // memory_bytes))
    bounds = [(part * _KEY_SPACE) // count for part in range(count + 1)]
    return list(pairwise(bounds))


def slice_range(sorted_keys: NDArray[np.uint64], low: int, high: int) -> slice:
    """Return where the keys of a range [low, high) lie; reads only a few pages of a memory map."""
    upper = sorted_keys[:, 0]
    start = int(np.searchsorted(upper, np.uint64(low)))
    if high >= _KEY_SPACE:
        return slice(start, len(upper))
    return slice(start, int(np.searchsorted(upper, np.uint64(high))))
