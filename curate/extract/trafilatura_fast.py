"""The same text from trafilatura, in half the time: its searches for classes and ids, made faster.

Most of trafilatura's time goes to XPath expressions with regular expressions over class, id and
style, which lxml evaluates element by element. Here each is a function that finds the same elements
in one pass, and remembers what it has found out about an attribute's value. The words it looks for
are trafilatura's own. `tests/test_trafilatura_fast.py` compares the text of whole pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from typing import Any

VERSION = "2.3.1"
_MOST_REMEMBERED = 50_000

_BLOCKS = ("div", "item", "list", "p", "section", "span")
_FRAMES = ("article", "div", "main", "section")
_COMMENT_BLOCKS = ("div", "list", "section", "details")
_ASIDES = ("div", "section", "aside")

Test = Callable[[str], bool]
Search = Callable[[Any], list[Any]]


def accelerate() -> bool:
    """Make this process's trafilatura faster; tell whether its version is the one this is for."""
    if metadata.version("trafilatura") != VERSION:
        return False
    from lxml import etree
    from lxml import html as lxml_html
    from trafilatura import utils, xpaths

    for name, faster in searches(xpaths).items():
        getattr(xpaths, name)[:] = faster  # the lists that trafilatura's other modules hold

    # lxml's own lookup calls Python for each element, to find classes that only forms need.
    lookup = etree.ElementDefaultClassLookup(
        element=lxml_html.HtmlElement,
        comment=lxml_html.HtmlComment,
        pi=lxml_html.HtmlProcessingInstruction,
        entity=lxml_html.HtmlEntity,
    )
    utils.HTML_PARSER.set_element_class_lookup(lookup)
    _compare_where_open()
    return True


class _CannotWin(Exception):
    """Readability's text would not be taken, whatever it is."""


@cache
def _compare_where_open() -> None:
    """Give readability up as soon as its text cannot be long enough to replace trafilatura's.

    It replaces a text that is not empty and lies in paragraphs only when it is over twice as long
    (`external._prefer_readability`; in recall mode, which is not ours, earlier). What it returns is
    made of the page's text, so it is no longer than what is left of that.
    """
    from lxml import etree
    from trafilatura import core, external, utils

    comparison = core.compare_extraction
    texts = etree.XPath(".//text()[not(parent::script or parent::style)]", smart_strings=False)
    enough = [0]

    def compare(cleaned: Any, raw: Any, body: Any, text: str, options: Any) -> Any:
        sound = options.focus != "recall" and bool(body.xpath(".//p//text()"))
        if len(body.findall(".//table")) > len(body.findall(".//p")):
            sound = False
        enough[0] = 2 * len(text) if sound else 0
        return comparison(cleaned, raw, body, text, options)

    def check(tree: Any) -> None:
        if enough[0]:
            # It writes "VIDEO" into some frames.
            most = len(utils.trim("".join(texts(tree)))) + 6 * len(tree.findall(".//iframe"))
            if most <= enough[0]:
                raise _CannotWin  # trafilatura then takes it that readability found nothing

    class Document(external.ReadabilityDocument):  # type: ignore[misc]  # trafilatura is untyped
        __slots__ = ()

        def remove_unlikely_candidates(self) -> None:
            check(self.doc)
            super().remove_unlikely_candidates()

        def transform_misused_divs_into_paragraphs(self) -> None:
            check(self.doc)
            super().transform_misused_divs_into_paragraphs()

    core.compare_extraction, external.ReadabilityDocument = compare, Document


def searches(xpaths: Any) -> dict[str, Sequence[Search]]:
    """Return, for lists of expressions of `trafilatura.xpaths`, functions that find the same.

    Of those in BODY_XPATH trafilatura uses the first element found, and no other is returned.
    """
    return {
        "BODY_XPATH": _bodies(xpaths),
        "OVERALL_DISCARD_XPATH": _discards(xpaths),
        "TEASER_DISCARD_XPATH": [_teasers()],
        "PRECISION_DISCARD_XPATH": _precision(),
        "REMOVE_COMMENTS_XPATH": [_comments(xpaths, _COMMENT_BLOCKS)],
        "REMOVE_COMMENTS_AND_LISTS_XPATH": [_comments(xpaths, (*_COMMENT_BLOCKS, "ol", "ul"))],
        "RAW_TREE_PRUNE_XPATH": _raw_tree(),
    }


def _remembered(test: Test) -> Test:
    """Return the test, made once for each value; what is remembered decides nothing."""
    known: dict[str, bool] = {}

    def remembered(value: str) -> bool:
        found = known.get(value)
        if found is None:
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            found = known[value] = test(value)
        return found

    return remembered


def _searching(*tokens: str, flags: int = 0) -> Test:
    pattern = re.compile("|".join(tokens), flags)
    return _remembered(lambda value: pattern.search(value) is not None)


def _first(elem: Any, one: str, other: str) -> str:
    """Return the attribute that the page names first: XPath's `string(@one|@other)`."""
    for name, value in elem.items():
        if name in (one, other):
            return str(value)
    return ""


