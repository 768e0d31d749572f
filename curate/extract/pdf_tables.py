"""Tables among the lines of a page: rows whose cells stand in columns, ruled or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .pdf_lines import Line

_MAX_CELL_LINES = 6
_MAX_CELL_CHARS = 200
_MEAN_CELL_CHARS = 60
_MAX_BETWEEN = 2
# A column may be crossed by this share of the rows, such as by headings that span several.
_CROSSED = 0.12
_MANY = 3
# Between words of a justified line in a narrow column, in sizes of its letters.
_WIDEST_SPACE = 2.0
_LEADING = frozenset({"$", "€", "£", "¥", "(", "US$", "~", "±", "+", "-", "–", "—"})
_TRAILING = frozenset({"%", ")", ")%", "%)", "pts", "ppts", "x"})

Table = list[list[str]]


@dataclass(slots=True)
class _Cell:
    lines: list[Line]

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.lines)

    @property
    def x1(self) -> float:
        return max(line.x1 for line in self.lines)

    @property
    def y0(self) -> float:
        return min(line.y0 for line in self.lines)

    @property
    def y1(self) -> float:
        return max(line.y1 for line in self.lines)

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


_Row = list[_Cell]


def with_tables(lines: Sequence[Line]) -> list[Line | Table]:
    """Return the lines, those of a table replaced by it."""
    rows = _rows(lines)
    found: list[Line | Table] = []
    start = 0
    while start < len(rows):
        end = _end_of_table(rows, start)
        is_table = end - start > 1 and not _in_paragraph(rows, start, end)
        table = _table(rows[start:end]) if is_table else None
        if table is None:
            end = start + 1
            found.extend(line for cell in rows[start] for line in cell.lines)
        else:
            found.append(table)
        start = end
    return found


def _rows(lines: Sequence[Line]) -> list[_Row]:
    """Group lines, in their order, into rows of cells; a paragraph is a row of one cell."""
    rows: list[_Row] = []
    for line in lines:
        if not rows or not line.upright:
            rows.append([_Cell([line])])
        elif _is_right_of(rows[-1], line):
            _split_above(rows, line)
            rows[-1].append(_Cell([line]))
        elif _continues(rows[-1], line):
            rows[-1][-1].lines.append(line)
        else:
            rows.append([_Cell([line])])
    return rows


def _is_right_of(row: _Row, line: Line) -> bool:
    last = row[-1].lines[-1] if len(row) == 1 else row[-1]
    if line.x0 < last.x1 - 0.1 * line.size:
        return False
    top, bottom = min(cell.y0 for cell in row), max(cell.y1 for cell in row)
    return min(bottom, line.y1) - max(top, line.y0) > 0.3 * (line.y1 - line.y0)


def _split_above(rows: list[_Row], line: Line) -> None:
    """Leave in the row only what stands beside the line; labels above it are rows of their own."""
    row = rows[-1]
    if len(row) > 1 or len(row[0].lines) == 1:
        return
    lines = row[0].lines
    beside = next((i for i, other in enumerate(lines) if other.y1 > line.y0 + 0.3 * line.size), 0)
    if beside:
        rows[-1] = [_Cell(lines[:beside])]
        rows.append([_Cell(lines[beside:])])


def _continues(row: _Row, line: Line) -> bool:
    last = row[-1].lines[-1]
    across = min(last.x1, line.x1) - max(last.x0, line.x0)
    beside = row[-2].x1 if len(row) > 1 else float("-inf")
    return (
        line.y0 > last.y0
        and line.y0 - last.y1 < 0.45 * last.size
        and across > 0
        and line.x0 > beside
        and abs(line.size - last.size) < 0.15 * last.size
    )


def _end_of_table(rows: Sequence[_Row], start: int) -> int:
    """Return the row after the last that can belong to a table that begins here."""
    if not _has_cells(rows[start]):
        return start
    end = last = start + 1
    bottom = max(cell.y1 for cell in rows[start])
    left, right = rows[start][0].x0, rows[start][-1].x1
    while end < len(rows) and end - last <= _MAX_BETWEEN:
        row = rows[end]
        size = row[0].lines[0].size
        top = min(cell.y0 for cell in row)
        if not bottom - 0.5 * size <= top <= bottom + 2.5 * size:
            break
        if row[0].x0 > right or row[-1].x1 < left:
            break
        if _has_cells(row):
            last = end + 1
            left, right = min(left, row[0].x0), max(right, row[-1].x1)
        elif not _is_label(row):
            break
        bottom = max(cell.y1 for cell in row)
        end += 1
    return last


def _in_paragraph(rows: Sequence[_Row], start: int, end: int) -> bool:
    """Tell whether rows are lines of justified text whose words stand far apart.

    They reach from edge to edge, as a line of one cell does that is among or beside them.
    """
    multi = [row for row in rows[start:end] if len(row) > 1]
    if any(len(cell.lines) > 1 for row in multi for cell in row):
        return False
    gaps = ((b.x0 - a.x1) / a.lines[0].size for row in multi for a, b in pairwise(row))
    if max(gaps, default=0.0) > _WIDEST_SPACE:
        return False
    beside = [row[0].lines for row in rows[start:end] if len(row) == 1]
    for at, near in ((start - 1, -1), (end, 0)):
        if 0 <= at < len(rows) and len(rows[at]) == 1:
            beside.append([rows[at][0].lines[near]])
    return any(
        all(abs(row[0].x0 - line.x0) + abs(row[-1].x1 - line.x1) < 0.5 * line.size for row in multi)
        for lines in beside
        for line in lines
    )


def _has_cells(row: _Row) -> bool:
    return len(row) > 1 and all(
        len(cell.lines) <= _MAX_CELL_LINES and len(cell.text) <= _MAX_CELL_CHARS for cell in row
    )


def _is_label(row: _Row) -> bool:
    return len(row) == 1 and len(row[0].lines) <= 2 and len(row[0].text) <= 100


def _table(rows: Sequence[_Row]) -> Table | None:
    multi = [row for row in rows if len(row) > 1]
    columns = _with_signs(_columns(multi), multi)
    if len(columns) < 2 or len(multi) < (2 if len(columns) > 2 else 3):
        return None
    table = [_placed(row, columns) for row in rows]
    filled = [cell for row in table for cell in row if cell]
    if sum(map(len, filled)) > _MEAN_CELL_CHARS * len(filled):
        return None
    if 2 * sum(sum(map(bool, row)) > 1 for row in table) < len(table):
        return None
    return None if _is_list(table) else table


def _columns(rows: Sequence[_Row]) -> list[tuple[float, float]]:
    """Return the x intervals that are not empty in more than a few rows."""
    edges: list[tuple[float, int]] = []
    for row in rows:
        for cell in row:
            edges += ((cell.x0, 1), (max(cell.x1, cell.x0 + 0.1), -1))
    allowed = max(int(_CROSSED * len(rows)), len(rows) > _MANY)
    columns: list[tuple[float, float]] = []
    covered, start = 0, 0.0
    for x, change in sorted(edges):
        before, covered = covered, covered + change
        if before <= allowed < covered:
            start = x
        elif covered <= allowed < before:
            columns.append((start, x))
    smallest = 0.3 * rows[0][0].lines[0].size if rows else 0.0
    merged: list[tuple[float, float]] = []
    for x0, x1 in columns:
        if merged and x0 - merged[-1][1] < smallest:
            merged[-1] = (merged[-1][0], x1)
        else:
            merged.append((x0, x1))
    return merged


def _placed(row: _Row, columns: Sequence[tuple[float, float]]) -> list[str]:
    cells = [""] * len(columns)
    for cell in _split(row, columns):
        overlaps = [min(cell.x1, x1) - max(cell.x0, x0) for x0, x1 in columns]
        at = max(range(len(columns)), key=overlaps.__getitem__)
        # A cell that spans several columns stands in the first of them.
        at = next((i for i, overlap in enumerate(overlaps) if overlap > 0), at)
        cells[at] = f"{cells[at]} {cell.text}".strip()
    return cells


def _split(row: _Row, columns: Sequence[tuple[float, float]]) -> _Row:
    """Divide cells whose texts were so near that they look like one."""
    cells: _Row = []
    for cell in row:
        if len(cell.lines) > 1:
            cells.append(cell)
            continue
        line = cell.lines[0]
        for (_, x0), (x1, _) in pairwise(columns):
            space = _space_between(line, x0, x1)
            if space:
                x = line.x0 + _width(line) * space
                left = replace(line, text=line.text[:space], x1=min(x, x1))
                cells.append(_Cell([left]))
                line = replace(line, text=line.text[space + 1 :], x0=x)
        cells.append(_Cell([line]))
    return cells


def _space_between(line: Line, x0: float, x1: float) -> int:
    """Return where in a line a space stands between two columns, by the mean width; or 0."""
    if not line.x0 < x0 or not line.x1 > x1:
        return 0
    middle = ((x0 + x1) / 2 - line.x0) / _width(line)
    allowed = ((x1 - x0) / 2 + 0.5 * line.size) / _width(line)
    spaces = [i for i, char in enumerate(line.text) if char == " " and abs(i - middle) <= allowed]
    return min(spaces, key=lambda i: abs(i - middle), default=0)


def _width(line: Line) -> float:
    return max(line.x1 - line.x0, 0.1) / max(len(line.text), 1)


def _with_signs(
    columns: Sequence[tuple[float, float]], rows: Sequence[_Row]
) -> list[tuple[float, float]]:
    """Join columns that hold nothing but signs with those of the numbers they belong to."""
    found: list[set[str]] = [set() for _ in columns]
    for row in rows:
        for cell in row:
            touched = [i for i, (x0, x1) in enumerate(columns) if cell.x0 < x1 and x0 < cell.x1]
            if len(touched) == 1:
                found[touched[0]].add(cell.text)
    joined: list[tuple[float, float]] = []
    leading = False
    for (x0, x1), texts in zip(columns, found, strict=True):
        if joined and (leading or (texts and texts <= _TRAILING)):
            joined[-1] = (joined[-1][0], x1)
        else:
            joined.append((x0, x1))
        leading = bool(texts) and texts <= _LEADING
    return joined


def _is_list(table: Table) -> bool:
    """Tell whether two columns are the markers and the texts of a list."""
    if len(table[0]) != 2:
        return False
    marks = [row[0] for row in table if row[0]]
    return all(len(mark) <= 4 and not mark[-1].isalnum() for mark in marks)


def pipe_table(table: Table) -> str:
    """Return a table in Markdown, its first row as the header."""
    width = max(map(len, table))
    rows = [[_escaped(cell) for cell in row] + [""] * (width - len(row)) for row in table]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")
