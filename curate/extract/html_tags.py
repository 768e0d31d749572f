"""What the tags of HTML mean to the extractor."""

from __future__ import annotations

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
# Tags the model tells apart, by the element that holds a block.
TAGS = (
    *("p", "div", "li", "h1", "h2", "h3", "h4", "td", "th", "span_", "a", "section", "article"),
    *("blockquote", "pre", "figcaption", "dt", "dd", "button", "label", "header", "footer", "nav"),
    *("main", "aside", "ul", "ol", "form", "body", "center", "caption", "address", "summary", "h5"),
    *("tr", "table", "tbody", "figure", "noscript", "dl"),
)
TAG_NUMBERS = {tag: number for number, tag in enumerate(TAGS, 1)}
