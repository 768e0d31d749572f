"""The model of HTML blocks: two rounds of small symmetric trees, evaluated as tables.

Every tree asks the same questions of all blocks, so that a tree is an index of bits into a row of
leaves. Leaves are whole numbers and shares are multiples of 1/1024: sums are exact, and a page
becomes the same text on every processor. The second round sees what the first one thinks of the
blocks around (stacked generalization, Wolpert 1992). benchmarks/extraction_train.py makes the file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DefinitionError
from .html_arrays import LEVELS
from .html_blocks import Page
from .html_features import FEATURES, Floats, Table
from .html_names import Judge
from .html_sections import sections
from .html_tags import IN_BUTTON, IN_COMMENT, IN_FORM, IN_HIDDEN, IN_NAV

MODEL_FILE = Path(__file__).parent.parent / "data" / "html_model.npz"
SCALE = 4096  # leaves are log odds times this
_CELLS = 48_000  # no array is so large that its memory goes back to the system each time
_OFFSETS = (-3, -2, -1, 1, 2, 3)
_WINDOWS = (2, 5, 25)
CONTEXT: tuple[str, ...] = (
    "z",
    *(f"z_{offset}" for offset in _OFFSETS),
    *(f"window_{window}" for window in _WINDOWS),
    "before",
    "page_share",
    "page_words",
    "page_best",
    *(f"{name}_{level}" for level in range(LEVELS) for name in ("around", "around_share")),
    *("heading_z", "section_chance", "shape_chance"),
)
_NEVER_COMMENT = IN_NAV | IN_HIDDEN | IN_FORM | IN_BUTTON
_WORDS = FEATURES.index("words")
_HEADING = FEATURES.index("place_12")
_LIMIT = 8  # log odds beyond this are as sure
_LONG = 80  # characters of a text that is laid out twice, not said twice


@dataclass(frozen=True)
class Trees:
    """Trees of one round.

    Attributes:
        features: (trees, questions), the column that each question asks; eight at most.
        borders: (trees, questions); the answer is yes above it.
        leaves: (trees, 2 ** questions), integers.
        bias: integer.
    """

    features: NDArray[np.int64]
    borders: NDArray[np.float32]
    leaves: NDArray[np.int64]
    bias: int

    @cached_property
    def _laid_out(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int32]]:
        """Columns and borders by question; the first leaf of each tree; all leaves."""
        count, size = self.leaves.shape
        return (
            np.ascontiguousarray(self.features.T),
            np.ascontiguousarray(self.borders.T)[:, :, None],
            np.arange(count)[:, None] * size,
            np.ascontiguousarray(self.leaves, np.int32).ravel(),
        )

    def scores(self, table: Floats) -> NDArray[np.int64]:
        """Return the log odds of each row, times SCALE."""
        columns, borders, first_leaf, leaves = self._laid_out
        result = np.empty(len(table), np.int64)
        rows = _CELLS // columns.shape[1]
        for start in range(0, len(table), rows):
            # A column is one piece of memory here, and is copied as such.
            by_column = np.ascontiguousarray(table[start : start + rows].T)
            index = np.zeros((columns.shape[1], by_column.shape[1]), np.uint8)
            for asked, border in zip(columns[::-1], borders[::-1], strict=True):
                index += index
                index += (by_column.take(asked, axis=0) > border).view(np.uint8)
            result[start : start + rows] = leaves.take(index + first_leaf).sum(0, np.int32)
        return result + self.bias


@dataclass(frozen=True)
class Model:
    """What is in the model's file.

    Attributes:
        names: how much a name of an element (html_names.names_in) speaks for content.
        words: the same of the first words of a block.
        about: what it was trained on, and its scores.
    """

    names: dict[str, float]
    words: dict[str, float]
    first: Trees
    second: Trees
    about: dict[str, Any]

    @cached_property
    def judge(self) -> Judge:
        """The judge of elements' names."""
        return Judge(self.names)

    def chances(self, page: Page, table: Floats) -> NDArray[np.int64]:
        """Return the chance of each block to be content, in 1/1024."""
        first = self.first.scores(table)
        both = np.concatenate((table, context(page, table, first)), axis=1)
        return final_chances(self.second.scores(both))


@cache
def _sigmoid() -> NDArray[np.int64]:
    steps = range(-_LIMIT * 128, _LIMIT * 128 + 1)
    return np.asarray([round(1024 / (1 + math.exp(-step / 128))) for step in steps], np.int64)


