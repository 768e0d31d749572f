"""Outcomes of all units together, and the documents with theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dedup.signatures import digest_of, same
from ..document import Document
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Annotator, Reader
from . import tables

if TYPE_CHECKING:
    from ..task import Work

_BLOCK_ROWS = 500_000  # of outcomes in memory at a time


@dataclass(frozen=True)
class OutcomeStage(WholeStage):
    """One unit: all outcomes, in a row group for each unit of the documents."""

    name: str
    urls: StageKind
    fetched: StageKind
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The URLs, for their units, and what became of them."""
        return (self.urls, self.fetched)

    def identity(self) -> Mapping[str, Any]:
        """The version."""
        return {"version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the one unit."""
        name = digest_of([*sources[0], *sources[1]])
        return [Unit(f"all-{name}", 1, {"inputs": name})]

    def process(self, unit: Unit, work: Work) -> None:
        """Write `outcomes`, and note the row group of each unit that has any, and its digest."""
        urls, fetched = work.manifests(self.urls), work.manifests(self.fetched)
        same([*urls, *fetched], unit)
        units: dict[str, tuple[int | None, str]] = {}
        schema = tables.outcome_schema()
        groups = self._groups(urls, fetched, units, work, schema)
        tables.write(work, "outcomes", work.path("outcomes.parquet"), groups, schema)
        work.manifest.details["units"] = units
        total = work.rows["outcomes"]
        work.manifest.steps = [StepCounts(self.name, total)]
        work.manifest.entered = work.manifest.kept = total

    def _groups(
        self,
        urls: Sequence[Manifest],
        fetched: Sequence[Manifest],
        units: dict[str, tuple[int | None, str]],
        work: Work,
        schema: Any,
    ) -> Iterator[Any]:
        import pyarrow as pa

        first = group = 0
        while first < len(urls):
            last, size = first, 0
            while last < len(urls) and (last == first or size < _BLOCK_ROWS):
                size += urls[last].files["urls"].rows
                last += 1
            by_unit: dict[int, list[dict[str, Any]]] = {at: [] for at in range(first, last)}
            for manifest in fetched if size else ():
                rows = tables.read_range(work, manifest, "outcomes", "source", first, last)
                for row in rows:
                    by_unit[row["source"]].append(row)
            for at, rows in by_unit.items():
                rows.sort(key=lambda row: int(row["row"]))
                units[urls[at].unit] = (group if rows else None, tables.digest(rows))
                if rows:
                    group += 1
                    yield pa.Table.from_pylist(rows, schema=schema)
            first = last


@dataclass(frozen=True)
class RefetchedStage(WholeStage):
    """Per unit: all documents, and where the whole original of a truncated one is."""

    per_unit = True

    name: str
    documents: StageKind
    outcomes: OutcomeStage
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents and what became of their URLs."""
        return (self.documents, self.outcomes)

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the documents, and three more; `payload_digest` becomes that of what came."""
        return {**self.documents.columns, **_Mark.columns}

    def identity(self) -> Mapping[str, Any]:
        """The version."""
        return {"version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units of the documents; the name changes with the unit's outcomes."""
        documents, outcomes = sources
        known = {unit: entry for one in outcomes for unit, entry in one.details["units"].items()}
        units = []
        for manifest in documents:
            if manifest.unit in known:  # else its URLs could not be listed
                group, digest = known[manifest.unit]
                spec = {"source_unit": manifest.unit, "group": group}
                size = manifest.files["documents"].bytes
                units.append(Unit(f"{manifest.unit}-{digest}", size, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Mark each document."""
        (outcomes,) = work.manifests(self.outcomes)
        group = unit.spec["group"]
        wanted = ("row", "outcome", "payload_digest", "refetch_path", "refetch_offset")
        rows = []
        if group is not None:
            rows = work.table(outcomes, wanted, "outcomes", group).to_pylist()
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            digested = "payload_digest" in self.documents.columns
            work.flow(entries, (_Mark({row["row"]: row for row in rows}, digested),))


class _Mark(Annotator):
    """Sets the outcome of documents, known by their row; made anew for each unit."""

    name = "refetched"
    columns = {"refetch": "string", "refetch_path": "string", "refetch_offset": "int64"}

    def __init__(self, outcomes: Mapping[int, Mapping[str, Any]], digested: bool) -> None:
        self._outcomes = outcomes
        self._digested = digested
        self._row = -1

    def annotate(self, doc: Document) -> None:
        self._row += 1
        found = self._outcomes.get(self._row, {})
        doc.metadata["refetch"] = found.get("outcome")
        doc.metadata["refetch_path"] = found.get("refetch_path")
        doc.metadata["refetch_offset"] = found.get("refetch_offset")
        if self._digested and found.get("refetch_path"):
            # That of the cut payload says nothing of the whole one: others may begin like it.
            doc.metadata["payload_digest"] = found["payload_digest"]
