"""PDF files through PyMuPDF, the only module that imports it.

PyMuPDF is AGPL-3.0 or commercial: who must not run it chooses the backend "pdfium".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pymupdf

from ..errors import DocumentError
from .pdf_backend import (
    MAX_PATHS,
    Box,
    Ruling,
    TextLine,
    TextRun,
    as_rgb,
    plain_font,
    reading,
    rulings_of,
    scale_for,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

# Ligatures are taken apart, glyphs without a meaning become U+FFFD, and text outside of the page
# is left out.
_TEXT_FLAGS = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
_INVISIBLE = 3
# A gap of this share of the font's size is a space that the file does not hold as a character.
_SPACE = 0.15
_NEW_LINE = 0.5
_BLANK = 32


class MuPdf:
    """An open PDF file."""

    def __init__(self, payload: bytes) -> None:
        try:
            self._document = pymupdf.open(stream=payload, filetype="pdf")
            needs_password = bool(self._document.needs_pass)
            self.num_pages = 0 if needs_password else int(self._document.page_count)
        except MemoryError:
            raise
        except Exception as error:
            raise DocumentError("corrupt", f"{type(error).__name__}: {error}"[:500]) from error
        if needs_password:
            self.close()
            raise DocumentError("encrypted", "the file needs a password")

    def __enter__(self) -> MuPdf:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._document.close()

    def page(self, index: int) -> MuPage:
        """Return a page."""
        with reading(index):
            return MuPage(self._document[index], index)


class MuPage:
    """One page."""

    def __init__(self, page: Any, index: int) -> None:
        self._page = page
        self._index = index
        self.width = float(page.rect.width)
        self.height = float(page.rect.height)
        self.rotation = int(page.rotation)
        self._turn = page.rotation_matrix
        self._marks: list[tuple[str, tuple[float, float, float, float]]] | None = None

    def text(self) -> str:
        """Return the plain text."""
        with reading(self._index):
            return _whole(self._page.get_text("text", flags=_TEXT_FLAGS, sort=False))

    def runs(self) -> list[TextRun]:
        """Return the text with its places."""
        with reading(self._index):
            return [
                self._run(span, text, box)
                for span in self._page.get_texttrace()
                for text, box in _lines(span["chars"], span["dir"], float(span["size"]))
            ]

    def _run(self, span: dict[str, Any], text: str, box: tuple[float, ...]) -> TextRun:
        return TextRun(
            _whole(text),
            *self._place(box),
            size=float(span["size"]),
            visible=span["type"] != _INVISIBLE and span["opacity"] > 0,
            order=int(span["seqno"]),
            font=plain_font(span["font"]),
        )

    def lines(self) -> list[TextLine]:
        """Return the text in lines."""
        with reading(self._index):
            found = self._page.get_text("dict", flags=_TEXT_FLAGS, sort=False)
            return [
                self._line(line)
                for block in found["blocks"]
                for line in block.get("lines", ())
                if line["spans"]
            ]

    def _line(self, line: dict[str, Any]) -> TextLine:
        spans = line["spans"]
        most = max(spans, key=lambda span: len(span["text"]))
        return TextLine(
            _whole("".join(span["text"] for span in spans)),
            *self._place(line["bbox"]),
            size=float(most["size"]),
            font=plain_font(most["font"]),
        )

    def images(self) -> list[Box]:
        """Return the images."""
        return [
            Box(*self._place(box), order=order)
            for order, (kind, box) in enumerate(self._painted())
            if kind in ("fill-image", "fill-imgmask")
        ]

    def num_drawings(self) -> int:
        """Return how many paths are filled or stroked."""
        return sum(kind in ("fill-path", "stroke-path") for kind, _ in self._painted())

    def rulings(self) -> list[Ruling]:
        """Return the straight lines."""
        with reading(self._index):
            paths = self._page.get_cdrawings()
            return [
                ruling
                for path in (paths if len(paths) <= MAX_PATHS else ())
                for box in _boxes(path["items"])
                for ruling in rulings_of(*self._place(box), outlined="s" in path["type"])
            ]

    def render(self, dpi: float) -> NDArray[np.uint8]:
        """Return the page as RGB."""
        with reading(self._index):
            scale = scale_for(dpi, self.width, self.height)
            image = self._page.get_pixmap(
                matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False
            )
            return as_rgb(image.samples_mv, image.height, image.width, image.stride)

    def _painted(self) -> list[tuple[str, tuple[float, float, float, float]]]:
        if self._marks is None:
            with reading(self._index):
                self._marks = self._page.get_bboxlog()
        return self._marks

    def _place(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        if not self.rotation:
            return box[0], box[1], box[2], box[3]
        turned = pymupdf.Rect(box) * self._turn
        return turned.x0, turned.y0, turned.x1, turned.y1


def _boxes(items: Sequence[Any]) -> Iterator[tuple[float, float, float, float]]:
    """Yield the rectangles and straight lines of a path."""
    for item in items:
        if item[0] == "re":
            yield item[1]
        elif item[0] == "l":
            (x0, y0), (x1, y1) = item[1:3]
            if min(abs(x1 - x0), abs(y1 - y0)) < 0.5:
                yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _lines(
    chars: Sequence[Any], direction: Sequence[float], size: float
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the lines of what is drawn at once, each with its box; spaces set where gaps are."""
    across, down = direction
    found: list[str] = []
    box = (0.0, 0.0, 0.0, 0.0)
    end = baseline = 0.0
    for code, _, (x, y), (x0, y0, x1, y1) in chars:
        start, level = x * across + y * down, y * across - x * down
        if found and abs(level - baseline) > _NEW_LINE * size:
            yield "".join(found), box
            found = []
        if not found:
            box = (x0, y0, x1, y1)
        elif start - end > _SPACE * size and code != _BLANK and found[-1] != " ":
            found.append(" ")
        found.append(chr(code) if 0 <= code < 0x110000 else "\ufffd")
        box = (min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1))
        # The second letter of a ligature stands at the place of the first and has no width.
        reach = start + abs((x1 - x0) * across) + abs((y1 - y0) * down)
        end = max(end, reach) if len(found) > 1 else reach
        baseline = level
    if found:
        yield "".join(found), box


def _whole(text: str) -> str:
    """Return text that can be written: halves of pairs joined, or replaced where one is alone."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
