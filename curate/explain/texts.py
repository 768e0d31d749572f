"""The texts of chosen documents: what a stage kept, or what it saw of those it did not keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .marks import marked_lines
from .run_files import RunFiles, StageFiles, read_columns, read_rows

if TYPE_CHECKING:
    from .show import Shown


def fill_texts(run: RunFiles, documents: Iterable[Shown], reason: str = "") -> None:
    """Set text and marks of documents, file by file.

    Args:
        run: where they are from.
        documents: what is chosen; those whose text is in no file keep None.
        reason: what the marks shall show; each document's own reason when empty.
    """
    groups: dict[tuple[str, str], list[Shown]] = defaultdict(list)
    for shown in documents:
        groups[shown.stage, shown.unit].append(shown)
    for (name, unit), there in groups.items():
        stage = run.stage(name)
        _fill(stage, unit, [one for one in there if one.outcome == "kept"])
        others = [one for one in there if one.outcome != "kept"]
        source = run.source_of(stage)
        above = source and _unit_above(source, stage, unit)
        if source and above:
            _take(source.file(above, "documents"), {one.row: one for one in others})
        _fill_samples(stage, unit, [one for one in others if one.text is None])
        for shown in there:
            if shown.text is not None and shown.outcome != "failed":
                shown.marks = sorted(marked_lines(reason or shown.reason or "", shown.text))


def _unit_above(source: StageFiles, stage: StageFiles, unit: str) -> str | None:
    if unit in source.decisions:
        return unit
    return next((one for one in source.units if stage.of_source(one) == unit), None)


def _fill(stage: StageFiles, unit: str, kept: list[Shown]) -> None:
    """Set the texts of kept documents."""
    if kept:
        rows = stage.document_rows(unit)
        _take(stage.file(unit, "documents"), {rows[one.row]: one for one in kept})


def _take(path: str | None, wanted: dict[int, Shown]) -> None:
    rows = sorted(wanted)
    found = read_rows(path, rows, ("id", "text")) if path and rows else []
    for number, row in zip(rows, found, strict=False):
        if row["id"] == wanted[number].id:
            wanted[number].text = row["text"]


def _fill_samples(stage: StageFiles, unit: str, dropped: list[Shown]) -> None:
    path = stage.file(unit, "samples") if dropped and stage.is_done(unit) else None
    if path is None:
        return
    ids = [one.id for one in dropped]
    decided, sampled = _places(stage.decisions[unit], ids), _places(path, ids)
    wanted = {}
    for one in dropped:
        # Records of one id and reason are in the order of the input; of some there is no sample.
        rows, places = decided[one.id, one.reason], sampled.get((one.id, one.reason), [])
        if len(rows) == len(places):
            wanted[places[rows.index(one.row)]] = one
    _take(path, wanted)


def _places(path: str, ids: list[str]) -> dict[tuple[str, str | None], list[int]]:
    """Return the rows of records with these ids, by id and reason."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_columns(path, ("id", "reason"))
    rows = pc.indices_nonzero(pc.is_in(table.column("id"), pa.array(ids, pa.string())))
    found: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for row, one in zip(rows.to_pylist(), table.take(rows).to_pylist(), strict=True):
        found[one["id"], one["reason"]].append(row)
    return found
