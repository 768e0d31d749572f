"""Pieces of HTML. Whatever is not ours goes through `escaped`, which makes it plain text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from ..explain.safe_text import one_line, shown_blank, visible

_LINES_BEFORE = 3  # shown before the first line that is marked


def escaped(text: object, max_chars: int = 300) -> str:
    """Return text as one line that is no markup and hides nothing."""
    return html.escape(one_line(str(text), max_chars))


def escaped_lines(text: str, marks: Iterable[int], max_chars: int) -> str:
    """Return a text of several lines, with `<mark>` around the lines of these numbers."""
    wanted = set(marks)
    lines = text.split("\n")
    first = max(0, min(wanted, default=0) - _LINES_BEFORE)
    parts = [f"<i>… {first:,} lines before</i>"] if first else []
    left = max_chars
    for place, line in enumerate(lines[first:], first):
        if left <= 0:
            parts.append(f"<i>… {len(lines) - place:,} more lines</i>")
            break
        is_marked = place in wanted
        shown = html.escape(visible(shown_blank(line) if is_marked else line, left))
        left -= len(line) + 1
        parts.append(f"<mark>{shown}</mark>" if is_marked else shown)
    return "\n".join(parts)


def number(value: float) -> str:
    """Return a number as people read it."""
    if value >= 10_000_000_000:
        return f"{value / 1e9:,.0f} G"
    if value >= 10_000_000:
        return f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}"


def measure(value: float) -> str:
    """Return a measured value or a limit with three digits that tell something."""
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def share(part: float, total: float) -> str:
    """Return a share in percent."""
    percent = 100 * part / total if total else 0.0
    return f"{percent:.0f}\u202f%" if percent >= 9.95 or percent == 0 else f"{percent:.2g}\u202f%"


def bar(parts: Sequence[tuple[float, str]], total: float) -> str:
    """Return a horizontal bar.

    Args:
        parts: length and class of each part, from the left.
        total: the length of the whole width.
    """
    at, rects = 0.0, []
    for length, name in parts:
        width = 1000 * length / total if total else 0.0
        if width:
            shown = max(width, 2)
            rects.append(f'<rect class="{name}" x="{at:.1f}" width="{shown:.1f}" height="10"/>')
        at += width
    return (
        '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(rects)}</svg>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table of HTML cells; columns in `numbers` are set to the right."""

    def cells(kind: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=n' if at in numbers else ''}>{value}</{kind}>"
            for at, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>" if any(heads) else ""
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


def section(name: str, title: str, body: str, intro: str = "") -> str:
    """Return a section that the navigation leads to; nothing when it is empty."""
    if not body:
        return ""
    lead = f'<p class="lead">{intro}</p>' if intro else ""
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{lead}{body}</section>'  # noqa: E501 - one element
