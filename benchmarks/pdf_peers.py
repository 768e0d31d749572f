"""What `pdf.py` compares: ours and its peers, each a function from the bytes of a PDF to text."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from io import BytesIO

from curate.errors import DocumentError
from curate.extract.pdf import PdfExtractor
from curate.extract.pdf_backend import open_pdf
from curate.pages import split_pages
from curate.steps import Extracted, Extractor

Reading = Callable[[bytes], str]


@dataclass(frozen=True)
class Peer(Extractor):
    """Run one of PEERS; its metadata is the CPU time that it took.

    The libraries are loaded by name, so that one that is not installed is missed when it is asked
    for and not before.
    """

    peer: str

    @cached_property
    def _read(self) -> Reading:
        return PEERS[self.peer]()

    def setup(self) -> None:
        """Load the library, and read a page so that nothing is left to load."""
        self._read(_page())

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of a PDF."""
        start = time.process_time()
        try:
            text = self._read(payload)
        except (DocumentError, MemoryError, RecursionError):
            raise
        except Exception as error:
            raise DocumentError("error", f"{type(error).__name__}: {error}"[:300]) from error
        return Extracted(text, {"cpu_s": time.process_time() - start})


def _page() -> bytes:
    document = import_module("pymupdf").open()
    document.new_page().insert_text((72, 72), "A page to load everything.")
    payload: bytes = document.tobytes()
    return payload


def _ours(engine: str) -> Callable[[], Reading]:
    def make() -> Reading:
        extractor = PdfExtractor(engine=engine, judge="none", fallback="", isolate=False)

        def read(payload: bytes) -> str:
            extracted = extractor.extract(payload, "")
            return "\n\n".join(split_pages(extracted.text, extracted.metadata["page_ends"]))

        return read

    return make


def _plain(backend: str) -> Callable[[], Reading]:
    """The library's own plain text, page after page."""

    def read_pymupdf(payload: bytes) -> str:
        with import_module("pymupdf").open(stream=payload, filetype="pdf") as document:
            return "\n".join(page.get_text() for page in document)

    def read_pdfium(payload: bytes) -> str:
        document = import_module("pypdfium2").PdfDocument(payload)
        return "\n".join(page.get_textpage().get_text_range() for page in document)

    return lambda: read_pymupdf if backend == "pymupdf" else read_pdfium


def _liteparse() -> Reading:
    parser = import_module("liteparse").LiteParse(
        ocr_enabled=False, output_format="markdown", quiet=True
    )
    return lambda payload: "\n\n".join(page.markdown for page in parser.parse(payload).pages)


def _pymupdf4llm() -> Reading:
    pymupdf, library = import_module("pymupdf"), import_module("pymupdf4llm")

    def read(payload: bytes) -> str:
        with pymupdf.open(stream=payload, filetype="pdf") as document:
            return str(library.to_markdown(document, use_ocr=False))

    return read


def _pdfminer() -> Reading:
    extract_text = import_module("pdfminer.high_level").extract_text
    return lambda payload: str(extract_text(BytesIO(payload)))


def _pdf_inspector() -> Reading:
    process = import_module("pdf_inspector").process_pdf_bytes
    return lambda payload: process(payload).markdown or ""


PEERS: dict[str, Callable[[], Reading]] = {
    "curate pymupdf": _ours("pymupdf"),
    "curate pdfium": _ours("pdfium"),
    "curate liteparse": _ours("liteparse"),
    "PyMuPDF get_text": _plain("pymupdf"),
    "pypdfium2": _plain("pdfium"),
    "liteparse": _liteparse,
    "pdf-inspector": _pdf_inspector,
    "pymupdf4llm": _pymupdf4llm,
    "pdfminer.six": _pdfminer,
    "docling": _ours("docling"),
}


def num_pages(payload: bytes) -> int:
    """Return how many pages a file has; 0 where it cannot be opened."""
    try:
        with open_pdf(payload, "pdfium") as pdf:
            return pdf.num_pages
    except DocumentError:
        return 0
