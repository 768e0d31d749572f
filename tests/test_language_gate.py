"""Pages in other languages need not be extracted."""

from __future__ import annotations

import pytest

from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.language_gate import LanguageGate
from curate.steps import Drop

ENGLISH = "The harvest was late that year, and the whole village went out to bring it in. "
GERMAN = "Die Ernte war spät in jenem Jahr, und das ganze Dorf half, sie einzubringen. "
GATE = LanguageGate(("en",))


def judged(page: str, charset: str = "utf-8", gate: LanguageGate = GATE) -> Drop | None:
    payload = page.encode(charset)
    doc = Document("1", metadata={"charset": charset}, payload=payload)
    drop = gate.reject(doc)
    assert doc.payload == payload and doc.text == "", "the gate leaves the page to the extractor"
    return drop


@pytest.mark.parametrize(
    ("page", "dropped"),
    [
        (f"<html><body><p>{ENGLISH * 5}</p></body></html>", False),
        (f"<html><body><p>{GERMAN * 5}</p></body></html>", True),
        # English far down a page that starts and ends in German: one of the places sees it.
        (f"<p>{GERMAN * 40}</p><p>{ENGLISH * 40}</p><p>{GERMAN * 40}</p>", False),
        # English paragraphs let a page through that is German all around them, links and all.
        (
            f"<div>{GERMAN * 99}</div><p class=a>{ENGLISH}<a href=/>{ENGLISH}</a></P>"
            f"<p>{ENGLISH * 3}</p><div>{GERMAN * 200}</div>",
            False,
        ),
        (f"<div>{GERMAN * 99}</div><p>Menu</p><p>News</p><p>More</p>", True),
        # What only browsers without scripts see counts, and what scripts hold does not.
        (f"<noscript><p>{ENGLISH * 5}</p></noscript><p>Menü</p>", False),
        (f"<script>{ENGLISH * 50}</script><p>{GERMAN * 5}</p>", True),
        ("<html><body><div id='root'></div></body></html>", False),
        # A word or two, before what the page is filled with, do not tell its language.
        ("<html><body>Γειά σου</body></html>", False),
        ("", False),
    ],
)
def test_only_pages_far_from_the_wanted_language_are_dropped(page: str, dropped: bool) -> None:
    """A page is dropped when no part of its raw text is near a wanted language."""
    drop = judged(page)
    assert (drop is not None) == dropped
    if drop is not None:
        assert drop.reason == "other_language"
        assert drop.value is not None and drop.value < 0.03 == drop.threshold


def test_the_charset_of_the_page_is_respected() -> None:
    """A Russian page in windows-1251 passes the gate for Russian and not the one for English."""
    page = "<p>" + "Урожай в том году был поздним, и вся деревня вышла его убирать. " * 5
    assert judged(page, "cp1251", LanguageGate(("ru",))) is None
    assert judged(page, "cp1251") is not None


def test_the_threshold_is_the_least_score_that_passes() -> None:
    """A user who raises `min_score` drops more, down to everything that is not certain."""
    mixed = f"<p>{ENGLISH} {GERMAN * 2}</p>"
    drop = judged(mixed, gate=LanguageGate(("en",), min_score=1.0))
    assert drop is not None and drop.value is not None
    assert judged(mixed, gate=LanguageGate(("en",), min_score=drop.value)) is None
    assert judged(mixed, gate=LanguageGate(("en",), min_score=drop.value + 1e-6)) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ()}, "name the wanted languages"),
        ({"min_score": 1.5}, "from 0 to 1"),
        ({"num_windows": 0}, "must be 1 or more"),
        ({"window_chars": 0}, "must be 1 or more"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, object], message: str) -> None:
    """A user learns what is allowed before anything runs."""
    with pytest.raises(DefinitionError, match=message):
        LanguageGate(**options)  # type: ignore[arg-type]  # wrong on purpose
