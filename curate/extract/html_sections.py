"""What the model sees around a block: its section, its twins, and what the page says of itself.

Teasers of other articles, comments and offers look like content; the heading above them, and how
often the page repeats their container, tell them apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .html_blocks import Page
from .html_tags import TAG_NUMBERS

_SIGNS = re.compile("[$£¥€₹₽₩₺]")
_CODES = ("USD", "EUR", "GBP", "zł", "руб", "Kč")
_CODE = re.compile(rf"\b(?:{'|'.join(_CODES)})\b")
_WORD = re.compile(r"[^\W_]+")
_SAYS = re.compile(r'"(articleBody|description|text)"\s{0,9}:\s{0,9}("(?:[^"\\]|\\.)*")', re.DOTALL)
_MORE = ("...", "…", "…]", "...]", "»", "→", ">")
_TAIL_CHARS = 80
_LONG = 240
_FIRST_CHARS = 160
_MAX_CHARS = 200_000
_LEVELS = 4

SECTIONS: tuple[str, ...] = (
    *("section_link", "section_score", "section_low", "section_tag", "section_same"),
    *("section_words", "section_links", "section_blocks", "section_index", "next_heading"),
    *("h1_before", "h1_all", "linked_headings", "repeats_before", "ends_with_more"),
    *("tail_mean", "tail_min", "money", "money_all", "body_share", "about_share", "shape_order"),
    *(f"{name}_{level}" for level in range(_LEVELS) for name in ("twins", "twin_order")),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What html_features.py computed before: a row for each block, or for each node.

    Attributes:
        words, link_words: of each block.
        by_word: four columns of the scores of a block's first words.
        repeats: a number for each text, equal for equal texts.
        tags, heads, shapes: of each block: its tag, is it a heading, the path to it.
        around: for each level the element around each block.
        filled, signatures: of each node: does it hold a block, the path to it.
    """

    words: NDArray[np.float64]
    link_words: NDArray[np.float64]
    by_word: NDArray[np.float32]
    repeats: NDArray[np.int64]
    tags: NDArray[np.int64]
    heads: NDArray[np.bool_]
    shapes: NDArray[np.int64]
    around: Sequence[NDArray[np.int64]]
    filled: NDArray[np.bool_]
    signatures: NDArray[np.int64]


def sections(heads: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each block the first block of its section, a heading or 0, and where it ends."""
    count = len(heads)
    index = np.arange(count)
    begins = np.maximum.accumulate(np.where(heads, index, 0))
    following = np.full(count + 1, count)
    following[:-1][heads] = index[heads]
    return begins, np.minimum.accumulate(following[::-1])[::-1][1:]


def section_columns(page: Page, scores: Mapping[str, float], seen: Seen) -> list[Any]:
    """Return the columns SECTIONS; `scores` are those of words."""
    words, heads, by_word, shapes = seen.words, seen.heads, seen.by_word, seen.shapes
    index = np.arange(len(words))
    begins, ends = sections(heads)
    has_head = heads[begins]
    link_share = seen.link_words / words
    held = np.concatenate(([0.0], np.cumsum(words)))
    linked = np.concatenate(([0.0], np.cumsum(seen.link_words)))
    inside = held[ends] - held[begins]
    h1 = heads & (seen.tags == TAG_NUMBERS["h1"])
    tails = _tails(page, scores)
    short = np.asarray([len(text) < _LONG for text in page.texts])
    tails[short] = by_word[short][:, :2]
    money = _money(page.texts)
    same = np.bincount(shapes)
    columns: list[Any] = [
        np.where(has_head, link_share[begins], -1),
        np.where(has_head, by_word[begins, 0], 0),
        np.where(has_head, by_word[begins, 1], 0),
        np.where(has_head, seen.tags[begins], -1),
        np.where(has_head, np.bincount(shapes, heads)[shapes[begins]], 0),
        inside,
        (linked[ends] - linked[begins]) / inside,
        ends - begins,
        index - begins,
        np.minimum(ends - index, 99),
        np.cumsum(h1),
        h1.sum(),
        (heads & (link_share > 0.5)).sum(),
        _order(seen.repeats),
        [text.endswith(_MORE) for text in page.texts],
        *tails.T,
        money,
        (money > 0).mean(),
        *_covered(page, _says(page)).T,
        _order(shapes) / same[shapes],
    ]
    signatures = np.where(seen.filled, seen.signatures, 0)
    twins = np.bincount(signatures)
    order = _order(signatures)
    for level in seen.around[:_LEVELS]:
        columns += [twins[signatures[level]], order[level]]
    return columns


def _money(texts: list[str]) -> NDArray[np.int64]:
    """Return how many signs and codes of currencies each text begins with."""
    firsts = [text[:_LONG] for text in texts]
    joined = "\n".join(firsts)
    found = [match.start() for match in _SIGNS.finditer(joined)]
    if any(code in joined for code in _CODES):
        found += [match.start() for match in _CODE.finditer(joined)]
    starts = np.cumsum([0, *(len(text) + 1 for text in firsts[:-1])])
    rows = np.searchsorted(starts, np.asarray(found, np.int64), "right") - 1
    return np.bincount(rows, minlength=len(texts))


def _order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each value how many of the values before are equal."""
    sort = np.argsort(values, kind="stable")
    ordered = values[sort]
    index = np.arange(len(values))
    first = np.maximum.accumulate(np.where(np.diff(ordered, prepend=-1) != 0, index, 0))
    found = np.empty(len(values), np.int64)
    found[sort] = index - first
    return found


def _tails(page: Page, scores: Mapping[str, float]) -> NDArray[np.float32]:
    """Return mean and least score of the last words of long blocks."""
    found = np.zeros((len(page.texts), 2), np.float32)
    for row, text in enumerate(page.texts):
        if len(text) >= _LONG:
            values = [
                scores[word]
                for word in _WORD.findall(text[-_TAIL_CHARS:].lower())
                if word in scores
            ]
            if values:
                found[row] = sum(values) / len(values), min(values)
    return found


def _says(page: Page) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words of the page's linked data: of articles' bodies, and of descriptions."""
    body: set[str] = set()
    about: set[str] = set()
    for source in page.linked_data:
        for name, quoted in _SAYS.findall(source[:_MAX_CHARS]):
            try:
                text = json.loads(quoted, strict=False)
            except ValueError:
                continue
            (body if name == "articleBody" else about).update(_WORD.findall(text.lower()))
    return frozenset(body), frozenset(about)


def _covered(page: Page, says: tuple[frozenset[str], frozenset[str]]) -> NDArray[np.float32]:
    """Return which share of each block's first words the page's linked data has; -1 of none."""
    found = np.full((len(page.texts), 2), -1, np.float32)
    for column, known in enumerate(says):
        if len(known) < 5:
            continue
        for row, text in enumerate(page.texts):
            parts = _WORD.findall(text[:_FIRST_CHARS].lower())
            found[row, column] = sum(part in known for part in parts) / len(parts) if parts else -1
    return found
