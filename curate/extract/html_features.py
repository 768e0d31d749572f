"""What the model sees of each block: a table of numbers, made with arrays.

Names of the columns are in FEATURES and CONTEXT; both are part of the model's file, so that a model
is never used with other columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .html_arrays import LEVELS, Integers, integers
from .html_blocks import Page
from .html_kinds import KINDS_OF_PAGE, kind_of_page
from .html_sections import SECTIONS, SECTIONS_OF_PAGE, Seen, section_columns
from .html_tags import IN_COMMENT, IN_HEADING, IN_HIDDEN, IN_NAV, PLACES, TAG_NUMBERS
from .html_words import WORDS, word_columns

Floats = NDArray[np.float32]

_OTHER, _SPACE, _DIGIT, _UPPER, _LETTER, _DENSE, _COMMA, _STOP, _MARK, _LINE, _MONEY = range(11)
_CLASSES = 11
_TITLE = WORDS.index("title_share")
_NEIGHBOURS = (-2, -1, 1, 2)

_TEXT = (
    *("chars", "words", "link_share", "links", "breaks", "images", "digit_share", "upper_share"),
    *("comma_share", "stops", "mark_share", "dense_share", "ends_with_stop", "repeats"),
)
_PATH = ("tag", "parent_tag", "depth", "own", "best", "worst", "sum")
_WHERE = (
    *("index_share", "words_before_share", "heading_distance", "headings_before"),
    *("title_distance",),
)
_AROUND = (
    *("words", "blocks", "link_share", "share", "mean_words", "own", "tag", "images", "headings"),
)
_SHAPE = ("same", "same_words", "same_link", "same_share")
_TOP = ("in_top", "top_distance")
_NEAR = ("link_share", "word_mean")
_PAGE = (
    *("blocks_all", "words_all", "links_all", "title_at", "top_share", "top_start", "top_end"),
    *("articles", "paragraphs", "items", "comments_all", "hidden_all", "long_share", "money_all"),
)

FEATURES: tuple[str, ...] = (
    *_TEXT,
    *WORDS,
    *_PATH,
    *(f"place_{bit}" for bit in range(PLACES)),
    *_WHERE,
    *(f"{name}_{level}" for level in range(LEVELS) for name in _AROUND),
    *_SHAPE,
    *_TOP,
    *(f"{name}{offset:+d}" for offset in _NEIGHBOURS for name in _NEAR),
    *SECTIONS,
    *_PAGE,
    *SECTIONS_OF_PAGE,
    *KINDS_OF_PAGE,
)


@cache
def _class_table() -> NDArray[np.uint8]:
    """Return the class of each character below U+10000; the same with any version of Unicode."""
    table = np.full(0x10000, _LETTER, np.uint8)
    table[:0x80] = _MARK
    for first, last, kind in (
        (0x30, 0x39, _DIGIT),
        (0x41, 0x5A, _UPPER),
        (0x61, 0x7A, _LETTER),
        (0x80, 0xBF, _MARK),
        (0xC0, 0xDE, _UPPER),
        (0x391, 0x3AB, _UPPER),
        (0x410, 0x42F, _UPPER),
        (0x400, 0x40F, _UPPER),
        (0xE00, 0xEFF, _DENSE),
        (0x1000, 0x109F, _DENSE),
        (0x1780, 0x17FF, _DENSE),
        (0x2000, 0x2BFF, _MARK),
        (0x3000, 0x303F, _MARK),
        (0x3040, 0x30FF, _DENSE),
        (0x3400, 0x9FFF, _DENSE),
        (0xF900, 0xFAFF, _DENSE),
        (0xFF00, 0xFF0F, _MARK),
        (0xFF10, 0xFF19, _DIGIT),
    ):
        table[first : last + 1] = kind
    table[0x20] = _SPACE
    table[0x0A] = _LINE
    for char in "$£¥€₹₽₩₺":
        table[ord(char)] = _MONEY
    for char in ",;،；，、":
        table[ord(char)] = _COMMA
    for char in ".!?:。！？…؟।：":
        table[ord(char)] = _STOP
    return table


def features(page: Page, word_scores: Mapping[str, float]) -> Floats:
    """Return one row for each block of the page, with the columns FEATURES."""
    count = len(page.texts)
    at = page.arrays
    nodes, starts, ends, paths = at.nodes, at.starts, at.ends, at.paths
    index = np.arange(count)
    chars = _characters(page.texts)
    kinds, lengths = chars.kinds, chars.lengths
    dense = kinds[_DENSE]
    words = np.maximum(chars.words, 1) + 0.5 * dense
    link_share = integers(page.link_chars) / lengths
    link_words = words * link_share
    visible = np.maximum(lengths - kinds[_SPACE], 1)
    stops = kinds[_STOP] / words
    by_word = word_columns(page, word_scores)
    numbers: dict[str, int] = {}
    which = integers([numbers.setdefault(text, len(numbers)) for text in page.texts])
    images = integers(page.images)
    table = Table(len(FEATURES), count)
    table.add(
        lengths,
        words,
        link_share,
        integers(page.num_links),
        integers(page.breaks),
        images,
        *kinds[[_DIGIT, _UPPER]] / visible,
        kinds[_COMMA] / words,
        stops,
        *kinds[[_MARK, _DENSE]] / visible,
        chars.last == _STOP,
        np.bincount(which)[which],
    )
    table.add_rows(by_word)

    # The path.
    tags_of_paths = np.asarray([TAG_NUMBERS.get(tag, 0) for tag in page.paths.tags])
    all_tags, all_own = tags_of_paths[at.path_of], page.paths.own[at.path_of]
    tags, parents = all_tags[nodes], at.parents[nodes]
    places = page.paths.places[paths]
    table.add(
        tags,
        all_tags[parents],
        page.paths.depths[paths],
        all_own[nodes],
        page.paths.best[paths],
        page.paths.worst[paths],
        page.paths.sums[paths],
    )
    table.add_rows(places >> np.arange(PLACES)[:, None] & 1)

    # Where the block is in the page.
    heading = places & IN_HEADING != 0
    sums = np.zeros((4, count + 1))
    np.cumsum((words, link_words, heading, images), axis=1, out=sums[:, 1:])
    total = sums[0, -1]
    last_heading = np.maximum.accumulate(np.where(heading, index, -1))
    is_title = (by_word[_TITLE] > 0.7) & (by_word[_TITLE + 1] > 0.5)
    titles = np.flatnonzero(is_title)
    top_title = np.flatnonzero(is_title & (tags == TAG_NUMBERS["h1"]))
    title = int(top_title[0]) if top_title.size else int(titles[-1]) if titles.size else -1
    table.add(
        index / count,
        sums[0, :-1] / total,
        np.where(last_heading >= 0, np.minimum(index - last_heading, 99), 99),
        sums[2, :-1],
        index - title if title >= 0 else -9999,
    )

    # The elements around it, from the inside out, each holding more than the one before.
    per_node = sums.take(ends, axis=1) - sums.take(starts, axis=1)
    sizes = np.maximum(ends - starts, 1)
    held = np.maximum(per_node[0], 1e-9)
    around = np.asarray(
        (
            *(held, sizes, per_node[1] / held, held / total, held / sizes, all_own, all_tags),
            *(per_node[3] / sizes, per_node[2] / sizes),
        )
    )
    by_level = around.take(at.levels, axis=1).transpose(1, 0, 2)
    table.add_rows(by_level.reshape(-1, count))

    # Blocks of the same shape: the same tags and names all the way up.
    same = np.maximum(np.bincount(at.shapes), 1)
    same_words = np.maximum(np.bincount(at.shapes, words), 1)
    same_links = np.bincount(at.shapes, link_words)
    by_shape = np.asarray((same, same_words / same, same_links / same_words, same_words / total))
    table.add_rows(by_shape.take(at.shapes, axis=1))

    # The element with the most running text, as readability looks for it.
    weight = 1 + kinds[_COMMA] + np.minimum(lengths * (1 + dense / visible) / 100, 3)
    weight *= 1 - link_share
    weight[(words < 8) | (places & IN_NAV != 0)] = 0
    score = np.bincount(parents, weight, len(starts))
    score = score + 0.5 * np.bincount(at.parents[parents], weight, len(starts))
    score = score + 0.3 * np.bincount(nodes, weight, len(starts))
    top = int(np.argmax(score))
    begin, end = int(starts[top]), int(ends[top])
    table.add(
        (index >= begin) & (index < end),
        np.maximum(begin - index, 0) + np.maximum(index - end + 1, 0),
    )

    # The blocks before and after.
    padded = np.full((len(_NEAR), count + 4), -1.0)
    padded[:, 2:-2] = link_share, by_word[0]
    for offset in _NEIGHBOURS:
        table.add_rows(padded[:, 2 + offset : 2 + offset + count])

    seen = Seen(words, link_words, link_share, by_word, which, tags, heading)
    table.add(
        *section_columns(page, word_scores, seen),
        *(count, total, sums[1, -1] / total, title / count),
        *(per_node[0, top] / total, begin / count, end / count),
        *(page.tags.count(tag) for tag in ("article", "p", "li")),
        np.count_nonzero(places & IN_COMMENT) / count,
        np.count_nonzero(places & IN_HIDDEN) / count,
        words[words >= 15].sum() / total,
        np.count_nonzero(kinds[_MONEY]) / count,
        np.count_nonzero(heading & (tags == TAG_NUMBERS["h1"])),
        np.count_nonzero(heading & (link_share > 0.5)),
        *kind_of_page(page),
    )
    return table.rows()


class Table:
    """A table that is filled column by column; a column is one piece of memory."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns = np.empty((columns, rows), np.float32)
        self._next = 0

    def add(self, *columns: Any) -> None:
        """Add columns, or the one value of a column."""
        for column in columns:
            self._columns[self._next] = column
            self._next += 1

    def add_rows(self, columns: NDArray[Any]) -> None:
        """Add columns that are the rows of an array."""
        self._columns[self._next : self._next + len(columns)] = columns
        self._next += len(columns)

    def rows(self) -> Floats:
        """Return the table, one row a block."""
        assert self._next == len(self._columns)
        return self._columns.T


