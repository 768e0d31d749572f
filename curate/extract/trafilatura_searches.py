"""What trafilatura's XPath expressions find by class, id and style, found faster.

lxml evaluates those expressions, with regular expressions in them, element by element. Here one
look at the attributes of an element answers all of them, and what an attribute's value says is
remembered. The words looked for are trafilatura's own. `tests/test_trafilatura_fast.py` compares
searches with expressions, and the text of whole pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_MOST_REMEMBERED = 50_000
_LONGEST_REMEMBERED = 500  # an image may stand in a style
_DIGITS = re.compile("[0-9]+")

BLOCKS = frozenset(("div", "item", "list", "p", "section", "span"))
_FRAMES = ("article", "div", "main", "section")
_COMMENT_BLOCKS = frozenset(("div", "list", "section", "details"))
_LISTS = frozenset(("ol", "ul"))
_ASIDES = frozenset(("div", "section", "aside"))

# What the attributes of an element say of it, as far as trafilatura asks.
NAMED, HIDDEN, CAPTION, TEASER, CHROME = 1, 2, 4, 8, 16
COMMENT, COMMENT_LIST, FOLLOW_UP, SURE_FOLLOW_UP, SHARE = 32, 64, 128, 256, 512
UNLIKELY, LIKELY = 1024, 2048
# Some it asks of the first only of id and class, or of id and style.
_NAMED_FIRST, _REPLY_FIRST, _CHROME_FIRST, _HIDDEN_FIRST = 1 << 12, 1 << 13, 1 << 14, 1 << 15
_OF_ID_OR_CLASS = _NAMED_FIRST | _REPLY_FIRST | _CHROME_FIRST
_OF_FIRST = _OF_ID_OR_CLASS | _HIDDEN_FIRST

# What is asked together: of the page as it is, of what it was cleaned to, and by readability.
PRUNED = COMMENT | COMMENT_LIST | FOLLOW_UP | SURE_FOLLOW_UP | SHARE
DISCARDED = NAMED | HIDDEN | CAPTION | TEASER | CHROME | _OF_FIRST
CANDIDATE = UNLIKELY | LIKELY
UNWANTED_TAGS = (*_COMMENT_BLOCKS, *_LISTS, *_ASIDES)

Test = Callable[[str], bool]
Search = Callable[[Any], list[Any]]


class _Values(dict[str, int]):
    """What each value of an attribute says, worked out when first asked for.

    Args:
        tests: what a value says that passes one.
        words: what it says for each of its words.
    """

    def __init__(self, tests: dict[int, Test], words: _Values | None = None) -> None:
        super().__init__()
        self._tests = tests
        self._words = words
        self.can_say: bool = bool(tests or (words is not None and words.can_say))

    def __missing__(self, value: str) -> int:
        # No test looks for a digit: what is numbered through is looked at once.
        plain = _DIGITS.sub("0", value)
        is_long = len(plain) > _LONGEST_REMEMBERED
        said = None if is_long else self.get(plain)
        if said is None:
            said = sum([bit for bit, test in self._tests.items() if test(plain)])
            if self._words is not None:
                for word in plain.split():
                    said |= self._words[word]
            if is_long:
                return said
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[plain] = said
        if len(value) <= _LONGEST_REMEMBERED:
            self[value] = said
        return said


class Attributes:
    """Tell what the attributes of elements say.

    Args:
        xpaths: the module `trafilatura.xpaths`.
        readability: the module `trafilatura.readability_lxml`.
    """

    def __init__(self, xpaths: Any, readability: Any) -> None:
        # Classes recur more than the sets of them do.
        of_classes, of_class = _class_tests(xpaths, readability)
        tests = {"class": of_classes, **_attribute_tests(xpaths, readability)}
        self._said: dict[int, dict[str, list[_Values]]] = {}
        for group in (PRUNED, DISCARDED, CANDIDATE):
            words = _Values(_among(of_class, group))
            values = {
                name: _Values(_among(of_value, group), words if name == "class" else None)
                for name, of_value in tests.items()
            }
            self._said[group] = {name: [said] for name, said in values.items() if said.can_say}
        both = {name: list(said) for name, said in self._said[DISCARDED].items()}
        for name, said in self._said[CANDIDATE].items():
            both[name] += said
        self._said[DISCARDED | CANDIDATE] = both

    def __call__(self, tree: Any, asked: int, *tags: str) -> Iterator[tuple[Any, int]]:
        """Yield the elements below one of which the attributes say something, and what.

        Args:
            tree: where to look.
            asked: PRUNED, DISCARDED, CANDIDATE, or the last two.
            tags: of the elements; none for any.
        """
        said = self._said[asked]
        for elem in tree.iterdescendants(*(tags or "*")):
            items = elem.items()
            found = 0
            for name, value in items:
                if name in said:
                    for values in said[name]:
                        found |= values[value]
            if found:
                yield elem, _of_first(items, said) if found & _OF_FIRST else found


def _among(tests: dict[int, Test], group: int) -> dict[int, Test]:
    return {bits: test for bits, test in tests.items() if bits & group}


def _of_first(items: Sequence[tuple[str, str]], said: dict[str, list[_Values]]) -> int:
    """Return what attributes say of which only the first counts for some."""
    found = 0
    before: set[str] = set()
    for name, value in items:
        for values in said.get(name, ()):
            one = values[value]
            if "id" in before or (name == "id" and "class" in before):
                one &= ~_OF_ID_OR_CLASS
            if "id" in before or (name == "id" and "style" in before):
                one &= ~_HIDDEN_FIRST
            found |= one
        before.add(name)
    for first, of_all in (
        (_NAMED_FIRST, NAMED),
        (_REPLY_FIRST, HIDDEN),
        (_HIDDEN_FIRST, HIDDEN),
        (_CHROME_FIRST, CHROME),
    ):
        if found & first:
            found |= of_all
    return found


def is_unwanted(elem: Any, said: int) -> bool:
    """Tell whether an element holds follow-up articles, buttons to share, or comments."""
    return (
        (bool(said & (FOLLOW_UP | SHARE)) and _is_aside(elem, said))
        or (bool(said & COMMENT) and elem.tag in _COMMENT_BLOCKS)
        or (bool(said & COMMENT_LIST) and elem.tag in _LISTS)
    )


def _is_aside(elem: Any, said: int) -> bool:
    return elem.tag in _ASIDES and (bool(said & SHARE) or _is_follow_up(elem, said))


def _is_follow_up(elem: Any, said: int) -> bool:
    return bool(said & FOLLOW_UP) and (bool(said & SURE_FOLLOW_UP) or elem.find(".//h1") is None)


def is_unlikely(elem: Any, said: int) -> bool:
    """Tell whether readability's `Document.remove_unlikely_candidates` removes an element."""
    return bool(said & UNLIKELY) and not said & LIKELY and elem.tag not in ("body", "html")


