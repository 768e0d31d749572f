"""Propose thresholds from what a run's filters measured.

`keep` widens or narrows the tails that the present thresholds cut off, all by one factor, until the
share asked for is left: the balance between the rules stays that of the pipeline.

`reference` does what FineWeb's authors did by eye with histograms of a good and a poor set
(arXiv:2406.17557, its custom filters): a threshold goes where it takes away most of the run
compared with what it takes from the good texts, which is where the two histograms cross. All rules
together cost a tenth of the good texts at most; one that tells nothing apart stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..document import Document, open_parquet
from ..errors import CurateError, InputError
from ..plan import Plan
from ..report.histograms import Measured, passes, read_measures
from ..steps import Filter
from ..storage import open_input
from .measure import gauges
from .run_files import RunFiles
from .show import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_LOSS = 0.10  # share of the reference that all rules together may drop
MIN_GAIN = 0.02  # share of the run, beyond that of the reference, that makes a rule worth it
_MAX_REFERENCE = 20_000
_MIN_DOCUMENTS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A rule: its threshold, the one proposed, and what each drops of all that was measured.

    Attributes:
        proposed: None where the rule stays as it is.
        reference_drop: share of the reference that the proposed threshold drops, if there is one.
    """

    name: str
    step: str
    field: str
    at: int | None
    threshold: float
    proposed: float | None
    drops_now: float
    would_drop: float
    reference_drop: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Thresholds for a stage, or for the documents of one value of a column."""

    stage: str
    value: str
    documents: int
    kept_now: float
    would_keep: float
    reference_kept: float | None
    rows: list[Row]
    snippet: str

    @property
    def title(self) -> str:
        """Name what it is for."""
        where = f"{self.stage}, {self.value}" if self.value else self.stage
        return f"{where}: {self.documents:,} documents measured"

    @property
    def summary(self) -> str:
        """Tell what it changes."""
        told = f"keeps {self.kept_now:.1%} now, would keep {self.would_keep:.1%}"
        if self.reference_kept is not None:
            told += f", and {self.reference_kept:.1%} of the reference"
        return told

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def propose(
    out: str, stage: str = "", keep: float | None = None, reference: str | None = None, by: str = ""
) -> list[Proposal]:
    """Return proposals for each stage that measured something.

    Args:
        out: the run's folder.
        stage: of this stage only.
        keep: the share of each stage's documents to keep.
        reference: a Parquet file with good texts in its column `text`.
        by: a column of the documents; a proposal for each of its values.

    Raises:
        InputError: there is nothing measured, or the files do not fit.
    """
    run = RunFiles(out)
    stages = [run.stage(stage)] if stage else list(run.stages.values())
    proposals = []
    lacking: InputError | None = None
    for files in stages:
        try:
            found = read_measures(files, run.source_of(files), by)
        except InputError as error:
            lacking = lacking or error  # a stage before the column is set, unless it is the one
            continue
        if found is None:
            continue
        filters = _filters(run, files.name, files.fingerprint)
        good = _measure_file(reference, filters, by) if reference else None
        values = sorted(set(found.groups)) if by else [""]
        for value in values:
            ours = found.of_group(value) if by else found
            if len(ours.reasons) < _MIN_DOCUMENTS and value:
                continue
            theirs = good and good.of_group(value) if good and good.groups else good
            proposals.append(_proposal(files.name, value, ours, keep, theirs, filters))
    if not proposals and lacking:
        raise lacking
    if not proposals:
        raise InputError(
            f"{out}: no filter{f' of {stage}' if stage else ''} measured enough documents to"
            " propose thresholds.\nRun the pipeline with --annotate, so that all are measured."
        )
    return proposals


def _filters(run: RunFiles, stage: str, fingerprint: str) -> list[Filter]:
    """Return the filters of a stage that measure, as the run had them."""
    try:
        plan = Plan(run.run["file"], run.run["given"], run.out)
        planned = plan.stage(stage)
    except CurateError as error:
        raise InputError(f"{run.run['file']}: cannot be loaded any more: {error}") from error
    if planned.fingerprint != fingerprint:
        raise InputError(
            f"{run.run['file']}: stage {stage!r} is not as it was in this run.\nRun it again, so"
            " that what was measured is of the thresholds that the file now has."
        )
    steps = planned.stage.steps
    return [s for s in steps if isinstance(s, Filter) and s.name in gauges(steps)]


def _measure_file(path: str, filters: list[Filter], by: str) -> Measured:
    """Measure good texts with the pipeline's filters."""
    import numpy as np

    try:
        with open_input(path) as stream:
            file = open_parquet(stream)
            names = [n for n in ("text", by) if n and n in file.schema_arrow.names]
            batch = next(file.iter_batches(_MAX_REFERENCE, columns=names, use_threads=False), None)
    except (OSError, ValueError) as error:
        raise InputError(f"--reference {path}: is not a Parquet file ({error}).") from error
    if batch is None or "text" not in names:
        raise InputError(f"--reference {path}: has no documents with a column `text`.")
    texts = [text or "" for text in batch.column("text").to_pylist()]
    groups = [str(v or "") for v in batch.column(by).to_pylist()] if by in names else []
    ours = gauges(filters)
    for step in filters:
        step.setup()
    rules = [rule for gauge in ours.values() for rule in gauge.rules]
    places = {rule: at for at, rule in enumerate(rules)}
    values = np.full((len(texts), len(rules)), np.nan, np.float32)
    for row, text in enumerate(texts):
        for step in filters:
            for measure in ours[step.name](Document("", text)):
                values[row, places[measure.rule]] = measure.value
    weights, others = np.ones(len(texts)), np.zeros(values.shape, bool)
    return Measured([], values, weights, [""] * len(texts), others, True, groups)


