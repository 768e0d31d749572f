"""Choose documents of a run to read: kept, dropped for a reason, failed, near a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import InputError
from .run_files import RunFiles, StageFiles, measured, read_columns
from .samples import sample_hash
from .texts import fill_texts

Kind = Literal["kept", "dropped", "failed", "near"]
_COLUMNS = ("id", "url", "outcome", "reason", "value", "threshold", "message")
_ENOUGH = 200  # candidates to choose from, by hash
_ASKED, _MAX_ASKED = 8, 400  # units that tell what was measured; with those that know nothing


@dataclass(slots=True)
class Shown:
    """A document to read.

    Attributes:
        value: what was measured: by the rule that dropped it, or by the rule asked for.
        text: None where it is not kept.
        marks: numbers of the lines that the reason is about.
    """

    stage: str
    unit: str
    row: int
    id: str
    url: str | None
    outcome: str
    reason: str | None
    value: float | None
    threshold: float | None
    message: str | None
    text: str | None = None
    marks: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as decisions name it: its place among the measures, its reasons and its limit."""

    at: int
    name: str
    step: str
    field: str
    reasons: tuple[str, ...]
    threshold: float
    direction: str
    pair: int | None = None

    @property
    def title(self) -> str:
        """The rule's name, or the step's where it has several."""
        return self.reasons[0] if len(self.reasons) == 1 else f"{self.step}/{self.field}"


def rules_of(described: dict[str, Any] | None) -> list[Rule]:
    """Return the rules that a file of decisions says it holds measures of."""
    return [
        Rule(
            at,
            rule["reasons"][0].rpartition("/")[2] if rule["reasons"] else rule["field"],
            rule["step"],
            rule["field"],
            tuple(rule["reasons"]),
            rule["threshold"],
            rule["direction"],
            rule["at"],
        )
        for at, rule in enumerate(described["rules"] if described else ())
    ]


def described(stage: StageFiles) -> dict[str, Any] | None:
    """Return what a stage's measures are, with the reasons that a few of its units know.

    A unit whose documents were all gone before has met none of the reasons.
    """
    merged: dict[str, Any] | None = None
    asked = 0
    for path in list(stage.decisions.values())[:_MAX_ASKED]:
        found = measured(path)
        asked += found is None or any(rule["reasons"] for rule in found["rules"])
        if found and merged is None:
            merged = found
        elif found and merged:
            for rule, other in zip(merged["rules"], found["rules"], strict=True):
                rule["reasons"] = sorted({*rule["reasons"], *other["reasons"]})
        if asked == _ASKED:
            break
    return merged


