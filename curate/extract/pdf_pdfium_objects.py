"""Objects of a PDFium page, with what transforms them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pypdfium2.raw as raw

Matrix = tuple[float, float, float, float, float, float]

IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_MAX_DEPTH = 16


def walk(page: Any, outer: Matrix, depth: int) -> Iterator[tuple[Any, int, Matrix]]:
    """Yield the page's objects in paint order, those of forms in the place of the form."""
    count, get = (
        (raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject)
        if depth
        else (raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject)
    )
    for i in range(count(page)):
        handle = get(page, i)
        kind = raw.FPDFPageObj_GetType(handle)
        if kind != raw.FPDF_PAGEOBJ_FORM:
            yield handle, kind, outer
        elif depth < _MAX_DEPTH:
            yield from walk(handle, times(matrix(handle), outer), depth + 1)


def matrix(handle: Any) -> Matrix:
    """Return the transformation of an object."""
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(handle, found):
        return IDENTITY
    return found.a, found.b, found.c, found.d, found.e, found.f


def times(first: Matrix, then: Matrix) -> Matrix:
    """Return the transformation that does one and then the other."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def apply(matrix: Sequence[float], x: float, y: float) -> tuple[float, float]:
    """Return where a transformation puts a place."""
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f
