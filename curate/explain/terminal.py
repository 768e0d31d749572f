"""What `why`, `show` and `tune` print. Crawled text is made visible first: nothing in it acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .safe_text import one_line, shown_blank, visible

if TYPE_CHECKING:
    from .show import Shown
    from .tune import Proposal
    from .why import Entry, Explainer

_STYLES = {
    "kept": "green",
    "published": "green",
    "dropped": "red",
    "failed": "yellow",
    "given up": "yellow",
}
_MAX_LINE = 400
_MAX_LINES = 60
_METADATA = ("extractor", "language", "language_score", "token_count", "date")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command end as one whose reader has gone."""
        raise


def _console() -> Console:
    return _Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_way(entries: Sequence[Entry]) -> None:
    """Print one record's way."""
    console = _console()
    first = entries[0]
    console.print(Text(one_line(first["url"] or first["id"], 2000), "bold"))
    if first["url"]:
        console.print(Text(f"{one_line(first['id'])}", "dim"))
    offset = "" if first.get("offset") is None else f", offset {first['offset']:,}"
    console.print(Text(f"in {one_line(first.get('file') or 'its input')}{offset}\n", "dim"))
    width = max(len(entry["stage"]) for entry in entries)
    for entry in entries:
        line = Text(f"{entry['stage']:<{width}}  ")
        line.append(f"{entry['outcome']:<9}", _STYLES.get(entry["outcome"], ""))
        line.append(f"  {_told(entry)}")
        console.print(line)
        if entry.get("duplicate"):
            _print_duplicate(console, entry["duplicate"], width)
        _print_values(console, entry, width)
    console.print()


def _told(entry: Entry) -> str:
    """Return what happened, in a line."""
    if entry["outcome"] == "published":
        return f"{one_line(entry['file'])}, row {entry['row']:,}"
    if entry["outcome"] == "failed":
        return f"{entry['reason']}: {one_line(entry['message'] or '')}"
    if entry["outcome"] == "given up":
        return f"with its unit: {one_line(entry['message'])}"
    parts = []
    if entry["outcome"] == "kept" and entry.get("steps"):
        parts.append(f"by {', '.join(entry['steps'])}")
    if entry["reason"]:
        parts.append(entry["reason"])
    if entry.get("measured") is not None and not entry.get("duplicate"):
        limit = "" if entry["threshold"] is None else f", threshold {_number(entry['threshold'])}"
        parts.append(f"measured {_number(entry['measured'])}{limit}")
    if entry.get("characters"):
        parts.append(f"{entry['characters']:,} characters")
    for name in _METADATA:
        value = entry.get("document", {}).get(name)
        if value is not None:
            text = _number(value) if isinstance(value, int | float) else one_line(str(value), 80)
            parts.append(f"{name} {text}")
    return " · ".join(parts)


def _print_duplicate(console: Console, duplicate: Entry, width: int) -> None:
    indent = " " * (width + 2)
    where = one_line(duplicate["of_url"] or duplicate["of_id"], 2000)
    similarity = duplicate["similarity"]
    how = "" if similarity is None else f", similarity {_number(similarity)}"
    size = duplicate["cluster_size"]
    console.print(Text(f"{indent}kept instead: {where}{how}, one of {size or '?'} alike"))
    for line in duplicate.get("difference", ()):
        style = {"-": "red", "+": "green"}.get(line[:1], "dim")
        console.print(Text(f"{indent}  {line}", style))
    if duplicate.get("difference") == []:
        console.print(Text(f"{indent}  the texts are equal", "dim"))


def _print_values(console: Console, entry: Entry, width: int) -> None:
    indent = " " * (width + 2)
    step = ""
    for value in entry.get("values") or ():
        if value["filter"] != step:
            step = value["filter"]
            console.print(Text(f"{indent}{step}"))
        name = value["reason"].rpartition("/")[2]
        mark, style = ("✓", "dim") if value["passed"] else ("✗", "red")
        line = f"{mark} {name:<30} {_number(value['value']):>9}"
        line += f"  {value['limit']} {_number(value['threshold'])}"
        console.print(Text(f"{indent}  {line}", style))


def print_unknown(explainer: Explainer, query: str) -> None:
    """Say that no record matches, where was looked, and what is near."""
    console = _console()
    stages = explainer.run.first
    units = sum(len(stage.decisions) for stage in stages)
    total = sum(len(stage.units) for stage in stages)
    console.print(Text(f"No record of this run matches {one_line(query)}"))
    console.print(Text(f"Looked at the decisions of all {units:,} input files that are done."))
    if units < total:
        console.print(Text(f"{total - units:,} more input files are not done yet."))
    near = explainer.neighbours(query)
    if near:
        console.print(Text("From the same host:"))
        for url in near:
            console.print(Text(f"  {one_line(url, 2000)}"))


def print_documents(documents: Sequence[Shown]) -> None:
    """Print documents to read, with marks before the lines that a reason is about."""
    console = _console()
    if not documents:
        console.print("There are none.")
    for shown in documents:
        console.print(Text(one_line(shown.url or shown.id, 2000), "bold"))
        line = Text(f"{shown.stage}  ")
        line.append(shown.outcome, _STYLES.get(shown.outcome, ""))
        if shown.reason:
            line.append(f"  {shown.reason}")
        if shown.value is not None:
            line.append(f"  measured {_number(shown.value)}")
            if shown.threshold is not None:
                line.append(f", threshold {_number(shown.threshold)}")
        if shown.message:
            line.append(f"  {one_line(shown.message)}")
        console.print(line)
        _print_text(console, shown)
        console.print()


def _print_text(console: Console, shown: Shown) -> None:
    if shown.text is None:
        why = (
            "it has no text"
            if shown.outcome == "failed"
            else ("no text of it is kept: there was none yet, or --keep-dropped-text keeps more")
        )
        console.print(Text(f"  {why}", "dim"))
        return
    marks = set(shown.marks)
    lines = shown.text[: _MAX_LINE * _MAX_LINES * 4].split("\n")
    for number, text in enumerate(lines[:_MAX_LINES]):
        mark = number in marks
        start = Text("▌ ", "red") if mark else Text("  ")
        shown_text = visible(shown_blank(text) if mark else text, _MAX_LINE)
        start.append(shown_text, "red" if mark else "")
        console.print(start)
    if len(lines) > _MAX_LINES:
        console.print(Text(f"  … {len(shown.text):,} characters in all", "dim"))


def print_tables(tables: Sequence[Proposal]) -> None:
    """Print proposed thresholds, and a snippet for the pipeline file."""
    console = _console()
    for table in tables:
        console.print(Text(table.title, "bold"))
        grid = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("rule", "now", "proposed", "drops now", "would drop"):
            grid.add_column(column, justify="left" if column == "rule" else "right")
        for row in table.rows:
            grid.add_row(
                row.name,
                _number(row.threshold),
                "" if row.proposed is None else _number(row.proposed),
                f"{row.drops_now:.1%}",
                f"{row.would_drop:.1%}",
            )
        console.print(grid, soft_wrap=False)
        console.print(Text(table.summary, "dim"))
        console.print()
        console.print(Text(table.snippet))
        console.print()


def _number(value: Any) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{int(value):,}"
