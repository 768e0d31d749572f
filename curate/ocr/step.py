"""OcrStep: the text of pages whose text layer is not to be trusted, read from their image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from ..document import Document
from ..errors import DefinitionError, DocumentError
from ..extract.isolation import IsolatedExtractor, Limits
from ..extract.pdf_backend import BACKENDS, DISTRIBUTIONS, Backend
from ..pages import pages_of, set_pages
from ..steps import Drop, Extracted, Step
from . import rapid, tesseract
from .endpoint import Answer, Client, Endpoint
from .engine import EngineName, resolve
from .page_reader import PageReader, page_url

Which = Literal["routed", "all"]

TOKEN_COLUMNS = ("ocr_tokens_in", "ocr_tokens_out")

# Pages of a script that the engine does not know, and pages too poor to read, are below. Measured
# on 40 pages: rapidocr .97 to 1 on what it can read, poor scans .93, other scripts .2 to .93;
# tesseract .81 to .96, with the wrong language .24 to .65.
_LEAST_CONFIDENCE = {"rapidocr": 0.9, "tesseract": 0.7}
# An engine finds no lines at all in some scripts and in noise. A piece of a line, an eighth of the
# page wide, holds ten letters; less than this for each piece that was seen is a page not read.
_LEAST_CHARS = 2
# A model may write more than a page can hold. Of 122 pages with such pieces the median is 22
# letters for each, and the most 272.
_MOST_CHARS = 400


@dataclass(frozen=True)
class OcrStep(Step):
    """Replace the text of pages with what an engine reads on their image.

    The pages are those in `ocr_pages`, less those in `ocr_skipped`. A page that fails keeps the
    text it had, and is named in `ocr_failed`; a page on which nothing looks like text becomes
    empty, and no engine is asked. Pages are rendered and read in a child process.

    Without an engine (engine="auto" and none installed) pages stay as they are.

    Args:
        load: sets the payload (curate.readers.payload.LoadPayload); asked only for documents with
            pages to read. Not needed where a step before has set it.
        engine: "rapidocr", "tesseract", "endpoint", or "auto": the first of rapidocr and tesseract
            that is installed.
        pages: "routed" for those in `ocr_pages`, or "all".
        backend: what renders pages.
        dpi: resolution for rapidocr and tesseract.
        languages: for tesseract, such as ("eng_Latn", "deu"); English when empty.
        endpoint: for engine="endpoint".
        timeout_s: CPU seconds for one page, far above what any needs (rapidocr: 10).
        memory_gb: what one page may use beyond the engine.
        max_payload_bytes: pages of a larger file fail.

    Drops: `needs_ocr` (there is no text, and its pages were not read for want of an engine or a
    budget), `pages_failed` (no text, and pages that failed), `no_text` (read, and nothing there).
    """

    load: Step | None = None
    engine: EngineName = "auto"
    pages: Which = "routed"
    backend: Backend = "pymupdf"
    dpi: float = 150.0
    languages: tuple[str, ...] = ()
    endpoint: Endpoint | None = None
    timeout_s: float = 300.0
    memory_gb: float = 4.0
    max_payload_bytes: int = 1 << 28

    name: ClassVar[str] = "ocr"
    reasons = ("needs_ocr", "pages_failed", "no_text")

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("pages", self.pages, get_args(Which)),
            ("backend", self.backend, BACKENDS),
        ):
            if value not in allowed:
                raise DefinitionError(
                    f"ocr: {name}={value!r} is not known. Allowed: {', '.join(allowed)}."
                )
        for name in ("dpi", "timeout_s", "memory_gb", "max_payload_bytes"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"ocr: {name} is {getattr(self, name)}; it must be > 0.")
        if (self.engine == "endpoint") != (self.endpoint is not None):
            raise DefinitionError(
                "ocr: engine='endpoint' and endpoint=Endpoint(url, model) go together;"
                " give both or neither."
            )
        if self.languages and self._engine == "tesseract":
            tesseract.models_for(self.languages)

    @cached_property
    def _engine(self) -> str:
        return resolve(self.engine)

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # follows the engine
        """What was sent, read, left out and failed; with an endpoint also its cost."""
        cost = dict.fromkeys(TOKEN_COLUMNS, "int64") if self.endpoint else {}
        return {
            "page_ends": "list<int64>",
            "extractor": "string",
            "ocr_pages": "list<int64>",
            "ocr_done": "list<int64>",
            "ocr_failed": "list<int64>",
            "ocr_failed_why": "list<string>",
            "ocr_skipped": "list<int64>",
            **cost,
            **(self.load.columns if self.load else {}),
        }

    def identity(self) -> Mapping[str, Any]:
        """The values that decide the text, with the engine that is installed here."""
        plain = ("pages", "backend", "dpi", "languages", "timeout_s", "memory_gb")
        load = self.load
        return {
            "engine": self._engine,
            **{name: getattr(self, name) for name in (*plain, "max_payload_bytes")},
            "endpoint": self.endpoint.identity() if self.endpoint else None,
            "load": load
            and {"class": type(load).__qualname__, "version": load.version, **load.identity()},
        }

    def assets(self) -> tuple[str, ...]:
        """The models of a local engine, and the loader's."""
        models: tuple[Any, ...] = ()
        if self._engine == "rapidocr":
            models = tuple(model.locate() for model in rapid.MODELS)
        elif self._engine == "tesseract":
            models = tesseract.models_for(self.languages)
        return (*map(str, models), *(self.load.assets() if self.load else ()))

    def library_versions(self) -> Mapping[str, str]:
        """Versions of the engine, of what renders, and of what the loader uses."""
        from importlib.metadata import version

        names = [DISTRIBUTIONS[self.backend]]
        if self._engine == "rapidocr":
            names += rapid.LIBRARIES
        found = {name: version(name) for name in names} if self._engine != "none" else {}
        if self._engine == "tesseract":
            found["tesseract"] = tesseract.version()
        return {**found, **(self.load.library_versions() if self.load else {})}

    @cached_property
    def _reader(self) -> IsolatedExtractor:
        kind: Any = "image" if self._engine == "endpoint" else self._engine
        reader = PageReader(kind, self.backend, self.dpi, self.languages, self.timeout_s)
        limits = Limits(self.timeout_s, self.memory_gb, self.max_payload_bytes)
        return IsolatedExtractor(reader, limits)

    @cached_property
    def _client(self) -> Client:
        assert self.endpoint is not None
        return Client(self.endpoint)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        assert self.endpoint is not None
        return ThreadPoolExecutor(self.endpoint.concurrency)

    def setup(self) -> None:
        """Prepare the loader. The child is started for the first page, as most units have few."""
        if self.load:
            self.load.setup()

    def close(self) -> None:
        """End the child process and the threads."""
        if self.load:
            self.load.close()
        # Only what was made is ended; it is made again when it is needed again.
        threads = self.__dict__.pop("_threads", None)
        if threads is not None:
            threads.shutdown(cancel_futures=True)
        reader = self.__dict__.pop("_reader", None)
        if reader is not None:
            reader.close()

    def keep_answers(self, folder: str) -> None:
        """Keep what an endpoint answers in a folder, unless it names one itself."""
        if self.endpoint is not None and not self.endpoint.cache:
            self._client.cache = folder

    @property
    def why_skipped(self) -> str:
        """Why pages that are to be read are not."""
        return "no_engine" if self._engine == "none" else "over_budget"

    def sent(self, metadata: Mapping[str, Any], num_pages: int) -> list[int]:
        """Return the pages of a document that are to be read, those without a budget included."""
        if self.pages == "all":
            return list(range(num_pages))
        return sorted({page for page in metadata.get("ocr_pages") or () if 0 <= page < num_pages})

    def apply(self, doc: Document) -> Drop | None:
        """Read the pages; see the class."""
        pages = pages_of(doc)
        sent = self.sent(doc.metadata, len(pages))
        skipped = set(doc.metadata.get("ocr_skipped") or ())
        if sent and self._engine == "none":
            skipped = set(sent)
            doc.metadata["ocr_skipped"] = sent
        wanted = [page for page in sent if page not in skipped]
        if wanted:
            self._read(doc, pages, wanted)
        doc.payload = None
        if doc.text.strip() or not sent:
            return None
        if doc.metadata.get("ocr_failed"):
            return Drop("pages_failed", len(doc.metadata["ocr_failed"]))
        return Drop("needs_ocr") if skipped else Drop("no_text")

    def _read(self, doc: Document, pages: list[str], wanted: list[int]) -> None:
        if doc.payload is None and self.load is not None:
            self.load.apply(doc)
        if doc.payload is None:
            raise DocumentError("no_payload", "give OcrStep(load=LoadPayload(...))")
        read = self._asked if self._engine == "endpoint" else self._recognised
        done, failed, why = [], [], []
        tokens_in = tokens_out = 0
        for page, answer in read(doc.payload, wanted):
            tokens_in += answer.tokens_in
            tokens_out += answer.tokens_out
            if answer.failed is None:
                done.append(page)
                pages[page] = answer.text
            else:
                failed.append(page)
                why.append(answer.failed)
        set_pages(doc, pages)
        marks = {"ocr_done": done, "ocr_failed": failed, "ocr_failed_why": why}
        doc.metadata.update(marks)
        if self.pages == "all":
            doc.metadata["ocr_pages"] = self.sent(doc.metadata, len(pages))
        if self.endpoint is not None:
            doc.metadata.update(ocr_tokens_in=tokens_in, ocr_tokens_out=tokens_out)
        if done:
            label = self.endpoint.model.rpartition("/")[2] if self.endpoint else self._engine
            before = doc.metadata.get("extractor")
            doc.metadata["extractor"] = f"{before}+{label}" if before else label

    def _recognised(self, payload: bytes, wanted: list[int]) -> Iterator[tuple[int, Answer]]:
        """Read pages with the engine in the child, one after the other."""
        least = _LEAST_CONFIDENCE[self._engine]
        for page in wanted:
            try:
                found = self._reader.extract(payload, page_url(page))
            except DocumentError as error:
                yield page, Answer("", error.reason, 0, 0)
                continue
            failed = None
            if found.metadata["confidence"] < least:
                failed = "low_confidence"
            elif len(found.text) < _LEAST_CHARS * found.metadata["marks"]:
                failed = "unread"
            yield page, Answer(found.text, failed, 0, 0)

    def _asked(self, payload: bytes, wanted: list[int]) -> Iterator[tuple[int, Answer]]:
        """Render pages in the child and ask the endpoint for several at once; in page order."""
        assert self.endpoint is not None
        waiting: deque[tuple[int, Future[Answer]]] = deque()
        try:
            for page in wanted:
                # A page is rendered only when there is a place for it: no images pile up.
                if len(waiting) >= self.endpoint.concurrency:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
                waiting.append((page, self._ask(payload, page)))
            while waiting:
                first, answer = waiting.popleft()
                yield first, answer.result()
        finally:
            for _, answer in waiting:
                answer.cancel()

    def _ask(self, payload: bytes, page: int) -> Future[Answer]:
        known: Future[Answer] = Future()
        try:
            image = self._reader.extract(payload, page_url(page))
        except DocumentError as error:
            known.set_result(Answer("", error.reason, 0, 0))
            return known
        if not image.text:
            known.set_result(Answer("", None, 0, 0))
            return known
        return self._threads.submit(self._answer, image)

    def _answer(self, image: Extracted) -> Answer:
        digest, tokens = image.metadata["digest"], image.metadata["visual_tokens"]
        answer = self._client.read(image.text, digest, tokens)
        if len("".join(answer.text.split())) > _MOST_CHARS * image.metadata["marks"]:
            return replace(answer, text="", failed="invented")
        return answer