def _proposal(
    stage: str,
    value: str,
    found: Measured,
    keep: float | None,
    good: Measured | None,
    filters: list[Filter],
) -> Proposal:
    import numpy as np

    limits = [rule.threshold for rule in found.rules]
    if good is not None:
        proposed = _crossings(found, good)
    else:
        assert keep is not None
        proposed = _tails(found, keep)
    new = [old if one is None else one for old, one in zip(limits, proposed, strict=True)]
    total = found.weights.sum()

    def drops(at: int, limit: float) -> float:
        passed = passes(found.rules[at], found.values[:, at], limit)
        return float(found.weights[~passed].sum() / total)

    rows = [
        Row(
            rule.name,
            rule.step,
            rule.field,
            rule.pair,
            rule.threshold,
            proposed[at],
            drops(at, rule.threshold),
            drops(at, new[at]),
            None if good is None else float(np.mean(~passes(rule, good.values[:, at], new[at]))),
        )
        for at, rule in enumerate(found.rules)
    ]
    kept_now, would_keep = _kept(found, limits), _kept(found, new)
    theirs = None if good is None else _kept(good, new, found.rules)
    return Proposal(
        stage,
        value,
        len(found.reasons),
        kept_now,
        would_keep,
        theirs,
        rows,
        _snippet(rows, filters),
    )


def _kept(found: Measured, limits: Sequence[float], rules: Sequence[Rule] = ()) -> float:
    """Return the share of documents that all rules let through."""
    passed = found.weights > 0
    for at, rule in enumerate(rules or found.rules):
        passed = passed & passes(rule, found.values[:, at], limits[at])
    passed &= ~found.unmeasured
    return float(found.weights[passed].sum() / found.weights.sum())


def _tails(found: Measured, keep: float) -> list[float | None]:
    """Multiply the tails that the thresholds cut off by one factor, found by bisection."""
    tails = []
    for at, rule in enumerate(found.rules):
        passed = passes(rule, found.values[:, at], rule.threshold)
        tails.append(float(found.weights[~passed].sum() / found.weights.sum()))
    if not any(tails):
        return [None] * len(tails)

    def limits(factor: float) -> list[float]:
        return [
            _cutting(rule, found, at, min(factor * tail, 1.0)) if tail else rule.threshold
            for at, (rule, tail) in enumerate(zip(found.rules, tails, strict=True))
        ]

    low, high = 0.0, 1.0 / min(tail for tail in tails if tail)
    for _ in range(40):
        middle = (low + high) / 2
        if _kept(found, limits(middle)) > keep:
            low = middle
        else:
            high = middle
    chosen = min((low, high), key=lambda factor: abs(_kept(found, limits(factor)) - keep))
    return [one if tail else None for one, tail in zip(limits(chosen), tails, strict=True)]


