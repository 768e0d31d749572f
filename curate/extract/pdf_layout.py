"""Markdown of a page from its lines: paragraphs, headings, lists and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from .pdf_backend import Ruling, TextLine
from .pdf_chars import clean, join, word_counts
from .pdf_lines import Line, lines_of
from .pdf_ruled import ruled_tables
from .pdf_tables import Table, pipe_table, with_tables

_BULLET = re.compile(
    "^([\u2022\u2023\u2043\u25aa\u25ab\u25cf\u25cb\u25e6\u25a0\u25a1\u2219"
    "\u27a2\u25ba\u25b6\u25b8\u2794\uf0b7\uf0a7\uf0d8\uf0fc\u00b7*–—-])(?:\\s+|$)"
)
_NUMBER = re.compile(r"^(\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])(?:\s+|$)")
_SECTION = re.compile(r"(?:[A-Z]\.?|\d{1,3})(?:\.\d{1,3})*\.?")
_OPEN_HYPHEN = re.compile(r"[^\W_][-\u2010\u00ad]$")
_LONE_NUMBER = re.compile(r"[\W\d_]{1,8}")
_TITLE = 1.5
_END = ".!?:;。！？：；…"
_HEADING = 1.12
_APART = 0.75  # in sizes: a gap from which on two lines are of two paragraphs
_MAX_LEADING = 3.0
_PROSE = 20  # characters in a line
_LONG = 40
_RAGGED = 0.6  # of the width: lines of ragged text are at least so long
_FEW = 5
_MAX_HEADING_LINES = 4
_MAX_HEADING_CHARS = 200


@dataclass(slots=True)
class _Block:
    kind: str  # "text", "heading", "item", "table"
    lines: list[Line]
    table: Table | None = None


class Layout:
    """The pages of a document as Markdown.

    What is a heading, and whether a hyphen at a line's end belongs to the word, is decided over the
    whole document.

    Args:
        pages: the lines of each.
        rulings: the straight lines that are drawn on each.
    """

    def __init__(
        self, pages: Sequence[Sequence[TextLine]], rulings: Sequence[Sequence[Ruling]] = ()
    ) -> None:
        self._pages = [lines_of(lines) for lines in pages]
        self._rulings = rulings
        sizes: Counter[float] = Counter()
        for lines in self._pages:
            for line in lines:
                sizes[_rounded(line.size)] += len(line.text)
        self._body = max(sizes, key=lambda size: (sizes[size], -size)) if sizes else 0.0
        larger = sorted(size for size in sizes if size > _HEADING * self._body)
        self._levels = {size: i for i, size in enumerate(reversed(larger), 1)}
        self._leading = 1.2 * _leading(self._pages)
        self._counts = word_counts(line.text for lines in self._pages for line in lines)

    def page(self, index: int) -> str:
        """Return the Markdown of a page."""
        blocks = self._blocks(self._with_tables(index))
        return in_markdown(map(self._markdown, blocks))

    def _with_tables(self, index: int) -> Iterator[Line | Table]:
        """Yield the lines and tables of a page: those that are ruled, and among the rest others."""
        rulings = self._rulings[index] if self._rulings else ()
        lines: list[Line] = []
        for item in ruled_tables(self._pages[index], rulings):
            if isinstance(item, Line):
                lines.append(item)
            else:
                yield from with_tables(lines)
                lines = []
                yield item
        yield from with_tables(lines)

    def _blocks(self, items: Iterable[Line | Table]) -> list[_Block]:
        blocks: list[_Block] = []
        for item in items:
            if not isinstance(item, Line):
                blocks.append(_Block("table", [], item))
            elif blocks and self._goes_on(blocks[-1], item):
                blocks[-1].lines.append(item)
            elif blocks and _is_number_of(blocks[-1], item) and self._kind(item) == "heading":
                blocks[-1].kind = "heading"
                blocks[-1].lines.append(item)
            else:
                blocks.append(_Block(self._kind(item), [item]))
        return blocks

    def _kind(self, line: Line) -> str:
        if _BULLET.match(line.text):
            return "item"
        larger = _rounded(line.size) > _HEADING * self._body
        # In the middle of a sentence: larger text, or bold, but no title.
        inside = line.text[0].islower() and line.size < _TITLE * self._body
        if (larger or line.bold) and not inside and any(char.isalpha() for char in line.text):
            return "heading"
        return "item" if _NUMBER.match(line.text) else "text"

    def _goes_on(self, block: _Block, line: Line) -> bool:
        """Tell whether a line belongs to the block before it."""
        if block.table is not None:
            return False
        last = block.lines[-1]
        if block.kind == "heading":
            near = 0 <= line.y0 - last.y0 < 2 * last.size
            return near and line.bold == last.bold and abs(line.size - last.size) < 0.5
        if self._kind(line) != "text" or abs(line.size - last.size) > 0.12 * last.size:
            return _same_row(last, line) and block.kind == "item" and len(last.text) <= 4
        if _same_row(last, line):
            return True
        hyphen = _OPEN_HYPHEN.search(last.text) is not None
        if len(block.lines) == 1 and _LONE_NUMBER.fullmatch(last.text):  # of the page
            return False
        if line.y1 <= last.y0 or line.x0 > last.x1:  # the next column
            return hyphen or _is_open(last, line)
        between = self._leading * last.size - (last.y1 - last.y0)
        if line.y0 - last.y1 > max(_APART * last.size, between):
            return hyphen and line.text[0].islower() and line.y0 - last.y1 < 3 * last.size
        if block.kind == "item" and _hangs(block, line):
            return True
        return hyphen or (
            not _indented(block, line) and (_is_full(last, line) or _runs_on(last, line))
        )

    def _markdown(self, block: _Block) -> str:
        if block.table is not None:
            return pipe_table(block.table)
        text = ""
        for line in block.lines:
            text = join(text, line.text, self._counts)
        if block.kind == "heading":
            return self._heading(block, text)
        if block.kind == "item":
            return _BULLET.sub("- ", text) if _BULLET.match(text) else text
        return text

    def _heading(self, block: _Block, text: str) -> str:
        line = block.lines[0]
        level = self._levels.get(_rounded(line.size), len(self._levels) + 1)
        long = len(block.lines) > _MAX_HEADING_LINES or len(text) > _MAX_HEADING_CHARS
        # Bold text of the size of the text around it may be a sentence as well as a heading.
        sentence = level > len(self._levels) and text[-1] in ".,;:!?"
        return text if long or sentence else f"{'#' * min(level, 6)} {text}"


def in_markdown(blocks: Iterable[str]) -> str:
    """Put blocks together: the items of a list follow each other, the rest is set apart."""
    text = last = ""
    for block in filter(None, blocks):
        between = "\n" if block.startswith("- ") and last.startswith("- ") else "\n\n"
        text += between + block if text else block
        last = block
    return text


def plain_paragraphs(text: str) -> str:
    """Return text whose lines are known, but not their places, with the lines of paragraphs joined.

    A line is taken to be full when it is nearly as long as the longest of those around it.
    """
    lines = [" ".join(line.split()) for line in clean(text).split("\n")]
    counts = word_counts(lines)
    paragraphs: list[str] = []
    full = False
    for i, line in enumerate(lines):
        if not line:
            full = False
            continue
        if full and not _BULLET.match(line) and not _NUMBER.match(line):
            paragraphs[-1] = join(paragraphs[-1], line, counts)
        else:
            paragraphs.append(line)
        longest = max(map(len, lines[max(i - 5, 0) : i + 6]))
        full = len(line) > 40 and len(line) > 0.85 * longest
    return "\n\n".join(paragraphs)


def _is_number_of(block: _Block, line: Line) -> bool:
    """Tell whether a block is the number of the section whose title stands beside it."""
    if block.table is not None or len(block.lines) > 1:
        return False
    number = block.lines[0]
    same_font = number.bold == line.bold and abs(number.size - line.size) <= 0.12 * line.size
    return same_font and _SECTION.fullmatch(number.text) is not None and _same_row(number, line)


def _is_open(last: Line, line: Line) -> bool:
    """Tell whether a sentence goes on from one line to another."""
    return last.text[-1] not in _END and line.text[0].islower()


def _runs_on(last: Line, line: Line) -> bool:
    """Tell whether a sentence goes on below a line that is not full, as in text set ragged."""
    return (
        _is_open(last, line)
        and (last.text[-1].isalpha() or last.text[-1] == ",")
        and len(last.text) >= _LONG
        and not (last.mono or line.mono)  # code has its own lines
        and last.x1 - last.x0 > _RAGGED * (last.right - last.x0)
        and abs(line.x0 - last.x0) < line.size
    )


def _leading(pages: Sequence[Sequence[Line]]) -> float:
    """Return how far apart lines of a sentence stand, in sizes; 0 where there are too few."""
    found = [
        (line.y0 - last.y0) / last.size
        for lines in pages
        for last, line in pairwise(lines)
        if _is_open(last, line) and len(last.text) >= _PROSE and last.x0 < line.x1
    ]
    found = [ratio for ratio in found if 0.5 < ratio < _MAX_LEADING]
    return median(found) if len(found) >= _FEW else 0.0


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _same_row(last: Line, line: Line) -> bool:
    overlap = min(last.y1, line.y1) - max(last.y0, line.y0)
    return line.x0 >= last.x1 and overlap > 0.5 * min(last.y1 - last.y0, line.y1 - line.y0)


def _indented(block: _Block, line: Line) -> bool:
    return line.x0 - block.lines[-1].x0 > 0.8 * line.size


def _hangs(block: _Block, line: Line) -> bool:
    """Tell whether a line of a list's item stands under its text, not under its mark."""
    first, *others = block.lines
    start = others[-1].x0 if others else first.x0 + 0.5 * line.size
    return line.x0 > first.x0 + 0.5 * line.size and line.x0 >= start - 0.2 * line.size


def _is_full(last: Line, line: Line) -> bool:
    """Tell whether the next line's first word would not have fitted on the last line."""
    word = len(line.text.split(None, 1)[0])
    width = (line.x1 - line.x0) * (min(word, 20) + 1) / max(len(line.text), 1)
    return last.x1 + width > max(last.right, line.right) - 0.5 * last.size
