"""Engines: what makes the text of a PDF's pages.

`pymupdf` and `pdfium` take the lines of that library and our own layout; `liteparse` and `docling`
bring a layout of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from typing import Any

from ..errors import DefinitionError, DocumentError
from .pdf_backend import Ruling, TextLine, open_pdf
from .pdf_chars import clean, is_right_to_left, joined_ideographs, share_of_marks
from .pdf_layout import Layout, in_markdown, plain_paragraphs
from .pdf_rtl import are_turned, lines_of_chars, mirrored
from .pdf_ruled import may_hold_cells
from .pdf_tables import pipe_table

# The text of each page; None where the page could not be read.
Pages = list[str | None]

DISTRIBUTIONS = {
    "pymupdf": "PyMuPDF",
    "pdfium": "pypdfium2",
    "liteparse": "liteparse",
    "docling": "docling",
}
ENGINES = tuple(DISTRIBUTIONS)

# Fully vowelled text, which PDFium takes apart mark by mark.
_VOWELLED = 0.2
# Characters without a meaning that one library has and the other has not, as a share of the text.
_MORE_LOST = 0.1


def version_of(name: str) -> str:
    """Return the installed version of an engine or backend.

    Raises:
        DefinitionError: it is not installed.
    """
    distribution = DISTRIBUTIONS[name]
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise DefinitionError(
            f"extract: {name!r} needs {distribution}, which is not installed.\n"
            f"pip install {distribution}, or choose another of {', '.join(ENGINES)}."
        ) from None


def read_pages(engine: str, payload: bytes, num_pages: int) -> Pages:
    """Return the text of the first pages of a file, as Markdown.

    Right-to-left pages are read by PDFium whatever the engine, as of those measured it alone keeps
    numbers and Latin words in their place.

    Raises:
        DocumentError: the engine cannot read the file.
    """
    pages = _ENGINES[engine](payload, num_pages)
    backwards = [i for i, page in enumerate(pages) if page and is_right_to_left(page)]
    if backwards:
        for i, text in _right_to_left(payload, backwards).items():
            if text and _share_lost(text) < _share_lost(pages[i] or "") + _MORE_LOST:
                pages[i] = text
    return [page if page is None else page.strip() for page in pages]


def _share_lost(text: str) -> float:
    return text.count("\ufffd") / max(len(text), 1)


def _right_to_left(payload: bytes, indices: Sequence[int]) -> dict[int, str]:
    """Return the text of right-to-left pages, by their numbers; of those that can be read.

    Where PDFium turns lines that are in order, or takes vowelled words apart, the places of the
    letters decide: the page is laid out in a mirror, where it runs from left to right.
    """
    from .pdf_pdfium import PdfiumPdf

    found: dict[int, str] = {}
    placed: dict[int, tuple[list[TextLine], list[Ruling]]] = {}
    with PdfiumPdf(payload) as pdf:
        for i in indices:
            if i >= pdf.num_pages:
                continue
            with suppress(DocumentError):
                page = pdf.page(i)
                text, chars = page.text(), page.chars()
                is_turned = are_turned(chars)
                if is_turned or share_of_marks(text) > _VOWELLED:
                    lines = lines_of_chars(chars, is_turned)
                    rulings = page.rulings() if may_hold_cells(lines) else []
                    placed[i] = mirrored(lines, rulings, page.width)
                else:
                    found[i] = plain_paragraphs(text)
    layout = Layout([lines for lines, _ in placed.values()], [r for _, r in placed.values()])
    return found | {i: layout.page(at) for at, i in enumerate(placed)}


def _with_lines(backend: str) -> Callable[[bytes, int], Pages]:
    def read(payload: bytes, num_pages: int) -> Pages:
        lines: list[Sequence[TextLine]] = []
        rulings: list[Sequence[Ruling]] = []
        failed: set[int] = set()
        with open_pdf(payload, backend) as pdf:
            for i in range(num_pages):
                try:
                    page = pdf.page(i)
                    found = page.lines()
                    ruled = page.rulings() if may_hold_cells(found) else []
                except DocumentError:
                    found, ruled = [], []
                    failed.add(i)
                lines.append(found)
                rulings.append(ruled)
        layout = Layout(lines, rulings)
        return [None if i in failed else layout.page(i) for i in range(num_pages)]

    return read


def _liteparse(payload: bytes, num_pages: int) -> Pages:
    import liteparse

    parser = liteparse.LiteParse(
        ocr_enabled=False,
        output_format="markdown",
        max_pages=num_pages,
        continue_on_page_error=True,
        image_mode="off",
        extract_links=False,
        extract_blocks=True,
        # What repeats at the top and bottom of pages is a decision of its own, made later.
        keep_headers_footers=True,
        quiet=True,
        num_workers=1,
    )
    try:
        result = parser.parse(payload)
    except liteparse.ParseError as error:
        raise DocumentError("corrupt", f"liteparse: {error}"[:500]) from error
    pages: Pages = [None] * num_pages
    for page in result.pages:
        if 0 < page.page_num <= num_pages:
            pages[page.page_num - 1] = _markdown(page.blocks or ())
    return pages


def _markdown(blocks: Sequence[Any]) -> str:
    parts = [_block(block) for block in blocks if block.kind not in ("rule", "figure")]
    return clean(in_markdown(parts))


def _block(block: Any) -> str:
    if block.kind == "table":
        header = [block.header] if block.header else []
        return pipe_table([[cell.text for cell in row] for row in (*header, *block.rows)])
    if block.lines is not None:
        return "\n".join(block.lines)
    text = joined_ideographs(str(block.text or ""))
    if block.kind == "heading":
        return f"{'#' * (block.level or 1)} {text}"
    if block.kind == "list_item":
        return f"{block.marker if block.ordered else '-'} {text}"
    return text


def _docling(payload: bytes, num_pages: int) -> Pages:
    from io import BytesIO

    from docling.datamodel.base_models import DocumentStream

    found = _docling_converter().convert(
        DocumentStream(name="document.pdf", stream=BytesIO(payload)),
        raises_on_error=False,
        max_num_pages=num_pages,
    )
    if found.document is None or found.status.name not in ("SUCCESS", "PARTIAL_SUCCESS"):
        raise DocumentError("corrupt", f"docling: {found.status.name}")
    # DIFFERS: FinePDFs loses the pages that docling reads nothing from; here they are empty.
    return [
        clean(found.document.export_to_markdown(page_no=i + 1))
        if i + 1 in found.document.pages
        else None
        for i in range(num_pages)
    ]


@cache
def _docling_converter() -> Any:
    """Return docling as FinePDFs sets it (spec 5a): no OCR, no table model."""
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions
    from docling.document_converter import DocumentConverter, PdfFormatOption

    options = PdfPipelineOptions(do_ocr=False, do_table_structure=False)
    return DocumentConverter(
        allowed_formats=[InputFormat.PDF],
        format_options={InputFormat.PDF: PdfFormatOption(pipeline_options=options)},
    )


_ENGINES: dict[str, Callable[[bytes, int], Pages]] = {
    "pymupdf": _with_lines("pymupdf"),
    "pdfium": _with_lines("pdfium"),
    "liteparse": _liteparse,
    "docling": _docling,
}
