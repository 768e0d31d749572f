"""Right-to-left pages: the same text whichever library reads them and however they were drawn."""

from __future__ import annotations

import pytest

from curate.document import Document
from curate.extract.pdf import PdfExtractor
from curate.extract.pdf_backend import Ruling, TextLine
from curate.extract.pdf_rtl import Char, are_turned, lines_of_chars, logical, mirrored

from .pdf_files import html_page

PAGE = """
<h2 dir="rtl">פרק 3: התקנה</h2>
<p dir="rtl">הערכת נמצאת בקובץ install.iso (עבור Windows 11). הורידו אותו, או בקשו אותו מחבר!</p>
"""


@pytest.mark.parametrize(
    ("visual", "read"),
    [
        ("שלום עולם", "שלום עולם"),
        ("נשארו 21 ימים.", "נשארו 12 ימים."),
        ("עלה ב %5.3 השנה", "עלה ב 3.5% השנה"),
        ("בשנים 5102-0102 היו", "בשנים 2010-2015 היו"),
        ("10 02 30", "03 20 01"),
        ("קובץ osi.llatsni כאן", "קובץ install.iso כאן"),
        ("שם (resU etomeR) חדש", "שם (Remote User) חדש"),
        ("גרסה 8 swodniW של", "גרסה Windows 8 של"),
        ("٢٠٢٤ سنة", "٤٢٠٢ سنة"),
        (".dne eht si sihT", "This is the end."),
        (".meht fo lla ot שלום etorw I", "I wrote שלום to all of them."),
    ],
)
def test_a_line_is_put_in_the_order_in_which_it_is_read(visual: str, read: str) -> None:
    """Numbers and Latin words keep theirs, with the signs that belong to them."""
    assert logical(visual) == read


@pytest.mark.parametrize("engine", ["pymupdf", "pdfium", "liteparse"])
def test_every_engine_reads_the_same(engine: str) -> None:
    """Sentences end with their stops, brackets open before they close, headings are headings."""
    doc = Document("a", payload=html_page(PAGE))
    PdfExtractor(engine=engine, judge="none", isolate=False).apply(doc)
    heading, text = doc.text.split("\n\n")
    assert heading == "# פרק 3: התקנה"
    assert (
        text == "הערכת נמצאת בקובץ install.iso (עבור Windows 11). הורידו אותו, או בקשו אותו מחבר!"
    )


def chars(text: str, order: int = 1, foot: float = 100.0) -> list[Char]:
    """Return letters that stand from right to left, in the order of the text or against it."""
    numbers = range(len(text))[::order]
    return [
        Char(char, 500 - 6.0 * at, foot - 10, 506 - 6.0 * at, foot, foot, 10, number)
        for at, (char, number) in enumerate(zip(text, numbers, strict=True))
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_in_the_file_does_not_matter(order: int) -> None:
    """Places decide; of two lines the one that is drawn first comes first."""
    page = sorted(
        [*chars("שלום עולם", order), *chars("(סוף)", order, 130.0)], key=lambda c: c.order
    )
    assert are_turned(page) == (order == -1)
    lines = lines_of_chars(page, are_turned(page))
    assert sorted(line.text for line in lines) == ["(סוף)", "שלום עולם"]


def test_marks_stay_with_their_letters() -> None:
    """A vowel sign follows its letter, also at the end of a word."""
    letters = chars("כלב גדול")
    mark = Char("\u05b6", 490, 90, 490, 100, 101.0, 10, 99)
    (line,) = lines_of_chars([*letters, mark], False)
    assert line.text == "כלב\u05b6 גדול"


def test_shapes_of_brackets_are_told_from_their_meaning() -> None:
    """Some files name a bracket by what is drawn, which is the other one in such a line."""
    (line,) = lines_of_chars(chars("שם )חדש( כאן"), False)
    assert line.text == "שם (חדש) כאן"


def test_a_page_is_laid_out_in_a_mirror() -> None:
    """Where a line begins at the right, the mirror shows that it begins at the left."""
    line, ruling = TextLine("שלום", 450, 90, 540, 100, 10, ""), (400.0, 80.0, 540.0, 80.0)
    rulings: list[Ruling] = [ruling]
    lines, turned = mirrored([line], rulings, 600)
    assert (lines[0].x0, lines[0].x1) == (60, 150)
    assert turned == [(60.0, 80.0, 200.0, 80.0)]
