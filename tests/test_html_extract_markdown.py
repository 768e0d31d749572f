"""Lists and quotes of HTML pages in Markdown."""

from __future__ import annotations

from curate.extract.html import HtmlExtractor

LISTS = b"""<ol START="9"><li>warm<li>boil<ul><li>slowly<ol><li>or not</ol></ul><p>then wait</p>
<li>pour</ol><ol data-start=4><li>drink</ol><dl><dt>Cup<dd>of tea</dl><ol start=-3><li>rest</ol>"""


def _markdown(page: bytes) -> str:
    return HtmlExtractor(format="markdown", boilerplate=True).extract(page, "").text


def test_ordered_lists_are_numbered_and_what_is_inside_is_indented_as_far() -> None:
    assert _markdown(LISTS) == (
        "9. warm\n10. boil\n    - slowly\n      1. or not\n\n    then wait\n\n"
        "11. pour\n1. drink\n\nCup\n\n- of tea\n1. rest"
    )
    text = HtmlExtractor(boilerplate=True).extract(LISTS, "").text
    assert text.startswith("- warm\n- boil\n- slowly\n- or not\n")


def test_an_item_that_begins_with_a_heading_is_marked() -> None:
    page = b"<ul><li><h3>Green</h3><p>mild</p><li>Black</ul>"
    assert _markdown(page) == "- ### Green\n\n  mild\n\n- Black"


def test_quotes_in_quotes_are_marked_as_often() -> None:
    page = b"<blockquote>He said:<blockquote><p>One<br>two</blockquote>So?</blockquote>"
    assert _markdown(page) == "> He said:\n\n> > One\n> > two\n\n> So?"
    deep = b"<blockquote>" * 300 + b"deep"
    assert _markdown(deep) == "> " * 8 + "deep"
