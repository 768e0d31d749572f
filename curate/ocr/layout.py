"""Reading order: lines of text with their places become columns, paragraphs and one text.

Engines that only find and read lines give them from top to bottom over the whole page, which mixes
columns. Here a page is divided at gutters, and what crosses a gutter divides it from top to bottom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

# All in heights of a line of the page. A gutter has this many lines on both sides between what
# crosses it, and they are wide as text is and the cells of most tables are not.
_GUTTER_LINES = 3
_GUTTER_WIDTH = 7.0
_TOUCHES = 0.35
_CELL_GAP = 1.5
_INDENT = (0.8, 5.0)
_SHORT = 2.5
# A step to the next line, in heights of the two, that is longer than the usual one by this factor
# begins a paragraph, and so does a line that is higher or lower by this factor.
_WIDE_STEP = 1.35
_OTHER_SIZE = 1.35

_HYPHENS = "-\u2010\u00ad"
_ITEM = re.compile(r"(?:[-•*‣▪●○–—]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+\S")
_SENTENCE_END = tuple(".!?。！？:：;；”\"')）")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, or a part of one, and its place; y grows downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """Of the box."""
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """Of its height."""
        return (self.y0 + self.y1) / 2


def text_of(lines: Iterable[Line]) -> str:
    """Return the text in reading order: paragraphs apart by a blank line, hyphens at ends undone.

    Rows of several cells stay lines of their own.
    """
    found = [line for line in lines if line.text.strip()]
    if not found:
        return ""
    height = median(line.height for line in found) or 1.0
    return "\n\n".join(_block_text(block, height) for block in blocks(found, height))


def blocks(lines: Sequence[Line], height: float) -> list[list[Line]]:
    """Divide lines into what is read from top to bottom, in reading order."""
    ordered = sorted(lines, key=lambda line: (line.middle, line.x0))
    gutter = _best_gutter(ordered, height)
    if gutter is None:
        return [ordered]
    found: list[list[Line]] = []
    whole: list[Line] = []
    for band, divided in _bands(ordered, gutter, height):
        if not divided:
            whole.extend(band)
            continue
        if whole:
            found.extend(blocks(whole, height))
            whole = []
        left = [line for line in band if _side(line, gutter, height) < 0]
        right = [line for line in band if _side(line, gutter, height) > 0]
        found.extend([*blocks(left, height), *blocks(right, height)])
    if whole:
        found.extend(blocks(whole, height))
    return found


def _best_gutter(lines: Sequence[Line], height: float) -> float | None:
    """Return the place that divides the most lines into two columns."""
    best, best_score = None, 0
    for x in sorted({round(line.x0 / height * 2) for line in lines}):
        gutter = (x / 2 - _TOUCHES) * height
        bands = _bands(lines, gutter, height)
        score = sum(len(band) for band, divided in bands if divided)
        if score > best_score:
            best, best_score = gutter, score
    return best


def _bands(lines: Sequence[Line], gutter: float, height: float) -> list[tuple[list[Line], bool]]:
    """Divide lines from top to bottom at those that cross the gutter; tell which have columns."""
    found: list[tuple[list[Line], bool]] = []
    band: list[Line] = []
    for line in lines:
        if _side(line, gutter, height):
            band.append(line)
            continue
        if band:
            found.append((band, _has_columns(band, gutter, height)))
            band = []
        found.append(([line], False))
    if band:
        found.append((band, _has_columns(band, gutter, height)))
    return found


def _side(line: Line, gutter: float, height: float) -> int:
    """Return -1 for a line on the left of the gutter, 1 on its right, and 0 for one across it."""
    if line.x1 <= gutter + _TOUCHES * height:
        return -1
    return 1 if line.x0 >= gutter - _TOUCHES * height else 0


def _has_columns(band: Sequence[Line], gutter: float, height: float) -> bool:
    sides: dict[int, list[Line]] = {-1: [], 1: []}
    for line in band:
        sides[_side(line, gutter, height)].append(line)
    return all(
        len(side) >= _GUTTER_LINES
        and median(line.x1 - line.x0 for line in side) >= _GUTTER_WIDTH * height
        for side in sides.values()
    )


def _rows(block: Sequence[Line]) -> list[list[Line]]:
    """Put parts that stand side by side into rows."""
    rows: list[list[Line]] = []
    for line in sorted(block, key=lambda line: (line.middle, line.x0)):
        if rows and _level(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.x0) for row in rows]


def _level(first: Line, second: Line) -> bool:
    overlap = min(first.y1, second.y1) - max(first.y0, second.y0)
    return overlap > 0.5 * min(first.height, second.height)


def _merged(row: Sequence[Line]) -> Line:
    return Line(
        " ".join(line.text.strip() for line in row),
        row[0].x0,
        min(line.y0 for line in row),
        max(line.x1 for line in row),
        max(line.y1 for line in row),
    )


def _block_text(block: Sequence[Line], height: float) -> str:
    rows = _rows(block)
    cells = [any(b.x0 - a.x1 > _CELL_GAP * height for a, b in pairwise(row)) for row in rows]
    lines = [_merged(row) for row in rows]
    step = median([_step(a, b) for a, b in pairwise(lines)] or [1.0])
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    text = lines[0].text
    for i in range(1, len(lines)):
        above, line = lines[i - 1], lines[i]
        if _begins_paragraph(above, line, step, left, right, height):
            text += "\n\n" + line.text
        elif cells[i] or cells[i - 1] or _ITEM.match(line.text):
            text += "\n" + line.text
        else:
            text = join(text, line.text)
    return text


def _step(above: Line, line: Line) -> float:
    return (line.middle - above.middle) / max((above.height + line.height) / 2, 1e-9)


def _begins_paragraph(
    above: Line, line: Line, step: float, left: float, right: float, height: float
) -> bool:
    if _step(above, line) > max(_WIDE_STEP * step, 1.0):
        return True
    if max(line.height, above.height) > _OTHER_SIZE * min(line.height, above.height):
        return True
    low, high = _INDENT
    if low < (line.x0 - left) / height < high and above.x0 - left < low * height:
        return True
    return above.x1 < right - _SHORT * height and above.text.endswith(_SENTENCE_END)


def join(text: str, line: str) -> str:
    """Append the next line of a paragraph: a hyphen at the end undone, no space within CJK."""
    if not text or not line:
        return text + line
    if text[-1] in _HYPHENS and text[-2:-1].isalpha() and line[0].islower():
        return text[:-1] + line
    if _is_cjk(text[-1]) and _is_cjk(line[0]):
        return text + line
    return f"{text} {line}"


def _is_cjk(char: str) -> bool:
    """Tell whether a character is of a script that is written without spaces."""
    return (
        "\u2e80" <= char <= "\u30ff"
        or "\u3400" <= char <= "\u9fff"
        or "\uf900" <= char <= "\ufaff"
        or "\uff00" <= char <= "\uffef"
        or "\U00020000" <= char <= "\U0003ffff"
    )
