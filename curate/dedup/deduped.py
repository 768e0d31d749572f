"""The documents without those that others stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..document import Document
from ..manifest import Manifest
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Drop, Duplicate, Filter, Reader

if TYPE_CHECKING:
    from ..task import Work


@dataclass(frozen=True)
class DedupedStage(WholeStage):
    """Per unit: the documents without those that duplicate another."""

    per_unit = True

    name: str
    documents: StageKind
    clusters: StageKind
    step: str
    column: str
    mark_column: str = ""
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents and their clusters."""
        return (self.documents, self.clusters)

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the documents, and the size of the cluster."""
        marks = {self.mark_column: "string"} if self.mark_column else {}
        return {**self.documents.columns, self.column: "int64", **marks}

    def identity(self) -> Mapping[str, Any]:
        """The columns, and with them what is done with duplicates of earlier runs."""
        return {"column": self.column, "mark_column": self.mark_column, "version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units of the documents; the name changes with the unit's clusters."""
        documents, clusters = sources
        known = {unit: entry for one in clusters for unit, entry in one.details["units"].items()}
        units = []
        for manifest in documents:
            if manifest.unit not in known:  # its signatures failed: not told from duplicates
                continue
            role, group, digest = known[manifest.unit]
            spec = {"source_unit": manifest.unit, "members": role, "group": group}
            size = manifest.files["documents"].bytes
            units.append(Unit(f"{manifest.unit}-{digest}", size, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Drop the documents that another stands for."""
        (clusters,) = work.manifests(self.clusters)
        role = unit.spec["members"]
        rows = work.table(clusters, (), role, unit.spec["group"]).to_pylist() if role else []
        members = {row.pop("row"): row for row in rows}
        step = _DuplicateFilter(self.step, members, self.column, self.mark_column)
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            work.flow(entries, (step,))


class _DuplicateFilter(Filter):
    """Drops the members of clusters, known by their row; made anew for each unit."""

    reasons = ("duplicate", "duplicate_of_earlier_run")

    def __init__(
        self, name: str, members: Mapping[int, Mapping[str, Any]], column: str, mark_column: str
    ) -> None:
        self.name = name  # type: ignore[misc]  # one class for two kinds of deduplication
        self._column = column
        self._mark = mark_column
        self._members = members
        self._row = -1

    def reject(self, doc: Document) -> Drop | None:
        self._row += 1
        member = self._members.get(self._row)
        doc.metadata[self._column] = member["size"] if member else 1
        if self._mark:
            doc.metadata[self._mark] = member["earlier"] if member else None
        if member is None or member["canonical"]:
            return None
        duplicate = Duplicate(
            member["cluster"], member["size"], member["duplicate_of"], member["duplicate_of_url"]
        )
        reason = "duplicate" if member["leader"] is not None else "duplicate_of_earlier_run"
        return Drop(reason, member["similarity"], member["threshold"], duplicate)
