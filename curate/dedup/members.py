"""The members of clusters: documents that share a bucket, and who is kept of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Reader
from .containment import ContainedStage
from .earlier import Name, earlier_names, names_schema
from .member_files import Members, Span, write_members
from .memory import check_memory
from .signatures import BucketStage, SignatureStage, digest_of, same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..task import Work

Keep = Literal["first", "longest"]
Measure = Literal["jaccard", "containment"]

# Peak memory, measured on 10 million documents: of each, of each that is in a cluster, and, while
# names are looked up, of each that is in a cluster and of each that is kept.
_BYTES_PER_DOCUMENT = 4
_BYTES_PER_MEMBER = 100
_BYTES_PER_NAMED = 24, 300


@dataclass(frozen=True)
class ClusterStage(WholeStage):
    """One unit: connected components of all pairs, and the document to keep of each."""

    name: str
    documents: StageKind
    signatures: SignatureStage
    buckets: BucketStage
    keep: Keep
    contained: ContainedStage | None = None
    marks: bool = False
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures, the pairs, and the documents for their ids and URLs."""
        contained = (self.contained,) if self.contained else ()
        return (self.signatures, self.buckets, self.documents, *contained)

    def identity(self) -> Mapping[str, Any]:
        """The rule, and what is done with documents of earlier runs."""
        return {"keep": self.keep, "marks": self.marks, "version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the one unit."""
        signatures, buckets, _, *contained = sources
        digest = digest_of([*signatures, *buckets, *(m for one in contained for m in one)])
        return [Unit(f"all-{digest}", 1, {"inputs": digest})]

    def process(self, unit: Unit, work: Work) -> None:
        """Write the members of clusters, unit by unit, and note which units changed."""
        import numpy as np

        from . import arrays
        from .clusters import Components, canonicals, clustered

        signatures, buckets = work.manifests(self.signatures), work.manifests(self.buckets)
        contained = work.manifests(self.contained) if self.contained else []
        same([*signatures, *buckets, *contained], unit)
        bases = arrays.bases(signatures)
        total = int(bases[-1])
        components = Components(total)
        for manifest, base in zip(signatures, bases.tolist(), strict=False):
            edges = arrays.read(work.out, manifest, "edges", arrays.PAIRS)
            components.add(edges.astype(np.int64) + base)
        for manifest in [*buckets, *contained]:
            components.add(arrays.read(work.out, manifest, "pairs", arrays.PAIRS))
        labels = components.labels()
        found = self._found(work, buckets, labels)
        members = clustered(labels, found["document"])
        compact = np.searchsorted(members, labels[members])
        found["document"] = np.searchsorted(members, found["document"])
        del components, labels
        num_clusters = int(np.count_nonzero(compact == np.arange(len(compact))))
        of_member, of_name = _BYTES_PER_NAMED
        check_memory(
            self.name,
            f"{total:,} documents, {len(members):,} of them in {num_clusters:,} clusters,",
            total * _BYTES_PER_DOCUMENT
            + max(
                len(members) * _BYTES_PER_MEMBER, len(members) * of_member + num_clusters * of_name
            ),
        )
        spans = Span.of(work, self.documents, signatures, members)
        parts = [
            arrays.read(work.out, manifest, "ranks", arrays.RANKS)[
                members[span.members] - span.base
            ]
            for manifest, span in zip(signatures, spans, strict=True)
            if span.members.start < span.members.stop
        ]
        ranks = np.concatenate([np.empty(0, arrays.RANKS), *parts])
        del parts
        sizes, canonical = canonicals(
            compact, ranks["date"], ranks["chars"], ranks["id"], self.keep
        )
        originals, names = None, None
        if self.buckets.against:
            found["document"] = canonical[found["document"]]
            of_canonical, names = self._known(work, found, ranks["id"])
            originals = of_canonical[canonical]
        del ranks, compact
        write_members(
            work,
            spans,
            Members(members, canonical, sizes, originals=originals, names=names, marks=self.marks),
        )
        work.manifest.steps = [StepCounts(self.name, total)]
        work.manifest.entered = work.manifest.kept = total

    def _found(self, work: Work, buckets: list[Manifest], labels: NDArray[Any]) -> NDArray[Any]:
        """Return which clusters earlier runs know: rows of arrays.EARLIER, by the clusters' labels.

        A document shares up to all of its keys with an earlier one: each pair is kept once.
        """
        import numpy as np

        from . import arrays

        found = np.empty(0, arrays.EARLIER)
        for manifest in buckets if self.buckets.against else ():
            part = arrays.read(work.out, manifest, "earlier", arrays.EARLIER).copy()
            part["document"] = labels[part["document"]]
            found = np.unique(np.concatenate((found, part)))
        return found

    def _known(
        self, work: Work, found: NDArray[Any], ids: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], Any]:
        """Return for each member, if it is canonical, which earlier document its cluster is of.

        That is the first one of the first run that knows it. Writes `earlier`, all that may be
        proven to be it, and notes which rows are of which unit there.

        Args:
            work: the unit.
            found: rows of arrays.EARLIER; `document` is the place of the cluster's canonical.
            ids: hashes of the ids of all members.

        Returns:
            Places in a table of names, -1 for none, and the table.
        """
        import numpy as np
        import pyarrow as pa

        from . import arrays

        runs = self.buckets.against
        removed: list[Name] = []  # those that a run before its own stands for
        of_removed = np.full(len(found), -1, np.int64)
        for number, run in enumerate(runs):
            own = np.flatnonzero(found["run"] == number)
            theirs, places = np.unique(found["earlier"][own], return_inverse=True)
            leaders, names = run.kept(theirs)
            found["earlier"][own] = np.where(leaders >= 0, leaders, theirs)[places]
            gone = np.flatnonzero(leaders[places] < 0)
            of_removed[own[gone]] = len(removed) + np.arange(len(gone))
            removed += [names[int(theirs[places[at]])] for at in gone.tolist()]
        known = np.empty(len(found), arrays.KNOWN)
        known["run"], known["earlier"] = found["run"], found["earlier"]
        known["cluster"] = ids[found["document"]]
        kept = of_removed < 0
        self._write_known(work, np.unique(known[kept]))
        names_of = np.empty(len(found), np.int64)
        table, names_of[kept] = earlier_names(runs, known[kept])
        names_of[~kept] = len(table) + of_removed[~kept]
        columns = [[name[at] for name in removed] for at in (0, 1)]
        table = pa.concat_tables([table, pa.table(columns, schema=names_schema())])
        order = np.lexsort((found["earlier"], found["run"], found["document"]))[::-1]
        originals = np.full(len(ids), -1, np.int64)
        originals[found["document"][order]] = names_of[order]  # of several the first, set last
        return originals, table.combine_chunks()

    def _write_known(self, work: Work, known: NDArray[Any]) -> None:
        """Write the earlier documents of each cluster, and note which are of which unit there."""
        import numpy as np

        from . import arrays

        slices = []
        for number, run in enumerate(self.buckets.against):
            start, stop = np.searchsorted(known["run"], (number, number + 1)).tolist()
            bounds = start + np.searchsorted(known["earlier"][start:stop], run.bases)
            for unit in np.flatnonzero(np.diff(bounds)).tolist():
                low, high = int(bounds[unit]), int(bounds[unit + 1])
                digest = hashlib.sha256(known[low:high].tobytes()).hexdigest()[:10]
                slices.append((number, unit, low, high, digest))
        arrays.write(work, "earlier", known)
        work.manifest.details["earlier"] = slices
