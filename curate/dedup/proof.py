"""Proof before delete, as stages: candidates per unit, compared per range of clusters, proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Reader
from .members import ClusterStage, Keep, Span, write_members
from .minhash import MinHashParams
from .signatures import SignatureStage, digest_of, range_units, same

if TYPE_CHECKING:
    from ..task import Work


@dataclass(frozen=True)
class CandidateStage(WholeStage):
    """Per unit: the evidence of the documents in clusters, sorted by cluster."""

    per_unit = True

    name: str
    documents: StageKind
    clusters: ClusterStage
    params: MinHashParams
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents and their clusters."""
        return (self.documents, self.clusters)

    def identity(self) -> Mapping[str, Any]:
        """The parameters."""
        return {"params": self.params, "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units that hold members of clusters."""
        documents, clusters = sources
        known = {unit: entry for one in clusters for unit, entry in one.details["units"].items()}
        return [
            Unit(
                f"{manifest.unit}-{known[manifest.unit][1]}",
                manifest.files["documents"].bytes,
                {"source_unit": manifest.unit, "group": known[manifest.unit][0]},
            )
            for manifest in documents
            if known.get(manifest.unit, (None, ""))[0] is not None
        ]

    def process(self, unit: Unit, work: Work) -> None:
        """Write `candidates`, `index` and `evidence`."""
        import numpy as np

        from . import arrays
        from .minhash import evidence

        (clusters,) = work.manifests(self.clusters)
        table = work.table(clusters, ("row", "cluster"), "members", unit.spec["group"])
        rows = dict(zip(table["row"].to_pylist(), table["cluster"].to_pylist(), strict=True))
        counts = StepCounts(self.name)
        found, sets = [], []
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            for row, (doc, _) in enumerate(entries.records):
                if row in rows:
                    sets.append(evidence(doc.text, self.params))
                    found.append((int(rows[row], 16), row, len(sets[-1])))
                    counts.entered += 1
                    work.progress(counts.entered, entries.fraction)
        candidates = np.array(found, arrays.CANDIDATES)
        order = np.argsort(candidates["cluster"], kind="stable")
        candidates = candidates[order]
        arrays.write(work, "candidates", candidates)
        arrays.write(work, "index", arrays.prefix_index(candidates["cluster"]))
        arrays.write(work, "evidence", np.concatenate([sets[at] for at in order.tolist()]))
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = counts.entered


@dataclass(frozen=True)
class CompareStage(WholeStage):
    """Per range of clusters: whom each candidate is similar enough to."""

    name: str
    signatures: SignatureStage
    candidates: CandidateStage
    keep: Keep
    verify: float
    resources: Resources = Resources()

    def __post_init__(self) -> None:
        if not 0 < self.verify <= 1:
            raise DefinitionError(f"verify={self.verify} must be above 0 and at most 1.")

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures, for the ranks of documents, and the candidates."""
        return (self.signatures, self.candidates)

    def identity(self) -> Mapping[str, Any]:
        """Rule and threshold."""
        return {"keep": self.keep, "verify": self.verify, "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the clusters into as many ranges as half a worker's memory asks for."""
        from .arrays import PREFIXES

        manifests = [manifest for source in sources for manifest in source]
        total = sum(m.files["evidence"].bytes for m in manifests if "evidence" in m.files)
        count = max(1, min(PREFIXES, -(-total // int(self.resources.memory_gb * (1 << 28)))))
        return range_units(count, total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `verdicts`: documents, their leaders and the similarity of the two."""
        import numpy as np

        from . import arrays
        from .clusters import rank_order
        from .verify import assign_leaders

        signatures, manifests = work.manifests(self.signatures), work.manifests(self.candidates)
        same([*signatures, *manifests], unit)
        bases = arrays.bases(signatures)
        by_unit = {m.spec["source_unit"]: m for m in manifests}
        parts, ranks, ordinals, sets = [], [], [], []
        for signature, base in zip(signatures, bases.tolist(), strict=False):
            manifest = by_unit.get(signature.unit)
            if manifest is None:
                continue
            index = arrays.read(work.out, manifest, "index", np.dtype("<i8"))
            low, high = int(index[unit.spec["first"]]), int(index[unit.spec["last"]])
            if low == high:
                continue
            rows = arrays.read(work.out, manifest, "candidates", arrays.CANDIDATES)
            ends = np.cumsum(rows["count"])
            starts = ends - rows["count"]
            flat = arrays.read(
                work.out,
                manifest,
                "evidence",
                np.dtype("<u8"),
                int(starts[low]),
                int(ends[high - 1]),
            )
            rows = rows[low:high]
            sets += np.split(flat, (ends[low:high] - starts[low])[:-1])
            parts.append(rows["cluster"])
            ordinals.append(rows["row"].astype(np.int64) + base)
            ranks.append(arrays.read(work.out, signature, "ranks", arrays.RANKS)[rows["row"]])
        found = np.empty(sum(map(len, parts)), arrays.VERDICTS)
        refused = 0
        if len(found):
            cluster, rank = np.concatenate(parts), np.concatenate(ranks)
            ordinal = np.concatenate(ordinals)
            order = rank_order(rank["date"], rank["chars"], rank["id"], self.keep)
            order = order[np.argsort(cluster[order], kind="stable")]
            bounds = np.flatnonzero(np.append(True, np.diff(cluster[order]) != 0))
            filled = 0
            for group in np.split(order, bounds[1:]):
                verdict = assign_leaders((sets[at] for at in group.tolist()), self.verify)
                span = slice(filled, filled + len(group))
                found["document"][span] = ordinal[group]
                found["leader"][span] = ordinal[group[verdict.leaders]]
                found["similarity"][span] = verdict.similarities
                refused += verdict.refused
                filled += len(group)
        arrays.write(work, "verdicts", found)
        # Every member but the first of its cluster was to be removed; a refused one is kept.
        clusters = len(np.unique(np.concatenate(parts))) if parts else 0
        counts = StepCounts(self.name, len(found) - clusters)
        if refused:
            counts.dropped["not_similar_enough"] = refused
        work.manifest.steps = [counts]
        work.manifest.entered, work.manifest.kept = counts.entered, counts.kept
        work.manifest.dropped = refused


@dataclass(frozen=True)
class ProvenStage(WholeStage):
    """One unit: the members of clusters again, of those whose similarity is proven."""

    name: str
    documents: StageKind
    signatures: SignatureStage
    compared: CompareStage
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The verdicts, the signatures for ranks, and the documents for ids and URLs."""
        return (self.signatures, self.compared, self.documents)

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the one unit."""
        digest = digest_of([*sources[0], *sources[1]])
        return [Unit(f"all-{digest}", 1, {"inputs": digest})]

    def process(self, unit: Unit, work: Work) -> None:
        """Write the members, as ClusterStage does."""
        import numpy as np

        from . import arrays

        signatures, compared = work.manifests(self.signatures), work.manifests(self.compared)
        same([*signatures, *compared], unit)
        verdicts = np.concatenate(
            [
                np.empty(0, arrays.VERDICTS),
                *(arrays.read(work.out, m, "verdicts", arrays.VERDICTS) for m in compared),
            ]
        )
        verdicts = verdicts[np.argsort(verdicts["document"])]
        leaders = np.searchsorted(verdicts["document"], verdicts["leader"])
        sizes = np.bincount(leaders, minlength=len(leaders))[leaders]
        spans = Span.of(work, self.documents, signatures, verdicts["document"])
        write_members(
            work,
            spans,
            verdicts["document"],
            leaders,
            sizes,
            verdicts["similarity"],
            self.compared.verify,
        )
        work.manifest.steps = [StepCounts(self.name, len(verdicts))]
        work.manifest.entered = work.manifest.kept = len(verdicts)
