"""Histograms of what filters measured, and how many documents each threshold would keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..explain.run_files import StageFiles, measured, read_columns
from ..explain.samples import sample_hash
from ..explain.show import Rule, described, rules_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BARS = 48
STEPS_PER_BAR = 4  # what the slider moves by
_MAX_UNITS = 400
_MAX_ROWS = 400_000


@dataclass(slots=True)
class Measured:
    """The documents of a stage that were measured.

    Attributes:
        values: (documents, rules), NaN where a rule could not measure.
        weights: how many documents of the stage each stands for.
        reasons: why each was dropped; empty for the kept.
        others: (documents, rules), whether the document is dropped whatever this rule says.
        all_units: whether all units of the stage were looked at.
        groups: the value of a column for each document, when one was asked for.
    """

    rules: list[Rule]
    values: NDArray[np.float32]
    weights: NDArray[np.float64]
    reasons: list[str]
    others: NDArray[np.bool_]
    all_units: bool
    groups: list[str] = field(default_factory=list)

    @property
    def unmeasured(self) -> NDArray[np.bool_]:
        """Whether a document was dropped by what is no measure, such as a word."""
        import numpy as np

        owned = {reason for rule in self.rules for reason in rule.reasons}
        return np.array([bool(one) and one not in owned for one in self.reasons], bool)

    def of_group(self, value: str) -> Measured:
        """Return what was measured of the documents of one value of the column."""
        import numpy as np

        rows = np.array([group == value for group in self.groups], bool)
        return Measured(
            self.rules,
            self.values[rows],
            self.weights[rows],
            [reason for reason, there in zip(self.reasons, rows, strict=True) if there],
            self.others[rows],
            self.all_units,
            [value] * int(rows.sum()),
        )


@dataclass(slots=True)
class Histogram:
    """One rule's measures.

    Attributes:
        edges: of the bars, in the unit of the measure.
        free: documents that this rule alone decides about, by slider step.
        held: documents that another rule drops anyway, by slider step.
        position: slider step of the threshold.
        kept: documents kept at the threshold.
        counts: whether the measure is a whole number.
    """

    stage: str
    rule: Rule
    logarithmic: bool
    edges: list[float]
    free: list[float]
    held: list[float]
    position: int
    kept: int
    documents: int
    counts: bool


def read_measures(
    stage: StageFiles, source: StageFiles | None = None, by: str = ""
) -> Measured | None:
    """Read the measures of a stage; None when it has none.

    Args:
        stage: whose measures.
        source: the stage whose documents it takes.
        by: a column of those documents to group them by.

    Raises:
        InputError: the documents have no such column.
    """
    import numpy as np

    rules = rules_of(described(stage))
    if not rules:
        return None
    chosen = sorted(stage.decisions.items(), key=lambda item: sample_hash(item[0]))[:_MAX_UNITS]
    values, weights, reasons, groups, rows, looked_at = [], [], [], [], 0, 0
    for unit, path in chosen:
        known = measured(path)
        table = read_columns(path, ("reason", "measures"))
        if known is None or "measures" not in table.column_names:
            continue
        looked_at += 1
        matrix, numbers = _matrix(table.column("measures"), len(rules))
        if not len(numbers):
            continue
        total, first, every = len(table), int(known["first"]), int(known["every"])
        later = int(np.count_nonzero(numbers >= first))
        weight = (total - first) / later if later and every > 1 else 1.0
        values.append(matrix)
        weights.append(np.where(numbers < first, 1.0, weight))
        reasons += [reason or "" for reason in table.column("reason").take(numbers).to_pylist()]
        if by:
            groups += _groups(stage, source, unit, by, numbers)
        rows += len(numbers)
        if rows >= _MAX_ROWS:
            break
    if not values:
        return None
    matrix = np.concatenate(values)
    return Measured(
        rules,
        matrix,
        np.concatenate(weights),
        reasons,
        _others(rules, matrix, reasons),
        looked_at == len(stage.units),
        groups,
    )


def _groups(
    stage: StageFiles, source: StageFiles | None, unit: str, by: str, rows: NDArray[np.int64]
) -> list[str]:
    """Return a column's values: the n-th decision is of the n-th document of the source."""
    path = source.file(unit, "documents") if source and unit in source.decisions else None
    table = read_columns(path, (by,)) if path else None
    if table is None or not table.num_columns:
        raise InputError(
            f"--by {by}: the documents that stage {stage.name!r} takes have no such column."
            "\nName one of a stage before it, and the stage with --stage."
        )
    return [str(value or "") for value in table.column(by).take(rows).to_pylist()]


