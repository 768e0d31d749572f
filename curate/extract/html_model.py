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
from .html_blocks import Page
from .html_features import FEATURES, Floats, outer_nodes, table_of
from .html_sections import sections
from .html_tags import IN_BUTTON, IN_COMMENT, IN_FORM, IN_HIDDEN, IN_NAV, Judge

MODEL_FILE = Path(__file__).parent.parent / "data" / "html_model.npz"
SCALE = 4096  # leaves are log odds times this
_ROWS = 96  # no array is so large that its memory goes back to the system each time
_OFFSETS = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5)
_WINDOWS = (2, 5, 10, 25)
_LEVELS = 4
CONTEXT: tuple[str, ...] = (
    "z",
    *(f"z_{offset}" for offset in _OFFSETS),
    *(f"window_{window}" for window in _WINDOWS),
    "before",
    "page_share",
    "page_words",
    "page_best",
    *(f"{name}_{level}" for level in range(_LEVELS) for name in ("around", "around_share")),
    *("heading_z", "section_chance", "shape_chance"),
)
_NEVER_COMMENT = IN_NAV | IN_HIDDEN | IN_FORM | IN_BUTTON
_WORDS = FEATURES.index("words")
_HEADING = FEATURES.index("place_12")
_LIMIT = 8  # log odds beyond this are as sure


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
    def _laid_out(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64]]:
        """Columns and borders by question; the first leaf of each tree; all leaves."""
        count, size = self.leaves.shape
        return (
            np.ascontiguousarray(self.features.T),
            np.ascontiguousarray(self.borders.T)[:, :, None],
            np.arange(count)[:, None] * size,
            np.ascontiguousarray(self.leaves).ravel(),
        )

    def scores(self, table: Floats) -> NDArray[np.int64]:
        """Return the log odds of each row, times SCALE."""
        columns, borders, first_leaf, leaves = self._laid_out
        result = np.empty(len(table), np.int64)
        for start in range(0, len(table), _ROWS):
            # A column is one piece of memory here, and is copied as such.
            by_column = np.ascontiguousarray(table[start : start + _ROWS].T)
            index = np.zeros((columns.shape[1], by_column.shape[1]), np.uint8)
            for asked, border in zip(columns[::-1], borders[::-1], strict=True):
                index += index
                index += (by_column.take(asked, axis=0) > border).view(np.uint8)
            result[start : start + _ROWS] = leaves.take(index + first_leaf).sum(0)
        return result + self.bias


@dataclass(frozen=True)
class Model:
    """What is in the model's file.

    Attributes:
        names: how much a name of an element (html_tags.names_of) speaks for content.
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
        """The judge of elements' names, which keeps what it has seen."""
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
    likely = chances(scores) / 1024
    z = scores / SCALE
    padded = np.full(count + 10, -4.0)
    padded[5:-5] = z
    words = table[:, _WORDS].astype(np.float64)
    index = np.arange(count)
    kept = np.concatenate(([0.0], np.cumsum(words * likely)))
    held = np.concatenate(([0.0], np.cumsum(words)))
    columns: list[Any] = [z, *(padded[5 + offset : 5 + offset + count] for offset in _OFFSETS)]
    for window in _WINDOWS:
        begin, end = np.maximum(index - window, 0), np.minimum(index + window + 1, count)
        columns.append((kept[end] - kept[begin]) / (held[end] - held[begin]))
    total = max(kept[-1], 1e-9)
    columns += [
        kept[:-1] / total,
        kept[-1] / held[-1],
        kept[-1],
        likely.max(),
    ]
    starts, ends = np.asarray(page.starts, np.int64), np.asarray(page.ends, np.int64)
    outer = np.asarray(outer_nodes(page.parents, page.starts, page.ends), np.int64)
    around = np.asarray(page.nodes, np.int64)
    for _level in range(_LEVELS):
        begin, end = starts[around], ends[around]
        inside = kept[end] - kept[begin]
        columns += [inside / np.maximum(held[end] - held[begin], 1e-9), inside / total]
        around = outer[around]
    begin, end = sections(table[:, _HEADING] > 0)
    shapes = np.asarray(page.signatures, np.int64)[np.asarray(page.nodes, np.int64)]
    of_shape = np.bincount(shapes, words * likely) / np.maximum(np.bincount(shapes, words), 1e-9)
    columns += [
        z[begin],
        (kept[end] - kept[begin]) / np.maximum(held[end] - held[begin], 1e-9),
        of_shape[shapes],
    ]
    return table_of(columns, count)


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
        places = np.asarray(page.places, np.int64)[np.asarray(page.nodes, np.int64)]
        in_comments = (places & IN_COMMENT != 0) & (places & _NEVER_COMMENT == 0)
        links = np.asarray(page.link_chars) * 2 > [len(text) for text in page.texts]
        kept |= in_comments & ~links
    return [int(block) for block in np.flatnonzero(kept)]


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
