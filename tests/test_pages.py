"""The pages of a document, and that every step on them keeps their ends exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.formatters.ftfy import FtfyFormatter
from curate.formatters.pdf import (
    PdfBoilerplate,
    PdfNormalizer,
    PdfPageJoiner,
    PdfPageNumbers,
    PdfTables,
)
from curate.formatters.pii import PiiFormatter
from curate.pages import PagesStep, PerPage, pages_of, set_pages, split_pages
from curate.steps import Step

STEPS: tuple[Step, ...] = (
    PerPage(FtfyFormatter()),
    PdfPageNumbers(),
    PdfTables(),
    PdfBoilerplate(),
    PdfNormalizer(),
    PdfPageJoiner(),
    PerPage(PiiFormatter()),
)

# What the steps look for, so that they find something to do in pages made at random.
LINES = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "1",
            "Page 2 of 3",
            "- 3 -",
            "iv",
            "Annual Report 2024",
            "| a |  |",
            "|---|---|",
            "|  |  |",
            "•",
            "• an item",
            "\uf0b7 an item \ufffd",
            "H E A D I N G",
            ".",
            "```",
            "the rest of a long sentence that the page cuts off in the mid-",
            "dle of a word, or between two of them, as it happens on paper",
            "mail me@example.net or 8.8.8.8",
            "â€œquotedâ€\x9d\r",
            "第3页",
        ]
    ),
    st.text(max_size=8),
)
PAGES = st.lists(st.lists(LINES, max_size=6).map("\n".join), max_size=8)


def document(pages: list[str]) -> Document:
    doc = Document(id="x")
    set_pages(doc, pages)
    return doc


@pytest.mark.parametrize("pages", [[], [""], ["a"], ["", "a", "", "b\n"], ["ü\U0001f600", "\n\nz"]])
def test_pages_come_back_as_they_were_set(pages: list[str]) -> None:
    doc = document(pages)
    assert split_pages(doc.text, doc.metadata["page_ends"]) == pages


def test_a_document_without_page_ends_is_one_page() -> None:
    assert pages_of(Document(id="x", text="all of it")) == ["all of it"]


@pytest.mark.parametrize(
    ("text", "ends"), [("abc", [2]), ("abc", [4]), ("abc", [2, 1, 3]), ("abc", [-1, 3]), ("a", [])]
)
def test_ends_that_do_not_fit_fail_the_document(text: str, ends: list[int]) -> None:
    with pytest.raises(DocumentError) as error:
        split_pages(text, ends)
    assert error.value.reason == "page_ends"


@given(pages=PAGES, steps=st.lists(st.sampled_from(STEPS), max_size=7))
@settings(deadline=None, max_examples=250)
def test_ends_stay_exact_through_any_steps(pages: list[str], steps: list[Step]) -> None:
    """Ends ascend, the last is the text's, and only the joiner changes how many there are."""
    doc = document(pages)
    for step in steps:
        before = len(doc.metadata["page_ends"])
        step.apply(doc)
        ends = doc.metadata["page_ends"]
        assert ends == sorted(ends)
        assert (ends or [0])[-1] == len(doc.text)
        assert "".join(split_pages(doc.text, ends)) == doc.text
        if not isinstance(step, PdfPageJoiner):
            assert len(ends) == before


@given(pages=PAGES)
@settings(deadline=None, max_examples=100)
def test_a_document_does_not_depend_on_those_before(pages: list[str]) -> None:
    def run() -> tuple[str, dict[str, Any]]:
        doc = document(pages)
        for step in STEPS:
            step.apply(doc)
        return doc.text, doc.metadata

    first = run()
    document(["something", "else"])
    assert run() == first


def test_addresses_at_page_ends_are_replaced_and_offsets_follow() -> None:
    """Placeholders of other lengths shift the ends of all pages after them."""
    pages = ["write to a@b.org", "me@site.com\nor ", "host 8.8.8.8", "8.8.4.4 and on"]
    doc = document(pages)
    PerPage(PiiFormatter()).apply(doc)
    found = split_pages(doc.text, doc.metadata["page_ends"])
    formatter = PiiFormatter()
    assert found == [formatter.format(page) for page in pages]
    assert "@example." in found[0]
    assert "b.org" not in doc.text
    assert "8.8.8.8" not in doc.text


def test_an_address_is_not_put_together_across_pages() -> None:
    """The end of a page and the start of the next are no address, whatever they look like."""
    doc = document(["his name is john", "@example.net is a site; see 8.8", ".8.8"])
    before = doc.text
    PerPage(PiiFormatter()).apply(doc)
    assert doc.text == before
    whole = Document(id="x", text=before)
    PiiFormatter().apply(whole)
    assert whole.text != before


def test_ip_addresses_get_the_placeholders_of_finepdfs() -> None:
    assert PiiFormatter().ip_placeholders == (
        "22.214.171.124",
        "126.96.36.199",
        "188.8.131.52",
        "184.108.40.206",
        "220.127.116.11",
        "18.104.22.168",
    )


def test_a_formatter_on_pages_goes_by_its_own_name_and_values() -> None:
    """So the report tells two of them apart, and a changed value changes the fingerprint."""
    one, other = PerPage(PiiFormatter()), PerPage(PiiFormatter(replace_ips=False))
    assert (one.name, PerPage(FtfyFormatter()).name) == ("pii", "ftfy")
    assert one.identity() != other.identity()
    assert PerPage(FtfyFormatter()).library_versions().keys() == {"ftfy"}


def test_a_document_left_without_text_is_dropped() -> None:
    for step in (PdfNormalizer(), PdfPageJoiner(), PerPage(PiiFormatter())):
        drop = step.apply(document([" \n", "\n"]))
        assert drop is not None and drop.reason == "no_text"


def test_a_step_in_place_of_a_formatter_is_refused() -> None:
    with pytest.raises(DefinitionError, match="must be a Formatter"):
        PerPage(PdfTables())  # type: ignore[arg-type]  # the user's mistake


def test_a_step_that_loses_a_page_is_named() -> None:
    @dataclass(frozen=True)
    class Losing(PagesStep):
        name = "losing"

        def rewrite(self, pages: list[str], doc: Document) -> list[str]:
            return pages[1:]

    with pytest.raises(AssertionError, match="losing: 2 pages became 1"):
        Losing().apply(document(["a", "b"]))