def _cutting(rule: Rule, found: Measured, at: int, share: float) -> float:
    """Return the threshold that cuts off a share of the documents, as close as values allow."""
    import numpy as np

    values, weights = found.values[:, at], found.weights
    known = ~np.isnan(values)
    order = np.argsort(values[known] if rule.direction == "min" else -values[known], kind="stable")
    sums = np.cumsum(weights[known][order]) / weights.sum()
    place = min(int(np.searchsorted(sums, share, "right")), len(order) - 1)
    return _rounded(float(values[known][order[place]]), rule)


def _crossings(found: Measured, good: Measured) -> list[float | None]:
    """Let each rule cost the good texts as much as all of them together may cost, at most."""
    loss = MAX_LOSS
    proposed: list[float | None] = []
    for _ in range(8):
        proposed = [_crossing(rule, found, good, loss) for rule in found.rules]
        both = zip(found.rules, proposed, strict=True)
        limits = [rule.threshold if one is None else one for rule, one in both]
        if _kept(good, limits, found.rules) >= 1 - MAX_LOSS:
            break
        loss /= 2
    return proposed


def _crossing(rule: Rule, found: Measured, good: Measured, max_loss: float) -> float | None:
    """Return where a threshold drops most of the run and least of the good texts."""
    import numpy as np

    at = found.rules.index(rule)
    ours, theirs = found.values[:, at], good.values[:, at]
    known, there = ~np.isnan(ours), ~np.isnan(theirs)
    if not known.any() or there.sum() < _MIN_DOCUMENTS:
        return None
    candidates = np.unique(np.concatenate([ours[known], theirs[there]]))
    if len(candidates) > 2_000:
        candidates = np.quantile(candidates, np.linspace(0, 1, 2_000)).astype(np.float32)
    lost = _below(theirs[there], np.ones(there.sum()), candidates, rule) * there.mean()
    gone = _below(ours[known], found.weights[known], candidates, rule)
    gone *= found.weights[known].sum() / found.weights.sum()
    gain = np.where(lost <= max_loss, gone - lost, -1.0)
    best = int(np.argmax(gain))
    return _rounded(float(candidates[best]), rule) if gain[best] >= MIN_GAIN else None


def _below(
    values: NDArray[np.float32],
    weights: NDArray[np.float64],
    candidates: NDArray[np.float32],
    rule: Rule,
) -> NDArray[np.float64]:
    """Return the share of the weights that each threshold drops."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    if rule.direction == "min":
        dropped = sums[np.searchsorted(values[order], candidates, "left")]
    else:
        dropped = sums[-1] - sums[np.searchsorted(values[order], candidates, "right")]
    shares: NDArray[np.float64] = dropped / sums[-1]
    return shares


def _rounded(value: float, rule: Rule) -> float:
    """Return a threshold with three digits, rounded to the side that lets its own value through."""
    import math

    if value == 0 or not math.isfinite(value):
        return value
    digits = 2 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**digits
    nearest = math.floor(scaled + 1e-4) if rule.direction == "min" else math.ceil(scaled - 1e-4)
    rounded = round(nearest / 10.0**digits, max(digits, 0))
    return float(rounded)


def _snippet(rows: list[Row], filters: list[Filter]) -> str:
    """Return the filters that change, as they stand in a pipeline file."""
    lines = []
    for step in filters:
        changed: dict[str, Any] = {}
        for row in rows:
            if row.step != step.name or row.proposed is None or row.proposed == row.threshold:
                continue
            old = getattr(step, row.field)
            whole = isinstance(old, int) and row.proposed.is_integer()
            value: Any = int(row.proposed) if whole else row.proposed
            if row.at is not None:
                pairs = list(changed.get(row.field, old))
                pairs[row.at] = (pairs[row.at][0], value)
                value = tuple(pairs)
            changed[row.field] = value
        if changed:
            given = ", ".join(f"{name}={value!r}" for name, value in _settings(step, changed))
            lines.append(f"{type(step).__name__}({given}),")
    return "\n".join(lines)


def _settings(step: Any, changed: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a filter must be given: what changes, and what is not by default as it is now."""
    for field in dataclasses.fields(step):
        value = changed.get(field.name, getattr(step, field.name))
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if field.init and (field.name in changed or value != default):
            yield field.name, value
