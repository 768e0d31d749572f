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
_OWN = PRE | DROPPED
# What a start ends of what is open, what that does not reach across, and is it the nearest alone.
_Closes = tuple[frozenset[str], frozenset[str], bool]
_OPEN_CELLS = frozenset(("td", "th"))
_OPEN_ROWS = frozenset(("tbody", "thead", "tfoot", "tr", "td", "th"))
ROW_OR_TABLE = frozenset(("table", "tr"))
_IN_TABLE = frozenset(("table",))
_CLOSED_BY: dict[str, _Closes] = {
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "menu", "dir")), True),
    **dict.fromkeys(("dt", "dd"), (frozenset(("dt", "dd")), frozenset(("dl",)), True)),
    "tr": (frozenset(("tr", "td", "th", "caption")), _IN_TABLE, False),
    **dict.fromkeys(("td", "th"), (_OPEN_CELLS, ROW_OR_TABLE, False)),
    **dict.fromkeys(("tbody", "thead", "tfoot"), (_OPEN_ROWS, _IN_TABLE, False)),
}


# What to do; what the tag says: an Element, the name that ends, or attributes; and the state that
# begins, with the number of the element's tag in Tags.elements.
Fact = tuple[int, Any, int]
# Name, what it ends of what is open, is nothing in it.
Element = tuple[str, "_Closes | None", bool]
_NOTHING: Fact = (NOTHING, None, 0)
_PART: Fact = (PART_START, None, 0)
_PART_END: Fact = (PART_END, None, 0)
_WITHIN_WORDS = frozenset(("sub", "sup"))
_LINK: Fact = (LINK_START, None, 0)
_ELEMENTS = frozenset((BLOCK, CELL, ITEM, HEADING, DROP))
# Every tag without attributes, and the elements among them; the first is the root.
_BARE: dict[bytes, Fact] = {}
_BARE_ELEMENTS: list[tuple[str, bytes, bool]] = [("", b"", True)]
# What the tags say of which the walk needs no attributes, by name: those that are all alike to it,
# and others.
ALIKE: dict[bytes, Fact] = {}
_QUICK: dict[bytes, Fact] = {}


class Tags:
    """The tags of one page.

    Attributes:
        known: what was found of each, as it is written between "<" and ">".
        elements: name and tag of each element that is written in another way, and is_plain of
            what comes after the name.
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
        if quick and closed and is_plain(tag):
            # None of its attributes is open.
            action, told, state = quick
            if action == START:
                quick = self.known[tag] = self._element(told, state & _OWN, tag, True)
            elif action == META:
                quick = META, text_of(rest), 0
            else:
                quick = RAW, (told[0], text_of(rest)), 0
            return quick, text  # what is no element may as well be met again
        if closed and tag.startswith(b"!--") and tag.endswith(b"--", 3):
            return _NOTHING, text
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
                known = self._element(*_element(name, kind), tag, is_plain(tag[len(name) :]))
            else:
                known = _other(name, kind, source)
            self.known[tag] = known
        return known, text

    def _element(self, told: Element, state: int, tag: bytes, plain: bool) -> Fact:
        if state & DROPPED and tag.endswith(b"/"):
            told = *told[:2], True
        self.elements.append((told[0], tag, plain))
        return START, told, state | len(self.elements) - 1 << NUMBER


def is_plain(tag: bytes) -> bool:
    """Tell whether a tag, or a part of it, has only double quotes, each with its end."""
    return not tag.count(b'"') & 1 and b"'" not in tag


def _element(name: str, kind: int) -> tuple[Element, int]:
    state = DROPPED if kind == DROP else PRE if PLACE_OF_TAG.get(name, 0) & IN_PRE else 0
    return (name, _CLOSED_BY.get(name), False), state


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
            _BARE_ELEMENTS.append((name, tag, True))
            element, state = _element(name, kind)
            fact: Fact = START, element, state | len(_BARE_ELEMENTS) - 1 << NUMBER
        else:
            fact = _other(name, kind, "")
        _BARE[tag] = fact
        _BARE[b"/" + tag] = _end(name)
        if fact[0] in (NOTHING, LINK_START, IMAGE, PART_START):
            ALIKE[tag] = fact
        elif fact[0] in (START, META, RAW):
            _QUICK[tag] = fact


_read_bare()
