"""The way of a record through all stages of a run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ..document import Document
from ..errors import CurateError
from ..plan import Plan
from ..storage import join
from .index import Index, Tell, search
from .measure import Measure, Rule, gauges
from .run_files import Place, RunFiles, StageFiles, measured, read_columns, read_rows
from .safe_text import visible

_MANY_FILES = 2_000
_DIFF_LINES = 400
_SHOWN_LINES = 6
_WORD = re.compile(r"\w+")

Entry = dict[str, Any]


class Explainer:
    """Explains the records of one run.

    Args:
        out: the run's folder.
        tell: told what takes long.
    """

    def __init__(self, out: str, tell: Tell = lambda _: None) -> None:
        self.run = RunFiles(out)
        self._index = Index(self.run, tell)
        self._tell = tell

    def find(self, query: str, limit: int = 5) -> list[Place]:
        """Return the records of this id or URL, else those whose URL or id holds the text."""
        self._index.update()
        return self._index.find(query)[: limit + 1] or search(self.run, query, limit + 1)

    def neighbours(self, query: str) -> list[str]:
        """Return URLs of the run on the host that a URL names."""
        host = query.partition("://")[2].partition("/")[0] or query.partition("/")[0]
        places = search(self.run, f"//{host}/", 3) if "." in host else []
        return [str(self._decision(place)["url"]) for place in places]

    def trace(self, place: Place) -> list[Entry]:
        """Return one entry for each stage that the record came to, in order."""
        entries: list[Entry] = []
        here: Place | None = place
        before: tuple[StageFiles, str, int] | None = None
        while here is not None:
            stage = self.run.stage(here.stage)
            decision = self._decision(here)
            entry = self._entry(stage, here, decision, before)
            entries.append(entry)
            if decision["outcome"] != "kept":
                return entries
            row = self._document_row(here)
            before = (stage, here.unit, row)
            entry.update(self._document(*before))
            here = self._next(stage, here.unit, row, decision["id"], entries)
        if before is not None and before[0] is self.run.output:
            entries.append(self._published(*before))
        elif before is not None:
            entries += self._undone(before[0], before[1])
        return entries

    def _decision(self, place: Place) -> dict[str, Any]:
        path = self.run.stage(place.stage).decisions[place.unit]
        return read_rows(path, [place.row])[0]

    def _entry(
        self,
        stage: StageFiles,
        place: Place,
        decision: dict[str, Any],
        before: tuple[StageFiles, str, int] | None,
    ) -> Entry:
        manifest = stage.manifest(place.unit)
        entry: Entry = {
            "stage": stage.name,
            "outcome": decision["outcome"],
            "step": decision["reason"] and decision["reason"].partition("/")[0],
            "reason": decision["reason"],
            "measured": decision["value"],
            "threshold": decision["threshold"],
            "message": decision["message"],
            "id": decision["id"],
            "url": decision["url"],
        }
        if before is None:
            entry["file"] = manifest.spec.get("path")
            entry["offset"] = decision["offset"]
        entry["unit"], entry["row"] = place.unit, place.row
        entry["steps"] = [step.name for step in manifest.steps]
        if decision["duplicate_of"]:
            entry["duplicate"] = self._duplicate(decision, before)
        entry["values"] = self._values(stage, place, decision, before)
        return entry

    def _document_row(self, place: Place) -> int:
        """Return the place of a kept record, or its first copy, among those of its unit."""
        return self.run.stage(place.stage).document_rows(place.unit)[place.row]

    def _document(self, stage: StageFiles, unit: str, row: int) -> Entry:
        path = stage.file(unit, "documents")
        rows = read_rows(path, [row]) if path else []
        if not rows:
            return {}
        document = rows[0]
        characters = len(document.pop("text"))
        skipped = ("id", "url", "offset")
        metadata = {k: v for k, v in document.items() if v is not None and k not in skipped}
        return {"characters": characters, "document": metadata}

    def text(self, stage: StageFiles, unit: str, row: int) -> str | None:
        """Return the text of a document that a stage kept; None when its file is gone."""
        path = stage.file(unit, "documents")
        rows = read_rows(path, [row], ("text",)) if path else []
        return str(rows[0]["text"]) if rows else None

    def _next(
        self, stage: StageFiles, unit: str, row: int, identifier: str, entries: list[Entry]
    ) -> Place | None:
        """Return the record's place in the next stage that takes these documents.

        A stage beside the way, such as one that fetches by host, gets its entry here.
        """
        following = None
        stages = self.run.stages.values()
        # Stages that only list what another is to do, such as URLs, decide nothing themselves.
        lists = {it.name for it in stages if stage.name in it.sources and not it.decisions}
        for other in stages:
            if not other.decisions or not {stage.name, *lists} & {*other.sources}:
                continue
            taken = other.of_source(unit)
            if taken in other.decisions:
                found = self._by_row(other, str(taken), row, identifier)
                if found is not None:
                    following = following or found
            elif taken is None:
                for place in self._by_id(other, identifier):
                    entries.append(self._entry(other, place, self._decision(place), None))
        return following

    def _undone(self, stage: StageFiles, unit: str) -> Iterator[Entry]:
        """Yield where a record ended that was kept: a unit that has failed, or is still to do."""
        for other in self.run.stages.values():
            taken = other.of_source(unit) if stage.name in other.sources else None
            if taken is not None and not other.is_done(taken):
                error = other.failure(taken)
                outcome = "not done yet" if error is None else "given up"
                yield {"stage": other.name, "outcome": outcome, "reason": None, "message": error}
                return

    def _by_row(self, stage: StageFiles, unit: str, row: int, identifier: str) -> Place | None:
        path = stage.decisions[unit]
        rows = read_rows(path, [row], ("id",))
        if rows and rows[0]["id"] == identifier:
            return Place(stage.name, unit, row)
        ids = read_columns(path, ("id",)).column("id").to_pylist()
        return Place(stage.name, unit, ids.index(identifier)) if identifier in ids else None

    def _by_id(self, stage: StageFiles, identifier: str) -> Iterator[Place]:
        if len(stage.decisions) > _MANY_FILES:
            return
        for unit, path in stage.decisions.items():
            ids = read_columns(path, ("id",)).column("id").to_pylist()
            if identifier in ids:
                yield Place(stage.name, unit, ids.index(identifier))

    def _values(
        self,
        stage: StageFiles,
        place: Place,
        decision: dict[str, Any],
        before: tuple[StageFiles, str, int] | None,
    ) -> list[Entry]:
        """Return what each filter of the stage measures, as noted in the run or measured now."""
        described = measured(stage.decisions[place.unit])
        if described is None or decision["outcome"] == "failed":
            return []
        row = decision["measures"]
        if row:
            found = []
            for rule, value in zip(described["rules"], row, strict=True):
                reasons = rule.pop("reasons")
                if value is not None:
                    found.append(_value(Measure(Rule(**rule), (reasons or [""])[0], value)))
            return found
        text = self.text(*before) if before else None
        return [_value(measure) for measure in self._measure(stage, text)] if text else []

    def _measure(self, stage: StageFiles, text: str) -> list[Measure]:
        """Measure with the pipeline's own filters, where its file is as it was in the run."""
        if self._plan is None:
            return []
        planned = {one.name: one for one in self._plan.stages}.get(stage.name)
        if planned is None or planned.fingerprint != stage.fingerprint:
            return []
        found: list[Measure] = []
        doc = Document("", text)
        ours = gauges(planned.stage.steps)
        for step in planned.stage.steps:
            try:
                step.setup()
                found += ours[step.name](doc) if step.name in ours else []
                step.apply(doc)
            except Exception:  # what cannot be measured here is not told
                break
        return found

    @cached_property
    def _plan(self) -> Plan | None:
        try:
            return Plan(self.run.run["file"], self.run.run["given"], self.run.out)
        except CurateError:
            return None

    def _duplicate(
        self, decision: dict[str, Any], before: tuple[StageFiles, str, int] | None
    ) -> Entry:
        found: Entry = {
            "of_id": decision["duplicate_of"],
            "of_url": decision["duplicate_of_url"],
            "similarity": decision["value"],
            "cluster": decision["cluster"],
            "cluster_size": decision["cluster_size"],
        }
        other = self._text_of(decision["duplicate_of"], before[0]) if before else None
        own = self.text(*before) if before else None
        if own is not None and other is not None:
            found["difference"] = list(_difference(other, own))
            if found["similarity"] is None:
                found["similarity"] = _similarity(other, own)
        return found

    def _text_of(self, identifier: str, stage: StageFiles) -> str | None:
        """Return the text, after a stage, of the document that the next one kept of its copies.

        Of several records of one id, such as the captures of a URL, others may be removed there.
        """
        for place in self._index.find(identifier):
            here: Place | None = place
            text = None
            while here is not None and self._decision(here)["outcome"] == "kept":
                if text is not None:
                    return text
                before, row = self.run.stage(here.stage), self._document_row(here)
                text = self.text(before, here.unit, row) if before.name == stage.name else None
                here = self._next(before, here.unit, row, identifier, [])
        return None

    def _published(self, stage: StageFiles, unit: str, row: int) -> Entry:
        """Return where a document stands in the dataset."""
        dataset = self.run.stages.get("dataset")
        info = stage.manifest(unit).files["documents"]
        entry: Entry = {"stage": "dataset", "outcome": "not published yet", "reason": None}
        if dataset is None:
            return entry
        order = {one: at for at, one in enumerate(stage.units)}
        folder = self.run.out
        units = [one for one in dataset.units if dataset.is_done(one)]
        if len(units) > 64:
            units = list(_narrowed(dataset, units, order[unit], order))
        for one in units:
            manifest, start = dataset.manifest(one), 0
            at = row
            partition = manifest.spec.get("partition")
            for file, first, last in manifest.spec["parts"]:
                if file == info.name:
                    if partition is not None and self._plan is None:
                        # Which column divides the dataset is in the pipeline file alone.
                        return {**entry, "outcome": "unknown", "reason": "no_pipeline_file"}
                    if partition is not None:
                        at = self._row_in_partition(stage, unit, row, partition)
                    if first <= at < last:
                        path = str(manifest.spec["file"])
                        return {
                            **entry,
                            "outcome": "published",
                            "file": join(folder, path),
                            "row": start + at - first,
                        }
                start += last - first
        return entry

    def _row_in_partition(self, stage: StageFiles, unit: str, row: int, value: str) -> int:
        """Return the place among the documents of the same partition; -1 for another."""
        assert self._plan is not None
        # Asked only of a stage that is partitioned, which not every kind of stage can be.
        column: str = getattr(self._plan.stage(stage.name).stage, "partition", "")
        path = stage.file(unit, "documents") or ""
        values = [v or "unknown" for v in read_columns(path, (column,)).column(0).to_pylist()]
        return values[:row].count(value) if values[row] == value else -1


