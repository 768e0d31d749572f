"""What the model sees of each block: a table of numbers, made with arrays.

Names of the columns are in FEATURES and CONTEXT; both are part of the model's file, so that a model
is never used with other columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .html_blocks import Page
from .html_kinds import KINDS_OF_PAGE, description, kind_of_page
from .html_sections import SECTIONS, Seen, section_columns
from .html_tags import PLACES, TAG_NUMBERS

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_OTHER, _SPACE, _DIGIT, _UPPER, _LETTER, _DENSE, _COMMA, _STOP, _MARK, _LINE = range(10)
_CLASSES = 10
_WORD = re.compile(r"[^\W_]+")
_FIRST_CHARS = 160
# Of ASCII letters and digits words are made, in lower case; all else parts them.
_PLAIN = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() and code < 128 else 0 if code == 0 else 32
    for code in range(256)
)
# What else parts words in texts that are ASCII but for it.
_MARKS = "’‘“”–—…•·»«©®™→|×\u00a0\u200b"
_LEVELS = 4
_NEIGHBOURS = (-3, -2, -1, 1, 2, 3)

_TEXT = (
    *("chars", "words", "link_share", "links", "breaks", "images", "digit_share", "upper_share"),
    *("comma_share", "stops", "mark_share", "dense_share", "ends_with_stop", "starts_upper"),
    *("word_mean", "word_min", "word_max", "word_first", "title_share", "title_cover"),
    *("description_share", "repeats", "numbers_only"),
)
_PATH = ("tag", "parent_tag", "depth", "own", "best", "worst", "sum")
_WHERE = (
    *("index_share", "words_before_share", "blocks", "words_all", "links_all", "heading_distance"),
    *("headings_before", "title_distance", "first_title"),
)
_LEVEL = (
    *("words", "blocks", "link_share", "share", "mean_words", "stops", "own", "tag", "position"),
    *("images_", "headings"),
)
_SHAPE = ("same", "same_words", "same_link", "same_share")
_TOP = ("in_top", "top_distance", "top_share", "top_start", "top_end")
_NEAR = ("words", "link_share", "stops", "same_parent", "tag", "word_mean")
_ALL = ("articles", "paragraphs", "items", "comments_", "hidden", "long_share")

FEATURES: tuple[str, ...] = (
    *_TEXT,
    *_PATH,
    *(f"place_{bit}" for bit in range(PLACES)),
    *_WHERE,
    *(f"{name}_{level}" for level in range(_LEVELS) for name in _LEVEL),
    *_SHAPE,
    *_TOP,
    *(f"{name}_{offset}" for offset in _NEIGHBOURS for name in _NEAR),
    *_ALL,
    *SECTIONS,
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
    for char in ",;،；，、":
        table[ord(char)] = _COMMA
    for char in ".!?:。！？…؟।：":
        table[ord(char)] = _STOP
    return table


def features(page: Page, word_scores: Mapping[str, float]) -> Floats:
    """Return one row for each block of the page, with the columns FEATURES."""
    count = len(page.texts)
    columns: list[Any] = []
    nodes = np.asarray(page.nodes, np.int64)
    kinds, lengths, starts_of_words = _count_classes(page.texts)
    dense = kinds[:, _DENSE]
    words = np.maximum(starts_of_words, 1) + 0.5 * dense
    link_chars = np.asarray(page.link_chars, np.float64)
    link_words = words * link_chars / lengths
    visible = np.maximum(lengths - kinds[:, _SPACE], 1)
    last = np.asarray([ord(text[-1]) for text in page.texts], np.int64)
    first = np.asarray([ord(text[0]) for text in page.texts], np.int64)
    table = _class_table()
    ends_with_stop = table[np.minimum(last, 0xFFFF)] == _STOP
    starts_upper = table[np.minimum(first, 0xFFFF)] == _UPPER
    stops = kinds[:, _STOP].astype(np.float64)
    by_word, title_rows = _words(page, word_scores)
    numbers: dict[str, int] = {}
    which = np.asarray([numbers.setdefault(text, len(numbers)) for text in page.texts], np.int64)
    repeats = np.bincount(which)[which]
    link_share = link_chars / lengths
    columns += [
        lengths,
        words,
        link_share,
        page.num_links,
        page.breaks,
        page.images,
        kinds[:, _DIGIT] / visible,
        kinds[:, _UPPER] / visible,
        kinds[:, _COMMA] / words,
        stops / words,
        kinds[:, _MARK] / visible,
        dense / visible,
        ends_with_stop,
        starts_upper,
        *by_word.T,
        *title_rows.T,
        repeats,
        (kinds[:, _LETTER] + kinds[:, _UPPER] + dense) == 0,
    ]

    # The path.
    tag_list = page.tags
    tags = np.asarray([*map(TAG_NUMBERS.get, tag_list, repeat(0))], np.int64)
    parents = np.asarray(page.parents, np.int64)
    places = np.asarray(page.places, np.int64)[nodes]
    depths = _depths(page.parents)
    own = np.asarray(page.own)
    columns += [
        tags[nodes],
        tags[parents[nodes]],
        depths[nodes],
        own[nodes],
        np.asarray(page.best)[nodes],
        np.asarray(page.worst)[nodes],
        np.asarray(page.sums)[nodes],
    ]
    columns += [*((places >> np.arange(PLACES)[:, None]) & 1)]

    # Where the block is in the page.
    total = words.sum()
    index = np.arange(count)
    before = np.cumsum(words) - words
    heading = (places >> 12) & 1
    headings_before = np.cumsum(heading) - heading
    last_heading = np.maximum.accumulate(np.where(heading == 1, index, -1))
    heading_distance = np.where(last_heading >= 0, index - last_heading, 99)
    is_title = (title_rows[:, 0] > 0.7) & (title_rows[:, 1] > 0.5)
    titles = np.flatnonzero(is_title)
    top_title = np.flatnonzero(is_title & (tags[nodes] == TAG_NUMBERS["h1"]))
    at = int(top_title[0]) if top_title.size else int(titles[-1]) if titles.size else -1
    title_distance = index - at if at >= 0 else np.full(count, -9999)
    columns += [
        index / count,
        before / total,
        count,
        total,
        np.cumsum(link_words)[-1] / total,  # a sum in order is the same everywhere
        np.minimum(heading_distance, 99),
        headings_before,
        title_distance,
        at / count,
    ]

    # The elements around it, from the inside out, each holding more than the one before.
    starts, ends = np.asarray(page.starts, np.int64), np.asarray(page.ends, np.int64)
    sums = np.zeros((count + 1, 5))
    np.cumsum(
        np.stack((words, link_words, stops, heading.astype(float), np.asarray(page.images)), 1),
        axis=0,
        out=sums[1:],
    )
    per_node = sums[ends] - sums[starts]
    sizes = np.maximum(ends - starts, 1)
    outer = np.asarray(outer_nodes(page.parents, page.starts, page.ends), np.int64)
    around = nodes
    levels = []
    for _level in range(_LEVELS):
        levels.append(around)
        inside = per_node[around]
        held = np.maximum(inside[:, 0], 1e-9)
        size = sizes[around]
        columns += [
            inside[:, 0],
            size,
            inside[:, 1] / held,
            held / total,
            held / size,
            inside[:, 2] / held,
            own[around],
            tags[around],
            (index - starts[around]) / size,
            inside[:, 4] / size,
            inside[:, 3] / size,
        ]
        around = outer[around]

    # Blocks of the same shape: the same tags and names all the way up.
    shapes = np.asarray(page.signatures, np.int64)[nodes]
    same = np.bincount(shapes)
    same_words = np.bincount(shapes, words)
    same_links = np.bincount(shapes, link_words)
    columns += [
        same[shapes],
        same_words[shapes] / same[shapes],
        same_links[shapes] / same_words[shapes],
        same_words[shapes] / total,
    ]

    # The element with the most running text, as readability looks for it.
    commas = kinds[:, _COMMA]
    weight = (1 + commas + np.minimum(lengths * (1 + dense / visible) / 100, 3)) * (1 - link_share)
    weight[(words < 8) | (((places >> 4) & 1) == 1)] = 0
    score = 1.0 * np.bincount(parents[nodes], weight, len(tag_list))
    score = score + 0.5 * np.bincount(parents[parents[nodes]], weight, len(tag_list))
    score = score + 0.3 * np.bincount(nodes, weight, len(tag_list))
    top = int(np.argmax(score))
    begin, end = int(starts[top]), int(ends[top])
    columns += [
        (index >= begin) & (index < end),
        np.maximum(begin - index, 0) + np.maximum(index - end + 1, 0),
        per_node[top, 0] / total,
        begin / count,
        end / count,
    ]

    # The blocks before and after.
    near = np.stack((words, link_share, stops / words, parents[nodes], tags[nodes], by_word[:, 0]))
    padded = np.full((len(near), count + 6), -1.0)
    padded[:, 3:-3] = near
    for offset in _NEIGHBOURS:
        there = padded[:, 3 + offset : 3 + offset + count]
        columns += [*there[:3], there[3] == near[3], *there[4:]]

    long_words = words[words >= 15].sum()
    columns += [
        tag_list.count("article"),
        tag_list.count("p"),
        tag_list.count("li"),
        ((places >> 16) & 1).mean(),
        ((places >> 17) & 1).mean(),
        long_words / total,
    ]
    seen = Seen(
        words, link_words, by_word, which, tags[nodes], heading == 1, shapes, levels,
        ends > starts, np.asarray(page.signatures, np.int64),
    )  # fmt: skip
    columns += section_columns(page, word_scores, seen)
    columns += kind_of_page(page)
    return table_of(columns, count)


def table_of(columns: Sequence[Any], count: int) -> Floats:
    """Return columns, or the one value of a column, as rows; a column is one piece of memory."""
    by_column = np.empty((len(columns), count), np.float32)
    for number, column in enumerate(columns):
        by_column[number] = column
    return by_column.T


def _count_classes(texts: list[str]) -> tuple[Integers, NDArray[np.float64], Integers]:
    """Return how many characters of each class every text has, its length, and its words."""
    lengths = np.asarray([len(text) for text in texts], np.int64)
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(joined, np.uint32)
    classes = _class_table()[np.minimum(points, 0xFFFF)]
    owner = np.repeat(np.arange(len(texts)) * _CLASSES, lengths)
    counts = np.bincount(owner + classes, minlength=len(texts) * _CLASSES)
    # A run of spaces, as code has them, parts two words.
    is_space = (classes == _SPACE) | (classes == _LINE)
    begins = ~is_space
    begins[1:] &= is_space[:-1]
    firsts = np.cumsum(lengths) - lengths
    begins[firsts] = ~is_space[firsts]
    number = np.concatenate(([0], np.cumsum(begins)))
    words = number[firsts + lengths] - number[firsts]
    return counts.reshape(-1, _CLASSES), lengths.astype(np.float64), words


def first_words(text: str) -> list[str]:
    """Return the first words of a block, in lower case."""
    return _WORD.findall(text[:_FIRST_CHARS].lower())


def _first_words(texts: list[str]) -> list[list[str]]:
    """Return what first_words does of each text: of plain ones all at once."""
    joined = "\0".join([text[:_FIRST_CHARS] for text in texts])
    for mark in _MARKS:
        joined = joined.replace(mark, " ")
    parts = joined.split("\0")
    if len(parts) != len(texts):
        return [first_words(text) for text in texts]
    ascii_only = "\0".join([part if part.isascii() else "" for part in parts])
    plain = ascii_only.encode().translate(_PLAIN).decode()
    return [
        words.split() if words else first_words(text)
        for words, text in zip(plain.split("\0"), texts, strict=True)
    ]


def _words(page: Page, scores: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Return what the first words of each block speak for, and how much of them the title has."""
    title = set(_WORD.findall(page.title.lower()))
    about = set(_WORD.findall(description(page).lower()))
    count = len(page.texts)
    by_word = np.zeros((count, 4), np.float32)
    shares = np.zeros((count, 3), np.float32)
    found = _first_words(page.texts)
    sizes = np.asarray([len(words) for words in found], np.int64)
    flat = list(chain.from_iterable(found))
    if not flat:
        return by_word, shares
    owners = np.repeat(np.arange(count), sizes)
    firsts = np.cumsum(sizes) - sizes

    score = np.fromiter(map(scores.get, flat, repeat(math.nan)), np.float64, len(flat))
    is_known = ~np.isnan(score)
    known, owner = score[is_known], owners[is_known]
    if known.size:
        many = np.bincount(owner)
        has = np.flatnonzero(many)
        many = many[has]
        starts = np.cumsum(many) - many
        first = firsts[has]
        by_word[has, 0] = np.bincount(owner, known)[has] / many
        by_word[has, 1] = np.minimum.reduceat(known, starts)
        by_word[has, 2] = np.maximum.reduceat(known, starts)
        by_word[has, 3] = np.where(is_known[first], score[first], 0)
    if title:
        rows = np.flatnonzero(np.bincount(owners, _are_in(flat, title)))
        with_title = [found[row] for row in rows.tolist()]
        common = np.asarray([len(title.intersection(words)) for words in with_title])
        shares[rows, 0] = common / [len(set(words)) for words in with_title]
        shares[rows, 1] = common / len(title)
    if about:
        covered = np.bincount(owners, _are_in(flat, about), count)
        shares[:, 2] = np.where(sizes > 3, covered / np.maximum(sizes, 1), 0)
    return by_word, shares


def _are_in(words: list[str], wanted: set[str]) -> NDArray[np.bool_]:
    return np.fromiter(map(wanted.__contains__, words), np.bool_, len(words))


def _depths(parents: list[int]) -> NDArray[np.int64]:
    depths = [0] * len(parents)
    for node in range(1, len(parents)):
        depths[node] = depths[parents[node]] + 1
    return np.asarray(depths, np.int64)


def outer_nodes(parents: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """Return for each node the nearest one around it that holds more blocks."""
    outer = [0] * len(parents)
    for node in range(1, len(parents)):
        parent = parents[node]
        if starts[parent] == starts[node] and ends[parent] == ends[node]:
            outer[node] = outer[parent]
        else:
            outer[node] = parent
    return outer
