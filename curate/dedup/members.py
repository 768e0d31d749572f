"""The members of clusters: who is kept, and the documents without those that are not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..document import Document
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Drop, Duplicate, Filter, Reader
from .signatures import BucketStage, SignatureStage, digest_of, id_bytes, same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..task import Work

Keep = Literal["first", "longest"]
Action = Literal["drop", "mark"]
Name = tuple[str, str | None]  # id and URL of a document


@dataclass(frozen=True)
class ClusterStage(WholeStage):
    """One unit: connected components of all pairs, and the document to keep of each."""

    name: str
    documents: StageKind
    signatures: SignatureStage
    buckets: BucketStage
    keep: Keep
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures, the pairs, and the documents for their ids and URLs."""
        return (self.signatures, self.buckets, self.documents)

    def identity(self) -> Mapping[str, Any]:
        """The rule."""
        return {"keep": self.keep}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the one unit."""
        digest = digest_of([*sources[0], *sources[1]])
        return [Unit(f"all-{digest}", 1, {"inputs": digest})]

    def process(self, unit: Unit, work: Work) -> None:
        """Write the members of clusters, unit by unit, and note which units changed."""
        import numpy as np

        from . import arrays
        from .clusters import Components, canonicals

        signatures, pairs = work.manifests(self.signatures), work.manifests(self.buckets)
        same([*signatures, *pairs], unit)
        bases = arrays.bases(signatures)
        components = Components(int(bases[-1]))
        for manifest, base in zip(signatures, bases.tolist(), strict=False):
            edges = arrays.read(work.out, manifest, "edges", arrays.PAIRS)
            components.add(edges.astype(np.int64) + base)
        for manifest in pairs:
            components.add(arrays.read(work.out, manifest, "pairs", arrays.PAIRS))
        labels = components.labels()
        earlier = [
            arrays.read(work.out, manifest, "earlier", arrays.EARLIER)
            for manifest in pairs
            if self.buckets.against
        ]
        found = np.concatenate([np.empty(0, arrays.EARLIER), *earlier])
        members = np.flatnonzero(np.bincount(labels, minlength=len(labels))[labels] > 1)
        members = np.union1d(members, np.flatnonzero(np.isin(labels, labels[found["document"]])))
        compact = np.searchsorted(members, labels[members])
        spans = Span.of(work, self.documents, signatures, members)
        parts = [
            arrays.read(work.out, manifest, "ranks", arrays.RANKS)[
                members[span.members] - span.base
            ]
            for manifest, span in zip(signatures, spans, strict=True)
            if span.members.start < span.members.stop
        ]
        ranks = np.concatenate([np.empty(0, arrays.RANKS), *parts])
        sizes, canonical = canonicals(
            compact, ranks["date"], ranks["chars"], ranks["id"], self.keep
        )
        originals = self._originals(np.searchsorted(members, labels[found["document"]]), found)
        known = {
            at: originals[label]
            for at, label in enumerate(compact.tolist() if originals else ())
            if label in originals
        }
        write_members(work, spans, members, canonical, sizes, originals=known)
        total = int(bases[-1])
        work.manifest.steps = [StepCounts(self.name, total)]
        work.manifest.entered = work.manifest.kept = total

    def _originals(self, labels: NDArray[np.int64], found: NDArray[Any]) -> dict[int, Name]:
        """Return for each cluster that an earlier run knows, the first of its earlier documents."""
        import numpy as np

        order = np.lexsort((found["earlier"], found["run"], labels))
        labels, found = labels[order], found[order]
        first = np.append(True, labels[1:] != labels[:-1])[: len(labels)]
        labels, found = labels[first], found[first]
        originals: dict[int, Name] = {}
        for number, run in enumerate(self.buckets.against):
            own = found["run"] == number
            names = run.names(found["earlier"][own])
            ordinals = found["earlier"][own].tolist()
            originals.update(
                {
                    label: names[ordinal]
                    for label, ordinal in zip(labels[own].tolist(), ordinals, strict=True)
                }
            )
        return originals


class Span(NamedTuple):
    """A unit's documents: where they begin among all, and where its members are among members."""

    documents: Manifest
    base: int
    members: slice

    @property
    def bounds(self) -> tuple[int, int]:
        """Indices of the unit's members."""
        return self.members.start, self.members.stop

    @staticmethod
    def of(
        work: Work, source: StageKind, signatures: list[Manifest], members: NDArray[np.int64]
    ) -> list[Span]:
        """Return the span of each unit that has signatures."""
        import numpy as np

        from . import arrays

        documents = {manifest.unit: manifest for manifest in work.manifests(source)}
        bases = arrays.bases(signatures)
        bounds = np.searchsorted(members, bases).tolist()
        return [
            Span(documents[signature.unit], base, slice(low, high))
            for signature, base, low, high in zip(
                signatures, bases.tolist(), bounds, bounds[1:], strict=False
            )
        ]


