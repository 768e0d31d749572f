"""A PDF reads the same through either library."""

from __future__ import annotations

import numpy as np
import pytest

from curate.errors import DefinitionError, DocumentError
from curate.extract.pdf_backend import Backend, open_pdf
from tests import pdf_files as files

BACKENDS: tuple[Backend, ...] = ("pymupdf", "pdfium")
both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_text_comes_with_its_place_size_and_font(backend: Backend) -> None:
    payload = files.pdf([files.say(100, 200, "A title", 20, "hebo"), files.say(100, 230, "Text.")])
    with open_pdf(payload, backend) as pdf:
        page = pdf.page(0)
        title, text = page.runs()
        assert (title.text, text.text) == ("A title", "Text.")
        assert (title.font, text.font) == ("Helvetica-Bold", "Helvetica")
        assert [title.size, text.size] == pytest.approx([20, 10], rel=0.01)
        assert title.order < text.order and title.visible and text.visible
        assert title.x0 == pytest.approx(100, abs=2) and 180 < title.y0 < title.y1 < 206
        assert [line.text for line in page.lines()] == ["A title", "Text."]
        assert page.text().split() == ["A", "title", "Text."]
        assert (page.width, page.height, page.rotation) == (595, 842, 0)


@both
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_the_file_turns_is_seen_upright(backend: Backend, degrees: int) -> None:
    with open_pdf(files.rotated([files.say(100, 50, "Upright")], degrees), backend) as pdf:
        page = pdf.page(0)
        assert page.rotation == degrees
        assert (page.width > page.height) is (degrees != 180)
        (run,), (line,) = page.runs(), page.lines()
        for found in (run, line):
            assert found.x0 == pytest.approx(100, abs=2) and 35 < found.y0 < found.y1 < 55
        height, width, _ = page.render(72).shape
        assert (width, height) == (round(page.width), round(page.height))
        ink = np.argwhere(page.render(72)[:, :, 0] < 128)
        assert 95 < ink[:, 1].min() < 105 and 38 < ink[:, 0].min() < 50


@both
def test_a_hidden_layer_is_told_from_what_is_printed(backend: Backend) -> None:
    with open_pdf(files.scan([files.say(72, 72, "hidden words")]), backend) as pdf:
        page = pdf.page(0)
        (run,), (image,) = page.runs(), page.images()
        assert run.text == "hidden words" and not run.visible
        assert image.order < run.order
        assert image.x1 - image.x0 > 0.9 * page.width and image.y1 - image.y0 > 0.9 * page.height


@both
def test_glyphs_without_a_meaning_become_the_replacement_character(backend: Backend) -> None:
    with open_pdf(files.without_unicode("<p>Тайное слово</p>"), backend) as pdf:
        page = pdf.page(0)
        for text in (page.text(), page.lines()[0].text, page.runs()[0].text):
            assert text.count("\ufffd") >= 6 and not any(map(str.isalnum, text))


@both
def test_drawings_are_counted(backend: Backend) -> None:
    with open_pdf(
        files.ruled([], [(50, 10 * i, 500, 10 * i) for i in range(1, 8)]), backend
    ) as pdf:
        assert pdf.page(0).num_drawings() == 7
        assert pdf.page(0).images() == [] and pdf.page(0).runs() == []


@both
def test_a_huge_page_is_rendered_small_enough_to_hold(backend: Backend) -> None:
    with open_pdf(files.pdf([], mediabox=(0, 0, 14400, 14400)), backend) as pdf:
        height, width, channels = pdf.page(0).render(300).shape
        assert height * width <= 1.01 * (1 << 26) and channels == 3


@both
@pytest.mark.parametrize(
    ("payload", "reasons"),
    [
        (b"<html>%PDF as a word</html>".rjust(2000), ("not_a_pdf", "not_a_pdf")),
        (b"", ("not_a_pdf", "not_a_pdf")),
        (b"%PDF-1.7\nand then nothing", ("corrupt", "corrupt")),
        (
            files.pdf([files.say(72, 72, "x")], encryption=4, user_pw="secret"),
            ("encrypted", "encrypted"),
        ),
        (files.raw_pdf([b"<</Type/Catalog>>"]), ("no_pages", "corrupt")),
        (
            files.raw_pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]),
            ("no_pages", "corrupt"),
        ),
    ],
    ids=["html", "empty", "header", "password", "no tree", "no pages"],
)
def test_a_file_that_cannot_be_read_says_why(
    backend: Backend, payload: bytes, reasons: tuple[str, str]
) -> None:
    with pytest.raises(DocumentError) as failure:
        open_pdf(payload, backend)
    assert failure.value.reason == reasons[BACKENDS.index(backend)]


@both
def test_a_file_that_needs_no_password_to_read_is_read(backend: Backend) -> None:
    """It is encrypted to forbid changes, with an owner's password only."""
    payload = files.pdf([files.say(72, 72, "Open")], encryption=4, owner_pw="x", user_pw="")
    with open_pdf(payload, backend) as pdf:
        assert pdf.page(0).text().strip() == "Open"


@both
def test_a_header_behind_some_bytes_is_found(backend: Backend) -> None:
    payload = b"HTTP noise\n" + files.pdf([files.say(72, 72, "Still a PDF")])
    with open_pdf(payload, backend) as pdf:
        assert pdf.page(0).text().strip() == "Still a PDF"


def test_a_backend_that_does_not_exist_is_named() -> None:
    with pytest.raises(DefinitionError, match="'poppler'; allowed are pymupdf, pdfium"):
        open_pdf(files.pdf([]), "poppler")


def test_right_to_left_words_are_in_logical_order_however_they_were_drawn() -> None:
    """MuPDF draws their letters from right to left, most other programs from left to right."""
    with open_pdf(files.html_page("<p>שלום עולם 2024</p>"), "pdfium") as pdf:
        assert pdf.page(0).text().split() == ["שלום", "עולם", "2024"]