def _matrix(column: Any, width: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the measures as a matrix, and the rows that have them."""
    import numpy as np
    import pyarrow.compute as pc

    numbers = pc.indices_nonzero(pc.is_valid(column)).to_numpy().astype(np.int64)
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False).astype(np.float32)
    return flat.reshape(-1, width), numbers


def _others(
    rules: Sequence[Rule], values: NDArray[np.float32], reasons: Sequence[str]
) -> NDArray[np.bool_]:
    import numpy as np

    fails = np.zeros(values.shape, bool)
    for at, rule in enumerate(rules):
        fails[:, at] = ~passes(rule, values[:, at], rule.threshold)
    owners = {reason: at for at, rule in enumerate(rules) for reason in rule.reasons}
    given = np.array(reasons, dtype=object)
    for reason in sorted(set(reasons) - {""}):
        rows = given == reason
        if reason in owners:
            fails[rows, owners[reason]] = True
    # A drop without a measure is another's for every rule.
    unmeasured = np.array([bool(reason) and reason not in owners for reason in reasons], bool)
    others: NDArray[np.bool_] = (fails.sum(axis=1)[:, None] - fails > 0) | unmeasured[:, None]
    return others


def passes(rule: Rule, values: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Tell which values a threshold lets through; what was not measured passes."""
    import numpy as np

    limit = np.float32(threshold)
    with np.errstate(invalid="ignore"):
        passed = values >= limit if rule.direction == "min" else values <= limit
    return passed | np.isnan(values)


def histograms(stage: StageFiles, found: Measured, kept: int) -> list[Histogram]:
    """Return a histogram for each rule that measured anything.

    Args:
        stage: whose measures they are.
        found: the measures.
        kept: documents that the stage kept, which the estimates are scaled to.
    """
    charts = [_histogram(stage.name, found, at, kept) for at in range(len(found.rules))]
    return [chart for chart in charts if chart is not None]


def _histogram(stage: str, found: Measured, at: int, kept: int) -> Histogram | None:
    import numpy as np

    rule, column = found.rules[at], found.values[:, at].astype(float)
    known = ~np.isnan(column)
    if not known.any():
        return None
    values, weights, others = column[known], found.weights[known], found.others[known, at]
    logarithmic = _is_wide(values, rule.threshold)
    low, high = _range(values, rule.threshold, logarithmic)
    scale = (lambda x: np.log10(np.maximum(x, low))) if logarithmic else np.asarray
    steps = BARS * STEPS_PER_BAR
    limit = float(scale(np.clip(rule.threshold, low, high)))
    start, end = _on_step(float(scale(low)), float(scale(high)), limit, steps)
    # A value that is the limit passes, so it belongs to the side of its step that is kept.
    places = np.round((scale(values) - start) / (end - start) * steps, 4)
    inner = np.floor(places) if rule.direction == "min" else np.ceil(places) - 1
    bins = np.clip(inner, 0, steps - 1).astype(int)
    passed = ~found.others[:, at] & passes(rule, found.values[:, at], rule.threshold)
    own_kept = float(found.weights[passed].sum())
    factor = kept / own_kept if own_kept else 1.0
    free = np.bincount(bins[~others], weights[~others], steps) * factor
    held = np.bincount(bins[others], weights[others], steps) * factor
    edges = np.linspace(start, end, BARS + 1)
    return Histogram(
        stage,
        rule,
        logarithmic,
        [float(edge) for edge in (10**edges if logarithmic else edges)],
        [round(float(one), 2) for one in free],
        [round(float(one), 2) for one in held],
        round((limit - start) / (end - start) * steps),
        kept,
        int(known.sum()),
        bool(np.all(values == np.round(values))) and float(rule.threshold).is_integer(),
    )


def _on_step(start: float, end: float, limit: float, steps: int) -> tuple[float, float]:
    """Return the ends of the axis, moved a little so that the limit is on a step of the slider."""
    place = (limit - start) / (end - start) * steps
    nearest = round(place)
    if start == 0 and nearest >= 8:
        return 0.0, limit * steps / nearest
    shift = (place - nearest) * (end - start) / steps
    return start + shift, end + shift


def _is_wide(values: NDArray[np.floating[Any]], threshold: float) -> bool:
    import numpy as np

    middle, high = np.quantile(values, (0.5, 0.99))
    return bool(values.min() >= 0 and threshold >= 1 and middle > 0 and high > 8 * middle)


def _range(
    values: NDArray[np.floating[Any]], threshold: float, logarithmic: bool
) -> tuple[float, float]:
    """Return the ends of the axis: what nearly all values and the threshold are between."""
    import numpy as np

    low, high = (float(one) for one in np.quantile(values, (0.002, 0.998)))
    low, high = min(low, threshold), max(high, threshold)
    if logarithmic:
        return max(low, 1.0) * 0.9, max(high, 10.0) * 1.1
    if 0 <= low < 0.3 * high:
        low = 0.0
    margin = (high - low) * 0.04
    if math.isclose(low, high):
        return low - 0.5, high + 0.5
    # The axis goes a little beyond the threshold, so that the slider can be moved there.
    return (0.0 if low == 0 else low - margin), high + margin
