"""The report's filters: what each dropped, and histograms with a slider over the threshold."""

from __future__ import annotations

import json
import math
from itertools import groupby

from ..manifest import StepCounts
from ..status import StageStatus
from .figures import Figures
from .histograms import BARS, STEPS_PER_BAR, Histogram
from .html_parts import bar, escaped, measure, number, share, table

_HEIGHT = 100
_BAR_WIDTH = 10


def filters(figures: Figures) -> str:
    """Return one block for each step that dropped something or measured."""
    blocks = []
    for stage in figures.status.stages:
        for step in stage.total.steps:
            charts = [
                chart
                for chart in figures.histograms
                if (chart.stage, chart.rule.step) == (stage.name, step.name)
            ]
            if step.dropped or charts:
                blocks.append(_filter(figures, stage, step, charts))
    return "".join(blocks)


def _filter(figures: Figures, stage: StageStatus, step: StepCounts, charts: list[Histogram]) -> str:
    dropped = step.dropped.total()
    rows = [
        (
            f"<code>{escaped(reason)}</code>",
            bar([(count, "drop")], max(step.dropped.values())),
            f"{count:,}",
            share(count, step.entered),
        )
        for reason, count in sorted(step.dropped.items(), key=lambda item: (-item[1], item[0]))
    ]
    reasons = table(("reason", "", "dropped", "of its input"), rows, (2, 3)) if rows else ""
    cards = "".join(_card(chart, figures.histograms.index(chart)) for chart in charts)
    return (
        f'<div class="filter"><h3>{escaped(step.name)}'
        f" <small>in {escaped(stage.name)}: dropped {number(dropped)} of {number(step.entered)}"
        f" ({share(dropped, step.entered)})</small></h3>"
        f"{reasons}{f'<div class=cards>{cards}</div>' if cards else ''}</div>"
    )


def _card(chart: Histogram, at: int) -> str:
    rule = chart.rule
    limit = "at least" if rule.direction == "min" else "at most"
    steps = BARS * STEPS_PER_BAR
    edges = chart.edges
    ends = "".join(f"<span>{measure(edges[n])}</span>" for n in (0, BARS // 2, BARS))
    return (
        f'<figure class="card" data-chart="{at}"><figcaption><b>{escaped(rule.name)}</b>'
        f" <span>{escaped(rule.field)}: {limit} {measure(rule.threshold)}</span></figcaption>"
        f"{_bars(chart)}"
        f'<div class="ends" aria-hidden="true">{ends}</div>'
        f'<input type="range" min="0" max="{steps}" value="{chart.position}" hidden'
        f' aria-label="threshold of {escaped(rule.name)}">'
        f"<output>{limit} {measure(rule.threshold)}: {number(chart.kept)} kept</output>"
        f'<button type="button" hidden>Back</button></figure>'
    )


def _bars(chart: Histogram) -> str:
    """Return the bars as they are at the threshold; the page's script moves them."""
    columns = []
    for at in range(BARS):
        steps = range(at * STEPS_PER_BAR, (at + 1) * STEPS_PER_BAR)
        kept = sum(chart.free[n] for n in steps if _passes(chart, n))
        columns.append(
            (kept, sum(chart.free[n] for n in steps) - kept, sum(chart.held[n] for n in steps))
        )
    top = math.sqrt(max(map(sum, columns))) or 1.0
    rects = []
    for at, column in enumerate(columns):
        y = float(_HEIGHT)
        for amount, name in zip(column, ("keep", "drop", "held"), strict=True):
            # By the square root: a bar of 1 in 1,000 documents can still be seen.
            height = amount / math.sqrt(sum(column)) / top * _HEIGHT if amount else 0.0
            height = max(height, 1.2) if height else 0.0
            y -= height
            rects.append(
                f'<rect class="{name}" x="{at * _BAR_WIDTH + 0.5}" y="{y:.1f}"'
                f' width="{_BAR_WIDTH - 1}" height="{height:.1f}"/>'
            )
    x = chart.position / STEPS_PER_BAR * _BAR_WIDTH
    line = f'x1="{x:.1f}" x2="{x:.1f}" y1="-6" y2="{_HEIGHT}"'
    width = BARS * _BAR_WIDTH
    return (
        f'<svg viewBox="0 -6 {width} {_HEIGHT + 6}" preserveAspectRatio="none" role="img"'
        f' aria-label="histogram of {escaped(chart.rule.name)}">{"".join(rects)}'
        f'<line class="was" {line}/><line class="now" {line}/></svg>'
    )


def _passes(chart: Histogram, step: int) -> bool:
    return (step >= chart.position) == (chart.rule.direction == "min")


def chart_data(figures: Figures) -> str:
    """Return what the page's script needs, as JSON that can stand in HTML."""
    charts = [
        {
            "direction": chart.rule.direction,
            "position": chart.position,
            "threshold": chart.rule.threshold,
            "logarithmic": chart.logarithmic,
            "low": chart.edges[0],
            "high": chart.edges[-1],
            "whole": chart.counts,
            "kept": chart.kept,
            "free": _packed(chart.free),
            "held": _packed(chart.held),
        }
        for chart in figures.histograms
    ]
    text = json.dumps({"perBar": STEPS_PER_BAR, "charts": charts}, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _packed(values: list[float]) -> list[float | int]:
    """Return values with runs of zeros as one negative number: most bins are empty."""
    packed: list[float | int] = []
    for is_zero, group in groupby(values, lambda value: not value):
        there = list(group)
        whole = [int(one) if one == int(one) else one for one in there]
        packed += [-len(there)] if is_zero else whole
    return packed
