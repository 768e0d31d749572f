"""HTML made to harm: each page has its bound on time and memory, and costs no other page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from curate.errors import DocumentError
from curate.extract.html import HtmlExtractor, TrafilaturaExtractor
from curate.steps import Extractor

from .hostile_files import PAGE_IN_PROCESS, apart

TEXT = "This is a sentence of the page, and it is long enough to be taken for text. "
START = b"<html><body><p>" + TEXT.encode() * 20 + b"</p>"
ENTITIES = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12))
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY e0 "lol">' + ENTITIES + b"]>"
    b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>&e11;</p></body></html>'
)
FOREIGN = (
    b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<html><body><p>" + TEXT.encode() * 10 + b"&x;</p></body></html>"
)


def attributes(count: int) -> bytes:
    return START + b"<p " + b"".join(b"a%d " % number for number in range(count)) + b">Text."


# Name, what makes the page, why it fails or "" if it does not.
PAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "1,000,000 nested tags": (lambda: b"<div>" * 1_000_000, "too_many_tags"),
    "99,000 nested tags": (lambda: START + b"<div>" * 99_000, ""),
    "33,000 nested tables": (lambda: START + b"<table><tr><td>" * 33_000, ""),
    "99,000 unclosed links": (lambda: START + b"<a>" * 99_000, ""),
    "a text of 100 MB": (lambda: START + b"word " * 20_000_000, "too_large"),
    "a word of 19 MB": (lambda: START + b"w" * 19_000_000, ""),
    "10,000,000 attributes": (lambda: attributes(10_000_000), "too_many_attributes"),
    "2,000,000 attributes": (lambda: attributes(2_000_000), "too_many_attributes"),
    "10,000 attributes": (lambda: attributes(10_000), ""),
    "an attribute of 19 MB": (lambda: START + b"<p class='" + b"x" * 19_000_000 + b"'>x", ""),
    "entities of entities": (lambda: LAUGHS, ""),
    "an entity that names a file": (lambda: FOREIGN, ""),
    "3,000,000 entities": (lambda: START + b"<p>" + b"&amp;" * 3_000_000, ""),
    "entities of no character": (lambda: START + b"&#x110000;&#xD800;&#0;" * 500_000, ""),
    "10 MB of NUL": (lambda: b"\0" * 10_000_000 + START, ""),
    "NUL within words": (lambda: START + b"te\0xt of the page. " * 100_000, ""),
    "lone surrogates": (lambda: START + b"\xed\xa0\x80 a text. " * 100_000, ""),
    "bytes of no encoding": (lambda: START + b"\xff\xfe\xc3 text. " * 500_000, ""),
    "90,000 open comments": (lambda: START + b"<!--" * 90_000, ""),
    "90,000 open scripts": (lambda: START + b"<script>" * 90_000, ""),
}


def extract(extractor: Extractor, data: bytes) -> dict[str, int]:
    """Say what becomes of a page."""
    extractor.setup()
    try:
        text = extractor.extract(data, "http://a.example/").text
    except DocumentError as error:
        return {error.reason: 1}
    finally:
        extractor.close()
    return {f"kept, {len(text):,} characters": 1}


@pytest.mark.parametrize("name", [name for name in PAGES if not name.startswith("10,000,000")])
def test_a_hostile_page_is_read_within_bounds_without_a_child(name: str) -> None:
    outcome = apart(partial(extract, HtmlExtractor(), PAGES[name][0]()), PAGE_IN_PROCESS)
    assert outcome.is_within, outcome


@pytest.fixture(scope="module")
def extractor() -> Iterator[TrafilaturaExtractor]:
    """The extractor as pipelines have it, in a child process with 2 GB."""
    extractor = TrafilaturaExtractor()
    extractor.setup()
    yield extractor
    extractor.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_page_is_kept_or_fails_for_what_it_is(
    extractor: TrafilaturaExtractor, name: str
) -> None:
    """Never by the time that it took or the memory: those differ between machines."""
    make, expected = PAGES[name]
    reason = ""
    try:
        text = extractor.extract(make(), "http://a.example/").text
        assert "root:" not in text
        text.encode()  # what is published must be valid Unicode
    except DocumentError as error:
        reason = error.reason
    assert reason == expected
    assert "sentence of the page" in extractor.extract(START, "http://a.example/").text


def test_attributes_with_much_in_quotes_are_few(extractor: TrafilaturaExtractor) -> None:
    """A page that carries its data in an attribute is no attack."""
    page = START + b"<p data='" + b"a b " * 100_000 + b"'>Text.</p>"
    assert extractor.extract(page, "http://a.example/").text
