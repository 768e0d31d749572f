"""A pipeline of made signatures: buckets and clusters of any number of documents, and no text.

    curate run benchmarks/dedup_scale.py -p seeds='DIR/*.seed' -p total=10000000 --only made_documents

`dedup.py --part scale` runs it stage by stage. There is a file in DIR for each unit, called by its
number; the content does not matter. 30 % of the documents are in clusters of 2 to 100,000, half of
their members exact copies and the others as alike as 0.89, spread over all units.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.dedup import arrays
from curate.dedup.buckets import collapse
from curate.dedup.members import ClusterStage
from curate.dedup.minhash import MinHashParams
from curate.dedup.signatures import BucketStage, SignatureStage
from curate.manifest import StepCounts
from curate.pipeline import Pipeline, Resources, StageKind, Unit
from curate.readers.records import JsonlReader
from curate.steps import Reader
from curate.task import Work

UNIT = 100_000
BANDS = 14

_SHARE = 0.3
_SIZES = 2.2  # exponent of the power law
_LARGEST = 100_000
_EXACT = 0.5
_BAND_SHARED = 0.4  # 0.89 ** 8
_SPREAD = 2_654_435_761


def mix(values: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return a random-looking number for each (the finaliser of splitmix64)."""
    mixed: NDArray[np.uint64] = values.astype(np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64(0xD1B54A32D192ED03)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    return mixed


def sources(ordinals: NDArray[np.int64], total: int) -> NDArray[np.uint64]:
    """Return for each band of each document a number that those who share the band have too."""
    place = (ordinals * _SPREAD + 12_345) % total
    clustered = place < int(_SHARE * total)
    cluster = np.searchsorted(_bounds(total), place, side="right")
    own = ordinals.astype(np.uint64)
    bands = _of_bands(own[:, None])
    exact = mix(~own) < np.uint64(int(_EXACT * (1 << 64)))
    shared = mix(~bands) < np.uint64(int(_BAND_SHARED * (1 << 64)))
    shared = (shared | exact[:, None]) & clustered[:, None]
    named = cluster.astype(np.uint64) | np.uint64(1 << 40)
    return np.where(shared, named[:, None], own[:, None])


def _of_bands(sources: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number of its own for each band."""
    factor, bands = np.uint64(BANDS), np.arange(BANDS, dtype=np.uint64)
    numbers: NDArray[np.uint64] = np.add(np.multiply(sources, factor), bands)
    return numbers


@cache
def _bounds(total: int) -> NDArray[np.int64]:
    """Return where each cluster ends among the documents that are in one."""
    assert math.gcd(_SPREAD, total) == 1
    members = int(_SHARE * total)
    sizes = 1 + np.minimum(np.random.default_rng(1).zipf(_SIZES, members // 2), _LARGEST - 1)
    bounds = np.cumsum(sizes)
    return np.asarray(bounds[bounds <= members], np.int64)


def _number(unit: Unit) -> int:
    return int(Path(unit.spec["path"]).stem)


def _ordinals(unit: Unit, total: int) -> NDArray[np.int64]:
    start = _number(unit) * UNIT
    return np.arange(start, min(start + UNIT, total))


@dataclass(frozen=True)
class MadeDocuments(StageKind):
    """Documents of an id, a URL and no text."""

    name: str
    source: Reader
    total: int
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The files that stand for units."""
        return (self.source,)

    @property
    def columns(self) -> Mapping[str, str]:
        """The URL."""
        return {"url": "string"}

    def identity(self) -> Mapping[str, Any]:
        """How many there are."""
        return {"total": self.total}

    def process(self, unit: Unit, work: Work) -> None:
        """Write `documents`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = mix(_ordinals(unit, self.total).astype(np.uint64)).tolist()
        hexes = [f"{number:016x}" for number in numbers]
        columns = {
            "text": [""] * len(hexes),
            "id": [f"<urn:uuid:{h[:8]}-{h[8:12]}-{h[12:]}-{h[:4]}-{h[4:]}>" for h in hexes],
            "url": [f"https://www.{h[:6]}.example/{h[6:12]}/an-article-{h}.html" for h in hexes],
        }
        with work.create("documents", work.path("parquet")) as output:
            pq.write_table(pa.table(columns), output, compression="zstd")
        _count(work, "documents", len(hexes))


@dataclass(frozen=True)
class MadeSignatures(SignatureStage):
    """Keys, edges and ranks as SignatureStage writes them."""

    total: int = 0

    def identity(self) -> Mapping[str, Any]:
        """How many there are."""
        return {"total": self.total}

    def process(self, unit: Unit, work: Work) -> None:
        """Write `keys`, `index`, `edges` and `ranks`."""
        ordinals = _ordinals(unit, self.total)
        flat = _of_bands(sources(ordinals, self.total)).ravel()
        rows = np.repeat(np.arange(len(ordinals)), BANDS)
        own = collapse(np.column_stack((mix(flat), mix(~flat))), rows)
        keys = np.empty(len(own.keys), arrays.KEYS)
        keys["key"], keys["row"] = own.keys, own.documents
        ranks = np.empty(len(ordinals), arrays.RANKS)
        hashes = mix(ordinals.astype(np.uint64))
        ranks["id"] = hashes
        ranks["chars"] = hashes % np.uint64(20_000)
        ranks["date"] = 20_240_301_000_000 + (hashes >> np.uint64(8)) % np.uint64(10_000_000)
        arrays.write(work, "keys", keys)
        arrays.write(work, "index", arrays.prefix_index(own.keys[:, 0]))
        arrays.write(work, "edges", own.edges)
        arrays.write(work, "ranks", ranks)
        _count(work, self.name, len(ordinals))


def _count(work: Work, name: str, number: int) -> None:
    work.rows.setdefault(name, number)
    work.manifest.steps = [StepCounts(name, number)]
    work.manifest.entered = work.manifest.kept = number


def pipeline(seeds: str, total: int = 1_000_000) -> Pipeline:
    """Bucket and cluster `total` documents."""
    documents = MadeDocuments("made_documents", JsonlReader(seeds), total)
    signatures = MadeSignatures("made_signatures", documents, MinHashParams(), total=total)
    buckets = BucketStage("minhash_buckets", signatures)
    clusters = ClusterStage("minhash_clusters", documents, signatures, buckets, "first")
    return Pipeline("dedup_scale", output=clusters)
