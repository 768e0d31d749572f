"""Text of PDF files, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, get_args

from ..document import Document
from ..errors import DefinitionError, DocumentError
from ..pages import set_pages
from ..steps import Drop, Extracted, Extractor
from .isolation import IsolatedExtractor, Limits
from .pdf_backend import BACKENDS, Pdf, PdfPage, open_pdf
from .pdf_engines import DISTRIBUTIONS, ENGINES, read_pages, version_of
from .routing import JUDGE_FILES, HiddenLayers, Rule, judge_pages

_NOT_IN_FINGERPRINT = {"fingerprint": False}
# What another engine may not meet. A timeout is not among them: what is published must not depend
# on how fast the machine is.
_TRY_ANOTHER = frozenset(
    ("crashed", "out_of_memory", "too_deep", "error", "corrupt", "no_pages", "no_readable_page")
)

_WARM_UP = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


@dataclass(frozen=True)
class PdfExtractor(Extractor):
    """Extract the text layer of a PDF as Markdown, and say which pages need OCR.

    Sets `page_ends` (pages follow each other with nothing between; each page of the file that was
    read has its entry, an empty or failed one too), `num_pages` of the file, `extractor` (the
    engine), `failed_pages` and `ocr_pages` (0-based). `num_pages` is more than there are
    `page_ends` where `max_pages` cut the file. A document without any text is kept when pages of
    it need OCR.

    DIFFERS: FinePDFs runs docling, which needs models from the hub and a second per page; the
    engines here are measured by benchmarks/pdf.py.

    Args:
        engine: what makes the text: "pymupdf" or "pdfium" with our layout, "liteparse", "docling".
        backend: what opens the file for checks and for the judge: "pymupdf" (AGPL-3.0) or "pdfium";
            "" for that of the engine, and "pymupdf" where the engine is neither.
        judge: the rule by which pages are sent to OCR, see routing.judge_pages; "none" for no page.
        hidden_layers: "ocr" sends every scan with a layer of text under it, "judge" only where that
            layer reads badly; see routing.judge_pages.
        fallback: engine for a document on which `engine` crashes, that is too much for its memory
            or that it cannot open; "" for none. `extractor` says which one it was.
        max_payload_bytes: a larger file fails as `too_large`.
        max_pages: pages after these are not read.
        timeout_s: CPU seconds for one document; a usual page takes 0.01.
        memory_gb: what one document may use.
        isolate: extract in a child process; without it the limits on time and memory are off.
    """

    version: ClassVar[int] = 2

    engine: str = "pymupdf"
    backend: str = ""
    judge: Rule = "model"
    hidden_layers: HiddenLayers = "ocr"
    fallback: str = "pdfium"
    max_payload_bytes: int = 512 << 20
    max_pages: int = 10_000
    timeout_s: float = 600.0
    memory_gb: float = 3.0
    isolate: bool = field(default=True, metadata=_NOT_IN_FINGERPRINT)

    columns = {
        "page_ends": "list<int64>",
        "num_pages": "int64",
        "extractor": "string",
        "failed_pages": "list<int64>",
        "ocr_pages": "list<int64>",
    }

    def __post_init__(self) -> None:
        for name in ("max_payload_bytes", "max_pages", "timeout_s", "memory_gb"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"extract: {name} is {getattr(self, name)}; it must be > 0.")
        allowed = {
            "engine": ENGINES,
            "backend": ("", *BACKENDS),
            "fallback": ("", *ENGINES),
            "judge": get_args(Rule),
            "hidden_layers": get_args(HiddenLayers),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise DefinitionError(
                    f"extract: {name}={getattr(self, name)!r}; allowed are"
                    f" {', '.join(repr(value) for value in values)}."
                )

    def library_versions(self) -> Mapping[str, str]:
        """Versions of the libraries that these parameters make use of."""
        used = {self.engine, self._backend, self.fallback, "pdfium"} - {""}
        return {DISTRIBUTIONS[name]: version_of(name) for name in sorted(used)}

    def assets(self) -> tuple[str, ...]:
        """The judge's model."""
        if self.judge == "none":
            return ()
        return JUDGE_FILES

    @property
    def _backend(self) -> str:
        if self.backend:
            return self.backend
        return self.engine if self.engine in BACKENDS else "pymupdf"

    @cached_property
    def _isolated(self) -> tuple[IsolatedExtractor, ...]:
        limits = Limits(self.timeout_s, self.memory_gb, self.max_payload_bytes)
        inside = [replace(self, isolate=False, fallback="")]
        if self.fallback not in ("", self.engine):
            # A backend of the same name, so that nothing of what failed is tried again.
            backend = self.fallback if self.fallback in BACKENDS else self.backend
            inside.append(replace(inside[0], engine=self.fallback, backend=backend))
        return tuple(IsolatedExtractor(extractor, limits) for extractor in inside)

    def setup(self) -> None:
        """Start the child process, or load the libraries here."""
        self.library_versions()
        if self.isolate:
            self._isolated[0].start()
            return
        self._read(_WARM_UP)

    def close(self) -> None:
        """End the child processes."""
        if self.isolate:
            for isolated in self._isolated:
                isolated.close()

    def apply(self, doc: Document) -> Drop | None:
        """Extract, and keep a document that has pages for OCR, even when it has no text yet."""
        drop = super().apply(doc)
        if doc.text.strip() or doc.metadata["ocr_pages"]:
            return None
        return drop or Drop("no_text")

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of a PDF; see Extractor.extract.

        Raises:
            DocumentError: those of open_pdf, `no_readable_page` (every page failed), `error`, and
                those of IsolatedExtractor.extract.
        """
        if not self.isolate:
            if len(payload) > self.max_payload_bytes:
                raise DocumentError(
                    "too_large", f"{len(payload)} bytes of {self.max_payload_bytes}"
                )
            return self._read(payload)
        first: DocumentError | None = None
        for isolated in self._isolated:
            try:
                return isolated.extract(payload, url, charset)
            except DocumentError as error:
                first = first or error
                if error.reason not in _TRY_ANOTHER:
                    break
        assert first is not None
        raise first

    def _read(self, payload: bytes) -> Extracted:
        with open_pdf(payload, self._backend) as pdf:
            num_pages = pdf.num_pages
            pages = read_pages(self.engine, payload, min(num_pages, self.max_pages))
            failed = [i for i, page in enumerate(pages) if page is None]
            if len(failed) == len(pages):
                raise DocumentError("no_readable_page", f"none of {len(pages)} pages can be read")
            texts = [page or "" for page in pages]
            ocr_pages = judge_pages(
                _FirstPages(pdf, len(texts)), texts, self.judge, self.hidden_layers
            )
        doc = Document("")
        set_pages(doc, texts)
        found: dict[str, Any] = {
            **doc.metadata,
            "num_pages": num_pages,
            "extractor": self.engine,
            "failed_pages": failed,
            "ocr_pages": ocr_pages,
        }
        return Extracted(doc.text, found)


class _FirstPages:
    """The pages of a file that were read."""

    def __init__(self, pdf: Pdf, num_pages: int) -> None:
        self._pdf = pdf
        self.num_pages = num_pages

    def page(self, index: int) -> PdfPage:
        return self._pdf.page(index)

    def close(self) -> None:
        self._pdf.close()

    def __enter__(self) -> Pdf:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
