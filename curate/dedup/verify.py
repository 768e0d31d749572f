"""Proof before delete: a document is removed only for one that it is truly similar to.

A shared bucket is chance. Here the documents of a cluster are compared in rank order, by the
Jaccard similarity of their `minhash.evidence`: the first is kept and leads; each next one joins the
first leader it is similar enough to, or leads itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DefinitionError

_MUCH_LARGER = 16  # times; from here looking up is faster than merging
_FIRST_RECOUNT = 32  # leaders after which shingles are first ranked by how many leaders have them


def jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    """Return the shared part of two sets, given sorted and distinct; 0 if both are empty."""
    shared = _shared(first, second)
    union = len(first) + len(second) - shared
    return shared / union if union else 0.0


def _shared(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    few, many = (first, second) if len(first) <= len(second) else (second, first)
    if len(many) > _MUCH_LARGER * len(few):
        places = np.searchsorted(many, few)
        return int(np.count_nonzero(many.take(places, mode="clip") == few)) if len(few) else 0
    both = np.concatenate((few, many))
    both.sort(kind="stable")  # Timsort: it merges the two sorted halves in linear time
    return int(np.count_nonzero(both[1:] == both[:-1]))


class Assignment(NamedTuple):
    """Who leads whom in a cluster of candidates.

    Attributes:
        leaders: int64, for each document the index of its leader; its own if it is kept.
        similarities: float64, for each document its Jaccard similarity to its leader; 1.0 to
            itself.
        refused: documents that share buckets with the cluster but are kept for lack of proof.
    """

    leaders: NDArray[np.int64]
    similarities: NDArray[np.float64]
    refused: int


def assign_leaders(sets: Iterable[NDArray[np.uint64]], threshold: float) -> Assignment:
    """Let each document of a cluster join the first leader it is similar enough to, or lead.

    Args:
        sets: shingles of the documents in rank order, each sorted and distinct. They are read once
            and only those of leaders are kept in memory.
        threshold: least Jaccard similarity to a leader, above 0.
    """
    leaders = Leaders(threshold)
    positions: list[int] = []
    assigned: list[int] = []
    similarities: list[float] = []
    for position, shingles in enumerate(sets):
        number, similarity = leaders.assign(shingles)
        if number == len(positions):
            positions.append(position)
        assigned.append(positions[number])
        similarities.append(similarity)
    refused = max(len(positions) - 1, 0)
    return Assignment(np.array(assigned, np.int64), np.array(similarities, np.float64), refused)


class Leaders:
    """The leaders of one cluster so far, found by their rare shingles.

    Sets of similarity t and more share one of the first n - ceil(t * n) + 1 elements of each, n
    its size, in any order that is the same for all (prefix filtering: Chaudhuri et al., ICDE 2006;
    Bayardo et al., WWW 2007). With the shingles that fewest leaders have first, pages of one
    template with different articles are told apart without comparing them.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise DefinitionError(f"verify={threshold} must be above 0 and at most 1.")
        self._threshold = threshold
        self._sets: list[NDArray[np.uint64]] = []
        self._index: list[_Postings] = []
        self._common = np.empty(0, dtype=np.uint64)
        self._counts = np.empty(0, dtype=np.int64)
        self._next_recount = _FIRST_RECOUNT

    def assign(self, shingles: NDArray[np.uint64]) -> tuple[int, float]:
        """Return the number of the document's leader, counted from 0, and its similarity.

        A document that joins no leader is the next one, with similarity 1.0.
        """
        if self._sets:
            similarity = self._similarity(0, shingles)
            if similarity >= self._threshold:
                return 0, similarity
        prefix = self._prefix(shingles)
        for number in self._candidates(prefix):
            similarity = self._similarity(number, shingles)
            if similarity >= self._threshold:
                return number, similarity
        self._lead(shingles, prefix)
        return len(self._sets) - 1, 1.0

    def _similarity(self, number: int, shingles: NDArray[np.uint64]) -> float:
        leader = self._sets[number]
        few, many = sorted((len(leader), len(shingles)))
        # No more than the smaller set can be shared.
        if not many or few / many < self._threshold:
            return 0.0
        return jaccard(leader, shingles)

    def _prefix(self, shingles: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the shingles of which one is shared with any set similar enough, sorted."""
        size = len(shingles)
        length = size - int(np.ceil(self._threshold * size - 1e-9)) + 1
        if not len(self._common) or not size:
            return shingles[:length]
        places = np.searchsorted(self._common, shingles)
        known = self._common.take(places, mode="clip") == shingles
        counts = np.where(known, self._counts.take(places, mode="clip"), 0)
        return np.sort(shingles[np.argsort(counts, kind="stable")[:length]])

    def _candidates(self, prefix: NDArray[np.uint64]) -> list[int]:
        """Return the leaders, but for the first of all, that share a shingle of the prefix."""
        found = [number for postings in self._index for number in postings.find(prefix)]
        return sorted(set(found))

    def _lead(self, shingles: NDArray[np.uint64], prefix: NDArray[np.uint64]) -> None:
        self._sets.append(shingles)
        if len(self._sets) == self._next_recount:
            self._recount()
        elif len(self._sets) > 1:
            self._add(prefix, len(self._sets) - 1)

    def _recount(self) -> None:
        """Count again who has each shingle, each time the leaders have doubled, and index anew."""
        self._next_recount *= 2
        self._common, self._counts = _repeated(np.concatenate(self._sets))
        prefixes = [self._prefix(shingles) for shingles in self._sets[1:]]
        numbers = np.repeat(np.arange(1, len(self._sets)), [len(prefix) for prefix in prefixes])
        self._index = [_Postings.sort(np.concatenate(prefixes), numbers)]

    def _add(self, prefix: NDArray[np.uint64], number: int) -> None:
        postings = _Postings(prefix, np.full(len(prefix), number))
        # Merging those of like size keeps their number to the logarithm of the leaders'.
        while self._index and len(self._index[-1].shingles) <= 2 * len(postings.shingles):
            postings = self._index.pop().merge(postings)
        self._index.append(postings)


class _Postings(NamedTuple):
    """Shingles, sorted, and the leader each belongs to."""

    shingles: NDArray[np.uint64]
    numbers: NDArray[np.int64]

    @staticmethod
    def sort(shingles: NDArray[np.uint64], numbers: NDArray[np.int64]) -> _Postings:
        order = np.argsort(shingles, kind="stable")
        return _Postings(shingles[order], numbers[order])

    def merge(self, other: _Postings) -> _Postings:
        return _Postings.sort(
            np.concatenate((self.shingles, other.shingles)),
            np.concatenate((self.numbers, other.numbers)),
        )

    def find(self, prefix: NDArray[np.uint64]) -> list[int]:
        """Return the leaders of these shingles, some of them more than once."""
        starts = np.searchsorted(self.shingles, prefix)
        ends = np.searchsorted(self.shingles, prefix, side="right")
        hits = np.flatnonzero(starts < ends)
        if not len(hits):
            return []
        found = [self.numbers[starts[hit] : ends[hit]] for hit in hits.tolist()]
        distinct: list[int] = np.unique(np.concatenate(found)).tolist()
        return distinct


def _repeated(values: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the values that occur more than once, sorted, and how often."""
    values = np.sort(values)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    counts = np.diff(starts, append=len(values))
    return values[starts[counts > 1]], counts[counts > 1]
