"""Tables whose cells are ruled: the lines that are drawn say which text stands in which cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .pdf_backend import Ruling, TextLine
from .pdf_lines import Line
from .pdf_tables import Table

_NEAR = 2.0  # points between strokes that are one line, or that touch
_MAX_RULINGS = 2000  # more is a drawing
_MAX_CELL_CHARS = 400  # on average; more is a page laid out in boxes
_MOST_LINES = 3  # in every cell of a row; more are rows that are not ruled, unless they are full
_FULL = 0.8  # of a cell's width
_FULL_SHARE = 0.3


@dataclass(slots=True)
class _Stroke:
    """A straight line: at a height (or, if it stands, a distance), from here to there."""

    at: float
    start: float
    end: float


@dataclass(slots=True)
class _Grid:
    """Lines that touch each other, and the edges of the columns and rows between them."""

    across: list[_Stroke]
    down: list[_Stroke]
    xs: list[float]
    ys: list[float]

    def holds(self, line: Line) -> bool:
        x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
        return self.xs[0] < x < self.xs[-1] and self.ys[0] < y < self.ys[-1]


def may_hold_cells(lines: Sequence[TextLine]) -> bool:
    """Tell whether text follows beside other text, as in the rows of a table.

    Looking for rules costs half as much again as reading the text; most pages have no table.
    """
    beside = 0
    for before, after in pairwise(lines):
        shared = min(before.y1, after.y1) - max(before.y0, after.y0)
        apart = after.x0 >= before.x1 or before.x0 >= after.x1
        beside += apart and shared > 0.5 * min(before.y1 - before.y0, after.y1 - after.y0)
        if beside > 1:
            return True
    return False


def ruled_tables(lines: Sequence[Line], rulings: Sequence[Ruling]) -> list[Line | Table]:
    """Return the lines, those of ruled tables replaced by them."""
    found: list[Line | Table] = list(lines)
    for grid in _grids(rulings):
        inside = [line for line in lines if grid.holds(line)]
        table = _table(grid, inside)
        if table is None:
            continue
        gone = set(map(id, inside))
        first = next((i for i, item in enumerate(found) if id(item) in gone), None)
        if first is not None:
            found.insert(first, table)
            found = [item for item in found if id(item) not in gone]
    return found


def _grids(rulings: Sequence[Ruling]) -> list[_Grid]:
    """Return what encloses at least two columns and two rows."""
    if len(rulings) > _MAX_RULINGS:
        return []
    across = _strokes((y0, x0, x1) for x0, y0, x1, y1 in rulings if x1 - x0 > y1 - y0)
    down = _strokes((x0, y0, y1) for x0, y0, x1, y1 in rulings if y1 - y0 > x1 - x0)
    grids = []
    for component in _components(across, down):
        rows, columns = ([one for one in side if id(one) in component] for side in (across, down))
        if len(columns) < 1 or len(rows) < 1:
            continue
        xs = _edges(columns, rows)
        ys = _edges(rows, columns)
        if len(xs) > 2 and len(ys) > 2:
            grids.append(_Grid(rows, columns, xs, ys))
    return grids


def _strokes(found: Iterable[tuple[float, float, float]]) -> list[_Stroke]:
    """Join the strokes that continue each other."""
    strokes: list[_Stroke] = []
    for at, start, end in sorted(found):
        same = [one for one in reversed(strokes[-64:]) if at - one.at <= _NEAR]
        for one in same:
            if start <= one.end + _NEAR and one.start <= end + _NEAR:
                one.start, one.end = min(one.start, start), max(one.end, end)
                break
        else:
            strokes.append(_Stroke(at, start, end))
    return strokes


def _components(across: Sequence[_Stroke], down: Sequence[_Stroke]) -> list[set[int]]:
    """Return which strokes touch each other, directly or through others, by their ids."""
    touching: dict[int, set[int]] = {id(one): set() for one in (*across, *down)}
    for row in across:
        for column in down:
            if (
                row.start - _NEAR <= column.at <= row.end + _NEAR
                and column.start - _NEAR <= row.at <= column.end + _NEAR
            ):
                touching[id(row)].add(id(column))
                touching[id(column)].add(id(row))
    components = []
    seen: set[int] = set()
    for one in touching:
        if one in seen or not touching[one]:
            continue
        component, todo = set(), [one]
        while todo:
            at = todo.pop()
            if at not in component:
                component.add(at)
                todo += touching[at]
        seen |= component
        components.append(component)
    return components


def _edges(strokes: Sequence[_Stroke], crossing: Sequence[_Stroke]) -> list[float]:
    """Return where columns (or rows) begin and end; a table may lack the rules around it."""
    ends = [min(one.start for one in crossing), max(one.end for one in crossing)]
    edges: list[float] = []
    for at in sorted([*(one.at for one in strokes), *ends]):
        if not edges or at - edges[-1] > 2 * _NEAR:
            edges.append(at)
    return edges


def _table(grid: _Grid, lines: Sequence[Line]) -> Table | None:
    cells: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        for part in _split(line, grid):
            row = _interval(grid.ys, (part.y0 + part.y1) / 2)
            column = _interval(grid.xs, (part.x0 + part.x1) / 2)
            cells.setdefault((row, column), []).append(part)
    rows = range(len(grid.ys) - 1)
    columns = range(len(grid.xs) - 1)
    full_rows = sum(sum((row, column) in cells for column in columns) > 1 for row in rows)
    if full_rows < 2 or any(_is_unruled(grid, cells, row) for row in rows):
        return None
    table = [
        [" ".join(line.text for line in cells.get((row, column), ())) for column in columns]
        for row in rows
    ]
    filled = [cell for row in table for cell in row if cell]
    if sum(map(len, filled)) > _MAX_CELL_CHARS * len(filled):
        return None
    return [row for row in table if any(row)]


def _is_unruled(grid: _Grid, cells: dict[tuple[int, int], list[Line]], row: int) -> bool:
    """Tell whether a row holds several, with no rule between them."""
    found = {at: lines for (r, at), lines in cells.items() if r == row}
    if len(found) < 2 or min(map(len, found.values())) <= _MOST_LINES:
        return False
    widths = {at: grid.xs[at + 1] - grid.xs[at] for at in found}
    full = [line.x1 - line.x0 > _FULL * widths[at] for at, lines in found.items() for line in lines]
    return sum(full) < _FULL_SHARE * len(full)


def _split(line: Line, grid: _Grid) -> list[Line]:
    """Cut a line at the rules that run through it, each time at the space that is nearest."""
    parts: list[Line] = []
    middle = (line.y0 + line.y1) / 2
    for rule in sorted(grid.down, key=lambda rule: rule.at):
        x = rule.at
        if not (line.x0 + 1 < x < line.x1 - 1 and rule.start <= middle <= rule.end):
            continue
        width = (line.x1 - line.x0) / max(len(line.text), 1)
        spaces = [i for i, char in enumerate(line.text) if char == " "]
        if not spaces:
            break
        space = min(spaces, key=lambda i: abs(line.x0 + (i + 0.5) * width - x))
        parts.append(replace(line, text=line.text[:space], x1=x))
        line = replace(line, text=line.text[space + 1 :], x0=x)
    return [part for part in (*parts, line) if part.text]


def _interval(edges: Sequence[float], at: float) -> int:
    return next((i for i, (_, end) in enumerate(pairwise(edges)) if at < end), len(edges) - 2)
