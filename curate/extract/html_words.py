"""What the words of blocks say: their scores, and whether the page's own title has them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from .html_arrays import Integers
from .html_blocks import Page
from .html_kinds import description

_WORD = re.compile(r"[^\W_]+")
_FIRST_CHARS = 160
# Of ASCII letters and digits words are made, in lower case; all else parts them.
_PLAIN = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() and code < 128 else 0 if code == 0 else 32
    for code in range(256)
)
# What else parts words in texts that are ASCII but for it.
_MARKS = "’‘“”–—…•·»«©®™→|×\u00a0\u200b"
WORDS = (
    *("word_mean", "word_min", "word_max"),
    *("title_share", "title_cover", "description_share"),
)
Columns = NDArray[np.float64]


def first_words(text: str) -> list[str]:
    """Return the first words of a block, in lower case."""
    return _WORD.findall(text[:_FIRST_CHARS].lower())


def _all_first_words(texts: list[str]) -> list[list[str]]:
    """Return what first_words does of each text: of plain ones all at once."""
    joined = "\0".join([text[:_FIRST_CHARS] for text in texts])
    if not joined.isascii():
        for mark in _MARKS:
            joined = joined.replace(mark, " ")
    parts = joined.split("\0")
    if len(parts) != len(texts):
        return [first_words(text) for text in texts]
    if not joined.isascii():
        joined = "\0".join([part if part.isascii() else "" for part in parts])
    plain = joined.encode().translate(_PLAIN).decode()
    found = list(map(str.split, plain.split("\0")))
    for block, words in enumerate(found):
        if not words:
            found[block] = first_words(texts[block])
    return found


def word_columns(page: Page, scores: Mapping[str, float]) -> Columns:
    """Return the columns WORDS, one a row."""
    count = len(page.texts)
    columns = np.zeros((len(WORDS), count))
    found = _all_first_words(page.texts)
    sizes = np.fromiter(map(len, found), np.int64, count)
    flat = list(chain.from_iterable(found))
    owners = np.repeat(np.arange(count), sizes)
    columns[:3] = _scores(flat, owners, count, scores)
    title = set(_WORD.findall(page.title.lower()))
    about = set(_WORD.findall(description(page).lower()))
    if title or about:
        where = dict.fromkeys(about, 2)
        where.update((word, where.get(word, 0) | 1) for word in title)
        found_in = np.frombuffer(bytes(map(where.get, flat, repeat(0))), np.uint8)
        rows = np.flatnonzero(found_in)
        owner, found_in = owners[rows], found_in[rows]
        in_title = np.bincount(owner, found_in & 1, count)
        columns[3] = in_title / np.maximum(sizes, 1)
        columns[4] = np.minimum(in_title / max(len(title), 1), 1)
        in_about = np.bincount(owner, found_in >> 1, count)
        columns[5] = np.where(sizes > 3, in_about / np.maximum(sizes, 1), 0)
    return columns


def _scores(flat: list[str], owners: Integers, count: int, scores: Mapping[str, float]) -> Columns:
    """Return mean, least and best score of the words of each block."""
    found = np.zeros((3, count))
    score = np.fromiter(map(scores.get, flat, repeat(math.nan)), np.float64, len(flat))
    rows = np.flatnonzero(score == score)
    if rows.size:
        known, owner = score[rows], owners[rows]
        many = np.bincount(owner)
        has = np.flatnonzero(many)
        many = many[has]
        starts = np.cumsum(many) - many
        found[0, has] = np.bincount(owner, known)[has] / many
        found[1, has] = np.minimum.reduceat(known, starts)
        found[2, has] = np.maximum.reduceat(known, starts)
    return found