def chances(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn log odds times SCALE into chances in 1/1024."""
    steps = np.clip(scores >> 5, -_LIMIT * 128, _LIMIT * 128)
    found: NDArray[np.int64] = np.take(_sigmoid(), steps + _LIMIT * 128)
    return found


def final_chances(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn the log odds of the second round into chances.

    Times 1.5: of 1, 1.5 and 2 the best mean F1 over the sources in the cross-validation. The blocks
    of a page are wrong together, which the best expected F1 does not know.
    """
    return chances(3 * scores // 2)


def context(page: Page, table: Floats, scores: NDArray[np.int64]) -> Floats:
    """Return what the first round thinks of the blocks around each, with the columns CONTEXT."""
    count = len(scores)
    at = page.arrays
    likely = chances(scores) / 1024
    z = scores / SCALE
    padded = np.full(count + 6, -4.0)
    padded[3:-3] = z
    words = table[:, _WORDS].astype(np.float64)
    index = np.arange(count)
    sums = np.zeros((2, count + 1))
    np.cumsum((words * likely, words), axis=1, out=sums[:, 1:])
    kept, held = sums
    found = Table(len(CONTEXT), count)
    found.add(z, *(padded[3 + offset : 3 + offset + count] for offset in _OFFSETS))
    for window in _WINDOWS:
        begin, end = np.maximum(index - window, 0), np.minimum(index + window + 1, count)
        inside, around = sums.take(end, axis=1) - sums.take(begin, axis=1)
        found.add(inside / around)
    total = max(kept[-1], 1e-9)
    found.add(kept[:-1] / total, kept[-1] / held[-1], kept[-1], likely.max())
    inside, around = sums.take(at.ends[at.levels], axis=1) - sums.take(at.starts[at.levels], axis=1)
    by_level = np.stack((inside / np.maximum(around, 1e-9), inside / total), axis=1)
    found.add_rows(by_level.reshape(-1, count))
    begin, end = sections(table[:, _HEADING] > 0)
    inside, around = sums.take(end, axis=1) - sums.take(begin, axis=1)
    all_words = np.maximum(np.bincount(at.shapes, words), 1e-9)
    of_shape = np.bincount(at.shapes, words * likely) / all_words
    found.add(z[begin], inside / np.maximum(around, 1e-9), of_shape[at.shapes])
    return found.rows()


def keep(
    page: Page, table: Floats, likely: NDArray[np.int64], least: float | None, comments: bool
) -> list[int]:
    """Return the blocks to keep, ascending.

    Args:
        page: the page.
        table: its features.
        likely: chances of its blocks, in 1/1024.
        least: least chance of a block that is kept, in 1/1024; None for the set of blocks of which
            the expected F1 is best (Lipton et al. 2014, arXiv:1402.1892), counted in words. So an
            odd page, of which all is doubtful, gives its best part, and a plain one no doubtful.
        comments: keep readers' comments as well.
    """
    if least is None:
        half_words = np.maximum(2 * table[:, _WORDS].astype(np.int64), 1)
        order = np.argsort(-likely, kind="stable")
        found = np.cumsum((likely * half_words)[order])
        taken = np.cumsum(half_words[order]) * 1024
        last = int(np.argmax(found / (taken + found[-1])))
        kept = np.zeros(len(likely), bool)
        kept[order[: last + 1]] = True
    else:
        kept = likely >= least
    if comments:
        places = np.asarray(page.places, np.int64)[page.arrays.nodes]
        in_comments = (places & IN_COMMENT != 0) & (places & _NEVER_COMMENT == 0)
        links = np.asarray(page.link_chars) * 2 > [len(text) for text in page.texts]
        kept |= in_comments & ~links
    return _once(page, np.flatnonzero(kept).tolist())


def _once(page: Page, kept: list[int]) -> list[int]:
    """Leave out long texts that come again in another shape, as on phones or in a teaser.

    What comes again in the same shape, such as an item or a cell, is said again.
    """
    shapes: dict[str, int] = {}
    found = []
    for block in kept:
        text = page.texts[block]
        if len(text) >= _LONG:
            shape = int(page.arrays.shapes[block])
            if shapes.setdefault(text, shape) != shape:
                continue
        found.append(block)
    return found


def load_model(path: Path = MODEL_FILE) -> Model:
    """Read a model's file.

    Raises:
        DefinitionError: it is missing, or was made for other columns.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(bytes(data["about"]).decode())
            if tuple(about["columns"]) != FEATURES + CONTEXT:
                raise DefinitionError(
                    f"{path} was trained on other columns than this version computes;"
                    " run benchmarks/extraction_train.py."
                )
            scores = []
            for name in ("names", "words"):
                keys = bytes(data[name]).decode().split("\n")
                values = (data[f"{name}_scores"] / 10).tolist()
                scores.append(dict(zip(keys, values, strict=True)))
            rounds = [
                Trees(
                    data[f"{name}_features"].astype(np.int64),
                    data[f"{name}_borders"],
                    data[f"{name}_leaves"].astype(np.int64),
                    int(data[f"{name}_bias"]),
                )
                for name in ("first", "second")
            ]
    except OSError as error:
        raise DefinitionError(f"cannot read the model {path}: {error}") from None
    return Model(scores[0], scores[1], rounds[0], rounds[1], about)
