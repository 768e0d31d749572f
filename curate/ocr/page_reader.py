"""The child process's part: open the PDF, render a page, see that it is not blank, read it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import DocumentError
from ..extract.pdf_backend import Backend, Pdf, PdfPage, open_pdf
from ..steps import Extracted, Extractor
from .blank import count_text_marks
from .engine import Engine
from .page_image import TOKEN_SIDE, model_size, png, render_at, render_to

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAGE = "#page="
_MAX_SIDE = 2400
# Characters beyond a page number.
_PAINTED = 20


def page_url(index: int) -> str:
    """Return what tells the child which page to read: the fragment of RFC 8118, from 1."""
    return f"{_PAGE}{index + 1}"


@dataclass(frozen=True)
class PageReader(Extractor):
    """Reads one page of a PDF; `url` names it (page_url).

    With the engine "image" the text is the PNG in base64, for an endpoint to read. A page on which
    nothing looks like text is not read: its text is empty, or, where the file paints letters that
    cannot be seen so, `unread`.

    Args:
        engine: what reads.
        backend: what renders.
        dpi: resolution for a local engine.
        languages: for tesseract.
        timeout_s: CPU seconds for a program that the engine calls.
    """

    engine: Literal["rapidocr", "tesseract", "image"]
    backend: Backend
    dpi: float
    languages: tuple[str, ...]
    timeout_s: float

    name: ClassVar[str] = "ocr"

    def setup(self) -> None:
        """Load the engine and the backend's library, and use the memory that a page takes."""
        from importlib import import_module

        module = {"pymupdf": "pdf_pymupdf", "pdfium": "pdf_pdfium"}[self.backend]
        import_module(f"curate.extract.{module}")
        if self._engine is not None:
            self._engine.warm_up()

    @cached_property
    def _engine(self) -> Engine | None:
        if self.engine == "image":
            return None
        if self.engine == "rapidocr":
            from .rapid import RapidEngine

            return RapidEngine()
        from .tesseract import TesseractEngine

        return TesseractEngine(self.languages, self.timeout_s)

    @cached_property
    def _opened(self) -> list[tuple[bytes, Pdf]]:
        return []

    def _open(self, payload: bytes) -> Pdf:
        """Open a file, or take it from the last page's call; one is open at a time."""
        if self._opened and self._opened[0][0] == payload:
            return self._opened[0][1]
        while self._opened:
            self._opened.pop()[1].close()
        self._opened.append((payload, open_pdf(payload, self.backend)))
        return self._opened[0][1]

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of one page.

        Raises:
            DocumentError: `bad_page`, `unread`, `engine_failed`, and those of open_pdf.
        """
        index = int(url.removeprefix(_PAGE)) - 1
        pdf = self._open(payload)
        if index >= pdf.num_pages:
            raise DocumentError("bad_page", f"page {index + 1} of {pdf.num_pages}")
        page = pdf.page(index)
        if self._engine is None:
            image = render_to(page, *model_size(page.width, page.height))
            # A model that writes needs more than a mark or two: a photograph has them too.
            _, lines = count_text_marks(image)
            return _as_image(image, lines) if lines else _without_text(page)
        image, dpi = render_at(page, self.dpi, _MAX_SIDE)
        marks, lines = count_text_marks(image)
        if not marks:
            return _without_text(page)
        reading = self._engine.read(image, dpi)
        return Extracted(reading.text, {"confidence": reading.confidence, "marks": lines})


def _without_text(page: PdfPage) -> Extracted:
    painted = sum(len(run.text.strip()) for run in page.runs() if run.visible)
    if painted >= _PAINTED:
        raise DocumentError("unread", f"{painted} characters are painted, and no line is seen")
    return Extracted("", {"confidence": 1.0, "marks": 0})


def _as_image(image: NDArray[np.uint8], lines: int) -> Extracted:
    height, width, _ = image.shape
    digest = hashlib.sha256(b"%d %d " % (width, height) + image.tobytes()).hexdigest()
    tokens = (width // TOKEN_SIDE) * (height // TOKEN_SIDE)
    metadata: dict[str, Any] = {"digest": digest, "visual_tokens": tokens, "marks": lines}
    return Extracted(base64.b64encode(png(image)).decode(), metadata)
