"""What the tags of HTML mean to the extractor."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

# Kinds of tag, for the walk.
INLINE, LINK, BREAK, BLOCK, VOID, CELL, ITEM, HEADING, DROP, RAW_TEXT = range(10)

# Places on the path of a block: bits, inherited from element to element.
IN_ARTICLE = 1 << 0
IN_MAIN = 1 << 1
IN_HEADER = 1 << 2
IN_FOOTER = 1 << 3
IN_NAV = 1 << 4
IN_ASIDE = 1 << 5
IN_FORM = 1 << 6
IN_LIST = 1 << 7
IN_TABLE = 1 << 8
IN_FIGURE = 1 << 9
IN_QUOTE = 1 << 10
IN_PRE = 1 << 11
IN_HEADING = 1 << 12
IN_BUTTON = 1 << 13
IN_NOSCRIPT = 1 << 14
IN_DIALOG = 1 << 15
IN_COMMENT = 1 << 16
IN_HIDDEN = 1 << 17
IN_BODY_TEXT = 1 << 18
IN_PARAGRAPH = 1 << 19
IN_LINK = 1 << 20
IN_DETAILS = 1 << 21
IN_CELL = 1 << 22
IN_DROPPED = 1 << 23
PLACES = 23  # how many of them the model sees

_BLOCKS = (
    *("html", "head", "body", "p", "div", "section", "article", "main", "header", "footer", "nav"),
    *("aside", "ul", "ol", "menu", "dl", "table", "thead", "tbody", "tfoot", "tr", "caption"),
    *("blockquote", "pre", "listing", "figure", "figcaption", "form", "fieldset", "legend"),
    *("address", "center", "details", "summary", "dialog", "hgroup", "noscript", "button"),
    *("search", "frameset", "dir"),
)
KINDS: dict[str, int] = {
    **dict.fromkeys(_BLOCKS, BLOCK),
    **dict.fromkeys(("td", "th"), CELL),
    **dict.fromkeys(("li", "dt", "dd"), ITEM),
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), HEADING),
    **dict.fromkeys(
        ("template", "svg", "select", "datalist", "video", "audio", "canvas", "map", "annotation"),
        DROP,
    ),
    **dict.fromkeys(
        (
            *("img", "input", "meta", "link", "source", "wbr", "area", "base", "col", "embed"),
            *("param", "track", "frame", "colgroup"),
        ),
        VOID,
    ),
    "br": BREAK,
    "hr": BREAK,
    "a": LINK,
}
_INLINE = (
    *("abbr", "b", "bdi", "cite", "code", "del", "em", "font", "g", "i", "ins", "kbd", "label"),
    *("mark", "nobr", "optgroup", "option", "path", "polygon", "picture", "q", "rect", "s", "samp"),
    *("small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "use", "var"),
)
_RAW = ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp")
# All that are common, which saves the look at how a name is written.
PLAIN: dict[str, int] = {
    **KINDS,
    **dict.fromkeys(_INLINE, INLINE),
    **dict.fromkeys(_RAW, RAW_TEXT),
}
PLACE_OF_TAG: dict[str, int] = {
    "article": IN_ARTICLE,
    "main": IN_MAIN,
    "header": IN_HEADER,
    "footer": IN_FOOTER,
    "nav": IN_NAV,
    "menu": IN_NAV,
    "aside": IN_ASIDE,
    "form": IN_FORM,
    "ul": IN_LIST,
    "ol": IN_LIST,
    "dl": IN_LIST,
    "table": IN_TABLE,
    "td": IN_CELL,
    "th": IN_CELL,
    "figure": IN_FIGURE,
    "blockquote": IN_QUOTE,
    "pre": IN_PRE,
    "listing": IN_PRE,
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), IN_HEADING),
    "button": IN_BUTTON,
    "noscript": IN_NOSCRIPT,
    "dialog": IN_DIALOG,
    "p": IN_PARAGRAPH,
    "a": IN_LINK,
    "details": IN_DETAILS,
    **{tag: IN_DROPPED for tag, kind in KINDS.items() if kind == DROP},
}
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
_COMMENT = re.compile(r"(?:^|[\s_-])(?:comment|disqus|respond|kommentar|comentario)", re.IGNORECASE)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HIDDEN_BARE = re.compile(r"""(?:^|\s)hidden(?:\s|/?$|=(?!["']?until))""", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PART = re.compile(r"[a-z]{2,24}")
_MAX_NAMES = 400

# Tags the model tells apart, by the element that holds a block.
TAGS = (
    *("p", "div", "li", "h1", "h2", "h3", "h4", "td", "th", "span_", "a", "section", "article"),
    *("blockquote", "pre", "figcaption", "dt", "dd", "button", "label", "header", "footer", "nav"),
    *("main", "aside", "ul", "ol", "form", "body", "center", "caption", "address", "summary", "h5"),
    *("tr", "table", "tbody", "figure", "noscript", "dl"),
)
TAG_NUMBERS = {tag: number for number, tag in enumerate(TAGS, 1)}


_NAMING = ("class", "id", "role", "itemprop", "data-testid")
_MAX_KNOWN = 1 << 14
# Mean, best and worst score of an element's names, the last of them, and whether comments may be
# among them.
Judged = tuple[float, float, float, str, bool]


def names_of(found: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words that a page's author named an element by: classes, id, role, properties.

    They are whole names and the parts they are made of, in a fixed order.
    """
    names: list[str] = []
    for name in _source_of(found).split():
        names += _PART.findall(_CAMEL.sub("-", name).lower())
        names.append("=" + name.lower())
    return tuple(dict.fromkeys(names))


def _source_of(found: Mapping[str, str]) -> str:
    return " ".join([found[key] for key in _NAMING if key in found])[:_MAX_NAMES]


class Judge:
    """What the names of elements speak for; what was found is kept for other pages.

    Args:
        scores: how much a name (see names_of) speaks for content (> 0) or against it.
    """

    def __init__(self, scores: Mapping[str, float]) -> None:
        self._parts = {name: score for name, score in scores.items() if name[:1] != "="}
        self._wholes = {name[1:]: score for name, score in scores.items() if name[:1] == "="}
        self._part_names, self._whole_names = frozenset(self._parts), frozenset(self._wholes)
        self._known: dict[str, Judged] = {}

    def judge(self, found: Mapping[str, str]) -> Judged:
        """Return what the names of an element with these attributes speak for."""
        source = _source_of(found)
        judged = self._known.get(source)
        if judged is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            judged = self._known[source] = self._judge(source)
        return judged

    def _judge(self, source: str) -> Judged:
        lower = source.lower()
        wholes = dict.fromkeys(lower.split())
        apart = lower if lower == source else _CAMEL.sub("-", source).lower()
        known_wholes = self._whole_names.intersection(wholes)
        known_parts = self._part_names.intersection(_PART.findall(apart))
        values = [self._wholes[name] for name in known_wholes]
        values += [self._parts[name] for name in known_parts]
        own = best = worst = 0.0
        if values:
            # The exact sum: the same in every order, and with every version of Python.
            own = math.fsum(values) / len(values)
            best, worst = max(*values, 0.0), min(*values, 0.0)
        is_comment = (
            "comment" in lower
            or "respond" in lower
            or "disqus" in lower
            or "kommentar" in lower
            or "comentario" in lower
        )
        return own, best, worst, next(reversed(wholes), ""), is_comment


def place_of(found: Mapping[str, str], source: str, is_comment: bool = True) -> int:
    """Return the places that the attributes of an element say it is.

    Args:
        found: the attributes.
        source: the attributes, as they are written.
        is_comment: False where the names have no word for comments.
    """
    place = 0
    if role := found.get("role"):
        place |= _PLACE_OF_ROLE.get(role.lower(), 0)
    if itemprop := found.get("itemprop"):
        place |= _PLACE_OF_PROPERTY.get(itemprop.lower(), 0)
    if is_comment and _COMMENT.search(_named(found)[:_MAX_NAMES]):
        place |= IN_COMMENT
    if (
        ("style" in found and _HIDDEN_STYLE.search(found["style"][:_MAX_NAMES]))
        or found.get("aria-hidden") == "true"
        or (
            "hidden" in source
            and "hidden" not in _named(found)
            and _HIDDEN_BARE.search(source[:2000])
        )
    ):
        place |= IN_HIDDEN
    return place


def _named(found: Mapping[str, str]) -> str:
    return f"{found.get('class', '')} {found.get('id', '')}"
