"""Buckets and clusters are those of a naive search, for any order, sharding and shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.dedup.buckets import BYTES_PER_ENTRY, collapse, pairs, ranges, slice_range
from curate.dedup.clusters import (
    Components,
    Keep,
    canonicals,
    connected_components,
    rank_order,
)

# Few values, so that keys are shared, some of them in their upper half only.
HALVES = st.sampled_from([0, 1, 2, 1 << 63, (1 << 64) - 1])
SMALL = st.integers(0, 12)
ORDINALS = SMALL | SMALL.map(lambda low: low + (1 << 31)) | SMALL.map(lambda low: low + (1 << 40))
ENTRIES = st.lists(st.tuples(HALVES, HALVES, ORDINALS), max_size=40)
PAIRS = st.lists(st.tuples(ORDINALS, ORDINALS), max_size=40)


def entry_arrays(
    entries: Sequence[tuple[int, int, int]],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    keys = np.array([entry[:2] for entry in entries], dtype=np.uint64).reshape(-1, 2)
    return keys, np.array([entry[2] for entry in entries], dtype=np.int64)


def edge_array(edges: Iterable[Iterable[int]]) -> NDArray[np.int64]:
    return np.array([tuple(edge) for edge in edges], dtype=np.int64).reshape(-1, 2)


def naive_edges(entries: Iterable[tuple[int, int, int]]) -> set[tuple[int, int]]:
    documents = defaultdict(set)
    for upper, lower, document in entries:
        documents[upper, lower].add(document)
    groups = documents.values()
    return {(one, min(group)) for group in groups for one in group if one != min(group)}


def naive_clusters(edges: Iterable[tuple[int, int]]) -> set[frozenset[int]]:
    neighbours = defaultdict(set)
    for left, right in edges:
        neighbours[left].add(right)
        neighbours[right].add(left)
    clusters, seen = set(), set()
    for start in neighbours:
        if start not in seen:
            reached, waiting = {start}, [start]
            while waiting:
                new = neighbours[waiting.pop()] - reached
                reached |= new
                waiting += new
            seen |= reached
            clusters.add(frozenset(reached))
    return clusters


def found_clusters(edges: NDArray[np.int64]) -> set[frozenset[int]]:
    nodes, labels = connected_components(edges)
    members = defaultdict(set)
    for node, label in zip(nodes.tolist(), labels.tolist(), strict=True):
        members[nodes[label]].add(node)
    assert all(label == min(cluster) for label, cluster in members.items())
    return {frozenset(cluster) for cluster in members.values()}


@settings(max_examples=200, deadline=None)
@given(ENTRIES)
def test_documents_of_equal_keys_are_linked_to_the_smallest(
    entries: list[tuple[int, int, int]],
) -> None:
    """Each link once, in an order of its own."""
    edges = pairs(*entry_arrays(entries)).tolist()
    assert {tuple(edge) for edge in edges} == naive_edges(entries)
    assert edges == sorted(edges, key=lambda edge: edge[::-1])
    assert len(edges) == len(naive_edges(entries))


@settings(max_examples=200, deadline=None)
@given(ENTRIES, st.integers(1, 5), st.integers(1, 4))
def test_clusters_do_not_depend_on_units_and_ranges(
    entries: list[tuple[int, int, int]], num_units: int, num_ranges: int
) -> None:
    """Keys collapsed by unit and joined range by range lead to the same clusters."""
    units = [collapse(*entry_arrays(entries[first::num_units])) for first in range(num_units)]
    edges = [unit.edges for unit in units]
    for low, high in ranges(num_ranges, BYTES_PER_ENTRY):
        slices = [slice_range(unit.keys, low, high) for unit in units]
        keys = np.concatenate([unit.keys[one] for unit, one in zip(units, slices, strict=True)])
        documents = [unit.documents[one] for unit, one in zip(units, slices, strict=True)]
        edges.append(pairs(keys, np.concatenate(documents)))
    assert found_clusters(np.concatenate(edges)) == naive_clusters(naive_edges(entries))


@settings(max_examples=100, deadline=None)
@given(ENTRIES)
def test_a_unit_keeps_each_key_once_and_sorted(entries: list[tuple[int, int, int]]) -> None:
    """With the smallest of its documents; the others are linked to that one."""
    found = collapse(*entry_arrays(entries))
    keys = [tuple(key) for key in found.keys.tolist()]
    smallest = {key: min(one[2] for one in entries if one[:2] == key) for key in keys}
    assert keys == sorted({entry[:2] for entry in entries})
    assert found.documents.tolist() == [smallest[key] for key in keys]
    assert {tuple(edge) for edge in found.edges.tolist()} == naive_edges(entries)


@pytest.mark.parametrize(
    ("entries", "memory", "count"),
    [(0, 1, 1), (10, 1 << 30, 1), (1 << 24, 1 << 20, 1024), (7, 64, 7)],
)
def test_ranges_cover_all_keys_in_parts_that_fit(entries: int, memory: int, count: int) -> None:
    """They are of equal width and leave nothing out."""
    found = ranges(entries, memory)
    assert len(found) == count
    assert found[0][0] == 0 and found[-1][1] == 1 << 64
    assert all(before[1] == after[0] for before, after in pairwise(found))
    widths = {high - low for low, high in found}
    assert max(widths) - min(widths) <= 1


def test_a_range_is_found_in_a_file(tmp_path: Path) -> None:
    """The slices of a memory map are those of the array it holds."""
    random = np.random.default_rng(0)
    keys = random.integers(0, 1 << 64, (10_000, 2), dtype=np.uint64)
    stored = collapse(keys, np.arange(10_000)).keys
    np.save(tmp_path / "keys.npy", stored)
    mapped = np.load(tmp_path / "keys.npy", mmap_mode="r")
    parts = [mapped[slice_range(mapped, low, high)] for low, high in ranges(13, BYTES_PER_ENTRY)]
    assert min(map(len, parts)) > 600
    assert np.array_equal(np.concatenate(parts), stored)


@settings(max_examples=300, deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_clusters_are_those_of_a_naive_search(edges: list[tuple[int, int]], random: Random) -> None:
    """Whatever the order of the pairs and of the two in a pair."""
    nodes, labels = connected_components(edge_array(edges))
    assert found_clusters(edge_array(edges)) == naive_clusters(edges)
    random.shuffle(edges)
    again = connected_components(edge_array(edge[::-1] for edge in edges))
    assert np.array_equal(nodes, again[0])
    assert np.array_equal(labels, again[1])


def path(length: int) -> NDArray[np.int64]:
    return np.column_stack((np.arange(length), np.arange(1, length + 1)))


def shuffled(edges: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    names = random.permutation(int(edges.max()) + 1)
    return names[edges[random.permutation(len(edges))]]


SHAPES = {
    "sorted path": path(1_000_000),
    "reversed path": path(1_000_000)[::-1],
    "shuffled path": shuffled(path(1_000_000)),
    "star": shuffled(np.column_stack((np.zeros(1_000_000, np.int64), np.arange(1, 1_000_001)))),
    "tree": shuffled(np.column_stack((np.arange(1, 1_000_001), np.arange(1_000_000) // 2))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cluster_of_a_million_is_found_whatever_its_shape(shape: str) -> None:
    """Long chains and hubs end in one component, in blocks and with ordinals far apart too."""
    edges = SHAPES[shape]
    for scale in (1, 1_000):
        nodes, labels = connected_components(edges * scale)
        assert np.array_equal(nodes, np.arange(1_000_001) * scale)
        assert not labels.any()


def test_pairs_can_be_added_block_after_block() -> None:
    """Each block may join what the blocks before it joined, in the least lucky order."""
    components = Components(3_001)
    for start in range(2_999, -1, -1):
        components.add(np.array([[start, start + 1]]) if start % 1_000 else np.empty((0, 2), int))
    labels = components.labels()
    assert np.unique(labels).tolist() == [0, 1, 1_001, 2_001]
    assert np.bincount(labels)[[0, 1, 1_001, 2_001]].tolist() == [1, 1_000, 1_000, 1_000]


DOCUMENTS = st.lists(
    st.tuples(SMALL, st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=40
)


@pytest.mark.parametrize("keep", get_args(Keep))
@settings(max_examples=200, deadline=None)
@given(documents=DOCUMENTS, random=st.randoms(use_true_random=False))
def test_the_document_kept_is_that_of_the_rule(
    keep: Keep, documents: list[tuple[int, int, int]], random: Random
) -> None:
    """The same one for any order of the documents; `rank_order` agrees."""
    rows = [(*document, (number * 7919) % (1 << 64)) for number, document in enumerate(documents)]
    random.shuffle(rows)
    names, dates, lengths, ids = (np.array(column) for column in zip(*rows, strict=True))
    labels = np.array([names.tolist().index(name) for name in names])
    columns = (dates, lengths, ids.astype(np.uint64))
    sizes, chosen = canonicals(labels, *columns, keep)

    def rank(row: tuple[int, int, int, int]) -> tuple[int, ...]:
        return (row[1], row[3]) if keep == "first" else (-row[2], row[1], row[3])

    for index, row in enumerate(rows):
        cluster = [other for other in rows if other[0] == row[0]]
        assert sizes[index] == len(cluster)
        assert rows[chosen[index]] == min(cluster, key=rank)
    assert [rows[index] for index in rank_order(*columns, keep)] == sorted(rows, key=rank)


def test_documents_without_a_date_come_last() -> None:
    """The largest date and the largest hash are values like others."""
    none, largest = np.iinfo(np.int64).max, np.iinfo(np.uint64).max
    dates = np.array([none, 5, none, none])
    ids = np.array([1, largest, largest, largest - 1], dtype=np.uint64)
    sizes, chosen = canonicals(np.array([0, 0, 2, 2]), dates, np.ones(4, np.int64), ids, "first")
    assert sizes.tolist() == [2, 2, 2, 2]
    assert chosen.tolist() == [1, 1, 3, 3]
