"""Characters of a PDFium page, each where it stands."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import hypot, pi
from typing import Any

import pypdfium2.raw as raw

from .pdf_rtl import Char

_BLANKS = frozenset((0, 9, 10, 13, 32, 0xA0))
_UNKNOWN = 0xFFFD
_LEAST_SIZE, _MOST_SIZE = 0.4, 1.5  # of the height of a character
_UPRIGHT = 0.6  # radians: letters may lean


def chars_of(
    reader: Any, seen: Callable[[float, float], tuple[float, float]], font_of: Callable[[Any], str]
) -> list[Char]:
    """Return the characters that the file itself draws upright; those it generates are left out.

    Args:
        reader: the text page.
        seen: turns a place on the page into one as a reader sees it.
        font_of: names the font of a text object.
    """
    found: list[Char] = []
    box, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    high = ""
    for i in range(reader.count_chars()):
        code = raw.FPDFText_GetUnicode(reader, i)
        if raw.FPDFText_IsGenerated(reader, i) == 1 and code != 0x20:
            continue
        if raw.FPDFText_HasUnicodeMapError(reader, i) == 1:
            code = _UNKNOWN
        angle = raw.FPDFText_GetCharAngle(reader, i)
        if min(angle, 2 * pi - angle) > _UPRIGHT:
            continue
        if 0xD800 <= code < 0xDC00:  # the first half of a pair
            high = chr(code)
            continue
        text = " " if code in _BLANKS else chr(code)
        if high or 0xDC00 <= code < 0xE000:
            both = (high + text).encode("utf-16-le", "surrogatepass")
            text, high = both.decode("utf-16-le", "replace")[:1], ""
        raw.FPDFText_GetLooseCharBox(reader, i, box)
        raw.FPDFText_GetCharOrigin(reader, i, x, y)
        xs, ys = zip(seen(box.left, box.bottom), seen(box.right, box.top), strict=True)
        size = _size(reader, i, max(ys) - min(ys))
        font = font_of(raw.FPDFText_GetTextObject(reader, i))
        foot = seen(x.value, y.value)[1]
        found.append(Char(text, min(xs), min(ys), max(xs), max(ys), foot, size, i, font))
    return found


def _size(reader: Any, index: int, height: float) -> float:
    """Return the font's size as it is seen, or the height of the character where it is odd."""
    matrix = raw.FS_MATRIX()
    if not raw.FPDFText_GetMatrix(reader, index, matrix):
        return height
    size = float(raw.FPDFText_GetFontSize(reader, index)) * hypot(matrix.c, matrix.d)
    return size if _LEAST_SIZE * height < size < _MOST_SIZE * height else height
