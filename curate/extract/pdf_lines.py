"""Lines of a page in reading order, from its text with places.

The order in which a file draws its text is the reading order in nearly every file made by a program
that knows it; the geometry serves to find what belongs together. Only where the drawing order goes
back and forth on the page, the page is cut into columns instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from .pdf_backend import TextLine
from .pdf_chars import clean

_SPACE = 0.2  # in font sizes: a gap from which on two runs are two words
_CELL = 0.8  # a gap from which on they are two cells
_OVERLAP = 0.5
_BOLD = re.compile(r"bold|black|heavy|semibd|demi|-bd|medi$|cmbx|sfbx", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|typewriter|consol|fixed|menlo|cmtt|sftt", re.IGNORECASE)
_AROUND = 8
_MAX_JUMPS = 0.12
_MAX_ACROSS = 0.2
_NEAR = 2.5
_FEW = 3
_PROSE = 20  # characters in a line
_FULL = 0.85
_FULL_SHARE = 0.6


@dataclass(slots=True)
class Line:
    """Text on one line without a wide gap."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    mono: bool = False
    right: float = 0.0  # how far the lines around it reach

    @property
    def upright(self) -> bool:
        """Whether it runs across the page rather than along its side."""
        return len(self.text) < 4 or self.y1 - self.y0 < 2 * max(self.x1 - self.x0, self.size)


def lines_of(found: Sequence[TextLine]) -> list[Line]:
    """Return the lines of a page in reading order."""
    lines: list[Line] = []
    seen: set[tuple[str, int, int]] = set()
    for part in found:
        text = " ".join(clean(part.text).split())
        key = (text, round(part.x0 / 2), round(part.y0 / 2))
        # A shadow, or bold made by drawing twice: the same text again at its place.
        if not text or key in seen:
            continue
        seen.add(key)
        bold = bool(_BOLD.search(part.font))
        size = part.size or max(part.y1 - part.y0, 1.0)
        mono = bool(_MONO.search(part.font))
        line = Line(text, part.x0, part.y0, part.x1, part.y1, size, bold, mono)
        if lines and _follows(lines[-1], line):
            _append(lines[-1], line)
        else:
            lines.append(line)
    if _goes_up(lines):
        lines, _ = _by_columns(lines)
    elif _goes_across(lines):
        ordered, has_columns = _by_columns(lines)
        lines = ordered if has_columns else lines
    for i, line in enumerate(lines):
        around = lines[max(i - _AROUND, 0) : i + _AROUND + 1]
        line.right = max(
            other.x1
            for other in around
            if abs(other.x0 - line.x0) < 2 * line.size
            and abs(other.size - line.size) <= 0.12 * line.size
        )
    return lines


def _follows(line: Line, part: Line) -> bool:
    overlap = min(line.y1, part.y1) - max(line.y0, part.y0)
    if overlap < _OVERLAP * min(line.y1 - line.y0, part.y1 - part.y0):
        return False
    size = max(line.size, part.size)
    return -0.6 * size <= part.x0 - line.x1 <= _CELL * size


def _append(line: Line, part: Line) -> None:
    near = part.x0 - line.x1 <= _SPACE * max(line.size, part.size)
    line.text += part.text if near else " " + part.text
    # The size of a line is that of most of it: a raised number at its start does not decide.
    if len(part.text) * 2 > len(line.text):
        line.size = part.size
    line.bold = line.bold and part.bold
    line.x1 = max(line.x1, part.x1)
    line.y0, line.y1 = min(line.y0, part.y0), max(line.y1, part.y1)


def _goes_up(lines: Sequence[Line]) -> bool:
    """Tell whether the drawing order runs up the page too often."""
    ups = 0
    for before, after in pairwise(lines):
        if after.y1 < before.y0:
            shared = min(before.x1, after.x1) - max(before.x0, after.x0)
            ups += shared > 0.5 * min(before.x1 - before.x0, after.x1 - after.x0)
    return ups > max(_FEW, _MAX_JUMPS * len(lines))


def _goes_across(lines: Sequence[Line]) -> bool:
    """Tell whether the drawing order runs across what may be columns of prose."""
    prose = [line for line in lines if len(line.text) >= _PROSE]
    across = [pair for pair in pairwise(prose) if _is_apart(*pair)]
    if len(across) <= _FEW:
        return False
    # Only where the pen goes across: the rest of the page may have one column.
    top = min(line.y0 for pair in across for line in pair)
    bottom = max(line.y1 for pair in across for line in pair)
    return len(across) > _MAX_ACROSS * sum(top <= line.y0 and line.y1 <= bottom for line in prose)


def _is_apart(before: Line, after: Line) -> bool:
    """Tell whether the pen went from one column to another, at about the same height."""
    apart = after.x0 >= before.x1 or before.x0 >= after.x1
    return apart and abs(after.y1 - before.y1) < _NEAR * before.size


def _beside(before: Line, after: Line) -> bool:
    shared = min(before.y1, after.y1) - max(before.y0, after.y0)
    apart = after.x0 >= before.x1 or before.x0 >= after.x1
    return apart and shared > _OVERLAP * min(before.y1 - before.y0, after.y1 - after.y0)


def _by_columns(found: Sequence[Line]) -> tuple[list[Line], bool]:
    """Order lines by their places, and tell whether a gutter runs down between columns of prose."""
    # What runs along the side of the page, such as where it was downloaded, is beside all of it.
    lines = [line for line in found if line.upright] or found
    beside = [line for line in found if not line.upright] if lines is not found else []
    size = median(line.size for line in lines)
    sections: list[list[list[Line]]] = []
    section: list[Line] = []
    covered: list[tuple[float, float]] = []
    for row in _rows(lines):
        both = _covered([*covered, *((line.x0, line.x1) for line in row)], size)
        if len(both) < 2:
            sections.append(_columns(section, covered))
            section, both = [], _covered([(line.x0, line.x1) for line in row], size)
        section += row
        covered = both
    sections.append(_columns(section, covered))
    ordered = [line for columns in sections for column in columns for line in column]
    return ordered + beside, any(len(columns) > 1 for columns in sections)


def _columns(section: list[Line], spans: Sequence[tuple[float, float]]) -> list[list[Line]]:
    parts = [[line for line in section if x0 <= line.x0 <= x1] for x0, x1 in spans]
    return parts if len(parts) > 1 and all(map(_is_column, parts)) else [section]


def _is_column(lines: Sequence[Line]) -> bool:
    """Tell whether most of the text is prose: in lines as wide as all of them together."""
    width = max(line.x1 for line in lines) - min(line.x0 for line in lines)
    full = [
        len(line.text)
        for line in lines
        if line.x1 - line.x0 > _FULL * width and len(line.text) >= _PROSE
    ]
    return len(full) >= _FEW and sum(full) > _FULL_SHARE * sum(len(line.text) for line in lines)


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.y0 + line.y1, line.x0)):
        if rows and _beside(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.x0) for row in rows]


def _covered(spans: Sequence[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Return where the spans lie, those nearer than the gap put together."""
    joined: list[tuple[float, float]] = []
    for x0, x1 in sorted(spans):
        if joined and x0 - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], x1))
        else:
            joined.append((x0, x1))
    return joined
