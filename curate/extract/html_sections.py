"""What the model sees around a block: its section, its twins, and what the page says of itself.

Teasers of other articles, comments and offers look like content; the heading above them, and how
often the page repeats their container, tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .html_arrays import LEVELS, Integers
from .html_blocks import Page

_WORD = re.compile(r"[^\W_]+")
_MORE = ("...", "…", "…]", "...]", "»", "→", ">")
_TAIL_CHARS = 80
_LONG = 240
_HEADLESS = np.asarray([[-1.0], [0.0], [0.0], [-1.0], [0.0]])  # of the section of no heading

SECTIONS: tuple[str, ...] = (
    *("section_link", "section_score", "section_low", "section_tag", "section_same"),
    *("section_words", "section_links", "section_index", "repeats_before", "ends_with_more"),
    *("tail_mean", "tail_min"),
    *(f"twins_{level}" for level in range(LEVELS)),
)
SECTIONS_OF_PAGE = ("h1_all", "linked_headings")


@dataclass(frozen=True, slots=True)
class Seen:
    """What html_features.py computed before, of each block.

    Attributes:
        words, link_words, link_share: words, and those in links.
        by_word: the columns html_words.WORDS, one a row.
        texts: a number for each text, equal for equal texts.
        tags, heads: its tag, is it a heading.
    """

    words: NDArray[np.float64]
    link_words: NDArray[np.float64]
    link_share: NDArray[np.float64]
    by_word: NDArray[np.float64]
    texts: Integers
    tags: Integers
    heads: NDArray[np.bool_]


def sections(heads: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """Return for each block the first block of its section, a heading or 0, and where it ends."""
    count = len(heads)
    index = np.arange(count)
    begins = np.maximum.accumulate(np.where(heads, index, 0))
    following = np.full(count + 1, count)
    following[:-1][heads] = index[heads]
    return begins, np.minimum.accumulate(following[::-1])[::-1][1:]


def section_columns(page: Page, scores: Mapping[str, float], seen: Seen) -> list[Any]:
    """Return the columns SECTIONS; `scores` are those of words."""
    words, heads, by_word, shapes = seen.words, seen.heads, seen.by_word, page.arrays.shapes
    index = np.arange(len(words))
    begins, ends = sections(heads)
    headless = ~heads[begins]
    held = np.concatenate(([0.0], np.cumsum(words)))
    linked = np.concatenate(([0.0], np.cumsum(seen.link_words)))
    inside = held[ends] - held[begins]
    section = np.stack(
        (
            *(seen.link_share, by_word[0], by_word[1], seen.tags),
            np.bincount(shapes, heads)[shapes],
        )
    )[:, begins]
    section[:, headless] = _HEADLESS
    tails = by_word[:2].copy()
    _put_tails(tails, page, scores)
    twins = page.arrays.twins
    many = np.bincount(twins)[twins]
    return [
        *section,
        inside,
        (linked[ends] - linked[begins]) / inside,
        index - begins,
        _order(seen.texts),
        [text.endswith(_MORE) for text in page.texts],
        *tails,
        *many[page.arrays.levels],
    ]


def _order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each value how many of the values before are equal."""
    sort = np.argsort(values, kind="stable")
    ordered = values[sort]
    index = np.arange(len(values))
    first = np.maximum.accumulate(np.where(np.diff(ordered, prepend=-1) != 0, index, 0))
    found = np.empty(len(values), np.int64)
    found[sort] = index - first
    return found


def _put_tails(tails: NDArray[np.float64], page: Page, scores: Mapping[str, float]) -> None:
    """Put mean and least score of the last words of long blocks."""
    blocks = [block for block, text in enumerate(page.texts) if len(text) >= _LONG]
    if blocks:
        found = []
        for block in blocks:
            words = _WORD.findall(page.texts[block][-_TAIL_CHARS:].lower())
            known = [score for score in map(scores.get, words) if score is not None]
            found.append((sum(known) / len(known), min(known)) if known else (0.0, 0.0))
        tails[:, blocks] = np.asarray(found).T
