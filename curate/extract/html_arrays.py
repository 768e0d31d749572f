"""The numbers of a page's blocks and elements as arrays, made once for all that look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .html_blocks import Page

Integers = NDArray[np.int64]
LEVELS = 4


@dataclass(frozen=True, slots=True)
class Arrays:
    """Numbers of a page.

    Attributes:
        nodes, parents, starts, ends, path_of: as in Page.
        paths: of each block, the path to it.
        levels: a row for each of four levels, the element around each block, from the inside out,
            each holding more blocks than the one before.
        shapes: of each block, equal where the path has the same names; see Paths.signatures.
        twins: the same of each node.
    """

    nodes: Integers
    parents: Integers
    starts: Integers
    ends: Integers
    path_of: Integers
    paths: Integers
    levels: Integers
    shapes: Integers
    twins: Integers


def arrays_of(page: Page) -> Arrays:
    """Return a page's lists as arrays."""
    nodes, path_of = integers(page.nodes), integers(page.path_of)
    parents, starts, ends = integers(page.parents), integers(page.starts), integers(page.ends)
    # The only child of a node follows it: the nearest element that holds more is the parent of the
    # first of a row of those.
    is_only = (starts == starts[parents]) & (ends == ends[parents])
    is_only[0] = False
    outer = parents[np.maximum.accumulate(np.where(is_only, 0, np.arange(len(parents))))]
    levels = [nodes]
    for _ in range(LEVELS - 1):
        levels.append(outer[levels[-1]])
    twins = page.paths.signatures[path_of]
    paths = path_of[nodes]
    return Arrays(
        nodes, parents, starts, ends, path_of, paths, np.stack(levels), twins[nodes], twins
    )


def integers(values: Sequence[int]) -> Integers:
    """Return numbers as an array, faster than numpy's asarray."""
    return np.fromiter(values, np.int64, len(values))
