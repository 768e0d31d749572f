"""Clusters: connected components of the pairs, and the choice of whom to keep of each.

Memory, measured: `Components` 4 bytes per document (8 beyond 2**31 documents), so 4 MB a million,
and 50 MB to add pairs, however many; `connected_components` 33 MB per million pairs, 98 if their
ordinals are far apart; `canonicals` 48 MB per million documents in clusters, besides its arguments.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Keep = Literal["first", "longest"]

_BLOCK = 1 << 20  # pairs or documents worked on at a time

# Up to so many ordinals per pair an array of all of them is faster than sorting the pairs.
_SPARSE = 16


class Components:
    """Join documents by pairs, block after block.

    A forest in one array: every document points at one of its component with a smaller or, for the
    root, equal ordinal. A block is joined by hooking all its roots to their smallest neighbour at
    once, which at least halves them in two rounds (Shiloach and Vishkin 1982, with contraction),
    and paths are halved as they are walked.
    """

    def __init__(self, num_documents: int) -> None:
        dtype = np.int32 if num_documents <= 1 << 31 else np.int64
        self._parents: NDArray[np.signedinteger] = np.arange(num_documents, dtype=dtype)

    def add(self, pairs: NDArray[np.integer]) -> None:
        """Join the two documents of each row of `pairs`, shape (m, 2)."""
        for start in range(0, len(pairs), _BLOCK):
            block = pairs[start : start + _BLOCK].astype(self._parents.dtype)
            self._join(block[:, 0], block[:, 1])

    def _join(self, left: NDArray[np.signedinteger], right: NDArray[np.signedinteger]) -> None:
        while True:
            left, right = self._roots(left), self._roots(right)
            apart = left != right
            left, right = left[apart], right[apart]
            if not len(left):
                return
            larger, smaller = np.maximum(left, right), np.minimum(left, right)
            np.minimum.at(self._parents, larger, smaller)
            left, right = larger, smaller

    def _roots(self, nodes: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
        """Return the roots of `nodes`, and let the nodes point at them."""
        parents = self._parents
        roots: NDArray[np.signedinteger] = parents[nodes]
        above = parents[roots]
        moving = np.flatnonzero(above != roots)
        above = above[moving]
        while len(moving):
            roots[moving] = above
            parents[nodes[moving]] = above
            higher = parents[above]
            still = higher != above
            moving, above = moving[still], higher[still]
        return roots

    def labels(self) -> NDArray[np.signedinteger]:
        """Return the smallest ordinal of each document's component; the array stays the forest."""
        parents = self._parents
        # Parents are smaller: when a block is reached, those before it point at their roots.
        for start in range(0, len(parents), _BLOCK):
            block = parents[start : start + _BLOCK]
            while True:
                above = parents[block]
                if np.array_equal(above, block):
                    break
                block[:] = above
        return parents


def clustered(labels: NDArray[np.signedinteger], also: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the documents that are in clusters of two or more, or the clusters of `also`, sorted.

    Args:
        labels: as `Components.labels` returns them.
        also: documents.
    """
    marked = np.zeros(len(labels), dtype=bool)
    for start in range(0, len(labels), _BLOCK):
        block = labels[start : start + _BLOCK]
        joined = np.flatnonzero(block != np.arange(start, start + len(block), dtype=block.dtype))
        marked[start + joined] = True
        marked[block[joined]] = True
    marked[also] = True
    return np.flatnonzero(marked)


def connected_components(
    pairs: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the documents that occur in `pairs` and the component of each.

    Args:
        pairs: shape (m, 2), any ordinals of 0 or more, in any order.

    Returns:
        The documents, sorted and distinct, and for each the index among them of the smallest
        document of its component. Neither depends on the order of the pairs.
    """
    if not len(pairs):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    span = int(pairs.max()) + 1
    if span <= _SPARSE * len(pairs):
        components = Components(span)
        components.add(pairs)
        present = np.zeros(span, dtype=bool)
        present[pairs[:, 0]] = present[pairs[:, 1]] = True
        nodes = np.flatnonzero(present)
        positions = np.cumsum(present, dtype=np.int64)
        return nodes, positions[components.labels()[nodes]] - 1
    ordinals = pairs.astype(np.int64, copy=False).ravel()
    order = np.argsort(ordinals)
    nodes = ordinals[order]
    first = np.append(True, nodes[1:] != nodes[:-1])
    ranks = np.empty_like(order)
    ranks[order] = np.cumsum(first) - 1
    nodes = nodes[first]
    components = Components(len(nodes))
    components.add(ranks.reshape(pairs.shape))
    return nodes, components.labels().astype(np.int64)


def canonicals(
    labels: NDArray[np.integer],
    dates: NDArray[np.int64],
    lengths: NDArray[np.int64],
    id_hashes: NDArray[np.uint64],
    keep: Keep,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the document to keep of each cluster.

    "first" is the one of the earliest date, "longest" the one with most characters and of those
    the earliest; then the smallest hash of the id decides. Neither depends on the order or the
    sharding of the documents, as long as no two of a cluster have the same hash. The hash of the
    canonical's id names the cluster.

    Args:
        labels: for each document the index of one of its cluster, as `connected_components` does.
        dates: of any unit; give the largest int64 where there is none.
        lengths: characters.
        id_hashes: 64-bit hashes of the documents' ids.
        keep: the rule.

    Returns:
        For each document the size of its cluster, and the index of the document to keep of it.
    """
    chosen = np.arange(len(labels))
    for column in _ranks(dates, lengths, id_hashes, keep):
        best = np.full(len(labels), np.iinfo(column.dtype).max, dtype=column.dtype)
        np.minimum.at(best, labels[chosen], column[chosen])
        chosen = chosen[column[chosen] == best[labels[chosen]]]
    canonical = np.empty(len(labels), dtype=np.int64)
    canonical[labels[chosen[::-1]]] = chosen[::-1]
    sizes = np.bincount(labels, minlength=len(labels))
    return sizes[labels], canonical[labels]


def rank_order(
    dates: NDArray[np.int64],
    lengths: NDArray[np.int64],
    id_hashes: NDArray[np.uint64],
    keep: Keep,
) -> NDArray[np.intp]:
    """Return the indices of documents, the one that `canonicals` would keep first, and so on."""
    return np.lexsort(_ranks(dates, lengths, id_hashes, keep)[::-1])


def _ranks(
    dates: NDArray[np.int64],
    lengths: NDArray[np.int64],
    id_hashes: NDArray[np.uint64],
    keep: Keep,
) -> tuple[NDArray[np.int64 | np.uint64], ...]:
    return (dates, id_hashes) if keep == "first" else (-lengths, dates, id_hashes)
