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

_DATE = re.compile(
    r"\d{4}(?:[-/]?\d\d(?:[-/]?\d\d(?:[Tt ]?\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,3})?)?)?)?)?", re.ASCII
)
_WITHIN = 1  # seed of the hash of a `within` value, so that it is none of a text's


@dataclass(frozen=True)
class ExactParams:
    """Documents whose text, or whose column `by`, is equal to the letter.

    Attributes:
        by: "text" or the name of a column.
        ignore_whitespace: compare without any white space.
    """

    by: str = "text"
    ignore_whitespace: bool = False


@dataclass(frozen=True)
class SignatureStage(StageKind):
    """Per unit: the keys that near-duplicates share, sorted, and what ranks each document."""

    name: str
    source: StageKind
    params: MinHashParams | ExactParams
    within: str = ""
    contained: bool = False
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents."""
        return (self.source,)

    def identity(self) -> Mapping[str, Any]:
        """The parameters."""
        kind = f"{type(self.params).__module__}.{type(self.params).__qualname__}"
        later = {"contained": 1} if self.contained else {}
        later |= {"dates": 1} if "date" in self.source.columns else {}
        if isinstance(self.params, ExactParams):
            compared = self.source.columns.get(self.params.by, "string")
            later |= {"zeros": 1} if compared in ("int64", "double", "bool") else {}
        return {"params": {"kind": kind, **self.settings()}, **later, "version": 1}

    def settings(self) -> dict[str, Any]:
        """What decides the keys; signatures can be matched where it is the same.

        Parameters that came later are left out while they change nothing, so that signatures made
        before them stay as good as new.
        """
        values = {**asdict(self.params), "within": self.within}
        later = ("max_chars", "ignore_whitespace", "within")
        return {name: value for name, value in values.items() if value or name not in later}

    def process(self, unit: Unit, work: Work) -> None:
        """Write `keys`, `index`, `edges` and `ranks`; and what PartsStage reads, if it is asked."""
        import numpy as np
        import xxhash

        from . import arrays
        from .buckets import collapse

        counts = StepCounts(self.name)
        ranks: list[tuple[int, int, int]] = []
        found = []
        samples: list[tuple[Any, int]] = []
        with work.open(self.source, unit) as entries:
            for doc, _ in entries.records:
                group = _hashed(_value(doc, self.within), _WITHIN) if self.within else None
                found.append(self._keys(doc, group, samples))
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
        if self.contained:
            _write_samples(work, samples, np.array(ranks, arrays.RANKS)["id"])
        work.manifest.details["params"] = self.settings()
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = counts.entered

    def _keys(self, doc: Document, group: Any, samples: list[tuple[Any, int]]) -> Any:
        """Return the document's keys, and add its sampled shingles to `samples`."""
        if isinstance(self.params, ExactParams):
            keys = _exact_keys(doc, self.params)
        else:
            from .containment import sampled
            from .minhash import bucket_keys, shingles_to_sign

            found = shingles_to_sign(doc.text, self.params)
            keys = bucket_keys(doc.text, self.params, found)
            if self.contained:
                sample = sampled(found, 0 if group is None else int(group[0, 0]))
                samples.append((sample, len(found)))
        # Keys are hashes: those of different values differ but for a chance of 2**-128.
        return keys if group is None else keys ^ group


def _write_samples(work: Work, samples: list[tuple[Any, int]], ids: Any) -> None:
    """Write `parts`, sorted by key, their index, and by how many each document asks."""
    import numpy as np

    from . import arrays
    from .containment import ASKS

    lengths = [len(sample) for sample, _ in samples]
    rows = np.repeat(np.arange(len(samples)), lengths)
    parts = np.empty(len(rows), arrays.PARTS)
    parts["key"] = np.concatenate([np.empty(0, np.uint64), *(sample for sample, _ in samples)])
    parts["row"] = rows
    parts["size"] = np.array([size for _, size in samples], np.uint32)[rows]
    parts["tie"] = (ids >> np.uint64(32))[rows]
    parts = parts[np.argsort(parts["key"], kind="stable")]
    arrays.write(work, "parts", parts)
    arrays.write(work, "parts_index", arrays.prefix_index(parts["key"]))
    arrays.write(work, "asked", np.minimum(lengths, ASKS).astype(np.uint8))


def _exact_keys(doc: Document, params: ExactParams) -> Any:
    import numpy as np

    value = doc.text if params.by == "text" else doc.metadata.get(params.by)
    if value and params.ignore_whitespace:
        value = "".join(str(value).split())
    # 0 and False are values as any other.
    there = value not in (None, "", [])
    return _hashed(str(value)) if there else np.empty((0, 2), np.uint64)


def _value(doc: Document, column: str) -> str:
    """Return what parts documents: a value, or that there is none."""
    value = doc.metadata.get(column)
    return "" if value is None else f"={value}"


def _hashed(value: str, seed: int = 0) -> Any:
    import numpy as np
    import xxhash

    digest = xxhash.xxh3_128_digest(value.encode("utf-8", "surrogatepass"), seed=seed)
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
        from .buckets import ranges

        manifests = list(sources[0])
        total = sum(manifest.files["keys"].rows for manifest in manifests)
        count = len(ranges(total, int(self.resources.memory_gb * (1 << 29))))
        return range_units(count, total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `pairs`, of documents counted through all units, and `keys` for later runs."""
        import numpy as np

        from . import arrays
        from .buckets import collapse

        for run in self.against:
            run.check(self.source.settings())
        manifests = same(work.manifests(self.source), unit)
        spans = arrays.spans(work.out, manifests, "index", unit)
        total = sum(last - first for first, last in spans)
        keys, ordinals = np.empty((total, 2), np.uint64), np.empty(total, np.int64)
        filled = 0
        for manifest, base, span in zip(manifests, arrays.bases(manifests), spans, strict=False):
            part = arrays.read(work.out, manifest, "keys", arrays.KEYS, *span)
            place = slice(filled, filled + len(part))
            keys[place] = part["key"]
            np.add(part["row"], base, out=ordinals[place], casting="unsafe")
            filled += len(part)
        found = collapse(keys, ordinals)
        del keys, ordinals
        merged = np.empty(len(found.keys), arrays.BUCKET_KEYS)
        merged["key"], merged["document"] = found.keys, found.documents
        arrays.write(work, "pairs", found.edges)
        arrays.write(work, "keys", merged)
        arrays.write(work, "index", arrays.prefix_index(found.keys[:, 0]))
        if self.against:
            prefixes = unit.spec["first"], unit.spec["last"]
            arrays.write(work, "earlier", matches(self.against, merged, *prefixes))
        work.manifest.steps = [StepCounts(self.name, total)]
        work.manifest.entered = work.manifest.kept = total


def range_units(count: int, size: int, inputs: str) -> list[Unit]:
    """Return units that divide the 12-bit prefixes of hashes evenly.

    Args:
        count: how many, within 1 and the number of prefixes.
        size: of all together.
        inputs: digest of what they read; their names change with it.
    """
    from .arrays import PREFIXES

    count = max(1, min(count, PREFIXES))
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
    """Return the digits of a date to the millisecond, what it leaves out as 0; the last if none.

    Any part of ISO 8601 from the year on, as WARC 1.1 allows; its time zone is not looked at.
    """
    found = _DATE.match(str(doc.metadata.get("date")))
    return int(re.sub(r"\D", "", found[0]).ljust(17, "0")) if found else 1 << 62


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