def write_members(
    work: Work,
    spans: Sequence[Span],
    members: NDArray[np.int64],
    canonical: NDArray[np.int64],
    sizes: NDArray[np.int64],
    similarities: NDArray[np.float64] | None = None,
    threshold: float | None = None,
    originals: Mapping[int, Name] = MappingProxyType({}),
) -> None:
    """Write one row group per unit: row, cluster, size, and who is kept; note a digest of each.

    Args:
        work: the unit of the stage that writes.
        spans: the units of the documents.
        members: sorted ordinals of the documents in clusters.
        canonical: for each, the index among them of the one that is kept.
        sizes: for each, the documents in its cluster.
        similarities: for each, to the one that is kept, where that was measured.
        threshold: what a similarity had to reach.
        originals: for members of clusters that an earlier run knows, the document there.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import xxhash

    leads = canonical == np.arange(len(canonical))
    names: dict[int, Name] = {}
    for span in spans:
        wanted = span.members.start + np.flatnonzero(leads[span.members])
        if len(wanted):
            rows = work.table(span.documents, ("id", "url")).take(members[wanted] - span.base)
            for at, row in zip(wanted.tolist(), rows.to_pylist(), strict=True):
                names[at] = (row["id"], row.get("url"))
    units: dict[str, tuple[int | None, str]] = {}
    groups = 0
    with work.create("members", work.path("members.parquet")) as output:
        writer = pq.ParquetWriter(output, _members_schema(), compression="zstd")
        for span in spans:
            kept = canonical[span.members].tolist()
            if not kept:
                units[span.documents.unit] = (None, "none")
                continue
            columns = {
                "row": (members[span.members] - span.base).tolist(),
                "cluster": [xxhash.xxh64_hexdigest(id_bytes(names[k][0])) for k in kept],
                "size": sizes[span.members].tolist(),
                "canonical": leads[span.members].tolist(),
                "duplicate_of": [names[k][0] for k in kept],
                "duplicate_of_url": [names[k][1] for k in kept],
                "similarity": [None] * len(kept)
                if similarities is None
                else similarities[span.members].tolist(),
                "threshold": [threshold] * len(kept),
                "earlier": [originals.get(at, (None, None))[0] for at in range(*span.bounds)],
                "earlier_url": [originals.get(at, (None, None))[1] for at in range(*span.bounds)],
            }
            writer.write_table(pa.table(columns, schema=_members_schema()), len(kept))
            digest = hashlib.sha256(repr(columns).encode()).hexdigest()[:10]
            units[span.documents.unit] = (groups, digest)
            groups += 1
        writer.close()
    work.rows["members"] = len(members)
    work.manifest.details["units"] = units


def _members_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("row", pa.int64()),
            ("cluster", pa.string()),
            ("size", pa.int64()),
            ("canonical", pa.bool_()),
            ("duplicate_of", pa.string()),
            ("duplicate_of_url", pa.string()),
            ("similarity", pa.float64()),
            ("threshold", pa.float64()),
            ("earlier", pa.string()),
            ("earlier_url", pa.string()),
        ]
    )


@dataclass(frozen=True)
class DedupedStage(WholeStage):
    """Per unit: the documents without those that duplicate another."""

    per_unit = True

    name: str
    documents: StageKind
    clusters: StageKind
    step: str
    marks: bool = False
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents and their clusters."""
        return (self.documents, self.clusters)

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the documents, and the size of the cluster."""
        prefix = self.step.removesuffix("_dedup")
        marks = {f"{prefix}_duplicate_of": "string"} if self.marks else {}
        return {**self.documents.columns, f"{prefix}_cluster_size": "int64", **marks}

    def identity(self) -> Mapping[str, Any]:
        """What is done with duplicates of earlier runs."""
        return {"marks": self.marks, "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units of the documents; the name changes with the unit's clusters."""
        documents, clusters = sources
        known = {unit: entry for one in clusters for unit, entry in one.details["units"].items()}
        units = []
        for manifest in documents:
            if manifest.unit not in known:  # its signatures failed: not told from duplicates
                continue
            group, digest = known[manifest.unit]
            spec = {"source_unit": manifest.unit, "group": group}
            size = manifest.files["documents"].bytes
            units.append(Unit(f"{manifest.unit}-{digest}", size, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Drop the documents that another stands for."""
        (clusters,) = work.manifests(self.clusters)
        group = unit.spec["group"]
        rows = work.table(clusters, (), "members", group).to_pylist() if group is not None else []
        members = {row.pop("row"): row for row in rows}
        step = _DuplicateFilter(self.step, members, self.marks)
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            work.flow(entries, (step,))


class _DuplicateFilter(Filter):
    """Drops the members of clusters, known by their row; made anew for each unit."""

    reasons = ("duplicate", "duplicate_of_earlier_run")

    def __init__(self, name: str, members: Mapping[int, Mapping[str, Any]], marks: bool) -> None:
        self.name = name  # type: ignore[misc]  # one class for two kinds of deduplication
        self._column = f"{name.removesuffix('_dedup')}_cluster_size"
        self._mark = f"{name.removesuffix('_dedup')}_duplicate_of"
        self._marks = marks
        self._members = members
        self._row = -1

    def reject(self, doc: Document) -> Drop | None:
        self._row += 1
        member = self._members.get(self._row)
        doc.metadata[self._column] = member["size"] if member else 1
        earlier = member["earlier"] if member else None
        if self._marks:
            doc.metadata[self._mark] = earlier
        if member is not None and earlier is not None and not self._marks:
            original = Duplicate(member["cluster"], member["size"], earlier, member["earlier_url"])
            return Drop("duplicate_of_earlier_run", duplicate=original)
        if member is None or member["canonical"]:
            return None
        duplicate = Duplicate(
            member["cluster"], member["size"], member["duplicate_of"], member["duplicate_of_url"]
        )
        return Drop("duplicate", member["similarity"], member["threshold"], duplicate)
