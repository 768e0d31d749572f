"""What the tags on the path to a block say of it: places, and names for or against content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .html_known import LINKED, NUMBER
from .html_names import Judge, names_in, read_attributes
from .html_tags import IN_LINK, PLACE_OF_TAG

_DECAY = 0.7


@dataclass(slots=True)
class Paths:
    """The paths from the root to an element, by their tags as they are written; 0 is the root.

    Attributes:
        tags: the name of the last element.
        depths: how many elements.
        places: the bits of html_tags of all elements.
        own: mean score of the last element's names.
        best, worst, sums: highest, lowest and decayed sum of all elements' scores.
        signatures: equal where each element has the same name and the same last class or the like.
        names: of the last element; only when asked for.
    """

    tags: list[str] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    names: list[tuple[str, ...]] = field(default_factory=list)


def read_paths(
    steps: Sequence[int],
    elements: Sequence[tuple[str, bytes]],
    judge: Judge,
    with_names: bool = False,
) -> Paths:
    """Read what the tags on each path say.

    Args:
        steps: for each path the path before << 32 | state of the element.
        elements: name and tag of each element.
        judge: what their names speak for.
        with_names: remember these.
    """
    kinds = [(step & 0xFFFFFFFF) >> NUMBER for step in steps]
    used = sorted(set(kinds))
    tags = [elements[number] for number in used]
    named, told = read_attributes([tag[len(name) :] for name, tag in tags])
    judged = judge.judge(named)
    facts = {}
    shapes: dict[tuple[str, bytes], int] = {}
    for number, (name, _), place, own, best, worst, last in zip(
        used, tags, told, *judged, strict=True
    ):
        if name == "body" or name == "html":
            # All of the page is not the comment that its <body> may be named after.
            place = 0
        else:
            place |= PLACE_OF_TAG.get(name, 0)
        shape = shapes.setdefault((name, last), len(shapes))
        facts[number] = name, place, own, best, worst, shape

    page = Paths([""], [0], [0], [0.0], [0.0], [0.0], [0.0], [0])
    depths, places, sums, signatures = page.depths, page.places, page.sums, page.signatures
    bests, worsts = page.best, page.worst
    numbers: dict[int, int] = {}
    for step, number in zip(steps[1:], kinds[1:], strict=True):
        name, place, own, best, worst, shape = facts[number]
        before = step >> 32
        page.tags.append(name)
        page.own.append(own)
        depths.append(depths[before] + 1)
        place |= places[before]
        places.append(place | IN_LINK if step & LINKED else place)
        bests.append(best if best > bests[before] else bests[before])
        worsts.append(worst if worst < worsts[before] else worsts[before])
        sums.append(own + _DECAY * sums[before])
        shape |= signatures[before] << 32
        signatures.append(numbers.setdefault(shape, len(numbers) + 1))
    if with_names:
        by_number = dict(zip(used, map(names_in, named), strict=True))
        page.names = [by_number[number] for number in kinds]
    return page
