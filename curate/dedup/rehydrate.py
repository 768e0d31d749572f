"""Repeat documents by the size of their cluster, when a training mix is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..decisions import DecisionWriter
from ..document import DocumentWriter, schema
from ..errors import DefinitionError
from ..manifest import StepCounts
from ..pipeline import Resources, StageKind, Unit
from ..steps import Drop, Failure, Reader

if TYPE_CHECKING:
    from ..task import Work

# FineWeb-2 (arXiv:2506.20920, section 5): smallest cluster size, and how often its page is used.
# Pages copied a thousand times and more are mostly boilerplate.
FINEWEB2_WEIGHTS = ((1, 1), (2, 2), (3, 3), (5, 5), (100, 8), (1000, 1))


def rehydrate(
    source: StageKind,
    weights: tuple[tuple[int, int], ...] = FINEWEB2_WEIGHTS,
    column: str = "minhash_cluster_size",
) -> StageKind:
    """Return a stage that repeats each document as often as its cluster's size asks for.

    Args:
        source: documents that `minhash_dedup` left.
        weights: pairs (smallest cluster size, times), sizes ascending from 1; 0 times drops as
            `left_out` (value: the size).
        column: the cluster's size; a document without one fails as `no_size`.
    """
    sizes = [size for size, _ in weights]
    if not sizes or sizes[0] != 1 or sizes != sorted(set(sizes)) or min(t for _, t in weights) < 0:
        raise DefinitionError(
            f"rehydrate: weights {weights!r} are not allowed: pairs (size, times), sizes ascending"
            " from 1, times 0 or more."
        )
    if column not in source.columns:
        raise DefinitionError(
            f"rehydrate: no step before it makes the column {column!r}. Put it after minhash_dedup."
        )
    return RehydrateStage(source, weights, column)


@dataclass(frozen=True)
class RehydrateStage(StageKind):
    """Per unit: the documents, each repeated by its weight, the copies next to each other."""

    source: StageKind
    weights: tuple[tuple[int, int], ...]
    column: str
    name: str = "rehydrate"
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents."""
        return (self.source,)

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the documents."""
        return self.source.columns

    def identity(self) -> Mapping[str, Any]:
        """The weights."""
        return {"weights": self.weights, "column": self.column, "version": 2}

    def process(self, unit: Unit, work: Work) -> None:
        """Write the copies; the ledger counts documents, the file's rows count copies."""
        counts = StepCounts(self.name)
        with (
            work.open(self.source, unit) as entries,
            work.create("documents", work.path("parquet")) as documents,
            work.create("decisions", work.path("decisions.parquet")) as decisions,
        ):
            writer = DocumentWriter(documents, schema(self.columns, self.file_metadata()))
            decision_writer = DecisionWriter(decisions)
            for doc, _ in entries.records:
                counts.entered += 1
                fate = self.fate(doc.metadata[self.column])
                if isinstance(fate, Drop):
                    counts.dropped[fate.reason] += 1
                    work.manifest.dropped += 1
                elif isinstance(fate, Failure):
                    counts.failed[fate.reason] += 1
                    work.manifest.failed += 1
                else:
                    for _ in range(self.weight(doc.metadata[self.column])):
                        writer.add(doc)
                        work.manifest.text_chars += len(doc.text)
                    work.manifest.kept += 1
                decision_writer.add(doc, self.name, fate)
                work.progress(counts.entered, entries.fraction)
            writer.close()
            decision_writer.close()
        work.rows = {"documents": writer.rows, "decisions": decision_writer.rows}
        work.manifest.steps = [counts]
        work.manifest.entered = counts.entered

    def weight(self, cluster_size: int) -> int:
        """Return how often a document of a cluster of this size is used."""
        return next(times for size, times in reversed(self.weights) if cluster_size >= size)

    def fate(self, cluster_size: int | None) -> Drop | Failure | None:
        """Return why a document of a cluster of this size is not used, or None if it is."""
        if cluster_size is None or cluster_size < 1:
            return Failure("no_size", f"{self.column} is {cluster_size}")
        return None if self.weight(cluster_size) else Drop("left_out", value=cluster_size)
