"""Proof before delete: a document is removed only for one that it is truly similar to.

A shared bucket is chance. Here the documents of a cluster are compared in rank order, by their
`minhash.evidence`: the first is kept and leads; each next one joins the first leader it is similar
enough to, or leads itself. Similarity is Jaccard's, of both sets alike, or the containment of the
document in its leader: the share of its own shingles that the leader has (Broder 1997).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DefinitionError

if TYPE_CHECKING:
    from .members import Measure

_MUCH_LARGER = 16  # times; from here looking up is faster than merging
_FIRST_RECOUNT = 32  # leaders after which shingles are first ranked by how many leaders have them


def jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    """Return the shared part of two sets, given sorted and distinct; 0 if both are empty."""
    shared = _shared(first, second)
    union = len(first) + len(second) - shared
    return shared / union if union else 0.0


def containment(inner: NDArray[np.uint64], outer: NDArray[np.uint64]) -> float:
    """Return the part of `inner` that is in `outer`, given sorted and distinct; 0 if empty."""
    return _shared(inner, outer) / len(inner) if len(inner) else 0.0


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
        leaders: int64, for each document the index of its leader; its own if it is kept; and
            -1 - i if its leader is the given one of index i.
        similarities: float64, for each document its similarity to its leader; 1.0 to itself.
        refused: documents that share buckets with the cluster but are kept for lack of proof.
    """

    leaders: NDArray[np.int64]
    similarities: NDArray[np.float64]
    refused: int


def assign_leaders(
    sets: Iterable[NDArray[np.uint64]],
    threshold: float,
    measure: Measure = "jaccard",
    given: Sequence[NDArray[np.uint64]] = (),
) -> Assignment:
    """Let each document of a cluster join the first leader it is similar enough to, or lead.

    Args:
        sets: shingles of the documents in rank order, each sorted and distinct. They are read once
            and only those of leaders are kept in memory.
        threshold: least similarity to a leader, above 0.
        measure: of similarity.
        given: shingles of documents that lead before these.
    """
    leaders = Leaders(threshold, measure, given)
    assigned: list[int] = []
    similarities: list[float] = []
    places = list(range(-1, -1 - len(given), -1))  # of each leader
    for position, shingles in enumerate(sets):
        found = leaders.find(shingles)
        if found is None:
            leaders.lead(shingles)
            places.append(position)
        number, similarity = found or (len(places) - 1, 1.0)
        assigned.append(places[number])
        similarities.append(similarity)
    own = len(places) - len(given)
    refused = own if given else max(own - 1, 0)
    return Assignment(np.array(assigned, np.int64), np.array(similarities, np.float64), refused)


def find_leaders(
    sets: Iterable[NDArray[np.uint64]],
    threshold: float,
    measure: Measure,
    given: Sequence[NDArray[np.uint64]],
) -> list[int]:
    """Return for each document the first of `given` that it is similar enough to, or -1."""
    leaders = Leaders(threshold, measure, given)
    return [-1 if (found := leaders.find(one)) is None else found[0] for one in sets]


class Leaders:
    """The leaders of one cluster so far, found by their rare shingles.

    Sets of similarity t and more share one of the first n - ceil(t * n) + 1 elements of each, n
    its size, in any order that is the same for all (prefix filtering: Chaudhuri et al., ICDE 2006;
    Bayardo et al., WWW 2007). With the shingles that fewest leaders have first, pages of one
    template with different articles are told apart without comparing them. A set that is contained
    shares one of its first so many with any of the other's, so of leaders all are indexed then.
    """

    def __init__(
        self, threshold: float, measure: Measure, given: Sequence[NDArray[np.uint64]] = ()
    ) -> None:
        if not 0 < threshold <= 1:
            raise DefinitionError(f"verify={threshold} must be above 0 and at most 1.")
        self._threshold = threshold
        self._measure = measure
        self._sets: list[NDArray[np.uint64]] = []
        self._index: list[_Postings] = []
        self._common = np.empty(0, dtype=np.uint64)
        self._counts = np.empty(0, dtype=np.int64)
        self._next_recount = _FIRST_RECOUNT
        for shingles in given:
            self.lead(shingles)

    def find(self, shingles: NDArray[np.uint64]) -> tuple[int, float] | None:
        """Return the number of the first leader similar enough, from 0, and the similarity."""
        if self._sets:
            similarity = self._similarity(0, shingles)
            if similarity >= self._threshold:
                return 0, similarity
        for number in self._candidates(self._prefix(shingles)):
            similarity = self._similarity(number, shingles)
            if similarity >= self._threshold:
                return number, similarity
        return None

    def lead(self, shingles: NDArray[np.uint64]) -> None:
        """Make a document the next leader."""
        self._sets.append(shingles)
        if len(self._sets) == self._next_recount:
            self._recount()
        elif len(self._sets) > 1:
            self._add(self._indexed(shingles), len(self._sets) - 1)

    def _similarity(self, number: int, shingles: NDArray[np.uint64]) -> float:
        leader = self._sets[number]
        # No more than the smaller set can be shared.
        few, many = sorted((len(leader), len(shingles)))
        most = few / many if self._measure == "jaccard" and many else len(leader)
        if not many or most < self._threshold:
            return 0.0
        measure = jaccard if self._measure == "jaccard" else containment
        return measure(shingles, leader)

    def _indexed(self, shingles: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the shingles by which a leader is found."""
        return self._prefix(shingles) if self._measure == "jaccard" else shingles

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

    def _recount(self) -> None:
        """Count again who has each shingle, each time the leaders have doubled, and index anew."""
        self._next_recount *= 2
        self._common, self._counts = _repeated(np.concatenate(self._sets))
        indexed = [self._indexed(shingles) for shingles in self._sets[1:]]
        numbers = np.repeat(np.arange(1, len(self._sets)), [len(one) for one in indexed])
        self._index = [_Postings.sort(np.concatenate(indexed), numbers)]

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
