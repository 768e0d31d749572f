"""Deduplication with datasketch or rensa, alone in its process, as `dedup.py` compares it.

    python benchmarks/dedup_libraries.py datasketch DIR     deduplicates DIR/in/*.parquet

Theirs: the signature of a set of shingles, the index of its bands, and the query of it. Ours, as
they have none: reading, normalisation and shingles (the strings that curate and datatrove hash,
without which their pairs could not be compared), clusters by union-find, the first document of
each cluster kept, writing. As both mean it, the index is in memory and nothing else is on disk.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dedup_peers import NUM_HASHES, shingle_strings
from dedup_scale import BANDS
from numpy.typing import NDArray

_BATCH = 1000
_THRESHOLD = 0.8  # bands are given, so neither library decides anything by it

Shingled = tuple[int, list[str]]
Pairs = Iterator[tuple[int, int]]


def datasketch_pairs(shingled: Iterable[Shingled]) -> Pairs:
    """Yield pairs that share a band; its generator makes the permutations once."""
    library = import_module("datasketch")
    index = library.MinHashLSH(num_perm=NUM_HASHES, params=(BANDS, NUM_HASHES // BANDS))
    for batch in _batches(shingled):
        sets = ([shingle.encode() for shingle in shingles] for _, shingles in batch)
        signatures = library.MinHash.generator(sets, num_perm=NUM_HASHES)
        for (number, _), signature in zip(batch, signatures, strict=True):
            for other in index.query(signature):
                yield other, number
            index.insert(number, signature, check_duplication=False)


def rensa_pairs(shingled: Iterable[Shingled]) -> Pairs:
    """Yield pairs that share a band, by its functions for many documents at once."""
    library = import_module("rensa")
    index = library.RMinHashLSH(_THRESHOLD, NUM_HASHES, BANDS)
    for batch in _batches(shingled):
        sets = [shingles for _, shingles in batch]
        signatures = library.RMinHash.from_token_sets(sets, NUM_HASHES, 1)
        numbers = [number for number, _ in batch]
        index.insert_pairs(list(zip(numbers, signatures, strict=True)))
        for number, others in zip(numbers, index.query_all(signatures), strict=True):
            yield from ((other, number) for other in others if other < number)


SIDES: dict[str, Callable[[Iterable[Shingled]], Pairs]] = {
    "datasketch": datasketch_pairs,
    "rensa": rensa_pairs,
}


def _batches(shingled: Iterable[Shingled]) -> Iterator[list[Shingled]]:
    batch: list[Shingled] = []
    for item in shingled:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def leaders(count: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Return for each document the first of its cluster."""
    parents = list(range(count))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for pair in pairs:
        low, high = sorted(map(root, pair))
        parents[high] = low
    return np.array([root(number) for number in range(count)], np.int64)


def deduplicate(side: str, folder: Path) -> None:
    """Write the pairs found, who leads each document, and the documents kept."""
    path = folder / "in" / "texts.parquet"
    pairs = list(SIDES[side](_shingled(path)))
    found = leaders(pq.read_metadata(path).num_rows, pairs)
    np.save(folder / "pairs.npy", np.array(pairs, np.int64).reshape(-1, 2))
    np.save(folder / "leaders.npy", found)
    kept = found == np.arange(len(found))
    with pq.ParquetWriter(folder / "kept.parquet", pq.read_schema(path)) as output:
        for start, table in _read(path):
            output.write_table(table.filter(pa.array(kept[start : start + len(table)])))


def _shingled(path: Path) -> Iterator[Shingled]:
    """Yield the texts that have shingles: one without would share all bands with others such."""
    for start, table in _read(path, ["text"]):
        for number, text in enumerate(table["text"].to_pylist(), start):
            shingles = shingle_strings(text)
            if shingles:
                yield number, shingles


def _read(path: Path, columns: list[str] | None = None) -> Iterator[tuple[int, Any]]:
    start = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=columns):
            yield start, pa.Table.from_batches([batch])
            start += len(batch)


if __name__ == "__main__":
    deduplicate(sys.argv[1], Path(sys.argv[2]))
