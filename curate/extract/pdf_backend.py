"""PDF files as the rest of curate sees them, whichever library opens them.

Coordinates are points with the origin at the top left of the page as a reader sees it: the page's
own rotation is undone (text that it turns upright is upright) and its crop box is applied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ..errors import DefinitionError, DocumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Backend = Literal["pymupdf", "pdfium"]
BACKENDS: tuple[str, ...] = get_args(Backend)

# The distributions whose version decides what a backend gives.
DISTRIBUTIONS = {"pymupdf": "PyMuPDF", "pdfium": "pypdfium2"}

_HEADER_BYTES = 1024
_MAX_PIXELS = 1 << 26
MAX_PATHS = 4000  # of a page whose rulings are looked for; more is a map or a chart


@dataclass(frozen=True, slots=True)
class TextRun:
    """Text that is drawn at once, in one font.

    Attributes:
        text: its characters, in the order in which they are drawn; U+FFFD where the font does not
            say what a glyph means.
        size: of the font, in points.
        visible: whether it leaves a mark: not in render mode 3 and not fully transparent.
        order: place in the paint order, comparable with that of images.
        font: name of the font, without the prefix of a subset.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    visible: bool
    order: int
    font: str


@dataclass(frozen=True, slots=True)
class TextLine:
    """Text that stands on one line without a wide gap, words apart by spaces."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    font: str


@dataclass(frozen=True, slots=True)
class Box:
    """An image as it is placed on the page."""

    x0: float
    y0: float
    x1: float
    y1: float
    order: int


# A straight line that is drawn: x0, y0, x1, y1; longer in one direction, nearly flat in the other.
Ruling = tuple[float, float, float, float]
_THIN = 3.0


def rulings_of(x0: float, y0: float, x1: float, y1: float, outlined: bool) -> Iterator[Ruling]:
    """Yield the lines that a rectangle shows: itself if it is thin, its sides if it is outlined."""
    if min(x1 - x0, y1 - y0) <= _THIN:
        if max(x1 - x0, y1 - y0) > _THIN:
            yield x0, y0, x1, y1
    elif outlined:
        yield from ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1))


class PdfPage(Protocol):
    """One page.

    Attributes:
        rotation: degrees by which the file turns the page: 0, 90, 180 or 270.

    Every method may raise DocumentError `bad_page`.
    """

    width: float
    height: float
    rotation: int

    def text(self) -> str:
        """Return the plain text, visible or not, in the library's order."""
        ...

    def runs(self) -> list[TextRun]:
        """Return the text with its places, in paint order."""
        ...

    def lines(self) -> list[TextLine]:
        """Return the text in lines, in the library's order; a wide gap ends a line."""
        ...

    def images(self) -> list[Box]:
        """Return the images, in paint order."""
        ...

    def num_drawings(self) -> int:
        """Return how many paths are filled or stroked."""
        ...

    def rulings(self) -> list[Ruling]:
        """Return the straight lines that run along the page's sides; none of a large drawing."""
        ...

    def render(self, dpi: float) -> NDArray[np.uint8]:
        """Return the page as (height, width, 3) RGB.

        A page of more than 67 million pixels is rendered with as many.
        """
        ...


class Pdf(Protocol):
    """An open PDF file; a context manager."""

    num_pages: int

    def page(self, index: int) -> PdfPage:
        """Return a page, counted from 0.

        Raises:
            DocumentError: `bad_page`.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...

    def __enter__(self) -> Pdf: ...

    def __exit__(self, *args: object) -> None: ...


def open_pdf(payload: bytes, backend: str = "pymupdf") -> Pdf:
    """Open a PDF file.

    DIFFERS: FinePDFs rejects every encrypted file. One that opens with the empty password can be
    read by anyone who has it, and is.

    Raises:
        DocumentError: `not_a_pdf` (no `%PDF-` within the first KiB), `encrypted` (it needs a
            password), `corrupt`, `no_pages`.
        DefinitionError: the backend is not known, or its library is missing.
    """
    if b"%PDF-" not in payload[:_HEADER_BYTES]:
        raise DocumentError("not_a_pdf", "there is no %PDF- within the first KiB")
    pdf = _open(payload, backend)
    if pdf.num_pages < 1:
        pdf.close()
        raise DocumentError("no_pages", "the file has no pages")
    return pdf


def _open(payload: bytes, backend: str) -> Pdf:
    try:
        if backend == "pymupdf":
            from .pdf_pymupdf import MuPdf

            return MuPdf(payload)
        if backend == "pdfium":
            from .pdf_pdfium import PdfiumPdf

            return PdfiumPdf(payload)
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"extract: the backend {backend!r} needs {DISTRIBUTIONS[backend]}, and {error.name}"
            f" is not installed.\npip install {DISTRIBUTIONS[backend]}, or choose another backend."
        ) from None
    raise DefinitionError(f"extract: backend={backend!r}; allowed are {', '.join(BACKENDS)}.")


@contextmanager
def reading(index: int) -> Iterator[None]:
    """Turn whatever a library raises over a page into a DocumentError."""
    try:
        yield
    except (MemoryError, DocumentError, DefinitionError):
        raise
    except Exception as error:
        message = f"page {index + 1}: {type(error).__name__}: {error}"
        raise DocumentError("bad_page", message[:500]) from error


def scale_for(dpi: float, width: float, height: float) -> float:
    """Return the factor from points to pixels for a rendering."""
    area = max(width * height, 1.0)
    return min(dpi / 72, math.sqrt(_MAX_PIXELS / area))


def plain_font(name: str) -> str:
    """Return a font's name without the prefix of a subset (ABCDEF+)."""
    prefix, plus, rest = name.partition("+")
    return rest if plus and len(prefix) == 6 and prefix.isupper() else name


def as_rgb(samples: Any, height: int, width: int, stride: int) -> NDArray[np.uint8]:
    """Return a copy of RGB samples whose rows are `stride` bytes apart."""
    import numpy as np

    rows = np.frombuffer(samples, dtype=np.uint8, count=height * stride).reshape(height, stride)
    return np.ascontiguousarray(rows[:, : width * 3]).reshape(height, width, 3).copy()
