"""What the tags of a page mean to the walk over it, found once for each that is written alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .html_tags import (
    BLOCK,
    BREAK,
    CELL,
    DROP,
    HEADING,
    INLINE,
    ITEM,
    LINK,
    PLACE_OF_TAG,
    PLAIN,
    RAW_TEXT,
    VOID,
    Judge,
    names_of,
    place_of,
)
from .html_tokens import Cuts, attributes, text_of, values_in

# What the walk does at a tag; at the first two an element that holds blocks begins or ends.
START, END, NOTHING, LINK_START, LINK_END, LINE, RULE, IMAGE, META, TIME, RAW, STRAY = range(12)
PART_START, PART_END = 12, 13  # of an inline element that may be laid out apart
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
# does not reach across, is nothing in it, its places, mean, best and worst score of its names, a
# number for its name and the last of those, and all of those where they are asked for.
Element = tuple[
    str, bool, bool, tuple[frozenset[str], frozenset[str]] | None, bool, int, float, float, float,
    int, tuple[str, ...],
]  # fmt: skip
# What to do, and what the tag says: an Element, the name that ends, or attributes.
Fact = tuple[int, Any]
_NOTHING: Fact = (NOTHING, None)
_PART: Fact = (PART_START, None)
_PART_END: Fact = (PART_END, None)
_WITHIN_WORDS = frozenset(("sub", "sup"))
_LINK: Fact = (LINK_START, None)
_ELEMENTS = frozenset((BLOCK, CELL, ITEM, HEADING, DROP))
_ONLY_NAMES = frozenset(("class", "id", "data-testid", "lang"))
_MAX_PLAIN = 5_000
_MAX_SHAPE = 500
# Every tag without attributes, and the numbers of their shapes.
_BARE: dict[bytes, Fact] = {}
_SHAPES: dict[tuple[str, str], int] = {}
# What the tags say that say the same with any attributes.
_QUICK: dict[bytes, Fact] = {}


class Tags:
    """The tags of one page.

    Attributes:
        known: what was found of each, as it is written between "<" and ">".
        lang: the first language that an <html> names.
    """

    def __init__(self, cuts: Cuts, judge: Judge, with_names: bool = False) -> None:
        self.known = dict(_BARE)
        self.lang = ""
        self._shapes = dict(_SHAPES)
        self._cuts = cuts
        self._judge = judge.judge
        self._with_names = with_names

    def meet(self, piece: bytes, tag: bytes, closed: bytes, text: bytes) -> tuple[Fact, bytes]:
        """Return what the tag that a piece begins with says, and the text after it.

        Args:
            piece: what comes after a "<".
            tag, closed, text: the piece, cut at its first ">".
        """
        quick = _QUICK.get(tag.partition(b" ")[0])
        if quick and closed and tag.count(b'"') == 2 * tag.count(b'="') and b"'" not in tag:
            # Nothing depends on its attributes, of which none is open: it may as well be met again.
            return quick, text
        name, _, source = text_of(tag).partition(" ")
        kind = PLAIN.get(name)
        if closed and kind is not None and len(source) < _MAX_PLAIN:
            # Nearly all are written name="value".
            parts = source.split('"')
            shape = '"'.join(parts[::2])
            where = values_in(shape) if len(shape) < _MAX_SHAPE else None
            if where is not None:
                if kind in _ELEMENTS:
                    found = {key: parts[at] for key, at in where}
                    fact = self._element(name, kind, source, found)
                elif name == "time":
                    fact = TIME, attributes(source).get("datetime", "")
                else:
                    fact = _other(name, kind, " " + source)
                self.known[tag] = fact
                return fact, text
        tag, size, text = self._cuts.read(piece)
        if not size:
            return (STRAY if tag else NOTHING, None), text
        known = self.known.get(tag)
        if known is None:
            name, source = text_of(tag[:size]).lower(), text_of(tag[size:])
            kind = PLAIN.get(name, BLOCK if "-" in name else INLINE)
            if name[0] == "/":
                known = _end(name[1:])
            elif kind in _ELEMENTS:
                known = self._element(name, kind, source, attributes(source))
            elif name == "time":
                known = TIME, attributes(source).get("datetime", "")
            else:
                known = _other(name, kind, source)
            self.known[tag] = known
        return known, text

    def _element(self, name: str, kind: int, source: str, found: Mapping[str, str]) -> Fact:
        if name == "html" and not self.lang:
            self.lang = found.get("lang", "")
        place = PLACE_OF_TAG.get(name, 0)
        last = ""
        own = best = worst = 0.0
        if found or "hidden" in source:
            own, best, worst, last, is_comment = self._judge(found)
            if is_comment or "hidden" in source or not _ONLY_NAMES.issuperset(found):
                told = place_of(found, source, is_comment)
                # All of the page is not the comment that its <body> may be named after.
                place = place & ~told if name == "body" or name == "html" else place | told
        return START, (
            name,
            kind == ITEM,
            kind == HEADING,
            _CLOSED_BY.get(name),
            kind == DROP and source.endswith("/"),
            place,
            own,
            best,
            worst,
            self._shapes.setdefault((name, last), len(self._shapes)),
            names_of(found) if self._with_names else (),
        )


def _other(name: str, kind: int, source: str) -> Fact:
    """Return what a start tag says that holds no blocks."""
    if kind == LINK:
        return _LINK
    if kind == RAW_TEXT:
        return RAW, (name, source)
    if kind == VOID:
        return (META, source) if name == "meta" else _void(name)
    if kind == BREAK:
        return (RULE if name == "hr" else LINE), None
    return _NOTHING if name in _WITHIN_WORDS else _PART


def _void(name: str) -> Fact:
    return (IMAGE, None) if name == "img" else _NOTHING


def _end(name: str) -> Fact:
    kind = PLAIN.get(name, BLOCK if "-" in name else INLINE)
    if kind in _ELEMENTS:
        return END, name
    if kind == LINK:
        return LINK_END, None
    if kind == VOID:
        return _void(name)
    if kind == BREAK:
        return (RULE if name == "hr" else LINE), None
    return _PART_END


def _read_bare() -> None:
    tags = Tags(Cuts(b""), Judge({}))
    for name in PLAIN:
        tag = name.encode()
        _BARE[tag], _ = tags.meet(tag + b">", tag, b">", b"")
        _BARE[b"/" + tag] = _end(name)
        if _BARE[tag][0] in (NOTHING, LINK_START, IMAGE, PART_START):
            _QUICK[tag] = _BARE[tag]
    _SHAPES.update(tags._shapes)


_read_bare()
