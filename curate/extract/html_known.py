"""What the tags of a page mean to the walk over it, found once for each that is written alike."""

from __future__ import annotations

from typing import Any

from .html_tags import (
    BLOCK,
    BREAK,
    CELL,
    DROP,
    HEADING,
    IN_PRE,
    INLINE,
    ITEM,
    LINK,
    PLACE_OF_TAG,
    PLAIN,
    RAW_TEXT,
    VOID,
)
from .html_tokens import Cuts, attributes, text_of

# What the walk does at a tag; at the first two an element that holds blocks begins or ends.
START, END, NOTHING, LINK_START, LINK_END, LINE, RULE, IMAGE, META, TIME, RAW, STRAY = range(12)
PART_START, PART_END = 12, 13  # of an inline element that may be laid out apart
# State of an open element: is it in a link, in <pre>, in what is dropped, and its number.
LINKED, PRE, DROPPED, NUMBER = 1, 2, 4, 3
_CLOSED_BY = {
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "menu", "dir"))),
    "dt": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "dd": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "tr": (frozenset(("tr", "td", "th", "caption")), frozenset(("table",))),
    "td": (frozenset(("td", "th")), frozenset(("table", "tr"))),
    "th": (frozenset(("td", "th")), frozenset(("table", "tr"))),
    "tbody": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
    "thead": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
    "tfoot": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
}


# What a start tag says: name, is it an item, a heading, what it ends of what is open and what that
# does not reach across, is nothing in it, and the state that it begins.
Element = tuple[str, bool, bool, tuple[frozenset[str], frozenset[str]] | None, bool, int]
# What to do; what the tag says: an Element, the name that ends, or attributes; and the number of an
# element's tag in Tags.elements.
Fact = tuple[int, Any, int]
_NOTHING: Fact = (NOTHING, None, 0)
_PART: Fact = (PART_START, None, 0)
_PART_END: Fact = (PART_END, None, 0)
_WITHIN_WORDS = frozenset(("sub", "sup"))
_LINK: Fact = (LINK_START, None, 0)
_ELEMENTS = frozenset((BLOCK, CELL, ITEM, HEADING, DROP))
# Every tag without attributes, and the elements among them; the first is the root.
_BARE: dict[bytes, Fact] = {}
_BARE_ELEMENTS: list[tuple[str, bytes]] = [("", b"")]
# What the tags say of which the walk needs no attributes, by name.
_QUICK: dict[bytes, Fact] = {}


class Tags:
    """The tags of one page.

    Attributes:
        known: what was found of each, as it is written between "<" and ">".
        elements: name and tag of each element that is written in another way.
    """

    def __init__(self, cuts: Cuts) -> None:
        self.known = dict(_BARE)
        self.elements = _BARE_ELEMENTS.copy()
        self._cuts = cuts

    def meet(self, tag: bytes, closed: bytes, text: bytes) -> tuple[Fact, bytes]:
        """Return what a tag says that is met for the first time, and the text after it.

        Args:
            tag, closed, text: what comes after a "<", cut at its first ">".
        """
        first, _, rest = tag.partition(b" ")
        quick = _QUICK.get(first)
        if quick and closed and not tag.count(b'"') & 1 and b"'" not in tag:
            # None of its attributes is open.
            action, told, _ = quick
            if action == START:
                quick = self.known[tag] = self._element(told, tag)
            elif action == META:
                quick = META, text_of(rest), 0
            elif action == RAW:
                quick = RAW, (told[0], text_of(rest)), 0
            return quick, text  # what is no element may as well be met again
        tag, size, text = self._cuts.read(tag + closed + text)
        if not size:
            return (STRAY if tag else NOTHING, None, 0), text
        known = self.known.get(tag)
        if known is None:
            name, source = text_of(tag[:size]).lower(), text_of(tag[size:])
            kind = PLAIN.get(name, BLOCK if "-" in name else INLINE)
            if name[0] == "/":
                known = _end(name[1:])
            elif kind in _ELEMENTS:
                known = self._element(_element(name, kind), tag)
            else:
                known = _other(name, kind, source)
            self.known[tag] = known
        return known, text

    def _element(self, element: Element, tag: bytes) -> Fact:
        name, is_item, is_heading, closes, _, state = element
        if state & DROPPED and tag.endswith(b"/"):
            element = name, is_item, is_heading, closes, True, state
        self.elements.append((name, tag))
        return START, element, len(self.elements) - 1


def _element(name: str, kind: int) -> Element:
    state = DROPPED if kind == DROP else PRE if PLACE_OF_TAG.get(name, 0) & IN_PRE else 0
    return name, kind == ITEM, kind == HEADING, _CLOSED_BY.get(name), False, state


def _other(name: str, kind: int, source: str) -> Fact:
    """Return what a start tag says that holds no blocks."""
    if kind == LINK:
        return _LINK
    if kind == RAW_TEXT:
        return RAW, (name, source), 0
    if kind == VOID:
        return (META, source, 0) if name == "meta" else _void(name)
    if kind == BREAK:
        return RULE if name == "hr" else LINE, None, 0
    if name == "time":
        return TIME, attributes(source).get("datetime", ""), 0
    return _NOTHING if name in _WITHIN_WORDS else _PART


def _void(name: str) -> Fact:
    return (IMAGE, None, 0) if name == "img" else _NOTHING


def _end(name: str) -> Fact:
    kind = PLAIN.get(name, BLOCK if "-" in name else INLINE)
    if kind in _ELEMENTS:
        return END, name, 0
    if kind == LINK:
        return LINK_END, None, 0
    if kind == VOID:
        return _void(name)
    if kind == BREAK:
        return RULE if name == "hr" else LINE, None, 0
    return _PART_END


def _read_bare() -> None:
    for name, kind in PLAIN.items():
        tag = name.encode()
        if kind in _ELEMENTS:
            _BARE_ELEMENTS.append((name, tag))
            fact: Fact = START, _element(name, kind), len(_BARE_ELEMENTS) - 1
        else:
            fact = _other(name, kind, "")
        _BARE[tag] = fact
        _BARE[b"/" + tag] = _end(name)
        if fact[0] in (START, NOTHING, LINK_START, IMAGE, PART_START, META, RAW):
            _QUICK[tag] = fact


_read_bare()
