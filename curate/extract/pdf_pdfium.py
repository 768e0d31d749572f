"""PDF files through PDFium (pypdfium2: Apache-2.0 or BSD-3-Clause)."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as raw

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
from .pdf_pdfium_chars import chars_of
from .pdf_pdfium_objects import IDENTITY, Matrix, apply, matrix, times, walk
from .pdf_rtl import Char

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_INVISIBLE = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)
_NEEDS_PASSWORD = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
_BLANKS = frozenset((0, 9, 10, 13, 32))
# What PDFium gives for a hyphen at the end of a line, in the place of the hyphen and of the end.
_LINE_HYPHENS = frozenset((2, 0xFFFE))
_HYPHEN = 0x2D
_UNKNOWN = 0xFFFD
_FIRST_RTL = 0x0590
_RTL = "\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_RTL_WORD = re.compile(f"[{_RTL}][{_RTL}\ufffd]*[{_RTL}]")
_PLAIN = {0: None, 13: None, 2: "-\n", 0xFFFE: "-\n"}
_WIDE_GAP = 0.8


@dataclass(frozen=True, slots=True)
class _Object:
    """A page object, the transformation of what holds it, and its place in the paint order."""

    handle: Any
    kind: int
    matrix: Matrix
    order: int


class PdfiumPdf:
    """An open PDF file."""

    def __init__(self, payload: bytes) -> None:
        # PDFium's last error outlives the file that caused it; this sets it to "not a PDF".
        raw.FPDF_LoadMemDocument(b"-", 1, None)
        try:
            self._document = pypdfium2.PdfDocument(payload)
            self.num_pages = len(self._document)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) in _NEEDS_PASSWORD:
                raise DocumentError("encrypted", "the file needs a password") from error
            raise DocumentError("corrupt", f"{type(error).__name__}: {error}"[:500]) from error

    def __enter__(self) -> PdfiumPdf:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._document.close()

    def page(self, index: int) -> PdfiumPage:
        """Return a page."""
        with reading(index):
            return PdfiumPage(self._document[index], index)


class PdfiumPage:
    """One page."""

    def __init__(self, page: Any, index: int) -> None:
        self._page = page
        self._index = index
        self.rotation = int(page.get_rotation())
        self._box = page.get_bbox()
        self.width, self.height = (float(side) for side in page.get_size())
        self._found: list[_Object] | None = None

    def text(self) -> str:
        """Return the plain text."""
        with reading(self._index):
            reader = self._page.get_textpage()
            try:
                codes = self._codes(reader)
                text = _decode("".join(map(chr, codes)).encode("utf-16-le", "surrogatepass"))
                return text.translate(_PLAIN)
            finally:
                reader.close()

    def _codes(self, reader: Any) -> list[int]:
        """Return the characters of the page, those without a meaning as U+FFFD.

        PDFium takes right-to-left words to be drawn from left to right, and turns them. Where their
        letters run to the left already, they are turned back.
        """
        codes = [
            _UNKNOWN if raw.FPDFText_HasUnicodeMapError(reader, i) == 1 else code
            for i in range(reader.count_chars())
            for code in (raw.FPDFText_GetUnicode(reader, i),)
        ]
        if max(codes, default=0) >= _FIRST_RTL:
            text = "".join(map(chr, codes))
            for word in _RTL_WORD.finditer(text):
                first, last = word.start(), word.end() - 1
                if self._char_box(reader, first)[0] < self._char_box(reader, last)[0]:
                    codes[first : last + 1] = reversed(codes[first : last + 1])
        return codes

    def runs(self) -> list[TextRun]:
        """Return the text with its places."""
        with reading(self._index):
            texts = self._texts()
            return [
                self._run(item, texts[address])
                for item in self._objects()
                if item.kind == raw.FPDF_PAGEOBJ_TEXT
                and (address := _address(item.handle)) in texts
            ]

    def lines(self) -> list[TextLine]:
        """Return the text in lines."""
        with reading(self._index):
            reader = self._page.get_textpage()
            try:
                return list(_lines(self._words(reader)))
            finally:
                reader.close()

    def _words(self, reader: Any) -> Iterator[TextLine | None]:
        """Yield words, and None at the end of each line."""
        fonts: dict[int, str] = {}
        codes: list[int] = []
        start = 0
        for i, code in enumerate((*self._codes(reader), 10)):
            if code not in _BLANKS:
                if not codes:
                    start = i
                codes.append(_HYPHEN if code in _LINE_HYPHENS else code)
                if code not in _LINE_HYPHENS:
                    continue
                yield self._word(reader, start, i, codes, fonts)
                codes = []
                yield None
                continue
            if codes:
                yield self._word(reader, start, i - 1, codes, fonts)
                codes = []
            if code in (10, 13):
                yield None

    def _word(
        self, reader: Any, first: int, last: int, codes: list[int], fonts: dict[int, str]
    ) -> TextLine:
        font = _font_of(raw.FPDFText_GetTextObject(reader, first), fonts)
        boxes = [self._char_box(reader, i) for i in {first, last}]
        x0, y0, x1, y1 = (column for column in zip(*boxes, strict=True))
        return TextLine(
            _decode("".join(map(chr, codes)).encode("utf-16-le", "surrogatepass")),
            min(x0),
            min(y0),
            max(x1),
            max(y1),
            size=max(high - low for low, high in zip(y0, y1, strict=True)),
            font=font,
        )

    def _char_box(self, reader: Any, index: int) -> tuple[float, float, float, float]:
        box = raw.FS_RECTF()
        raw.FPDFText_GetLooseCharBox(reader, index, box)
        xs, ys = zip(self._seen(box.left, box.bottom), self._seen(box.right, box.top), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def chars(self) -> list[Char]:
        """Return the characters with their places."""
        with reading(self._index):
            reader = self._page.get_textpage()
            fonts: dict[int, str] = {}
            try:
                return chars_of(reader, self._seen, lambda item: _font_of(item, fonts))
            finally:
                reader.close()

    def images(self) -> list[Box]:
        """Return the images."""
        with reading(self._index):
            return [
                Box(*self._place(item), order=item.order)
                for item in self._objects()
                if item.kind == raw.FPDF_PAGEOBJ_IMAGE
            ]

    def num_drawings(self) -> int:
        """Return how many paths are filled or stroked."""
        with reading(self._index):
            return sum(item.kind == raw.FPDF_PAGEOBJ_PATH for item in self._objects())

    def rulings(self) -> list[Ruling]:
        """Return the straight lines; of a path that draws many at once none are seen."""
        with reading(self._index):
            paths = [item for item in self._objects() if item.kind == raw.FPDF_PAGEOBJ_PATH]
            return [
                ruling
                for item in (paths if len(paths) <= MAX_PATHS else ())
                for ruling in rulings_of(
                    *self._place(item), outlined=raw.FPDFPath_CountSegments(item.handle) <= 5
                )
            ]

    def render(self, dpi: float) -> NDArray[np.uint8]:
        """Return the page as RGB."""
        with reading(self._index):
            scale = scale_for(dpi, self.width, self.height)
            bitmap = self._page.render(
                scale=scale, rev_byteorder=True, force_bitmap_format=raw.FPDFBitmap_BGR
            )
            try:
                return as_rgb(bitmap.buffer, bitmap.height, bitmap.width, bitmap.stride)
            finally:
                bitmap.close()

    def _objects(self) -> list[_Object]:
        if self._found is None:
            self._found = []
            for handle, kind, matrix in walk(self._page.raw, IDENTITY, 0):
                self._found.append(_Object(handle, kind, matrix, len(self._found)))
        return self._found

    def _texts(self) -> dict[int, str]:
        """Return the text of each text object that the text page knows, by its address."""
        reader = self._page.get_textpage()
        try:
            found: dict[int, list[int]] = {}
            last = gap = 0
            for i in range(reader.count_chars()):
                code = raw.FPDFText_GetUnicode(reader, i)
                if raw.FPDFText_IsGenerated(reader, i) == 1:
                    gap = code if code == 0x20 else 0
                    continue
                address = _address(raw.FPDFText_GetTextObject(reader, i))
                codes = found.setdefault(address, [])
                if gap and last in found:
                    found[last].append(gap)
                codes.append(_UNKNOWN if raw.FPDFText_HasUnicodeMapError(reader, i) == 1 else code)
                last, gap = address, 0
            return {
                address: _decode("".join(map(chr, codes)).encode("utf-16-le", "surrogatepass"))
                for address, codes in found.items()
            }
        finally:
            reader.close()

    def _run(self, item: _Object, text: str) -> TextRun:
        mode = raw.FPDFTextObj_GetTextRenderMode(item.handle)
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        known = raw.FPDFPageObj_GetFillColor(item.handle, red, green, blue, alpha)
        size = ctypes.c_float()
        raw.FPDFTextObj_GetFontSize(item.handle, size)
        return TextRun(
            text,
            *self._place(item),
            size=size.value * _height_factor(item),
            visible=mode not in _INVISIBLE and not (known and alpha.value == 0),
            order=item.order,
            font=plain_font(_font_name(item.handle)),
        )

    def _place(self, item: _Object) -> tuple[float, float, float, float]:
        sides = [ctypes.c_float() for _ in range(4)]
        raw.FPDFPageObj_GetBounds(item.handle, *sides)
        left, bottom, right, top = (side.value for side in sides)
        corners = [(left, bottom), (left, top), (right, bottom), (right, top)]
        points = [self._seen(*apply(item.matrix, x, y)) for x, y in corners]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)

    def _seen(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self._box
        if self.rotation == 90:
            return y - bottom, x - left
        if self.rotation == 180:
            return right - x, y - bottom
        if self.rotation == 270:
            return top - y, right - x
        return x - left, top - y


def _lines(words: Iterable[TextLine | None]) -> Iterator[TextLine]:
    """Put words together as long as no wide gap is between them."""
    line: list[TextLine] = []
    for word in words:
        if line and (word is None or not _is_near(line[-1], word)):
            yield _joined(line)
            line = []
        if word is not None:
            line.append(word)


def _is_near(last: TextLine, word: TextLine) -> bool:
    size = max(last.size, word.size)
    gap = max(word.x0 - last.x1, last.x0 - word.x1)
    return gap < _WIDE_GAP * size and min(last.y1, word.y1) > max(last.y0, word.y0)


def _joined(words: list[TextLine]) -> TextLine:
    most = max(words, key=lambda word: len(word.text))
    return TextLine(
        " ".join(word.text for word in words),
        min(word.x0 for word in words),
        min(word.y0 for word in words),
        max(word.x1 for word in words),
        max(word.y1 for word in words),
        size=most.size,
        font=most.font,
    )


def _height_factor(item: _Object) -> float:
    a, b, c, d, _, _ = times(matrix(item.handle), item.matrix)
    return float((c * c + d * d) ** 0.5 or (a * a + b * b) ** 0.5)


def _font_of(item: Any, known: dict[int, str]) -> str:
    address = _address(item)
    if address not in known:
        known[address] = _font_name(item)
    return known[address]


def _font_name(handle: Any) -> str:
    font = raw.FPDFTextObj_GetFont(handle)
    size = raw.FPDFFont_GetBaseFontName(font, None, 0) if font else 0
    if not size:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFFont_GetBaseFontName(font, buffer, size)
    return buffer.value.decode("utf-8", "replace")


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _decode(utf16: bytes) -> str:
    """Return text that can be written: half a pair becomes U+FFFD."""
    return utf16.decode("utf-16-le", "replace")