def searches(xpaths: Any, attributes: Attributes) -> dict[str, Sequence[Search]]:
    """Return, for lists of expressions of `trafilatura.xpaths`, functions that find the same.

    Of those in BODY_XPATH trafilatura uses the first element found, and no other is returned.
    """

    def saying(what: int, *tags: str) -> Search:
        asked = PRUNED if what & PRUNED else DISCARDED
        return lambda tree: [elem for elem, said in attributes(tree, asked, *tags) if said & what]

    def follow_ups(tree: Any) -> list[Any]:
        return [
            elem for elem, said in attributes(tree, PRUNED, *_ASIDES) if _is_follow_up(elem, said)
        ]

    def comments(tree: Any) -> list[Any]:
        found = attributes(tree, PRUNED, *_COMMENT_BLOCKS, *_LISTS)
        return [
            elem for elem, said in found if said & (COMMENT_LIST if elem.tag in _LISTS else COMMENT)
        ]

    return {
        "BODY_XPATH": _bodies(xpaths),
        "OVERALL_DISCARD_XPATH": [saying(NAMED, *BLOCKS), saying(HIDDEN)],
        "DISCARD_IMAGE_ELEMENTS": [saying(CAPTION, *BLOCKS)],
        "TEASER_DISCARD_XPATH": [saying(TEASER, *BLOCKS)],
        "PRECISION_DISCARD_XPATH": [
            lambda tree: list(tree.iterdescendants("header")),
            saying(CHROME, *BLOCKS),
        ],
        "REMOVE_COMMENTS_XPATH": [saying(COMMENT, *_COMMENT_BLOCKS)],
        "REMOVE_COMMENTS_AND_LISTS_XPATH": [comments],
        "RAW_TREE_PRUNE_XPATH": [follow_ups, saying(SHARE, *_ASIDES)],
    }


def _searching(*tokens: str, flags: int = 0) -> Test:
    search = re.compile("|".join(tokens), flags).search
    return lambda value: search(value) is not None


def _remembering(*tokens: str, flags: int = 0) -> Test:
    values = _Values({1: _searching(*tokens, flags=flags)})
    return lambda value: bool(values[value])


def _holding(text: str) -> Test:
    return lambda value: text in value