class Reader:
    """Reads documents of one run, each chosen by the hash of its id."""

    def __init__(self, out: str) -> None:
        self.run = RunFiles(out)

    def kept(self, stage: str = "", limit: int = 5) -> list[Shown]:
        """Return documents that a stage kept; the last stage's when none is named."""
        files = self.run.stage(stage) if stage else self.run.output
        return self._choose([files], "kept", lambda _: True, limit)

    def failed(self, stage: str = "", limit: int = 5) -> list[Shown]:
        """Return records that failed, of one stage or of all."""
        return self._choose(self._stages(stage), "failed", lambda _: True, limit)

    def dropped(self, reason: str = "", stage: str = "", limit: int = 5) -> list[Shown]:
        """Return documents dropped for a reason: `<step>/<code>`, a code or a step; else any.

        Raises:
            InputError: nothing was dropped for it; the message lists what there is.
        """
        seen: set[str] = set()

        def wanted(given: str) -> bool:
            seen.add(given)
            step, _, code = given.partition("/")
            return reason in ("", given, step, code)

        found = self._choose(self._stages(stage), "dropped", wanted, limit)
        if not found and reason:
            raise InputError(
                f"nothing was dropped for {reason!r}."
                f"\nThere are: {', '.join(sorted(seen)) or 'no drops at all'}."
            )
        return found

    def near(self, asked: str, stage: str = "", limit: int = 6) -> list[Shown]:
        """Return documents just on either side of a threshold.

        Args:
            asked: a drop reason that has a threshold, or `reason=value` for another threshold.
            stage: look in this stage only.
            limit: how many.

        Raises:
            InputError: no such rule was measured; the message lists those there are.
        """
        name, equals, text = asked.partition("=")
        known: list[str] = []
        for files in self._stages(stage):
            for rule in rules_of(described(files)):
                known += rule.reasons
                if name in (*rule.reasons, rule.name, f"{rule.step}/{rule.field}"):
                    threshold = _number(text, asked) if equals else rule.threshold
                    return self._near(files, rule, threshold, limit)
        raise InputError(
            f"no measures of {name!r}.\nThere are: {', '.join(sorted(set(known))) or 'none'}."
        )

    def _near(self, files: StageFiles, rule: Rule, threshold: float, limit: int) -> list[Shown]:
        candidates: list[Shown] = []
        for unit, path in _by_hash(files):
            for row in _measured_rows(path):
                value = row["value"] if row["reason"] in rule.reasons else None
                if value is None and row["measures"]:
                    value = row["measures"][rule.at]
                if value is not None:
                    shown = shown_of(files.name, unit, row)
                    shown.value, shown.threshold = value, threshold
                    candidates.append(shown)
            if len(candidates) >= 100 * max(limit, 10):
                break
        sides: tuple[list[Shown], list[Shown]] = ([], [])
        for shown in candidates:
            assert shown.value is not None
            beyond = shown.value < threshold if rule.direction == "min" else shown.value > threshold
            sides[beyond].append(shown)
        chosen = []
        for side in sides:
            side.sort(key=lambda one: (abs((one.value or 0) - threshold), sample_hash(one.id)))
            chosen += side[: (limit + 1) // 2]
        chosen.sort(key=lambda one: abs((one.value or 0) - threshold))
        chosen = sorted(chosen[:limit], key=lambda one: one.value or 0)
        code = rule.reasons[0] if rule.reasons else rule.name
        fill_texts(self.run, chosen, code)
        return chosen

    def _stages(self, stage: str) -> list[StageFiles]:
        if stage:
            return [self.run.stage(stage)]
        return [one for one in self.run.stages.values() if one.decisions]

    def _choose(
        self,
        stages: list[StageFiles],
        outcome: str,
        wanted: Callable[[str], bool],
        limit: int,
    ) -> list[Shown]:
        candidates: list[Shown] = []
        for files in stages:
            for unit, path in _by_hash(files):
                rows = _rows(path, outcome, wanted)
                candidates += [shown_of(files.name, unit, row) for row in rows]
                if len(candidates) >= max(_ENOUGH, 20 * limit):
                    break
        candidates.sort(key=lambda one: (sample_hash(one.id), one.stage, one.row))
        found: list[Shown] = []
        bare: list[Shown] = []
        for start in range(0, min(len(candidates), 20 * limit), 2 * limit):
            some = candidates[start : start + 2 * limit]
            fill_texts(self.run, some)
            found += [one for one in some if one.text is not None]
            bare += [one for one in some if one.text is None]
            if len(found) >= limit:
                break
        return (found + bare)[:limit]


def _by_hash(stage: StageFiles) -> list[tuple[str, str]]:
    return sorted(stage.decisions.items(), key=lambda item: sample_hash(item[0]))


def _rows(path: str, outcome: str, wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """Yield the decisions of an outcome whose reason is wanted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_columns(path, _COLUMNS)
    mask = pc.equal(table.column("outcome"), outcome)
    if outcome == "dropped":
        reasons = pc.unique(table.column("reason").filter(mask)).to_pylist()
        chosen = pa.array([reason for reason in reasons if wanted(reason)], pa.string())
        mask = pc.and_(mask, pc.is_in(table.column("reason"), chosen))
    numbers = pc.indices_nonzero(mask)
    for number, row in zip(numbers.to_pylist(), table.take(numbers).to_pylist(), strict=True):
        yield {**row, "row": number}


def _measured_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yield the decisions that hold a value."""
    import pyarrow.compute as pc

    table = read_columns(path, (*_COLUMNS, "measures"))
    if "measures" not in table.column_names:
        return
    known = pc.or_(pc.is_valid(table.column("measures")), pc.is_valid(table.column("value")))
    numbers = pc.indices_nonzero(known)
    for number, row in zip(numbers.to_pylist(), table.take(numbers).to_pylist(), strict=True):
        yield {**row, "row": number}


def shown_of(stage: str, unit: str, row: dict[str, Any]) -> Shown:
    """Return a document to read, from its decision; its text is not yet there."""
    fields = ("row", "id", "url", "outcome", "reason", "value", "threshold", "message")
    return Shown(stage, unit, *(row[name] for name in fields))


def _number(text: str, asked: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--near {asked}: {text!r} is not a number.") from None
