"""What the tags on the path to a block say of it: places, and names for or against content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .html_arrays import Integers, integers
from .html_known import LINKED, NUMBER
from .html_names import Judge, names_in, read_attributes
from .html_tags import IN_LINK, PLACE_OF_TAG

_DECAY = 0.7
_START = re.compile(rb"""(?<![\w-])start\s*=\s*(?:["']\s*)?([0-9]{1,9})(?![0-9])""", re.IGNORECASE)
_WHOLE = frozenset(("body", "html"))


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths from the root to an element, by their tags as they are written; 0 is the root.

    Attributes:
        tags: the name of the last element.
        depths: how many elements.
        places: the bits of html_tags of all elements.
        own: mean score of the last element's names.
        best, worst, sums: highest, lowest and decayed sum of all elements' scores.
        signatures: equal where each element has the same name and the same last class or the like.
        numbers: by path, the number of the first item, of ordered lists that say one.
        names: of the last element; only when asked for.
    """

    tags: list[str]
    depths: Integers
    places: Integers
    own: NDArray[np.float64]
    best: NDArray[np.float64]
    worst: NDArray[np.float64]
    sums: NDArray[np.float64]
    signatures: Integers
    numbers: dict[int, int] = field(default_factory=dict)
    names: list[tuple[str, ...]] = field(default_factory=list)


def read_paths(
    steps: Sequence[int],
    elements: Sequence[tuple[str, bytes, bool]],
    judge: Judge,
    with_names: bool = False,
) -> Paths:
    """Read what the tags on each path say.

    Args:
        steps: for each path the path before << 32 | state of the element; 0 for the root.
        elements: name and tag of each element, and is the tag plain; "" for the root.
        judge: what their names speak for.
        with_names: remember these.
    """
    step = integers(steps)
    number = (step & 0xFFFFFFFF) >> NUMBER
    used = np.flatnonzero(np.bincount(number))
    kinds = np.searchsorted(used, number)
    tags = [elements[number] for number in used.tolist()]
    named, told = read_attributes([(tag[len(name) :], plain) for name, tag, plain in tags])
    scores, lasts = judge.judge(named)
    by_path: NDArray[np.float64] = scores[:, kinds]
    own, best, worst = by_path[0], by_path[1], by_path[2]
    # All of the page is not the comment that its <body> may be named after.
    is_in = [
        0 if name in _WHOLE else place | PLACE_OF_TAG.get(name, 0)
        for (name, _, _), place in zip(tags, told, strict=True)
    ]
    places = integers(is_in)[kinds]
    places[step & LINKED != 0] |= IN_LINK

    # Each round adds as many elements further out as there are already: the root adds nothing.
    outer = before = step >> 32
    sums, depths, factor = own, np.ones(len(step), np.int64), _DECAY
    depths[0] = 0
    while np.count_nonzero(outer):
        best = np.maximum(best, best.take(outer))
        worst = np.minimum(worst, worst.take(outer))
        places = places | places.take(outer)
        depths = depths + depths.take(outer)
        sums = sums + factor * sums.take(outer)
        factor *= factor
        outer = outer.take(outer)

    numbers: dict[tuple[str, bytes], int] = {}
    shapes = [
        numbers.setdefault((name, last), len(numbers))
        for (name, _, _), last in zip(tags, lasts, strict=True)
    ]
    signatures = [0]
    known: dict[int, int] = {}
    listed = kinds.tolist()
    for path, kind in zip(before[1:].tolist(), listed[1:], strict=True):
        shape = signatures[path] * len(tags) + shapes[kind]
        signatures.append(known.setdefault(shape, len(known) + 1))
    names = [tags[kind][0] for kind in listed]
    firsts = {
        kind: int(first[1])
        for kind, (name, tag, _) in enumerate(tags)
        if name == "ol" and (first := _START.search(tag))
    }
    first_numbers = (
        {path: firsts[kind] for path, kind in enumerate(listed) if kind in firsts} if firsts else {}
    )
    found = Paths(
        names, depths, places, own, best, worst, sums, integers(signatures), first_numbers
    )
    if with_names:
        by_kind = [names_in(each) for each in named]
        found.names.extend(by_kind[kind] for kind in listed)
    return found
