"""Lines that an engine finds on a page become one text, in the order of a reader."""

from __future__ import annotations

import numpy as np
import pymupdf
import pytest

from curate.ocr.blank import count_text_marks
from curate.ocr.layout import Line, join, text_of

from .scans import LINES, pdf, text_page


def columns(*texts: list[str], top: float = 100, width: float = 200) -> list[Line]:
    """Return columns of lines, 20 apart, each as wide as a line of text."""
    return [
        Line(
            text,
            50 + i * (width + 20),
            top + k * 20,
            50 + i * (width + 20) + width,
            top + k * 20 + 14,
        )
        for i, column in enumerate(texts)
        for k, text in enumerate(column)
    ]


def test_columns_are_read_one_after_the_other() -> None:
    left, right = [f"left {k}" for k in range(5)], [f"right {k}" for k in range(5)]
    title = Line("A title over both columns", 100, 60, 420, 76)
    figure = Line("A caption over both columns", 60, 230, 440, 244)
    below = columns(["a", "b", "c"], ["d", "e", "f"], top=280)
    text = text_of([figure, *below, *columns(left, right), title])
    places = [text.index(word) for word in (title.text, *left, *right, figure.text)]
    assert places == sorted(places)
    assert text.endswith("a b c\n\nd e f")


def test_three_columns_and_a_narrow_gutter_are_seen() -> None:
    texts = [[f"{name} {k}" for k in range(4)] for name in ("one", "two", "three")]
    text = text_of(columns(*texts))
    assert text == "\n\n".join(" ".join(column) for column in texts)


def test_a_table_is_read_row_by_row() -> None:
    cells = [
        Line(text, x, 100 + row * 20, x + 40, 114 + row * 20)
        for row in range(4)
        for x, text in ((50, f"item {row}"), (200, f"{row}.50"), (300, "EUR"))
    ]
    assert text_of(cells).splitlines() == [f"item {row} {row}.50 EUR" for row in range(4)]


def test_a_paragraph_in_larger_type_is_one_on_a_page_of_small_type() -> None:
    """Its lines are further apart than those of the page, as they are higher."""
    large = [Line(f"large {k}", 50, 20 + k * 44, 350, 60 + k * 44) for k in range(3)]
    small = [Line(f"small {k}", 50, 200 + k * 28, 350, 227 + k * 28) for k in range(8)]
    texts = ("large 0 large 1 large 2", " ".join(line.text for line in small))
    assert text_of([*large, *small]).split("\n\n") == list(texts)


def test_paragraphs_are_told_apart() -> None:
    """By a gap, a heading's size, an indented first line, or a short last line."""
    lines = [
        Line("Heading", 50, 40, 150, 64),
        Line("First paragraph which is", 50, 80, 350, 94),
        Line("two lines long.", 50, 100, 150, 114),
        Line("The second begins after a", 50, 120, 350, 134),
        Line("line that is short", 50, 140, 345, 154),
        Line("An indented line begins", 70, 160, 350, 174),
        Line("a third one", 50, 180, 348, 194),
        Line("and a gap the last", 50, 240, 348, 254),
    ]
    assert text_of(lines).split("\n\n") == [
        "Heading",
        "First paragraph which is two lines long.",
        "The second begins after a line that is short",
        "An indented line begins a third one",
        "and a gap the last",
    ]


@pytest.mark.parametrize(
    ("text", "line", "joined"),
    [
        ("a hyphen-", "ated word", "a hyphenated word"),
        ("Müller-", "Lüdenscheidt", "Müller- Lüdenscheidt"),
        ("pages 10-", "12", "pages 10- 12"),
        ("soft\u00ad", "ly", "softly"),
        ("两行中", "文字", "两行中文字"),
        ("句子。", "Next", "句子。 Next"),
        ("plain", "text", "plain text"),
        ("", "text", "text"),
    ],
)
def test_lines_are_joined(text: str, line: str, joined: str) -> None:
    assert join(text, line) == joined


def test_text_leaves_marks_upright_turned_and_light_on_dark() -> None:
    with pymupdf.open(stream=pdf(text_page(*LINES)), filetype="pdf") as document:
        pixels = document[0].get_pixmap(dpi=150)
    page = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3)
    for image in (page, np.rot90(page), 255 - page, page // 3 + 120):
        assert count_text_marks(np.ascontiguousarray(image))[1] >= 6
    assert count_text_marks(np.full((50, 10, 3), 255, np.uint8)) == (0, 0)
