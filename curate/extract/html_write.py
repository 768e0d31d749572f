"""Write the kept blocks of a page with their structure: plain text or Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from .html_blocks import Page, place_of
from .html_tags import IN_BUTTON, IN_HIDDEN, IN_NAV, IN_PRE, IN_QUOTE, IN_TABLE

_LEVELS = {f"h{level}": level for level in range(1, 7)}
_STRUCTURAL = (
    _LEVELS.keys() | {"li", "dd", "ul", "ol", "dl", "tr", "td", "th", "table"} | {"blockquote"}
)
_Structure = tuple[int, int, int, int, int, int, int]
_ITEM = re.compile(r" *(?:- |[0-9]+\. )")
_FENCE = re.compile(r"^`{3,}", re.MULTILINE)
_MAX_INDENT = 16
_MAX_QUOTES = 8
_NO_DATA = IN_HIDDEN | IN_NAV | IN_BUTTON
_MAX_PADDED = 50  # columns up to which the rows of a table in Markdown are made equally long


def write(
    page: Page,
    kept: Sequence[int],
    markdown: bool = False,
    tables: bool = True,
    whole_rows: bool = True,
) -> str:
    """Return the text of some blocks.

    Plain text has one line for a block: items begin with "- ", rows of a table read "| a | b |". In
    Markdown headings, numbered items, quotes and code are marked as well.

    Args:
        page: the page.
        kept: numbers of the blocks, ascending.
        markdown: write Markdown.
        tables: keep what is in tables of two columns or more.
        whole_rows: keep all that is seen of a row of data of which a block is kept. Mean F1 of
            1,602 gold pages +.00025: of the 41 with such rows 21 became better and 17 worse.
    """
    structure, markers = _structure(page)
    tabular, gutters = _rows_of_tables(page, structure)
    if whole_rows and tabular:
        kept = _whole_rows(page, kept, structure, tabular)
    depths = page.paths.depths
    lines: list[str] = []
    marked: set[int] = set()  # items of which a block is written
    rows: list[dict[int, str]] = []  # of the table that is being written, cells by column
    column = last_row = last_cell = last_table = last_item = 0
    for block in kept:
        if block in gutters:
            continue
        # Sphinx and others end a heading with a link to itself.
        node, text = page.nodes[block], page.texts[block].removesuffix("¶")
        heading, item, row, cell, indent, table, quotes = structure[node]
        at_row = row if row in tabular else 0
        if rows and (not at_row or table != last_table):
            lines.append(_table(rows, markdown))
            rows = []
        if at_row:
            if tables:
                flat = " ".join(text.split()).replace("|", "\\|" if markdown else "|")
                if at_row == last_row and cell == last_cell:
                    rows[-1][column] += " " + flat
                else:
                    if at_row != last_row:
                        rows.append({})
                        column = -1
                    place = place_of(page.starts[cell], int(depths[page.path_of[cell]]))
                    column = max(column + 1, page.columns.get(place, 0) if cell else 0)
                    rows[-1][column] = flat
            last_row, last_cell, last_table = at_row, cell, table
            continue
        last_row = 0
        if not page.places[node] & IN_PRE:
            if item or heading:
                text = text.replace("\n", " ")
        elif markdown:
            fence = "`" * max(3, 1 + max(map(len, _FENCE.findall(text)), default=2))
            text = f"{fence}\n{text}\n{fence}"
        if heading and markdown:
            text = "#" * heading + " " + text
        if item and not page.places[node] & IN_PRE and (markdown or not heading):
            marker = markers[item] if markdown else "- "
            if item in marked if markdown else item == last_item:
                marker = " " * len(marker) if markdown else ""
            marked.add(item)
            text = (" " * min(indent, _MAX_INDENT) if markdown else "") + marker + text
        if markdown and page.places[node] & IN_QUOTE and not heading:
            mark = "> " * min(max(quotes, 1), _MAX_QUOTES)
            text = mark + text.replace("\n", "\n" + mark)
        last_item = item
        lines.append(text)
    if rows:
        lines.append(_table(rows, markdown))
    return _joined(lines) if markdown else "\n".join(lines)


def _structure(page: Page) -> tuple[list[_Structure], dict[int, str]]:
    """Return what each node is in, and the marker in Markdown of each item.

    That is the level of its heading, its item, row and cell, the indent of its list, its table, and
    how many quotes. A row or a cell inside an item, and the reverse, count by what is nearer.
    """
    found = [(0, 0, 0, 0, -2, 0, 0)]
    markers: dict[int, str] = {}
    numbers: dict[int, int] = {}  # of the next item, by ordered list
    for node, (parent, tag) in enumerate(zip(page.parents, page.tags, strict=True)):
        if node == 0:
            continue
        inherited = found[parent]
        if tag in _STRUCTURAL:
            heading, item, row, cell, indent, table, quotes = inherited
            if tag in _LEVELS:
                heading = _LEVELS[tag]
            elif tag == "li" or tag == "dd":
                item, row, cell = node, 0, 0
                number = numbers.get(parent)
                markers[node] = "- " if number is None else f"{number}. "
                if number is not None:
                    numbers[parent] = number + 1
            elif tag == "ul" or tag == "ol" or tag == "dl":
                indent += len(markers[item]) if item and indent >= 0 else 2
                if tag == "ol":
                    numbers[node] = page.paths.numbers.get(page.path_of[node], 1)
            elif tag == "tr":
                row, item = node, 0
            elif tag == "td" or tag == "th":
                cell = node
            elif tag == "table":
                row = cell = 0
                table = node
            else:
                quotes += 1
            inherited = heading, item, row, cell, indent, table, quotes
        found.append(inherited)
    return found, markers


def _rows_of_tables(page: Page, structure: list[_Structure]) -> tuple[set[int], set[int]]:
    """Return the rows that are data, and the blocks that number the lines of code beside them.

    Data is two cells or more, and none that holds a piece of a page, or code of two lines or more.
    """
    if "tr" not in page.tags:
        return set(), set()
    cells: dict[int, set[int]] = {}
    chars: dict[int, int] = {}
    blocks: dict[int, int] = {}
    code: dict[int, list[int]] = {}
    for block, (node, text) in enumerate(zip(page.nodes, page.texts, strict=True)):
        _, _, row, cell, *_ = structure[node]
        if row and page.places[node] & IN_TABLE:
            cells.setdefault(row, set()).add(cell)
            chars[cell] = chars.get(cell, 0) + len(text)
            blocks[cell] = blocks.get(cell, 0) + 1
            if page.places[node] & IN_PRE and "\n" in text:
                code.setdefault(row, []).append(block)
    rows = {
        at
        for at, inside in cells.items()
        if at not in code
        and len(inside) > 1
        and all(blocks[number] <= 6 and chars[number] <= 1_500 for number in inside)
    }
    gutters = {
        first
        for inside in code.values()
        for first, second in pairwise(inside)
        if structure[page.nodes[first]][3] != structure[page.nodes[second]][3]
        and _is_gutter(page.texts[first], page.texts[second])
    }
    return rows, gutters


def _whole_rows(
    page: Page, kept: Sequence[int], structure: list[_Structure], tabular: set[int]
) -> Sequence[int]:
    """Return the kept blocks and the others in their rows of data."""
    begun = {structure[page.nodes[block]][2] for block in kept} & tabular
    if not begun:
        return kept
    found = set(kept)
    for block, node in enumerate(page.nodes):
        if structure[node][2] in begun and not page.places[node] & _NO_DATA:
            found.add(block)
    return sorted(found)


def _is_gutter(text: str, code: str) -> bool:
    """Tell whether a text is the numbers of the lines of some code, of which empty ones may end it.

    What a contest prints as input and output may both be numbers: those are not consecutive.
    """
    lines = text.split()
    first = lines[0]
    if not (first.isascii() and first.isdigit()) or len(first) > 6:
        return False
    last = int(first) + text.count("\n") + 1
    return text.count("\n") >= code.count("\n") and lines == list(map(str, range(int(first), last)))


def _table(rows: list[dict[int, str]], markdown: bool) -> str:
    """Return the rows of a table, without the columns that are empty in all of them."""
    used = sorted({column for row in rows for column in row})
    places = {column: place for place, column in enumerate(used)}
    lines: list[str] = []
    for row in rows:
        size = 1 + places[max(row)]
        # The first row of a table in Markdown says how many columns it has.
        if markdown and (not lines or len(used) <= _MAX_PADDED):
            size = len(used)
        cells = [""] * size
        for column, text in row.items():
            cells[places[column]] = text
        lines.append("|" + "".join([f" {text} |" if text else " |" for text in cells]))
        if markdown and len(lines) == 1:
            lines.append("|" + " --- |" * size)
    return "\n".join(lines)


def _joined(lines: list[str]) -> str:
    """Join lines of Markdown: an empty line between paragraphs, none within lists."""
    text = [lines[0]] if lines else []
    for before, line in pairwise(lines):
        together = _ITEM.match(before) and _ITEM.match(line)
        text.append("\n" if together else "\n\n")
        text.append(line)
    return "".join(text)