def _narrowed(
    dataset: StageFiles, units: list[str], wanted: int, order: dict[str, int]
) -> Iterator[str]:
    """Yield the files of each partition that may hold a unit, found by bisection."""
    groups: dict[str, list[str]] = {}
    for unit in units:
        groups.setdefault(unit.rpartition("train-")[0], []).append(unit)
    for group in groups.values():
        low, high = 0, len(group) - 1
        while low < high:
            middle = (low + high + 1) // 2
            parts = dataset.manifest(group[middle]).spec["parts"]
            stem = Path(parts[0][0]).name.removesuffix(".parquet") if parts else ""
            if order.get(stem, 0) <= wanted:
                low = middle
            else:
                high = middle - 1
        # A unit that is divided begins in one file and ends in a later one.
        yield from group[max(low - 1, 0) : low + 1]


def _value(measure: Measure) -> Entry:
    rule = measure.rule
    return {
        "filter": rule.step,
        "reason": measure.reason,
        "setting": rule.field,
        "value": measure.value,
        "threshold": rule.threshold,
        "limit": "at least" if rule.direction == "min" else "at most",
        "passed": measure.passed,
    }


def _similarity(first: str, second: str) -> float:
    """Return the Jaccard similarity of two texts' 5-grams of words, or of their words."""
    words = [_WORD.findall(text.lower()) for text in (first, second)]
    size = min(5, *map(len, words))
    ours, theirs = (
        {tuple(one[at : at + size]) for at in range(len(one) - size + 1)} for one in words
    )
    return len(ours & theirs) / len(ours | theirs) if size else float(first == second)


def _difference(kept: str, removed: str) -> Iterator[str]:
    """Yield the first lines that two texts do not share, those of the kept one with "-"."""
    before, after = (
        [visible(line, 200) for line in text.splitlines()[:_DIFF_LINES]] for text in (kept, removed)
    )
    changed = [line for line in difflib.ndiff(before, after) if line[:2] in ("- ", "+ ")]
    if not changed and kept != removed:
        yield f"… they differ after the first {_DIFF_LINES} lines, or in blanks alone"
    yield from changed[:_SHOWN_LINES]
    if len(changed) > _SHOWN_LINES:
        yield f"… and {len(changed) - _SHOWN_LINES} more lines"
