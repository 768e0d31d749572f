"""What the tags of HTML mean to the extractor."""

from __future__ import annotations

import re
from functools import lru_cache

# Kinds of tag, for the walk.
INLINE, LINK, BREAK, BLOCK, VOID, CELL, ITEM, HEADING, DROP = range(9)

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


def names_of(found: dict[str, str]) -> tuple[str, ...]:
    """Return the words that a page's author named an element by: classes, id, role, properties.

    They are whole names and the parts they are made of, in a fixed order.
    """
    source = " ".join(
        found[key] for key in ("class", "id", "role", "itemprop", "data-testid") if key in found
    )[:_MAX_NAMES]
    if not source:
        return ()
    names: list[str] = []
    for name in source.split():
        names += _parts_of(name)
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1 << 15)
def _parts_of(name: str) -> list[str]:
    return [*_PART.findall(_CAMEL.sub("-", name).lower()), "=" + name.lower()]


def place_of(found: dict[str, str], source: str) -> int:
    """Return the places that the attributes of an element say it is."""
    place = 0
    if role := found.get("role"):
        place |= _PLACE_OF_ROLE.get(role.lower(), 0)
    if itemprop := found.get("itemprop"):
        place |= _PLACE_OF_PROPERTY.get(itemprop.lower(), 0)
    names = f"{found.get('class', '')} {found.get('id', '')}"
    if _COMMENT.search(names[:_MAX_NAMES]):
        place |= IN_COMMENT
    if (
        ("style" in found and _HIDDEN_STYLE.search(found["style"][:_MAX_NAMES]))
        or found.get("aria-hidden") == "true"
        or ("hidden" in source and "hidden" not in names and _HIDDEN_BARE.search(source[:2000]))
    ):
        place |= IN_HIDDEN
    return place