@dataclass(frozen=True, slots=True)
class _Characters:
    """Of each text: how many characters of each class, all of them, words, the last class."""

    kinds: NDArray[np.float64]
    lengths: NDArray[np.float64]
    words: Integers
    last: NDArray[np.uint8]


def _characters(texts: list[str]) -> _Characters:
    """Count the characters of texts, none of which is empty."""
    count = len(texts)
    lengths = np.fromiter(map(len, texts), np.int64, count)
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    classes = _class_table()[np.minimum(np.frombuffer(joined, np.uint32), 0xFFFF)]
    owner = np.repeat(np.arange(count) * _CLASSES, lengths)
    kinds = np.bincount(owner + classes, minlength=_CLASSES * count).reshape(count, _CLASSES)
    ends = np.cumsum(lengths)
    firsts = ends - lengths
    # A run of spaces, as code has them, parts two words.
    is_space = (classes == _SPACE) | (classes == _LINE)
    begins = ~is_space
    begins[1:] &= is_space[:-1]
    begins[firsts] = ~is_space[firsts]
    words = np.add.reduceat(begins, firsts, dtype=np.int64)
    return _Characters(
        kinds.T.astype(np.float64, order="C"),
        lengths.astype(np.float64),
        words,
        classes[ends - 1],
    )
