"""Remove the numbers of pages from the text of PDFs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..document import Document
from ..errors import DefinitionError
from ..pages import PagesStep
from .page_forms import PageNumber, parse
from .pdf_lines import filled, is_table_row, without

_NEIGHBOURS = 8  # pages on either side that may count along: every other page, and some without


class _Found(NamedTuple):
    """A line that may be a page number.

    Attributes:
        page: index of the page.
        line: index of the line in it.
        depth: lines before it, counted from the top (from 0) or from the bottom (from -1).
        value: what it says.
    """

    page: int
    line: int
    depth: int
    value: PageNumber

    @property
    def offset(self) -> tuple[str, int]:
        return self.value.kind, self.value.number - self.page

    @property
    def place(self) -> tuple[int, str, int]:
        return self.depth, *self.offset

    @property
    def is_edge(self) -> bool:
        return self.depth in (0, -1)


@dataclass(frozen=True)
class PdfPageNumbers(PagesStep):
    """Remove lines at the top and bottom of pages that are nothing but a page number.

    A lone number must count along with the pages: `min_pages` of the pages around, or most of a
    short document, carry a number in the same place that grows by one from page to page. A line
    that says "Page 3 of 10" in one of many languages, and is the first or last of its page, needs
    no such proof; nor does "3/10" on the third page of ten.

    DIFFERS: FinePDFs takes every first or last item of a page that looks like a number, and then
    publishes it all the same (arXiv has no paper; its code, postprocessing/page_numbers.py).

    Args:
        min_pages: pages that must count along.
        max_depth: lines from either end of a page in which to look.
    """

    name = "pdf_page_numbers"

    min_pages: int = 3
    max_depth: int = 3

    def __post_init__(self) -> None:
        for name, lowest in (("min_pages", 2), ("max_depth", 1)):
            if getattr(self, name) < lowest:
                raise DefinitionError(
                    f"PdfPageNumbers: {name} is {getattr(self, name)}, but must be {lowest} or more"
                )

    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        lines = [page.split("\n") for page in pages]
        found = [each for page, its in enumerate(lines) for each in self._look(page, its)]
        if not found:
            return pages
        removed: dict[int, set[int]] = defaultdict(set)
        for each in self._accepted(found, len(pages)):
            removed[each.page].add(each.line)
        return [
            without(lines[index], removed[index]) if index in removed else page
            for index, page in enumerate(pages)
        ]

    def _look(self, page: int, lines: list[str]) -> Iterator[_Found]:
        indices = filled(lines)
        places = [
            *enumerate(indices[: self.max_depth]),
            *((-1 - depth, line) for depth, line in enumerate(indices[: -1 - self.max_depth : -1])),
        ]
        for depth, line in places:
            if not is_table_row(lines[line]) and (value := parse(lines[line])):
                yield _Found(page, line, depth, value)

    def _accepted(self, found: list[_Found], num_pages: int) -> Iterator[_Found]:
        by_place: dict[tuple[int, str, int], list[int]] = defaultdict(list)
        for each in found:
            by_place[each.place].append(each.page)
        counted: dict[tuple[str, int], list[int]] = defaultdict(list)
        for each in found:
            pages = by_place[each.place]
            if self._counts_along(each.page, pages, num_pages):
                counted[each.offset].append(each.page)
                yield each
        for each in found:
            # On the edge of its page, and on from a count proven elsewhere or by itself.
            if each.is_edge and (
                each.value.is_sure
                or _near(each.page, counted[each.offset])
                or (each.value.number, each.value.total) == (each.page + 1, num_pages)
            ):
                yield each

    def _counts_along(self, page: int, pages: list[int], num_pages: int) -> bool:
        near = _near(page, pages)
        return near >= self.min_pages or (len(pages) >= 2 and 2 * len(pages) > num_pages)


def _near(page: int, pages: list[int]) -> int:
    """Count the pages, given in order, that are neighbours of one."""
    return bisect_right(pages, page + _NEIGHBOURS) - bisect_left(pages, page - _NEIGHBOURS)
