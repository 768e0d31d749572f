"""Small PDFs for tests: what is drawn where, and what is broken in them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import pymupdf

# What is drawn: x and y of the baseline, the text, its size and its font.
Drawn = tuple[float, float, str, float, str]

WIDTH, HEIGHT = 595, 842
LEADING = 13


def pdf(
    *pages: Iterable[Drawn], mediabox: Sequence[float] = (0, 0, WIDTH, HEIGHT), **save: Any
) -> bytes:
    """Return a PDF with these pages; further arguments are those of pymupdf's `tobytes`."""
    document = pymupdf.open()
    for drawn in pages:
        draw(document.new_page(width=mediabox[2], height=mediabox[3]), drawn)
    payload: bytes = document.tobytes(**save)
    return payload


def ruled(drawn: Iterable[Drawn], lines: Iterable[tuple[float, float, float, float]]) -> bytes:
    """Return a page of texts and lines, each a path of its own."""
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    draw(page, drawn)
    for x0, y0, x1, y1 in lines:
        page.draw_line((x0, y0), (x1, y1), width=0.5)
    payload: bytes = document.tobytes()
    return payload


def draw(page: Any, drawn: Iterable[Drawn], **how: Any) -> None:
    """Draw texts on a page."""
    shape = page.new_shape()
    for x, y, text, size, font in drawn:
        shape.insert_text((x, y), text, fontsize=size, fontname=font, **how)
    shape.commit()


def say(x: float, y: float, text: str, size: float = 10, font: str = "helv") -> Drawn:
    """Place a text."""
    return (x, y, text, size, font)


def column(x: float, y: float, lines: Sequence[str]) -> list[Drawn]:
    """Place lines under each other."""
    return [say(x, y + i * LEADING, line) for i, line in enumerate(lines)]


def rows(lefts: Sequence[float], y: float, table: Sequence[Sequence[str]]) -> list[Drawn]:
    """Place the cells of a table, row after row."""
    return [
        say(x, y + i * LEADING, cell)
        for i, row in enumerate(table)
        for x, cell in zip(lefts, row, strict=False)
        if cell
    ]


def html_page(html: str, css: str = "") -> bytes:
    """Return a page that MuPDF lays out from HTML, in any script."""
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    page.insert_htmlbox(pymupdf.Rect(60, 60, 535, 780), html, css=css)
    payload: bytes = document.tobytes(garbage=3)
    return payload


def rotated(drawn: Iterable[Drawn], degrees: int) -> bytes:
    """Return a page whose text stands upright only because the file turns the page."""
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    page.set_rotation(degrees)
    matrix = page.derotation_matrix
    shape = page.new_shape()
    for x, y, text, *_ in drawn:
        shape.insert_text(pymupdf.Point(x, y) * matrix, text, fontsize=10, rotate=degrees)
    shape.commit()
    payload: bytes = document.tobytes()
    return payload


def scan(hidden: Iterable[Drawn] = ()) -> bytes:
    """Return a page that is a picture, with an invisible layer of text where one is given."""
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    pixels = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 59, 84), False)
    pixels.clear_with(200)
    page.insert_image(page.rect, pixmap=pixels)
    draw(page, hidden, render_mode=3)
    payload: bytes = document.tobytes()
    return payload


def printed_scan() -> bytes:
    """Return a page that is a picture of print."""
    printed = pymupdf.open(stream=pdf(column(60, 60, ["Print that only eyes can read. " * 2] * 55)))
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    page.insert_image(page.rect, pixmap=printed[0].get_pixmap(dpi=100))
    payload: bytes = document.tobytes()
    return payload


def without_unicode(html: str) -> bytes:
    """Return a page whose embedded fonts do not say what their glyphs mean."""
    document = pymupdf.open(stream=html_page(html))
    for xref in range(1, document.xref_length()):
        if document.xref_get_key(xref, "ToUnicode")[0] == "xref":
            document.xref_set_key(xref, "ToUnicode", "null")
    payload: bytes = document.tobytes(garbage=3)
    return payload


def broken_page(good: Sequence[Iterable[Drawn]], at: int) -> bytes:
    """Return a PDF of good pages among which one is not a page."""
    document = pymupdf.open()
    for drawn in good:
        draw(document.new_page(width=WIDTH, height=HEIGHT), drawn)
    xref = document.page_xref(at)
    payload: bytes = document.tobytes(no_new_id=True)
    start = f"{xref} 0 obj".encode()
    body = re.search(rb"\n" + start + rb"\s*<<.*?>>\s*endobj", payload, re.DOTALL)
    assert body is not None
    nothing = b"\n" + start + b" 17 "
    filled = nothing + b" " * (len(body[0]) - len(nothing) - len(b"endobj")) + b"endobj"
    return payload.replace(body[0], filled)


def bomb(size: int) -> bytes:
    """Return a page of a few kilobytes whose content is `size` bytes of text when inflated."""
    content = b"BT /F1 9 Tf " + b"(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj " * (size // 38) + b"ET"
    packed = zlib.compress(zlib.compress(content, 9), 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n%s\nendstream"
        % (len(packed), packed),
    ]
    return raw_pdf(objects)


def only_for_pdfium() -> bytes:
    """Return a file that says it has no pages and has one: PDFium counts, MuPDF believes it."""
    content = b"BT /F1 12 Tf 72 700 Td (Read by PDFium) Tj ET"
    return raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 0>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
            b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        ]
    )


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """Return a file of these objects, the first of which is the catalog."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
