"""The report's sections besides the filters."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..explain.show import Shown
from ..status import StageStatus
from .figures import Figures
from .html_parts import bar, escaped, escaped_lines, measure, number, share, table


def deciding(figures: Figures) -> list[StageStatus]:
    """Return the stages that records pass through: not those that compare all of them."""
    return [s for s in figures.status.stages if s.name in figures.deciding or s.name == "dataset"]


def head(figures: Figures) -> str:
    """Return the title and the few figures that matter most."""
    status = figures.status
    stages = deciding(figures)
    entered = sum(s.total.entered for s in stages if s.name in figures.first)
    published = status.stages[-1].total
    seconds = sum(stage.total.seconds for stage in status.stages)
    failed = sum(stage.total.failed for stage in stages)
    missing = [s for s in status.stages if s.units is None or s.units > s.done]
    state = "complete" if not missing else f"{missing[0].name} is not finished"
    facts = [
        (number(entered), "records came in"),
        (number(published.kept), f"documents published, {share(published.kept, entered)}"),
        (number(published.text_chars), "characters of text"),
        (number(failed), "records failed"),
        (measure(entered / seconds) if seconds else "–", "records per core-second"),
    ]
    cells = "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in facts)
    return (
        f'<header><p class="state {"good" if not missing else "open"}">{escaped(state)}</p>'
        f"<h1>{escaped(status.run['pipeline'])}</h1>"
        f'<p class="lead"><code>{escaped(status.run["file"])}</code> into'
        f" <code>{escaped(status.out)}</code></p>"
        f'<div class="facts">{cells}</div></header>'
    )


def funnel(figures: Figures) -> str:
    """Return how many records each step left, and how many characters each stage."""
    stages = deciding(figures)
    most = max((step.entered for stage in stages for step in stage.total.steps), default=0)
    rows = []
    for stage in stages:
        rows.append(f'<h3 class="stage">{escaped(stage.name)}</h3>')
        for step in stage.total.steps:
            dropped, failed = step.dropped.total(), step.failed.total()
            told = [f"<b>{step.kept:,}</b> kept"]
            told += [f'<span class="drop">−{dropped:,}</span>'] if dropped else []
            told += [f'<span class="fail">{failed:,} failed</span>'] if failed else []
            parts = [(step.kept, "keep"), (dropped, "drop"), (failed, "fail")]
            rows.append(
                f'<div class="row"><span>{escaped(step.name)}</span>{bar(parts, most)}'
                f"<span>{' '.join(told)}</span></div>"
            )
    with_text = [stage for stage in stages if stage.total.text_chars]
    longest = max((stage.total.text_chars for stage in with_text), default=0)
    chars = "".join(
        f'<div class="row"><span>{escaped(stage.name)}</span>'
        f"{bar([(stage.total.text_chars, 'keep')], longest)}<span><b>"
        f"{number(stage.total.text_chars)}</b> {share(stage.total.text_chars, longest)}</span>"
        "</div>"
        for stage in with_text
    )
    return (
        f'<div class="funnel">{"".join(rows)}</div>'
        f'<h3>Characters of text after each stage</h3><div class="funnel">{chars}</div>'
    )


def samples(figures: Figures, max_chars: int) -> str:
    """Return pages to read: some that were kept, and some of each drop reason."""
    blocks = [_samples("kept", "keep", figures.kept_samples, max_chars, is_open=True)]
    for reason, shown in figures.dropped_samples.items():
        blocks.append(_samples(reason, "drop", shown, max_chars))
    return "".join(blocks)


def _samples(
    title: str, name: str, shown: Sequence[Shown], max_chars: int, is_open: bool = False
) -> str:
    if not shown:
        return ""
    articles = "".join(_article(one, max_chars) for one in shown)
    return (
        f'<details class="samples"{" open" if is_open else ""}><summary><span class="dot {name}">'
        f"</span><code>{escaped(title)}</code> <small>{len(shown)}</small></summary>"
        f"{articles}</details>"
    )


def _article(shown: Shown, max_chars: int) -> str:
    told = ""
    if shown.value is not None:
        limit = "" if shown.threshold is None else f", threshold {measure(shown.threshold)}"
        told = f" measured {measure(shown.value)}{limit}"
    if shown.text is None:
        text = '<p class="none">Its text is not kept: it was dropped before it had any.</p>'
        if shown.outcome != "dropped":
            text = ""
    else:
        lines = escaped_lines(shown.text, shown.marks, max_chars)
        text = f'<pre dir="auto" tabindex="0">{lines}</pre>'
    return (
        f"<article><h4><bdi>{escaped(shown.url or shown.id, 500)}</bdi></h4>"
        f"<p><small>{escaped(shown.id, 100)}{told}</small></p>{text}</article>"
    )


def content(figures: Figures) -> str:
    """Return languages, domains, lengths and duplicates."""
    total = sum(count for _, count in figures.languages)
    languages = [
        (escaped(name), bar([(count, "keep")], total), f"{count:,}", share(count, total))
        for name, count in figures.languages[:30]
    ]
    most = max((max(one.records, one.kept) for one in figures.domains), default=0)
    domains = [
        (
            f"<bdi>{escaped(one.host, 80)}</bdi>",
            bar([(one.kept, "keep"), (max(one.records - one.kept, 0), "held")], most),
            f"{one.kept:,}",
            f"{one.records:,}",
        )
        for one in figures.domains
    ]
    highest = max((count for _, _, count in figures.lengths), default=0)
    lengths = [
        (f"{number(low)} – {number(high)}", bar([(count, "keep")], highest), f"{count:,}")
        for low, high, count in figures.lengths
    ]
    sizes = figures.clusters.sizes
    clusters = [
        (size, bar([(count, "drop")], max(c for _, c in sizes)), f"{count:,}")
        for size, count in sizes
    ]
    largest = [
        (f"<bdi>{escaped(url, 120)}</bdi>", f"{size:,}") for size, url in figures.clusters.largest
    ]
    blocks = [
        ("Languages", table(("language", "", "documents", ""), languages, (2, 3)), languages),
        ("Lengths", table(("characters", "", "documents"), lengths, (2,)), lengths),
        ("Domains", table(("host", "", "published", "records"), domains, (2, 3)), domains),
        (
            f"Duplicates: {figures.clusters.removed:,} removed",
            table(("alike", "", "clusters"), clusters, (2,))
            + table(("largest clusters", "documents"), largest, (1,)),
            clusters,
        ),
    ]
    there = [f"<div><h3>{title}</h3>{body}</div>" for title, body, rows in blocks if rows]
    return f'<div class="two">{"".join(there)}</div>' if there else ""


def times(figures: Figures) -> str:
    """Return the seconds of each step; of a stage that compares all records, those of the stage."""
    spent = []
    for stage in figures.status.stages:
        steps = stage.total.steps
        for step in steps:
            alone = len(steps) == 1 and not step.seconds
            name = stage.name if step.name == stage.name else f"{stage.name} / {step.name}"
            spent.append((name, step.entered, stage.total.seconds if alone else step.seconds))
    most = max((seconds for _, _, seconds in spent), default=0.0)
    rows = [
        (
            escaped(name),
            bar([(seconds, "keep")], most),
            f"{seconds:,.1f} s",
            f"{entered / seconds:,.0f}" if seconds >= 0.001 else "–",
        )
        for name, entered, seconds in spent
    ]
    return table(("step", "", "core-seconds", "documents per core-second"), rows, (2, 3))


def failures(figures: Figures) -> str:
    """Return the ways to fail with a few messages of each, and the units that were given up."""
    counts = {
        f"{stage.name}: {step.name}/{reason}": count
        for stage in figures.status.stages
        for step in stage.total.steps
        for reason, count in step.failed.items()
    }
    blocks = []
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        items = "".join(
            f"<li><bdi>{escaped(m, 400)}</bdi></li>" for m in figures.failures.get(key, ())
        )
        blocks.append(
            f'<details class="samples" open><summary><span class="dot fail"></span>'
            f"<code>{escaped(key)}</code> <small>{count:,}</small></summary>"
            f"<ul>{items}</ul></details>"
        )
    for stage in figures.status.stages:
        for unit in stage.failed_units[:20]:
            name, error = unit.get("input", unit.get("unit")), unit.get("error", "")
            blocks.append(
                f"<p>{escaped(stage.name)}: <code>{escaped(name)}</code> was given up:"
                f" {escaped(error)}</p>"
            )
    return "".join(blocks)


def settings(figures: Figures) -> str:
    """Return parameters, versions, fingerprints and every setting of every step."""
    run = figures.status.run
    parameters = [
        (f"<code>{escaped(name)}</code>", f"<code>{escaped(value)}</code>")
        for name, value in run["parameters"].items()
    ]
    inputs = [file for files in run["inputs"].values() for file in files]
    facts = [(escaped(name), escaped(version)) for name, version in run["versions"].items()]
    size = sum(file["size"] for file in inputs)
    facts.append(("inputs", f"{len(inputs):,} files, {number(size)} bytes"))
    body = table(("parameter", "value"), parameters) + table(("version", ""), facts)
    prints = {one["name"]: one["fingerprint"] for one in run["stages"]}
    for name, fingerprint in prints.items():
        steps = (figures.settings or {}).get(name, {})
        rows = [
            (escaped(step), f"<code>{escaped(key)}</code>", f"<code>{_value(value)}</code>")
            for step, values in steps.items()
            for key, value in values.items()
        ]
        inner = table(("step", "setting", "value"), rows) if rows else ""
        body += (
            f'<details class="samples"><summary><code>{escaped(name)}</code>'
            f" <small>{escaped(fingerprint)}</small></summary>{inner}</details>"
        )
    if figures.settings is None:
        body += "<p>The pipeline file has changed since: the steps' settings are not known.</p>"
    return body


def _value(value: object) -> str:
    return escaped(json.dumps(value, ensure_ascii=False), 400)