def _class_tests(xpaths: Any, readability: Any) -> tuple[dict[int, Test], dict[int, Test]]:
    """Return tests of a class attribute, and of each of its words.

    Only an expression with a space or a start in it needs to see more than a word.
    """
    tokens = {
        NAMED: (*xpaths._OVERALL_DISCARD_BOTH_TOKENS, *xpaths._OVERALL_DISCARD_CLASS_TOKENS),
        HIDDEN: (
            *("^hide-", "comments-title", "nocomments", "-reply-", "message", "akismet"),
            *("suggest-links", "-hide-", "hide-print", " hidden", " hide", "noprint", "notloaded"),
        ),
        COMMENT | COMMENT_LIST: (xpaths._COMMENTS_CLASS,),
    }
    of_words = {SHARE: _holding("elementor-share-buttons"), **_tests_of_names(xpaths, readability)}
    of_value: dict[int, Test] = {_REPLY_FIRST: of_words.pop(_REPLY_FIRST)}
    for said, alternatives in tokens.items():
        whole = [token for token in alternatives if "^" in token or " " in token]
        parts = [token for token in alternatives if token not in whole]
        of_value[said] = _searching(*whole)
        if parts:
            of_words[said] = _searching(*parts)
    return of_value, of_words


def _tests_of_names(xpaths: Any, readability: Any) -> dict[int, Test]:
    """Return the tests that are the same for classes and ids."""
    unlikely = readability.REGEXES["unlikelyCandidatesRe"].search
    likely = readability.REGEXES["okMaybeItsACandidateRe"].search
    chrome = _searching(r"(^|\s)bottom|bottom(\s|$)", r"(^|\s)link(\s|$)")
    return {
        CAPTION: _holding("caption"),
        TEASER: lambda value: "teaser" in value.replace("T", "t"),
        FOLLOW_UP: _searching("mvp-post-add-(?:box|wrap)|infinite-?scroll"),
        SURE_FOLLOW_UP: _searching("mvp-post-add-(?:box|wrap)"),
        UNLIKELY: lambda value: unlikely(value.lower()) is not None,
        LIKELY: lambda value: likely(value.lower()) is not None,
        _NAMED_FIRST: _searching(*xpaths._CONSENT_ID_CLASS_TOKENS),
        _REPLY_FIRST: lambda value: value.startswith("reply-"),
        _CHROME_FIRST: lambda value: ("bottom" in value or "link" in value) and chrome(value),
    }


def _attribute_tests(xpaths: Any, readability: Any) -> dict[str, dict[int, Test]]:
    """Return the tests of attributes other than class."""
    both = xpaths._OVERALL_DISCARD_BOTH_TOKENS
    return {
        "id": {
            NAMED: _searching(*both, *xpaths._OVERALL_DISCARD_ID_TOKENS),
            HIDDEN: _searching("reader-comments|akismet"),
            COMMENT: _searching(f"^(?:{xpaths._COMMENTS_ID}|disqus_thread|dsq-comments)"),
            COMMENT_LIST: _searching(f"^(?:{xpaths._COMMENTS_ID})"),
            _HIDDEN_FIRST: _holding("hidden"),
            **_tests_of_names(xpaths, readability),
        },
        "style": {
            HIDDEN: _searching("display: ?none"),
            CHROME: _holding("border"),
            _HIDDEN_FIRST: _holding("hidden"),
        },
        "role": {NAMED: lambda value: "nav" in value.replace("N", "n")},
        "aria-hidden": {HIDDEN: lambda value: value == "true"},
        "data-component": {NAMED: _holding("MostPopularStories")},
        "data-lp-replacement-content": {NAMED: lambda value: True},
    }


def _first_matching(test: Callable[[Any], bool], *tags: str) -> Search:
    def search(tree: Any) -> list[Any]:
        for elem in tree.iterdescendants(*tags):
            if test(elem):
                return [elem]
        return []

    return search


def _bodies(xpaths: Any) -> list[Search]:
    article_id = _remembering(*xpaths._ARTICLE_CONTENT_ID_TOKENS)
    article_class = _remembering(*xpaths._ARTICLE_CONTENT_CLASS_TOKENS)
    story_id = _remembering(*xpaths._STORY_ID_TOKENS)
    story_class = _remembering(*xpaths._STORY_CLASS_TOKENS)
    full_text = _remembering("fulltext", flags=re.IGNORECASE)
    main_id = _remembering(*xpaths._MAIN_CONTENT_ID_TOKENS)
    main_class = _remembering(*xpaths._MAIN_CONTENT_CLASS_TOKENS)

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


def basic_cleaning(settings: Any) -> Search:
    """Return what finds the same as `trafilatura.settings.BASIC_CLEAN_XPATH`."""
    tags = frozenset(("aside", "fencedframe", "footer", "script", "style", "svg", "template"))
    consent = _remembering(settings._COOKIE_CONSENT_RE, flags=re.IGNORECASE)

    def is_unwanted(elem: Any) -> bool:
        if elem.tag in tags:
            return True
        css, identifier = elem.get("class"), elem.get("id")
        if (css is not None and consent(css)) or (identifier is not None and consent(identifier)):
            return True
        if elem.tag != "div":
            return False
        named = next((value for name, value in elem.items() if name in ("class", "id")), "")
        return "footer" in named

    return lambda tree: [elem for elem in tree.iterdescendants("*") if is_unwanted(elem)]
