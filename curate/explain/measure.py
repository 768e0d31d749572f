"""Every value that a filter measures of a document, also those it never came to.

A filter stops at the first rule that a document breaks. Here each rule is asked alone: the filter
is copied with the limit of that rule where no value reaches and all others where any does (or off,
in curate's filters), so that its answer is a drop that carries the measured value. It needs no help
from the filter: limits are fields named `min_...` or `max_...`, numbers or pairs (n, number), as in
every filter of curate.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..document import Document
from ..steps import Drop, Filter, Formatter, Step

# Measuring costs about what filtering does, so a run measures the first documents of each unit and
# then one in so many: enough for a histogram. With --annotate it measures all.
FIRST = 200
EVERY = 16

_INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of a filter.

    Attributes:
        step: the filter's name.
        field: the field that holds the limit.
        at: which pair of the field; None where it is a number.
        threshold: the limit.
        direction: "min" where less is dropped, "max" where more is.
    """

    step: str
    field: str
    at: int | None
    threshold: float
    direction: Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a rule measured of a document.

    Attributes:
        rule: the rule.
        reason: `<step>/<code>` of the drop it gives.
        value: the measure.
    """

    rule: Rule
    reason: str
    value: float

    @property
    def passed(self) -> bool:
        """Whether the rule lets the document through; at its limit, as most rules do."""
        limit = self.rule.threshold
        if math.isclose(self.value, limit, rel_tol=1e-6):  # decisions hold 32-bit measures
            return True
        return self.value > limit if self.rule.direction == "min" else self.value < limit


class Gauge:
    """Measures documents with every rule of a filter."""

    def __init__(self, step: Filter) -> None:
        self.rules = list(_rules(step))
        self._probes = [(rule, _probe(step, rule, self.rules)) for rule in self.rules]

    def __call__(self, doc: Document) -> list[Measure]:
        """Return what each rule measures of a document, which stays as it is.

        A rule that cannot measure it, because another gives a reason first or it fails, is left
        out.
        """
        found = []
        for rule, probe in self._probes:
            shadow = Document(doc.id, doc.text, dict(doc.metadata), doc.payload)
            try:
                drop = probe.reject(shadow)
            except Exception:  # the run itself tells of what fails; here there is no value
                continue
            limit = _INFINITY if rule.direction == "min" else -_INFINITY
            if isinstance(drop, Drop) and drop.threshold == limit and drop.value is not None:
                found.append(Measure(rule, f"{rule.step}/{drop.reason}", float(drop.value)))
        return found


class Measures:
    """The measures of a unit's documents, as its decisions hold them.

    Args:
        steps: of the stage.
        every: 1 to measure every document.
    """

    def __init__(self, steps: Sequence[Step], every: int = EVERY) -> None:
        self._steps = list(steps)
        self._gauges = gauges(steps)
        self._every = every
        self._seen = 0
        rules = [rule for gauge in self._gauges.values() for rule in gauge.rules]
        self._places = {rule: place for place, rule in enumerate(rules)}
        self._reasons: list[set[str]] = [set() for _ in rules]

    def row(self) -> list[float | None] | None:
        """Return the empty row of the next document, or None when it is not measured."""
        self._seen += 1
        chosen = self._seen <= FIRST or (self._seen - 1) % self._every == 0
        return [None] * len(self._places) if chosen and self._places else None

    def take(self, row: list[float | None] | None, step: Step, doc: Document) -> None:
        """Note what a step measures of a document that is about to meet it."""
        gauge = self._gauges.get(step.name)
        if row is None or gauge is None:
            return
        for measure in gauge(doc):
            place = self._places[measure.rule]
            row[place] = measure.value
            self._reasons[place].add(measure.reason)

    def rest(self, row: list[float | None] | None, dropped_by: str, doc: Document) -> None:
        """Note what the filters after the one that dropped a document would have measured."""
        names = [step.name for step in self._steps]
        if row is None or not doc.text or dropped_by not in names:
            return
        shadow = Document(doc.id, doc.text, dict(doc.metadata))
        for step in self._steps[names.index(dropped_by) + 1 :]:
            if step.name in self._gauges or isinstance(step, Formatter):
                self.take(row, step, shadow)
                try:
                    step.apply(shadow)
                except Exception:  # a document that is dropped cannot fail any more
                    return

    def described(self) -> dict[str, Any] | None:
        """Tell what the rows hold, in plain values; None when there are no rules."""
        rules = [
            {**dataclasses.asdict(rule), "reasons": sorted(self._reasons[place])}
            for rule, place in self._places.items()
        ]
        return {"rules": rules, "first": FIRST, "every": self._every} if rules else None


def gauges(steps: Sequence[Step]) -> dict[str, Gauge]:
    """Return a gauge for each filter that has a limit, by the name of the step."""
    found = {step.name: Gauge(step) for step in steps if isinstance(step, Filter)}
    return {name: gauge for name, gauge in found.items() if gauge.rules}


def _rules(step: Filter) -> Iterator[Rule]:
    for name, value in _limits(step):
        direction: Literal["min", "max"] = "min" if name.startswith("min_") else "max"
        if isinstance(value, tuple):
            for at, (_, threshold) in enumerate(value):
                yield Rule(step.name, name, at, threshold, direction)
        elif value is not None:
            yield Rule(step.name, name, None, value, direction)


def _limits(step: Filter) -> Iterator[tuple[str, Any]]:
    if not dataclasses.is_dataclass(step):
        return
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        if field.name.startswith(("min_", "max_")) and (
            value is None or _is_number(value) or _is_pairs(value)
        ):
            yield field.name, value


def _probe(step: Any, rule: Rule, rules: Sequence[Rule]) -> Filter:
    """Return a copy of the filter whose rule always drops, and no other limit ever does."""
    probe: Filter = copy.copy(step)
    own = type(step).__module__.startswith(f"{__name__.partition('.')[0]}.")
    may_be_off = {
        field.name for field in dataclasses.fields(step) if own and "None" in str(field.type)
    }
    for name, value in _limits(step):
        open_limit = -_INFINITY if name.startswith("min_") else _INFINITY
        if value is not None and not isinstance(value, tuple):
            off = None if name in may_be_off else open_limit
            object.__setattr__(probe, name, off)  # a copy of a frozen dataclass
        elif isinstance(value, tuple):
            object.__setattr__(probe, name, ())
    shut = _INFINITY if rule.direction == "min" else -_INFINITY
    closed: Any = shut
    if rule.at is not None:
        closed = ((getattr(step, rule.field)[rule.at][0], shut),)
    object.__setattr__(probe, rule.field, closed)
    return probe


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pairs(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and _is_number(pair[1]) for pair in value
    )
