"""Clean the Markdown tables of PDFs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from ..document import Document
from ..pages import PagesStep
from .pdf_lines import is_fence, is_table_row

_CELL_END = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\s*:?-+:?\s*")


@dataclass(frozen=True)
class PdfTables(PagesStep):
    """Drop the empty columns and rows of pipe tables, and tables in which nothing is left.

    A table is two rows or more that begin and end with "|", the second a rule such as "|---|---|".
    Rows without such a rule are text; of several those go in which there is nothing but bars.

    DIFFERS: FinePDFs removes malformed tables. Here a row of more or fewer cells than the header is
    filled up, because what its cells say is text of the document.
    """

    name = "pdf_tables"

    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        return ["\n".join(_cleaned(page.split("\n"))) if "|" in page else page for page in pages]


def _cleaned(lines: list[str]) -> Iterator[str]:
    rows: list[str] = []
    is_code = False
    for line in lines:
        is_code ^= is_fence(line)
        if not is_code and is_table_row(line):
            rows.append(line)
            continue
        yield from _clean_table(rows)
        rows = []
        yield line
    yield from _clean_table(rows)


def _clean_table(lines: list[str]) -> list[str]:
    if len(lines) < 2:
        return lines
    rows = [_cells(line) for line in lines]
    if not _is_rule(rows[1]):
        kept_lines = [line for line, row in zip(lines, rows, strict=True) if any(row)]
        return lines if len(kept_lines) == len(lines) else _clean_table(kept_lines)
    contents = [rows[0], *rows[2:]]
    columns = list(zip_longest(*contents, fillvalue=""))
    kept = [index for index, column in enumerate(columns) if any(column)]
    body = [row for row in contents[1:] if any(row)]
    if not kept:
        return []
    if len(kept) == len(columns) == len(rows[0]) and len(body) == len(rows) - 2:
        return lines
    rule = [*rows[1], *["---"] * len(columns)]
    return [_line(row, kept) for row in (contents[0], rule, *body)]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL_END.split(line.strip()[1:-1])]


def _is_rule(row: list[str]) -> bool:
    return all(map(_RULE.fullmatch, row))


def _line(row: list[str], kept: list[int]) -> str:
    return f"| {' | '.join(row[index] if index < len(row) else '' for index in kept)} |"
