"""Pages made to break an extractor: each is read in time linear in its size, without a child."""

from __future__ import annotations

import pytest

from curate.extract.html import HtmlExtractor

EXTRACTOR = HtmlExtractor(max_tags=10_000_000, max_payload_bytes=200_000_000)
END = "<p>The last words of this page are here.</p>"
MEGA = 1_000_000

HOSTILE = {
    "a million nested elements": "<div>" * MEGA + END,
    "elements opened and closed deep down": "<div>x" * 20_000 + "</div>" * 20_000 + END,
    "a text of many megabytes": "<p>" + "word " * MEGA + "</p>" + END,
    "a word of many megabytes": "<p>" + "x" * (5 * MEGA) + "</p>" + END,
    "a tag with a million attributes": "<div " + 'a="b" ' * MEGA + ">" + END,
    "an attribute of many megabytes": '<div class="' + "x-y " * (2 * MEGA) + '">' + END,
    "an attribute name of many megabytes": "<div " + "y" * (2 * MEGA) + ">" + END,
    "a row of equals signs": "<div " + "=" * (2 * MEGA) + ">" + END,
    "a quote in a name": '<x-"a b">x' * 1_000 + END,
    "many different classes": "".join(f'<div class="a{i} b{i}c">x</div>' for i in range(10_000))
    + END,
    "a list without ends": "<ul>" + "<li>x" * 20_000 + "</ul>" + END,
    "a row of cells without ends": "<table><tr>" + "<td>x" * 20_000 + "</table>" + END,
    "a row of empty wide cells": "<table><tr>"
    + "<td colspan=50></td>" * 20_000
    + "<td>x<td>y</table>"
    + END,
    "rows that are ever longer": "<table>"
    + "".join("<tr>" + "<td colspan=50>" * i + "<td>x<td>y" for i in range(200))
    + "</table>"
    + END,
    "a table's first row is long": "<table><tr>"
    + "<td>x" * 20_000
    + "<tr><td>x<td>y" * 20_000
    + "</table>"
    + END,
    "tables in tables": "<table><tr><td>" * 10_000 + END,
    "ends of what was never opened": "<div>" * 390 + "</table></ul>x<p>" * 10_000 + END,
    "items in no list, deep down": "<div>" * 390 + "<dd>x" * 10_000 + END,
    "drawings that do not end": "<svg>" * 20_000 + END,
    "formatting that does not end": "".join(f"<b id={i}>" for i in range(20_000))
    + "<p>x" * 20_000
    + END,
    "many line breaks": "<p>" + "x<br>" * 100_000 + END,
    "many entities": "<p>" + "&amp;" * 200_000 + END,
    "a character's number of many digits": "<p>&#" + "9" * (2 * MEGA) + ";" + END,
    "a character's number of many zeros": "<p>&#" + "0" * (2 * MEGA) + "65;" + END,
    "a title of a number": "<title>&#" + "9" * (2 * MEGA) + "</title>" + END,
    "a description of a number": '<meta name=author content="&#' + "9" * 15_000 + ';">' + END,
    "many bare less-than signs": "<p>" + "< " * 200_000 + END,
    "a script full of tags": "<script>" + "</scrip" * 200_000 + "</script>" + END,
    "a comment full of dashes": "<!--" + "- -" * MEGA + "-->" + END,
    "linked data of brackets": '<script type="application/ld+json">'
    + "[" * 400_000
    + "</script>"
    + END,
    "a long description": '<meta name=description content="' + "y" * (2 * MEGA) + '">' + END,
    "a long broken meta": "<meta " + "name" * MEGA + ">" + END,
}
# Here the standard says that the rest is part of what was opened.
SWALLOWED = {
    "quotes that do not end": "<p>Seen first.</p>" + '<a href="' * 100_000,
    "a script that does not end": "<p>Seen first.</p><script>" + "<" * MEGA,
    "scripts that do not end": "<p>Seen first.</p>" + "<script" * 100_000,
    "comments that do not end": "<p>Seen first.</p>" + "<!--" * 100_000,
    "a title that does not end": "<p>Seen first.</p><title>" + "<p>x" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_end_of_a_hostile_page_is_read(name: str) -> None:
    text = HtmlExtractor(
        boilerplate=True, max_tags=10_000_000, max_payload_bytes=200_000_000
    ).extract(HOSTILE[name].encode(), "")
    assert text.text.endswith("The last words of this page are here.")


@pytest.mark.parametrize("name", [*HOSTILE, *SWALLOWED])
def test_the_model_judges_a_hostile_page(name: str) -> None:
    page = {**HOSTILE, **SWALLOWED}[name]
    assert isinstance(EXTRACTOR.extract(page.encode(), "").text, str)


@pytest.mark.parametrize("name", SWALLOWED)
def test_what_comes_before_an_open_end_is_read(name: str) -> None:
    text = HtmlExtractor(boilerplate=True, max_tags=10_000_000).extract(
        SWALLOWED[name].encode(), ""
    )
    assert text.text.startswith("Seen first.")


def test_numbers_of_many_digits_are_read_as_short_ones_are() -> None:
    """Python's own limit of 4,300 digits loses no page, nor what it says of itself."""
    large, letter = f"&#{'9' * 5_000};", f"&#{'0' * 5_000}65;"
    page = (
        f"<title>{large} {letter}</title><meta name=author content='{large} {letter}'>"
        '<script type="application/ld+json">'
        f'{{"headline": "The {large}{letter}&#0065;", "author": "{large} Bo"}}</script>'
        f"<p>Seen {large}{letter} and &#999999999 &#{'0' * 12}38;amp; &#{'0' * 12};&#12345678;"
    )
    found = HtmlExtractor(boilerplate=True).extract(page.encode(), "")
    assert found.text == "Seen \ufffdA and \ufffd &amp; \ufffd\ufffd"
    assert found.metadata["title"] == "The \ufffdAA" and found.metadata["author"] == "\ufffd Bo"
    without = page.replace("<script", "<style").replace("</script", "</style")
    said = HtmlExtractor().extract(without.encode(), "").metadata
    assert said["title"] == said["author"] == "\ufffd A"
