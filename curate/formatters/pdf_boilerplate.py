"""Remove the running headers and footers of PDFs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from ..document import Document
from ..errors import DefinitionError
from ..pages import PagesStep
from .pdf_lines import filled, is_fence, is_table_row, without

_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]")
_WIDE_LETTERS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")
_CAPTION = re.compile(r"\W*[^\W\d_]+\W*\d[\d.-]*(?:[^\w.-]\W*)?")  # "Figure 3"
_NUMBER_BEFORE = re.compile(r"(?P<number>\d{1,4})(?P<rest>\D.*)")
_NUMBER_AFTER = re.compile(r"(?P<rest>.*\D)(?P<number>\d{1,4})")
_WORDS_FROM = 4  # letters, of which an ideograph counts as two; less than that may be data

# What is compared of a line; None for a row of a table and the fence of code, which always stay.
_Key = str | None


@dataclass(frozen=True)
class PdfBoilerplate(PagesStep):
    """Remove lines that stand at the top or bottom of many pages, whatever numbers are in them.

    As in FinePDFs (its code, postprocessing/boilerplate.py) the most frequent first line of the
    pages goes, with the lines that follow it as often, if it is on `min_page_ratio` of the pages
    and on `min_pages`. Spaces do not count, and rows of tables are never removed.

    DIFFERS: it is done again with the lines that are first then, so that left and right pages, and
    the title of a chapter below that of the book, go as well; up to `max_lines` at either end.
    Lines without a word are data: the numbers in them count, and they go only beside others; so do
    numbers in captions ("Figure 3"). Pages without text and whole pages that come again do not
    count. In a document of fewer pages than `min_pages` a line must be on each, or on each but the
    first, a cover; on two at least, and it stays on the first that has it, so that none is lost. So
    does a line on `min_run` neighbouring pages or more, or on every other page, such as the title
    of a chapter in a long book.

    Args:
        min_page_ratio: share of the pages with text.
        min_pages: number of pages.
        min_run: pages in a row; 0 to ask for `min_page_ratio` alone, as FinePDFs does.
        max_lines: lines that may go at either end of a page; Marin's limit.
    """

    name = "pdf_boilerplate"
    version: ClassVar[int] = 2

    min_page_ratio: float = 0.25
    min_pages: int = 5
    min_run: int = 3
    max_lines: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.min_page_ratio <= 1:
            raise DefinitionError(
                f"PdfBoilerplate: min_page_ratio is {self.min_page_ratio}, but must be above 0,"
                " up to 1"
            )
        if self.min_run < 0 or self.min_run == 1:
            raise DefinitionError(
                f"PdfBoilerplate: min_run is {self.min_run}, but must be 0, or 2 or more"
            )
        for name, lowest in (("min_pages", 2), ("max_lines", 1)):
            if getattr(self, name) < lowest:
                raise DefinitionError(
                    f"PdfBoilerplate: {name} is {getattr(self, name)}, but must be {lowest} or more"
                )

    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        lines = [page.split("\n") for page in pages]
        indices = [filled(its) for its in lines]
        distinct = {page: index for index, page in reversed([*enumerate(pages)]) if indices[index]}
        counted = sorted(distinct.values())
        is_short = len(counted) < self.min_pages
        tops, bottoms = (
            self._repeated(
                [
                    [its[line] for line in places[::step][: self.max_lines]]
                    for its, places in zip(lines, indices, strict=True)
                ],
                counted,
                is_short,
            )
            for step in (1, -1)
        )
        first = counted[0] if is_short and counted else -1
        return [
            page
            if index == first or not (tops[index] or bottoms[index])
            else _trimmed(lines[index], indices[index], tops[index], bottoms[index])
            for index, page in enumerate(pages)
        ]

    def _repeated(self, lines: list[list[str]], counted: list[int], is_short: bool) -> list[int]:
        """Return for each page how many lines of its edge are boilerplate.

        Args:
            lines: the lines of each page, from the edge inwards.
            counted: the pages that count.
            is_short: whether lines must be on all of these.
        """
        edges = [list(map(_key, edge)) for edge in lines]
        taken = [0] * len(edges)
        if is_short:
            self._take_heads(edges, counted, taken, max(2, len(counted)))
            if len(counted) > 2:
                second = counted[1]
                before = taken[second]
                self._take_heads(edges, counted[1:], taken, len(counted) - 1)
                taken[second] = before
            return taken
        self._take_heads(
            edges, counted, taken, max(self.min_pages, self.min_page_ratio * len(counted))
        )
        while self.min_run and self._take_runs(lines, counted, taken):
            pass
        return taken

    def _take_heads(
        self, edges: list[list[_Key]], counted: list[int], taken: list[int], needed: float
    ) -> None:
        """Take lines that are on so many of the pages that count, from all that have them."""
        refused: set[tuple[_Key, ...]] = set()
        while head := _most_common_head(
            [edges[page][taken[page] :] for page in counted], refused, needed
        ):
            if sum(_num_letters(key or "") for key in head) < _WORDS_FROM:
                refused |= {head, head[:1]}
                continue
            for page, edge in enumerate(edges):
                if tuple(edge[taken[page] : taken[page] + len(head)]) == head:
                    taken[page] += len(head)

    def _take_runs(self, lines: list[list[str]], counted: list[int], taken: list[int]) -> bool:
        """Take lines of pages in a row, from all but the first; say whether there were any."""
        pages_by_key: dict[str, list[int]] = {}
        for page in counted:
            for line in lines[page][taken[page] : taken[page] + 1]:
                if _num_letters(line) >= _WORDS_FROM and not is_table_row(line):
                    for key in _keys_in_run(line, page):
                        pages_by_key.setdefault(key, []).append(page)
        repeats: set[int] = set()
        for pages in pages_by_key.values():
            gaps = [index for index, (a, b) in enumerate(pairwise(pages), 1) if b - a > 2]
            for start, end in pairwise([0, *gaps, len(pages)]):
                if end - start >= self.min_run:
                    repeats.update(pages[start + 1 : end])
        for page in repeats:
            taken[page] += 1
        return bool(repeats)


def _most_common_head(
    edges: list[list[_Key]], refused: set[tuple[_Key, ...]], needed: float
) -> tuple[_Key, ...]:
    """Return the lines most edges begin with, one more as long as it is on no fewer of them."""
    best: tuple[_Key, ...] = ()
    while True:
        size = len(best) + 1
        heads = Counter(tuple(edge[:size]) for edge in edges if len(edge) >= size)
        for head in [head for head in heads if None in head or head in refused]:
            del heads[head]
        if not heads or max(heads.values()) < needed:
            return best
        [(best, needed)] = heads.most_common(1)


def _key(line: str) -> _Key:
    if is_table_row(line) or is_fence(line):
        return None
    text = "".join(line.lstrip("#").split())  # larger on one page, it is a heading there
    if _num_letters(text) < _WORDS_FROM or _CAPTION.fullmatch(line):
        return text
    return _DIGITS.sub("0", text)


def _keys_in_run(line: str, page: int) -> set[str]:
    """Return what is compared within a run: the line, and also without a number that counts on."""
    text = "".join(line.split())
    match = _NUMBER_BEFORE.fullmatch(text)
    if not match and not _CAPTION.fullmatch(line):
        match = _NUMBER_AFTER.fullmatch(text)
    return {text, f"{int(match['number']) - page} {match['rest']}" if match else text}


def _num_letters(text: str) -> int:
    return len(_LETTERS.findall(text)) + len(_WIDE_LETTERS.findall(text))


def _trimmed(lines: list[str], indices: list[int], top: int, bottom: int) -> str:
    return without(lines, {*indices[:top], *indices[max(len(indices) - bottom, 0) :]})
