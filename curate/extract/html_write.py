"""Write the kept blocks of a page with their structure: plain text or Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from .html_blocks import Page
from .html_tags import IN_PRE, IN_QUOTE, IN_TABLE

_LEVELS = {f"h{level}": level for level in range(1, 7)}
_STRUCTURAL = _LEVELS.keys() | {"li", "dd", "ul", "ol", "dl", "tr", "td", "th", "table"}
_Structure = tuple[int, int, int, int, int]
_FENCE = re.compile(r"^`{3,}", re.MULTILINE)
_MAX_INDENT = 8


def write(page: Page, kept: Sequence[int], markdown: bool = False, tables: bool = True) -> str:
    """Return the text of some blocks.

    Plain text has one line for a block: items begin with "- ", rows of a table read "| a | b |". In
    Markdown headings, numbered items, quotes and code are marked as well.

    Args:
        page: the page.
        kept: numbers of the blocks, ascending.
        markdown: write Markdown.
        tables: keep what is in tables of two columns or more.
    """
    structure = _structure(page)
    tabular = _rows_of_tables(page, structure)
    lines: list[str] = []
    cells: list[str] = []
    last_row = last_cell = last_item = 0
    rows_written = 0
    for block in kept:
        # Sphinx and others end a heading with a link to itself.
        node, text = page.nodes[block], page.texts[block].removesuffix("¶")
        heading, item, row, cell, depth = structure[node]
        at_row = row if row in tabular else 0
        if at_row != last_row and cells:
            rows_written = _write_row(lines, cells, rows_written, markdown)
            cells = []
        if at_row:
            if tables:
                flat = " ".join(text.split()).replace("|", "\\|" if markdown else "|")
                if cells and cell == last_cell:
                    cells[-1] += " " + flat
                else:
                    cells.append(flat)
            last_row, last_cell = at_row, cell
            continue
        last_row = rows_written = 0
        if not page.places[node] & IN_PRE:
            if item or heading:
                text = text.replace("\n", " ")
        elif markdown:
            fence = "`" * max(3, 1 + max(map(len, _FENCE.findall(text)), default=2))
            text = f"{fence}\n{text}\n{fence}"
        if heading:
            text = "#" * heading + " " + text if markdown else text
        elif item and not page.places[node] & IN_PRE:
            indent = "  " * min(depth - 1, _MAX_INDENT) if markdown else ""
            if item != last_item:
                text = f"{indent}- {text}"
            elif markdown:
                text = f"{indent}  {text}"
        if markdown and page.places[node] & IN_QUOTE and not heading:
            text = "> " + text.replace("\n", "\n> ")
        last_item = item
        lines.append(text)
    if cells:
        _write_row(lines, cells, rows_written, markdown)
    return _joined(lines) if markdown else "\n".join(lines)


def _structure(page: Page) -> list[_Structure]:
    """Return for each node the level of its heading, its item, row and cell, and the lists' depth.

    A row or a cell inside an item, and the reverse, count by what is nearer.
    """
    found = [(0, 0, 0, 0, 0)]
    for node, (parent, tag) in enumerate(zip(page.parents, page.tags, strict=True)):
        if node == 0:
            continue
        inherited = found[parent]
        if tag in _STRUCTURAL:
            heading, item, row, cell, depth = inherited
            if tag in _LEVELS:
                heading = _LEVELS[tag]
            elif tag == "li" or tag == "dd":
                item, row, cell = node, 0, 0
            elif tag == "ul" or tag == "ol" or tag == "dl":
                depth += 1
            elif tag == "tr":
                row, item = node, 0
            elif tag == "td" or tag == "th":
                cell = node
            else:
                row = cell = 0
            inherited = heading, item, row, cell, depth
        found.append(inherited)
    return found


def _rows_of_tables(page: Page, structure: list[_Structure]) -> set[int]:
    """Return the rows that are data: two cells or more, and none that holds a piece of a page."""
    if "tr" not in page.tags:
        return set()
    cells: dict[int, set[int]] = {}
    chars: dict[int, int] = {}
    blocks: dict[int, int] = {}
    for node, text in zip(page.nodes, page.texts, strict=True):
        _, _, row, cell, _ = structure[node]
        if row and page.places[node] & IN_TABLE:
            cells.setdefault(row, set()).add(cell)
            chars[cell] = chars.get(cell, 0) + len(text)
            blocks[cell] = blocks.get(cell, 0) + 1
    return {
        at
        for at, inside in cells.items()
        if len(inside) > 1
        and all(blocks[number] <= 6 and chars[number] <= 1_500 for number in inside)
    }


def _write_row(lines: list[str], cells: list[str], rows_written: int, markdown: bool) -> int:
    lines.append("| " + " | ".join(cells) + " |")
    if markdown and not rows_written:
        lines.append("|" + " --- |" * len(cells))
    return rows_written + 1


def _joined(lines: list[str]) -> str:
    """Join lines of Markdown: an empty line between paragraphs, none within lists and tables."""
    text = [lines[0]] if lines else []
    for before, line in pairwise(lines):
        together = (before[:1] == "|" and line[:1] == "|") or (
            before.lstrip()[:2] == "- " and line.lstrip()[:2] == "- "
        )
        text.append("\n" if together else "\n\n")
        text.append(line)
    return "".join(text)
