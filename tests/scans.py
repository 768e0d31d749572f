"""PDFs made by the tests: pages of text, and the same as scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray

from curate.document import Document
from curate.pages import set_pages

Draw = Callable[[Any], None]

# Long enough for a line of a page, and words an engine can read.
LINES = (
    "The harbour was quiet when the first boats came in,",
    "and the fish market opened before the sun had risen.",
    "Nobody spoke of the storm that had passed at night.",
)


def document(payload: bytes | None, pages: list[str], ocr_pages: list[int]) -> Document:
    """Return a document as extraction leaves it."""
    doc = Document("id", payload=payload)
    set_pages(doc, pages)
    doc.metadata.update(ocr_pages=ocr_pages, extractor="liteparse")
    return doc


def text_page(*lines: str, size: float = 14, font: str = "helv") -> Draw:
    """Return what draws lines from the top."""

    def draw(page: Any) -> None:
        for i, line in enumerate(lines):
            page.insert_text((60, 90 + i * size * 1.6), line, fontsize=size, fontname=font)

    return draw


def empty(page: Any) -> None:
    """Draw nothing."""


def picture(pixels: NDArray[np.uint8]) -> Draw:
    """Return what fills the page with an image."""

    def draw(page: Any) -> None:
        height, width, _ = pixels.shape
        samples = np.ascontiguousarray(pixels).tobytes()
        image = pymupdf.Pixmap(pymupdf.csRGB, width, height, samples, False)
        page.insert_image(page.rect, pixmap=image)

    return draw


def pdf(*pages: Draw, scanned: bool = False, rotation: int = 0) -> bytes:
    """Return a PDF of A4 pages; scanned, each is an image of what was drawn."""
    with pymupdf.open() as document:
        for draw in pages:
            draw(document.new_page(width=595, height=842))
        if scanned:
            images = [page.get_pixmap(dpi=150) for page in document]
            with pymupdf.open() as scan:
                for image in images:
                    page = scan.new_page(width=595, height=842)
                    page.insert_image(page.rect, pixmap=image)
                    page.set_rotation(rotation)
                return bytes(scan.tobytes(deflate=True, no_new_id=True))
        return bytes(document.tobytes(deflate=True, no_new_id=True))


def noise(seed: int, share: float = 0.5) -> NDArray[np.uint8]:
    """Return random pixels."""
    random = np.random.default_rng(seed)
    grey = np.where(
        random.random((877, 620, 1)) < share, random.integers(0, 256, (877, 620, 1)), 255
    )
    return np.repeat(grey, 3, axis=2).astype(np.uint8)


def photograph(seed: int) -> NDArray[np.uint8]:
    """Return what has the statistics of a photograph: detail at every size, and no lines of text.

    Noise whose amplitude falls with its frequency, as that of natural images does (D. J. Field,
    "Relations between the statistics of natural images", 1987).
    """
    random = np.random.default_rng(seed)
    height, width = 877, 620
    y = np.fft.fftfreq(height)[:, None]
    x = np.fft.fftfreq(width)[None, :]
    amplitude = 1 / np.maximum(np.hypot(y, x), 1 / width)
    channels = [
        np.fft.ifft2(np.fft.fft2(random.standard_normal((height, width))) * amplitude).real
        for _ in range(3)
    ]
    stacked = np.stack([c / c.std() * 50 + 128 for c in channels], axis=2)
    return np.asarray(np.clip(stacked, 0, 255), dtype=np.uint8)
