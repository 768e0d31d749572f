"""Proof before delete, as stages: candidates per unit, compared per range of clusters, proven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Reader
from .earlier import earlier_names
from .member_files import Members, Span, write_members
from .members import ClusterStage, Keep, Measure
from .minhash import MinHashParams
from .signatures import SignatureStage, digest_of, range_units, same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        return {"params": self.params, "version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units that hold members of clusters, and those of earlier runs that do."""
        documents, clusters = sources
        (details,) = (one.details for one in clusters)
        units = []
        for manifest in documents:
            role, group, digest = details["units"].get(manifest.unit, (None, 0, ""))
            if role is not None:
                spec = {"source_unit": manifest.unit, "members": role, "group": group}
                name = f"{manifest.unit}-{digest}"
                units.append(Unit(name, manifest.files["documents"].bytes, spec))
        for run, number, first, last, digest in details.get("earlier", []):
            spec = {"run": run, "number": number, "first": first, "last": last}
            units.append(Unit(f"earlier-{run}-{number:06d}-{digest}", last - first, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Write `candidates`, `index` and `evidence`; their ranks are among the candidates."""
        import numpy as np

        from . import arrays

        counts = StepCounts(self.name)
        sets: list[NDArray[np.uint64]] = []
        if "run" in unit.spec:
            found = self._of_earlier_run(unit, work, sets)
        else:
            found = self._of_unit(unit, work, sets)
        found["count"] = [len(one) for one in sets]
        counts.entered = len(found)
        order = np.argsort(found["cluster"], kind="stable")
        found = found[order]
        arrays.write(work, "candidates", found)
        arrays.write(work, "index", arrays.prefix_index(found["cluster"]))
        arrays.write_parts(work, "evidence", (sets[at] for at in order.tolist()))
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = counts.entered

    def _of_unit(self, unit: Unit, work: Work, sets: list[NDArray[np.uint64]]) -> NDArray[Any]:
        """Return the unit's candidates, and add the evidence of each to `sets`."""
        import numpy as np

        from . import arrays
        from .minhash import evidence

        (clusters,) = work.manifests(self.clusters)
        table = work.table(clusters, ("row", "cluster"), unit.spec["members"], unit.spec["group"])
        found = np.empty(len(table), arrays.CANDIDATES)
        found["row"] = table["row"].to_numpy()
        found["cluster"] = [int(name, 16) for name in table["cluster"].to_pylist()]
        signatures = {one.unit: one for one in work.manifests(self.clusters.signatures)}
        own = signatures[unit.spec["source_unit"]]
        found["rank"] = arrays.read(work.out, own, "ranks", arrays.RANKS)[found["row"]]
        wanted = set(found["row"].tolist())
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            for row, (doc, _) in enumerate(entries.records):
                if row in wanted:
                    sets.append(evidence(doc.text, self.params))
                    work.progress(len(sets), entries.fraction)
        return found

    def _of_earlier_run(
        self, unit: Unit, work: Work, sets: list[NDArray[np.uint64]]
    ) -> NDArray[Any]:
        """Return documents of an earlier run as candidates; `row` is their place in `earlier`."""
        import numpy as np

        from ..stored import read_documents
        from . import arrays
        from .minhash import evidence

        (clusters,) = work.manifests(self.clusters)
        span, number = (unit.spec["first"], unit.spec["last"]), unit.spec["number"]
        run = self.clusters.buckets.against[unit.spec["run"]]
        known = arrays.read(work.out, clusters, "earlier", arrays.KNOWN, *span)
        rows = known["earlier"] - run.bases[number]
        found = np.empty(len(known), arrays.CANDIDATES)
        found["row"] = np.arange(*span)
        found["cluster"] = known["cluster"]
        found["rank"] = arrays.read(run.out, run.signatures[number], "ranks", arrays.RANKS)[rows]
        repeats = Counter(rows.tolist())
        documents = read_documents(run.out, run.documents(number), 0, int(rows.max()) + 1)
        for row, doc in enumerate(documents):
            if row in repeats:
                sets += [evidence(doc.text, self.params)] * repeats[row]
                work.progress(len(sets), lambda: 0.5)
        return found


@dataclass(frozen=True)
class CompareStage(WholeStage):
    """Per range of clusters: whom each candidate is similar enough to."""

    name: str
    signatures: SignatureStage
    candidates: CandidateStage
    keep: Keep
    verify: float
    measure: Measure = "jaccard"
    resources: Resources = Resources()

    def __post_init__(self) -> None:
        if not 0 < self.verify <= 1:
            raise DefinitionError(f"verify={self.verify} must be above 0 and at most 1.")

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures, for how documents are counted, and the candidates."""
        return (self.signatures, self.candidates)

    def identity(self) -> Mapping[str, Any]:
        """Rule, threshold and measure."""
        return {"keep": self.keep, "verify": self.verify, "measure": self.measure, "version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the clusters into as many ranges as a worker's memory asks for."""
        manifests = [manifest for source in sources for manifest in source]
        total = sum(m.files["evidence"].bytes for m in manifests if "evidence" in m.files)
        # To find who contains whom, all shingles of who is kept are indexed, else a fifth of them.
        share = 1 << (28 if self.measure == "jaccard" else 27)
        count = -(-total // int(self.resources.memory_gb * share))
        return range_units(count, total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `verdicts`: documents, their leaders and the similarity of the two."""
        import numpy as np

        from . import arrays

        signatures, manifests = work.manifests(self.signatures), work.manifests(self.candidates)
        same([*signatures, *manifests], unit)
        bases = arrays.bases(signatures).tolist()
        starts = {one.unit: base for one, base in zip(signatures, bases, strict=False)}
        parts, ordinals, runs = [np.empty(0, arrays.CANDIDATES)], [np.empty(0, np.int64)], []
        sets: list[NDArray[np.uint64]] = []
        for manifest, (low, high) in zip(
            manifests, arrays.spans(work.out, manifests, "index", unit), strict=True
        ):
            if low == high:
                continue
            rows = arrays.read(work.out, manifest, "candidates", arrays.CANDIDATES, 0, high)
            ends = np.cumsum(rows["count"])
            span = int(ends[low] - rows["count"][low]), int(ends[-1])
            flat = arrays.view(work.out, manifest, "evidence", np.dtype("<u8"), *span)
            sets += np.split(flat, ends[low:-1] - span[0])
            parts.append(rows[low:])
            base = starts.get(manifest.spec.get("source_unit", ""), 0)
            ordinals.append(rows["row"][low:] + np.int64(base))
            runs += [manifest.spec.get("run", -1)] * (high - low)
        verdicts, counts = self._verdicts(
            np.concatenate(parts), np.concatenate(ordinals), np.array(runs, np.int64), sets
        )
        arrays.write(work, "verdicts", verdicts)
        work.manifest.steps = [counts]
        work.manifest.entered, work.manifest.kept = counts.entered, counts.kept
        work.manifest.dropped = counts.dropped.total()

    def _verdicts(
        self,
        candidates: NDArray[Any],
        ordinals: NDArray[np.int64],
        runs: NDArray[np.int64],
        sets: Sequence[NDArray[np.uint64]],
    ) -> tuple[NDArray[Any], StepCounts]:
        """Compare the candidates, cluster by cluster.

        Args:
            candidates: rows of arrays.CANDIDATES.
            ordinals: of the documents; of an earlier run's, the place in `earlier`.
            runs: the number of each document's earlier run; -1 for those of this run.
            sets: their evidence.
        """
        import numpy as np

        from . import arrays
        from .clusters import rank_order
        from .verify import assign_leaders, find_leaders

        rank = candidates["rank"]
        order = rank_order(rank["date"], rank["chars"], rank["id"], self.keep)
        if self.measure == "containment":
            order = order[np.argsort(-candidates["count"][order], kind="stable")]
        # Within a cluster: first those of earlier runs, the first run's first, then the others.
        run = np.where(runs < 0, np.iinfo(np.int64).max, runs)
        order = order[np.argsort(run[order], kind="stable")]
        order = order[np.argsort(candidates["cluster"][order], kind="stable")]
        found = np.empty(int(np.count_nonzero(runs < 0)), arrays.VERDICTS)
        counts = StepCounts(self.name)
        marks = self.candidates.clusters.marks
        filled = refused = 0
        bounds = np.flatnonzero(np.diff(candidates["cluster"][order])) + 1
        for group in np.split(order, bounds) if len(order) else ():
            earlier, own = group[runs[group] >= 0], group[runs[group] < 0]
            given = [sets[at] for at in earlier.tolist()]
            verdict = assign_leaders(
                (sets[at] for at in own.tolist()), self.verify, self.measure, () if marks else given
            )
            leaders = np.where(verdict.leaders < 0, np.arange(len(own)), verdict.leaders)
            places = np.where(verdict.leaders < 0, -1 - verdict.leaders, -1)
            if marks and given:
                leads = leaders == np.arange(len(own))
                kept = (sets[at] for at in own[leads].tolist())
                places[leads] = find_leaders(kept, self.verify, self.measure, given)
            span = slice(filled, filled + len(own))
            found["document"][span] = ordinals[own]
            found["leader"][span] = ordinals[own[leaders]]
            found["similarity"][span] = verdict.similarities
            found["earlier"][span] = -1
            known = np.flatnonzero(places >= 0)
            found["earlier"][filled + known] = ordinals[earlier[places[known]]]
            filled += len(own)
            # Every member but the first was to be removed; a refused one is kept.
            counts.entered += len(own) - (marks or not given)
            refused += verdict.refused
        if refused:
            counts.dropped["not_similar_enough"] = refused
        return found, counts


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

    def identity(self) -> Mapping[str, Any]:
        """The version."""
        return {"version": 2}

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
        documents = verdicts["document"].copy()
        leaders = np.searchsorted(documents, verdicts["leader"])
        sizes = np.bincount(leaders, minlength=len(leaders))[leaders]
        clusters = self.compared.candidates.clusters
        originals, names = None, None
        if clusters.buckets.against:
            originals, names = self._originals(work, verdicts["earlier"])
            if not clusters.marks:
                led = np.flatnonzero(originals >= 0)
                sizes[led] = np.bincount(originals[led])[originals[led]]
        members = Members(
            documents,
            leaders,
            sizes,
            verdicts["similarity"].copy(),
            self.compared.verify,
            originals,
            names,
            clusters.marks,
        )
        del verdicts
        spans = Span.of(work, self.documents, signatures, documents)
        write_members(work, spans, members)
        work.manifest.steps = [StepCounts(self.name, len(documents))]
        work.manifest.entered = work.manifest.kept = len(documents)

    def _originals(self, work: Work, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
        """Return which earlier document each verdict names, -1 for none, and a table of these."""
        import numpy as np

        from . import arrays

        clusters = self.compared.candidates.clusters
        (manifest,) = work.manifests(clusters)
        known = arrays.read(work.out, manifest, "earlier", arrays.KNOWN)
        having = places >= 0
        originals = np.full(len(places), -1, np.int64)
        names, originals[having] = earlier_names(clusters.buckets.against, known[places[having]])
        return originals, names
