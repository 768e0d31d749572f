"""How near a text is to the one it should be: its words, their order, its tables."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise

Table = list[list[str]]

# Ideographs and kana are words of one character; any other run of letters and digits is one word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u9fff]+")
_SEPARATOR = re.compile(r":?-+:?")


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case, without marks of Markdown."""
    return _WORD.findall(text.casefold())


def f1(found: Iterable[Hashable], gold: Iterable[Hashable]) -> float:
    """Return the F1 of two bags."""
    ours, theirs = Counter(found), Counter(gold)
    if not ours and not theirs:
        return 1.0
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values()))


def word_f1(found: str, gold: str) -> float:
    """Return the F1 of the words, whatever their order."""
    return f1(words(found), words(gold))


def bigram_f1(found: str, gold: str) -> float:
    """Return the F1 of pairs of neighbouring words: wrong joins and spliced lines cost."""
    return f1(_ngrams(words(found), 2), _ngrams(words(gold), 2))


def order(found: str, gold: str) -> float:
    """Return how much of the common text is in order, 1 for all.

    The runs of four words that each text has once are put in the order of the gold; the score is
    the length of the longest increasing subsequence of their places over their number.
    """
    ours, theirs = _unique(_ngrams(words(found), 4)), _unique(_ngrams(words(gold), 4))
    places = [ours[gram] for gram in theirs if gram in ours]
    tails: list[int] = []
    for place in places:
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
    return len(tails) / len(places) if places else 0.0


def table_f1(found: Sequence[Table], gold: Sequence[Table]) -> float:
    """Return the F1 of the relations between neighbouring cells.

    The measure of the ICDAR 2013 table competition (Goebel, Hassan, Oro and Orsi 2012): two cells
    are related when one is the next to the right of, or below, the other; empty cells are passed.
    """
    return f1(
        (relation for table in found for relation in _relations(table)),
        (relation for table in gold for relation in _relations(table)),
    )


def markdown_tables(text: str) -> list[Table]:
    """Return the pipe tables of a Markdown text."""
    tables: list[Table] = []
    rows: Table = []
    for line in [*text.splitlines(), ""]:
        line = line.strip()
        if line.startswith("|") and line.endswith("|") and len(line) > 1:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])]
            if not all(_SEPARATOR.fullmatch(cell) for cell in cells):
                rows.append(cells)
        elif rows:
            tables.append(rows)
            rows = []
    return tables


def _relations(table: Table) -> list[tuple[str, str, str]]:
    across = [("right", *pair) for row in table for pair in _pairs(row)]
    width = max(map(len, table), default=0)
    columns = ([row[i] for row in table if i < len(row)] for i in range(width))
    return across + [("below", *pair) for column in columns for pair in _pairs(column)]


def _pairs(cells: Sequence[str]) -> list[tuple[str, str]]:
    filled = [" ".join(words(cell)) for cell in cells if words(cell)]
    return list(pairwise(filled))


def _ngrams(items: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(items[i:] for i in range(size)), strict=False))


def _unique(grams: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    counts = Counter(grams)
    return {gram: place for place, gram in enumerate(grams) if counts[gram] == 1}
