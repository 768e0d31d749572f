"""What the attributes of elements say: names for or against content, and places."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise, repeat

import numpy as np
from numpy.typing import NDArray

from .html_tags import (
    IN_ARTICLE,
    IN_ASIDE,
    IN_BODY_TEXT,
    IN_BUTTON,
    IN_COMMENT,
    IN_DIALOG,
    IN_FOOTER,
    IN_FORM,
    IN_HEADER,
    IN_HIDDEN,
    IN_MAIN,
    IN_NAV,
)
from .html_tokens import attributes, text_of

_PLACE_OF_ROLE = {
    "main": IN_MAIN,
    "article": IN_ARTICLE,
    "navigation": IN_NAV,
    "menu": IN_NAV,
    "menubar": IN_NAV,
    "banner": IN_HEADER,
    "contentinfo": IN_FOOTER,
    "complementary": IN_ASIDE,
    "search": IN_FORM,
    "dialog": IN_DIALOG,
    "alertdialog": IN_DIALOG,
    "button": IN_BUTTON,
}
_PLACE_OF_PROPERTY = {
    "articlebody": IN_BODY_TEXT,
    "comment": IN_COMMENT,
    "text": IN_BODY_TEXT,
    "reviewbody": IN_COMMENT,
}
_COMMENT = re.compile(r"(?:^|[\s_-])(?:comment|disqus|respond|kommentar|comentario)")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HIDDEN_BARE = re.compile(r"(?:^|\s)hidden(?:\s|/?$|=(?!until))", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")
_PART = re.compile(r"[a-z]{2,}")
_MAX_NAMES = 400
# What is left of names: their letters; all else parts them.
_LETTERS = bytes(code if code == 0 or 97 <= code <= 122 else 32 for code in range(256))
_COMMENTS = ("comment", "respond", "disqus", "kommentar", "comentario")
_NAMING = frozenset(("class", "id", "role", "itemprop", "data-testid"))
_PLACING = frozenset(("role", "itemprop", "style", "aria-hidden", "hidden"))
_KEY = re.compile(r"""(?:([^="']*)[\s/])?([a-zA-Z][^\s=>/"']{0,60})=""")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MAX_PLAIN = 5_000


def read_attributes(sources: Sequence[tuple[bytes, bool]]) -> tuple[list[str], list[int]]:
    """Return of each element the words that its author named it by, and the places it says it is.

    Args:
        sources: what is written after the name of each, and has it only double quotes, which end.
    """
    # Nearly all are written name="value": so are their ends here, which reads all at once.
    odd = [
        number
        for number, (source, is_plain) in enumerate(sources)
        if not is_plain or len(source) > _MAX_PLAIN
    ]
    plain = [source for source, _ in sources]
    for number in odd:
        plain[number] = b""
    parts = text_of(b'"\0"'.join(plain)).split('"')
    parts.append("\0")
    named: list[str] = []
    places: list[int] = []
    names, place = "", 0
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if value == "\0":
            if key:
                if "=" in key:
                    odd.append(len(named))
                elif "hidden" in key and _HIDDEN_BARE.search(key):
                    place |= IN_HIDDEN
            named.append(names[:_MAX_NAMES])
            places.append(place)
            names, place = "", 0
            continue
        name = _attribute(key)
        if name:
            if name in _NAMING:
                names += value + " "
            if name in _PLACING:
                place |= _place_of(name, value)
        elif name is None:
            odd.append(len(named))
    for number in odd:
        named[number], places[number] = _read_odd(text_of(sources[number][0]))
    lower = "\0".join(named).lower()
    words = [word for word in _COMMENTS if word in lower]
    for number, names in enumerate(lower.split("\0") if words else ()):
        if any(word in names for word in words) and _COMMENT.search(names):
            places[number] |= IN_COMMENT
    return named, places


@lru_cache(maxsize=1 << 12)
def _attribute(key: str) -> str | None:
    """Return the attribute that a value follows: "" of one that says nothing, None if unclear."""
    found = _KEY.fullmatch(key) if len(key) < 200 else None
    if not found or (found[1] and "hidden" in found[1]):
        return None
    name = found[2].lower()
    return name if name in _NAMING or name in _PLACING else ""


def _read_odd(source: str) -> tuple[str, int]:
    found = attributes(source)
    place = 0
    for name in _PLACING.intersection(found):
        place |= _place_of(name, found[name])
    if "hidden" in source and _HIDDEN_BARE.search(_QUOTED.sub("", source[:2_000])):
        place |= IN_HIDDEN
    return " ".join([value for name, value in found.items() if name in _NAMING])[:_MAX_NAMES], place


def _place_of(name: str, value: str) -> int:
    """Return the places that an attribute says its element is."""
    if name == "role":
        return _PLACE_OF_ROLE.get(value.lower(), 0)
    if name == "itemprop":
        return _PLACE_OF_PROPERTY.get(value.lower(), 0)
    if name == "style":
        return IN_HIDDEN if _HIDDEN_STYLE.search(value[:_MAX_NAMES]) else 0
    return IN_HIDDEN if (value == "true" if name == "aria-hidden" else value[:5] != "until") else 0


def _without_humps(names: str) -> str:
    """Return names with a "-" before a capital after a small letter, much faster than sub."""
    source = names.encode()
    codes = np.frombuffer(source, np.uint8)
    is_small, is_capital = codes - ord("a") < 26, codes - ord("A") < 26
    humps = (np.flatnonzero(is_small[:-1] & is_capital[1:]) + 1).tolist()
    pieces = [source[start:end] for start, end in pairwise([0, *humps, len(source)])]
    return b"-".join(pieces).decode()


def names_in(named: str) -> tuple[str, ...]:
    """Return the names in what an element is named by: the parts of names, and "=" whole ones."""
    names: list[str] = []
    for name in named.split():
        names += _PART.findall(_CAMEL.sub(r"-\1", name).lower())
        names.append("=" + name.lower())
    return tuple(dict.fromkeys(names))


class Judge:
    """What the names of elements speak for.

    Args:
        scores: how much a name (see names_in) speaks for content (> 0) or against it.
    """

    def __init__(self, scores: Mapping[str, float]) -> None:
        # Whole names in capitals, so that a look-up tells them from parts.
        self._scores = {
            name[1:].encode().upper() if name[:1] == "=" else name.encode(): score
            for name, score in scores.items()
        }

    def judge(self, named: Sequence[str]) -> tuple[NDArray[np.float64], list[bytes]]:
        """Tell what elements' names speak for.

        Args:
            named: what each is named by, without NUL.

        Returns:
            Three rows, the mean, best and worst score of each element's names, where no names are
            neither good nor bad; and the last name of each.
        """
        joined = "\0".join(named)
        lower = joined.lower()
        apart = lower if lower == joined else _without_humps(joined).lower()
        parts = apart.encode().translate(_LETTERS).split(b"\0")
        wholes = lower.encode().upper().split(b"\0")
        names = [(part + b" " + whole).split() for part, whole in zip(parts, wholes, strict=True)]
        flat = list(chain.from_iterable(names))
        score = np.fromiter(map(self._scores.get, flat, repeat(math.nan)), np.float64, len(flat))
        is_known = ~np.isnan(score)
        known = score[is_known]
        owner = np.repeat(np.arange(len(named)), [*map(len, names)])[is_known]
        scores = np.zeros((3, len(named)))
        if known.size:
            many = np.bincount(owner)
            has = np.flatnonzero(many)
            many = many[has]
            starts = np.cumsum(many) - many
            scores[0, has] = np.bincount(owner, known)[has] / many
            scores[1, has] = np.maximum(np.maximum.reduceat(known, starts), 0)
            scores[2, has] = np.minimum(np.minimum.reduceat(known, starts), 0)
        return scores, [each[-1] if each else b"" for each in names]
