"""What belongs together on a page: lines set far apart, numbers of sections and of pages, TeX."""

from __future__ import annotations

import pymupdf
import pytest

from curate.document import Document
from curate.extract.pdf import PdfExtractor
from curate.extract.pdf_chars import clean

from .pdf_files import Drawn, pdf, say

ours = pytest.mark.parametrize("engine", ["pymupdf", "pdfium"])

PROSE = [
    "A thesis is often typed with much space between its lines, so that",
    "whoever reads it can write remarks there, and a tool that looks at the",
    "space alone takes each line for a paragraph of its own, although it is",
    "plain that a sentence goes on from each line to the next one, as it",
    "does in a text that is typed more closely, and that only a line which",
    "is not full, or one that is indented, may be the end of a paragraph.",
]
INDENTED = ["Another paragraph begins here, and it is", "short."]


def read(drawn: list[Drawn], engine: str) -> str:
    """Extract a page in this process."""
    doc = Document("a", payload=pdf(drawn))
    PdfExtractor(engine=engine, judge="none", isolate=False).apply(doc)
    return doc.text


def typed(leading: float) -> list[Drawn]:
    """Return two paragraphs with lines so far apart."""
    lines = [say(60, 100 + leading * i, text) for i, text in enumerate(PROSE)]
    below = 100 + leading * len(PROSE)
    return [*lines, say(80, below, INDENTED[0]), say(60, below + leading, INDENTED[1])]


@ours
@pytest.mark.parametrize("leading", [12, 18, 24])
def test_lines_of_a_paragraph_belong_together_however_far_apart_they_are(
    engine: str, leading: float
) -> None:
    """Single, one and a half, and double spacing give the same paragraphs."""
    first, *rest = read(typed(leading), engine).split("\n\n")
    assert first == " ".join(PROSE)
    assert " ".join(rest) == " ".join(INDENTED)


@ours
def test_lines_that_each_say_something_of_their_own_stay_apart(engine: str) -> None:
    """Far apart they are no paragraph, unless sentences of the document go on from such lines."""
    lines = [f"{name} sells what the others of this street do not have at all." for name in "ABCD"]
    drawn = [say(60, 100 + 24 * i, line) for i, line in enumerate(lines)]
    assert read(drawn, engine).split("\n\n") == lines


@ours
def test_the_number_of_a_section_stays_with_its_title(engine: str) -> None:
    """Also where it stands so far from it as cells of a table do."""
    title = [say(60, 100, "2.1.4", 14, "hebo"), say(110, 100, "Goals and Warnings", 14, "hebo")]
    below = [say(60, 130 + 12 * i, text) for i, text in enumerate(PROSE)]
    assert read([*title, *below], engine).startswith("# 2.1.4 Goals and Warnings\n\nA thesis")


@ours
def test_a_page_number_that_is_drawn_first_is_no_start_of_a_sentence(engine: str) -> None:
    """Programs draw the foot of a page first; what goes on from the page before follows it."""
    drawn = [say(290, 800, "34"), say(60, 80, "some other degree that is needed to be let in.")]
    assert read(drawn, engine).split("\n\n") == [
        "34",
        "some other degree that is needed to be let in.",
    ]


@ours
def test_the_dashes_of_a_page_number_are_no_hyphen(engine: str) -> None:
    """What is above the text is not joined to its first word."""
    drawn = [
        say(290, 90, "-3-"),
        say(60, 104, "fluctuations at shorter periods are not seen."),
    ]
    assert read(drawn, engine) == "-3-\n\nfluctuations at shorter periods are not seen."


@ours
def test_a_line_in_the_middle_of_a_sentence_is_no_heading(engine: str) -> None:
    """Leaflets set some lines larger than others; titles begin with a capital."""
    drawn = [
        say(60, 60, "Our Teams", 16, "hebo"),
        *[say(60, 90 + 12 * i, text) for i, text in enumerate(PROSE)],
        say(60, 180, "who ask for it by telephone or in writing", 12),
    ]
    text = read(drawn, engine)
    assert text.startswith("# Our Teams\n\n")
    assert text.endswith("\n\nwho ask for it by telephone or in writing")


RAGGED = [
    "A sentence that is set ragged goes on below it,",
    "though such a line has room for the next word",
    "because whoever typed it broke it there.",
]


@ours
@pytest.mark.parametrize(("font", "joined"), [("helv", True), ("cour", False)])
def test_ragged_lines_of_a_sentence_belong_together(engine: str, font: str, joined: bool) -> None:
    """A line need not be full where its sentence goes on; only lines of code stay as they are."""
    drawn = [
        say(
            60, 100, "This line is a good deal longer than all those below it are, so they are not."
        ),
        *[say(60, 112 + 12 * i, text, 10, font) for i, text in enumerate(RAGGED)],
    ]
    assert (" ".join(RAGGED) in read(drawn, engine)) == joined


def test_what_runs_along_the_side_does_not_hide_the_columns() -> None:
    """Publishers stamp pages at the side; two columns beside it are two columns all the same."""
    left = [f"left column line {i} of the text on this" for i in range(8)]
    right = [f"right column line {i} of the text on it" for i in range(8)]
    document = pymupdf.open()
    page = document.new_page()
    for i, pair in enumerate(zip(left, right, strict=True)):
        for x, text in zip((80, 320), pair, strict=True):
            page.insert_text((x, 100 + 12 * i), text, fontsize=10)
    page.insert_text((30, 500), "Downloaded from a library on Monday", fontsize=8, rotate=90)
    doc = Document("a", payload=document.tobytes())
    PdfExtractor(judge="none", isolate=False).apply(doc)
    assert doc.text.index(left[-1]) < doc.text.index(right[0])
    assert doc.text.index("Downloaded") > doc.text.index(right[-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("signi\x1ced su\x1ece \x1brst \x1dow", "signified suffice ffrst flow"),
        ("\x10Work\x11 \x13ici\x14 a\x15b", "“Work” «ici» a–b"),
        ("de\x0cne e\x0bect o\x0ece", "define effect office"),
        ("one\x0bOne \x0c a", "one One \n a"),
        ("a\x01b\x18c", "abc"),
    ],
)
def test_ligatures_of_tex_are_letters(text: str, expected: str) -> None:
    """Fonts of TeX that do not say what their glyphs mean have them where others have nothing."""
    assert clean(text) == expected
