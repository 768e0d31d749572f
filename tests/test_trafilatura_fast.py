"""A faster trafilatura gives the texts of the one that is installed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from justext import core as justext
from lxml import html

from curate.extract.html import TrafilaturaExtractor
from curate.extract.trafilatura_fast import CharactersToDelete
from curate.extract.trafilatura_justext import make_paragraphs
from curate.extract.trafilatura_searches import (
    CANDIDATE,
    Attributes,
    basic_cleaning,
    is_unlikely,
    searches,
)
from curate.readers.charset import decode
from curate.readers.warc import WarcReader

SAMPLE = Path(__file__).parent.parent / "sample_data" / "warc"

_UNTOUCHED = """
import json, logging, sys
from trafilatura import extract
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    text = extract(json.loads(line), favor_precision=True, include_comments=False,
                   include_tables=True, deduplicate=False)
    print(json.dumps(text or ""))
"""


def _untouched(name: str) -> ModuleType:
    """Load a module of trafilatura as it is installed, whatever this process has replaced."""
    spec = importlib.util.find_spec(f"trafilatura.{name}")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def xpaths() -> ModuleType:
    """Return the expressions as they are installed."""
    return _untouched("xpaths")


@pytest.fixture(scope="module")
def readability() -> ModuleType:
    """Return readability as it is installed."""
    return _untouched("readability_lxml")


# Values that the expressions look for, near misses, and the spellings that tell them apart.
_VALUES = st.sampled_from(
    [
        "post",
        "entry",
        "caption",
        "wp-caption 12",
        "cookie-banner",
        "Cookie_Notice",
        "x cmplz",
        "a footer",
        "extra",
        "extra main",
        "sidebar column",
        "article-content",
        "article__body",
        "articleBody",
        "articleContent",
        "post-text",
        "post_content",
        "article ",
        "an article ",
        "story",
        "story-body",
        "primary",
        "no-primary",
        "fulltext",
        "FullText",
        "text",
        "cell",
        "content",
        "content-main",
        "contentbody",
        "Main-Content",
        "page-content",
        "PAGE-content",
        "main",
        "Main",
        "maintain",
        "x main",
        "share",
        "Share",
        "sharing",
        "social",
        "cookie",
        "cookies",
        "tags",
        "sidebar",
        "bread-crumb",
        "author",
        "footer",
        "nav",
        "Nav",
        "bar",
        "a-ad-b",
        " ad ",
        "ad-",
        "x ad-y",
        "elated",
        "meta",
        "slide",
        "-icon",
        "hidden",
        " hidden",
        " hide",
        "hide-me",
        "reply-1",
        "no-reply-",
        "message",
        "noprint",
        "notloaded",
        "teaser",
        "Teaser",
        "bottom",
        "page-bottom",
        "a-bottom-b",
        "link",
        "permalink",
        "my link",
        "comment",
        "comments",
        "commentary",
        "Commentary",
        "comment-list",
        "post-comments",
        "disqus_thread",
        "comol",
        "mvp-post-add-box",
        "infinite-scroll",
        "infinitescroll",
        "elementor-share-buttons",
        "navigation",
        "NavNav",
        "display:none",
        "display: none",
        "border: 0",
        "visibility:hidden",
        "true",
        "false",
        "reader-comments",
        "akismet",
        "widget",
        "jp-x",
        "dpsp-content",
        "premium",
    ]
)
_NAMES = st.sampled_from(
    [
        "class",
        "id",
        "style",
        "role",
        "itemprop",
        "aria-hidden",
        "data-component",
        "data-lp-replacement-content",
    ]
)
_TAGS = st.sampled_from(
    [
        "div",
        "div",
        "div",
        "section",
        "article",
        "main",
        "p",
        "span",
        "item",
        "list",
        "details",
        "aside",
        "ol",
        "ul",
        "header",
        "h1",
        "em",
    ]
)
_ATTRIBUTES = st.dictionaries(_NAMES, st.one_of(_VALUES, st.text("abAB -", max_size=4)), max_size=4)


@st.composite
def _trees(draw: st.DrawFn) -> html.HtmlElement:
    root = html.Element("body")
    places = [root]
    for _ in range(draw(st.integers(1, 12))):
        elem = html.Element(draw(_TAGS))
        for name, value in draw(_ATTRIBUTES).items():
            elem.set(name, value)
        draw(st.sampled_from(places)).append(elem)
        places.append(elem)
    return root


@given(tree=_trees())
def test_each_search_finds_what_the_expression_finds(
    xpaths: ModuleType, readability: ModuleType, tree: html.HtmlElement
) -> None:
    """Whatever the attributes and their order, the elements are the same and in the same order."""
    attributes = Attributes(xpaths, readability)
    for name, faster in searches(xpaths, attributes).items():
        for number, (search, expression) in enumerate(
            zip(faster, getattr(xpaths, name), strict=True)
        ):
            expected = expression(tree)
            found = search(tree)
            if name == "BODY_XPATH":
                expected, found = expected[:1], found[:1]
            assert found == expected, f"{name}[{number}]: {html.tostring(tree)!r}"


@given(tree=_trees())
def test_what_is_cleaned_for_justext_is_the_same(tree: html.HtmlElement) -> None:
    """The banners and footers that are deleted are those of the expression."""
    settings = _untouched("settings")
    assert basic_cleaning(settings)(tree) == settings.BASIC_CLEAN_XPATH(tree)


@given(tree=_trees())
def test_unlikely_candidates_are_those_that_readability_removes(
    xpaths: ModuleType, readability: ModuleType, tree: html.HtmlElement
) -> None:
    """What readability would remove is known without asking it."""
    telling = Attributes(xpaths, readability)(tree, CANDIDATE)
    unlikely = {elem for elem, said in telling if is_unlikely(elem, said)}
    kept = [e for e in tree.iter() if unlikely.isdisjoint((e, *e.iterancestors()))]
    readability.Document(tree).remove_unlikely_candidates()
    assert list(tree.iter()) == kept


@given(
    st.recursive(
        st.sampled_from(["text ", " of a", "\n  ", "the and \u00a0", "\u00a9", ""]),
        lambda parts: st.tuples(
            st.sampled_from(["div", "p", "a", "br", "b", "select", "x-select", "td"]),
            st.lists(parts, max_size=4),
        ).map(lambda node: f"<{node[0]}>{''.join(node[1])}</{node[0]}>"),
        max_leaves=20,
    )
)
def test_paragraphs_are_those_of_justext(body: str) -> None:
    """However tags are nested, the paragraphs have the texts and measures that jusText gives."""
    root = html.fragment_fromstring(body, create_parent="body")
    expected = justext.ParagraphMaker.make_paragraphs(root)
    found = make_paragraphs(root, justext.PARAGRAPH_TAGS)
    stoplist = frozenset(("the", "of", "and"))
    for paragraphs in (expected, found):
        justext.classify_paragraphs(paragraphs, stoplist, 5, 15, 0.1, 0.2, 0.25, True)
        justext.revise_paragraph_classification(paragraphs, 150)
    assert [_measures(p, stoplist) for p in found] == [_measures(p, stoplist) for p in expected]


def _measures(paragraph: Any, stoplist: frozenset[str]) -> tuple[Any, ...]:
    return (
        paragraph.text,
        len(paragraph),
        "select" in paragraph.dom_path,
        paragraph.stopwords_density(stoplist),
        paragraph.links_density(),
        paragraph.is_boilerplate,
    )


@given(st.text(st.characters() | st.sampled_from("\0\x0b\x1f\t\n\r\x7f\ufffe\uffff\ud800")))
def test_characters_that_no_page_may_hold_are_deleted(text: str) -> None:
    """A page with control characters loses them, and no other."""
    pattern = _untouched("utils").INVALID_XML_CHARS
    assert CharactersToDelete(pattern).sub("", text) == pattern.sub("", text)


def test_the_sample_has_the_same_texts() -> None:
    """A user gets the text that the installed trafilatura gives, on every page of the sample."""
    pages = []
    for path in sorted(SAMPLE.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for doc, fate in WarcReader(str(path)).read(str(path), stream):
                if fate is None:
                    pages.append(decode(doc.payload or b"", doc.metadata["charset"]))
    pages = pages[::3]
    # Readability's text of a raw element is longer than the page's: "&amp;" for each "&".
    pages.append(
        f"<html><body><div><p>{'A sentence of it. ' * 24}</p><xmp>{'a& ' * 125}</xmp></div>"
    )
    extractor = TrafilaturaExtractor(favor_precision=True, isolate=False)
    extractor.setup()
    ours = [extractor.extract(page.encode(), "", "utf-8").text for page in pages]
    lines = "".join(json.dumps(page) + "\n" for page in pages)
    done = subprocess.run(
        [sys.executable, "-c", _UNTOUCHED],
        input=lines,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ours == [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(map(bool, ours)) > 100