def _discards(xpaths: Any) -> list[Search]:
    both = xpaths._OVERALL_DISCARD_BOTH_TOKENS
    id_test = _searching(*both, *xpaths._OVERALL_DISCARD_ID_TOKENS)
    class_test = _searching(*both, *xpaths._OVERALL_DISCARD_CLASS_TOKENS)
    consent = _searching(*xpaths._CONSENT_ID_CLASS_TOKENS)

    def named(elem: Any) -> bool:
        get = elem.get
        css, identifier = get("class"), get("id")
        if (css is not None and class_test(css)) or (
            identifier is not None and (id_test(identifier) or consent(_first(elem, "id", "class")))
        ):
            return True
        if css is not None and identifier is None and consent(css):
            return True
        role = get("role")
        if role is not None and "nav" in role.replace("N", "n"):
            return True
        return get("data-lp-replacement-content") is not None or "MostPopularStories" in (
            get("data-component") or ""
        )

    hidden_class = _searching(
        "^hide-|comments-title|nocomments|-reply-|message|akismet|suggest-links|-hide-|hide-print"
        "| hidden| hide|noprint|notloaded"
    )
    hidden_id = _searching("reader-comments|akismet")

    def hidden(elem: Any) -> bool:
        get = elem.get
        css, identifier, style = get("class"), get("id"), get("style")
        if css is not None and hidden_class(css):
            return True
        if identifier is not None and (
            hidden_id(identifier)
            or _first(elem, "id", "class").startswith("reply-")
            or "hidden" in _first(elem, "id", "style")
        ):
            return True
        if identifier is None:
            if css is not None and css.startswith("reply-"):
                return True
            if style is not None and "hidden" in style:
                return True
        if style is not None and ("display:none" in style or "display: none" in style):
            return True
        return bool(get("aria-hidden") == "true")

    return [_matching(named, *_BLOCKS), _matching(hidden, "*")]


def _matching(test: Callable[[Any], bool], *tags: str) -> Search:
    def search(tree: Any) -> list[Any]:
        return [elem for elem in tree.iterdescendants(*tags) if test(elem)]

    return search


def _first_matching(test: Callable[[Any], bool], *tags: str) -> Search:
    def search(tree: Any) -> list[Any]:
        for elem in tree.iterdescendants(*tags):
            if test(elem):
                return [elem]
        return []

    return search


def _bodies(xpaths: Any) -> list[Search]:
    article_id = _searching(*xpaths._ARTICLE_CONTENT_ID_TOKENS)
    article_class = _searching(*xpaths._ARTICLE_CONTENT_CLASS_TOKENS)
    story_id = _searching(*xpaths._STORY_ID_TOKENS)
    story_class = _searching(*xpaths._STORY_CLASS_TOKENS)
    full_text = _searching("fulltext", flags=re.IGNORECASE)
    main_id = _searching(*xpaths._MAIN_CONTENT_ID_TOKENS)
    main_class = _searching(*xpaths._MAIN_CONTENT_CLASS_TOKENS)

    def article(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        if css is not None and (css in ("post", "entry") or article_class(css)):
            return True
        if identifier is not None and (identifier == "articleContent" or article_id(identifier)):
            return True
        return bool(elem.get("itemprop") == "articleBody")

    def story(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        if css is not None and (
            css in ("postarea", "art-postcontent", "text", "cell", "story")
            or full_text(css)
            or story_class(css)
        ):
            return True
        if identifier is not None and (identifier in ("article", "story") or story_id(identifier)):
            return True
        return bool(elem.get("role") == "article")

    def content(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        if css is not None:
            lower = css.replace("C", "c").replace("M", "m")
            if css == "content" or main_class(css) or "main-content" in lower:
                return True
            if "page-content" in css.replace("C", "c").replace("P", "p"):
                return True
        if identifier is None:
            return False
        lower = identifier.replace("C", "c").replace("M", "m")
        return identifier == "content" or main_id(identifier) or "main-content" in lower

    def main(elem: Any) -> bool:
        if elem.tag == "main":
            return True
        return any((elem.get(name) or "").startswith("main") for name in ("class", "id", "role"))

    return [
        _first_matching(article, *_FRAMES),
        _first_matching(lambda elem: True, "article"),
        _first_matching(story, *_FRAMES),
        _first_matching(content, *_FRAMES),
        _first_matching(main, *_FRAMES),
    ]


def _teasers() -> Search:
    def teaser(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        return (css is not None and "teaser" in css.replace("T", "t")) or (
            identifier is not None and "teaser" in identifier.replace("T", "t")
        )

    return _matching(teaser, *_BLOCKS)


def _precision() -> list[Search]:
    bottom = _searching(r"(^|\s)bottom|bottom(\s|$)", r"(^|\s)link(\s|$)")

    def chrome(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        named = css if identifier is None else _first(elem, "id", "class")
        return bool(named and bottom(named)) or "border" in (elem.get("style") or "")

    return [
        _matching(lambda elem: True, "header"),
        _matching(chrome, *_BLOCKS),
    ]


def _comments(xpaths: Any, tags: Sequence[str]) -> Search:
    in_list = _searching(f"^(?:{xpaths._COMMENTS_ID})")
    in_id = _searching(f"^(?:{xpaths._COMMENTS_ID}|disqus_thread|dsq-comments)")
    in_class = _searching(xpaths._COMMENTS_CLASS)

    def comment(elem: Any) -> bool:
        css, identifier = elem.get("class"), elem.get("id")
        if css is not None and in_class(css):
            return True
        if identifier is None:
            return False
        return in_list(identifier) if elem.tag in ("ol", "ul") else in_id(identifier)

    return _matching(comment, *tags)


def _raw_tree() -> list[Search]:
    appended = _searching("mvp-post-add-(?:box|wrap)|infinite-?scroll")
    surely = _searching("mvp-post-add-(?:box|wrap)")

    def follow_up(elem: Any) -> bool:
        values = [value for value in (elem.get("id"), elem.get("class")) if value is not None]
        if not any(map(appended, values)):
            return False
        return elem.find(".//h1") is None or any(map(surely, values))

    def share(elem: Any) -> bool:
        return "elementor-share-buttons" in (elem.get("class") or "")

    return [_matching(follow_up, *_ASIDES), _matching(share, *_ASIDES)]
