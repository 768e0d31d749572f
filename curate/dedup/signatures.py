"""Signatures per unit, and the pairs of documents that share a key, per range of keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..document import Document
from ..errors import CurateError
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Reader
from .earlier import EarlierRun, matches
from .minhash import MinHashParams

if TYPE_CHECKING:
    from ..task import Work


@dataclass(frozen=True)
class ExactParams:
    """Documents whose text, or whose column `by`, is equal to the letter."""

    by: str = "text"


@dataclass(frozen=True)
class SignatureStage(StageKind):
    """Per unit: the keys that near-duplicates share, sorted, and what ranks each document."""

    name: str
    source: StageKind
    params: MinHashParams | ExactParams
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents."""
        return (self.source,)

    def identity(self) -> Mapping[str, Any]:
        """The parameters."""
        return {"params": self.params, "version": 1}

    def process(self, unit: Unit, work: Work) -> None:
        """Write `keys`, `index`, `edges` and `ranks`."""
        import numpy as np
        import xxhash

        from . import arrays
        from .buckets import collapse

        counts = StepCounts(self.name)
        ranks: list[tuple[int, int, int]] = []
        found = []
        with work.open(self.source, unit) as entries:
            for doc, _ in entries.records:
                found.append(self._keys(doc))
                id_hash = xxhash.xxh64_intdigest(id_bytes(doc.id))
                ranks.append((_date(doc), len(doc.text), id_hash))
                counts.entered += 1
                work.progress(counts.entered, entries.fraction)
        empty = np.empty((0, 2), np.uint64)
        rows = np.repeat(np.arange(len(found)), [len(keys) for keys in found])
        own = collapse(np.concatenate([empty, *found]), rows)
        keys = np.empty(len(own.keys), arrays.KEYS)
        keys["key"], keys["row"] = own.keys, own.documents
        arrays.write(work, "keys", keys)
        arrays.write(work, "index", arrays.prefix_index(own.keys[:, 0]))
        arrays.write(work, "edges", own.edges)
        arrays.write(work, "ranks", np.array(ranks, arrays.RANKS))
        work.manifest.details["params"] = asdict(self.params)
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = counts.entered

    def _keys(self, doc: Document) -> Any:
        import numpy as np
        import xxhash

        if isinstance(self.params, MinHashParams):
            from .minhash import bucket_keys

            return bucket_keys(doc.text, self.params)
        value = doc.text if self.params.by == "text" else doc.metadata.get(self.params.by)
        if not value:
            return np.empty((0, 2), np.uint64)
        digest = xxhash.xxh3_128_digest(str(value).encode("utf-8", "surrogatepass"))
        return np.frombuffer(digest, ">u8").astype(np.uint64).reshape(1, 2)


@dataclass(frozen=True)
class BucketStage(WholeStage):
    """Per range of keys: the pairs of documents, of all units, that share one."""

    name: str
    source: SignatureStage
    against: tuple[EarlierRun, ...] = ()
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures."""
        return (self.source,)

    def identity(self) -> Mapping[str, Any]:
        """The earlier runs."""
        return {"against": [run.identity() for run in self.against], "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the keys into as many ranges as half a worker's memory asks for."""
        from .arrays import PREFIXES
        from .buckets import ranges

        manifests = list(sources[0])
        total = sum(manifest.files["keys"].rows for manifest in manifests)
        count = min(len(ranges(total, int(self.resources.memory_gb * (1 << 29)))), PREFIXES)
        return range_units(count, total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `pairs`, of documents counted through all units, and `keys` for later runs."""
        import numpy as np

        from . import arrays
        from .buckets import collapse

        for run in self.against:
            run.check(asdict(self.source.params))
        counts = StepCounts(self.name)
        parts, ordinals, base = [], [], 0
        manifests = same(work.manifests(self.source), unit)
        for manifest in manifests:
            index = arrays.read(work.out, manifest, "index", np.dtype("<i8"))
            first, last = int(index[unit.spec["first"]]), int(index[unit.spec["last"]])
            keys = arrays.read(work.out, manifest, "keys", arrays.KEYS, first, last)
            parts.append(keys["key"])
            ordinals.append(keys["row"].astype(np.int64) + base)
            base += manifest.files["ranks"].rows
            counts.entered += len(keys)
        empty = np.empty((0, 2), np.uint64)
        found = collapse(
            np.concatenate([empty, *parts]), np.concatenate([np.empty(0, np.int64), *ordinals])
        )
        merged = np.empty(len(found.keys), arrays.BUCKET_KEYS)
        merged["key"], merged["document"] = found.keys, found.documents
        arrays.write(work, "pairs", found.edges)
        arrays.write(work, "keys", merged)
        arrays.write(work, "index", arrays.prefix_index(found.keys[:, 0]))
        if self.against:
            span = unit.spec["first"], unit.spec["last"]
            arrays.write(work, "earlier", matches(self.against, merged, *span))
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = counts.entered


def range_units(count: int, size: int, inputs: str) -> list[Unit]:
    """Return `count` units that divide the 12-bit prefixes of hashes evenly.

    Args:
        count: how many.
        size: of all together.
        inputs: digest of what they read; their names change with it.
    """
    from .arrays import PREFIXES

    bounds = [PREFIXES * part // count for part in range(count + 1)]
    return [
        Unit(
            f"{part:04d}-of-{count:04d}-{inputs}",
            size // count,
            {"first": bounds[part], "last": bounds[part + 1], "inputs": inputs},
        )
        for part in range(count)
    ]


def id_bytes(identifier: str) -> bytes:
    """Return what is hashed of an id; the hash ranks the document and names its cluster."""
    return identifier.encode("utf-8", "surrogatepass")


def _date(doc: Document) -> int:
    """Return the digits of a WARC-Date to the second; after all dates if there is none."""
    digits = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", str(doc.metadata.get("date")))
    return int("".join(digits.groups())) if digits else 1 << 62


def same(manifests: list[Manifest], unit: Unit) -> list[Manifest]:
    """Return the manifests, unless they are not those the unit was planned for."""
    if digest_of(manifests) != unit.spec["inputs"]:
        raise CurateError("the units this one reads have changed since it was planned. Run again.")
    return manifests


def digest_of(manifests: Iterable[Manifest]) -> str:
    """Return a name for what these units hold."""
    digest = hashlib.sha256()
    for manifest in manifests:
        for role, info in sorted(manifest.files.items()):
            digest.update(f"{manifest.unit} {role} {info.sha256}\n".encode())
    return digest.hexdigest()[:10]
