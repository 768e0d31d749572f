"""Text of HTML pages."""

from __future__ import annotations

import codecs
import logging
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ..errors import DefinitionError, DocumentError
from ..steps import Extracted, Extractor
from .isolation import IsolatedExtractor, Limits

if TYPE_CHECKING:
    from .html_blocks import Page
    from .html_model import Model

_NOT_IN_FINGERPRINT = {"fingerprint": False}
_WARM_UP = (
    "<html><body><nav><a href='/'>Home</a></nav><p>A page to load everything.</p></body></html>"
)
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_VERSIONS = """\
import sys, unicodedata
from importlib.metadata import version
print(unicodedata.unidata_version, *(version(name) for name in sys.argv[1:]))
"""


@dataclass(frozen=True)
class HtmlExtractor(Extractor):
    """Extract the main text with a model of blocks.

    One walk over the page gives its blocks (html_blocks.py); small trees decide which are content
    (html_model.py); those are written with their structure. All of it is Python over arrays: the
    time is linear in the size of the page, whatever the page, and no child process is needed.

    Args:
        format: "text" has one line for a paragraph, item or row of a table; "markdown" marks
            headings, lists, tables, quotes and code.
        comments: add the comments of readers, which are left out where they are not the content.
        boilerplate: keep everything that is visible, menus and footers too.
        include_tables: keep the text of tables.
        min_chance: least chance, 0 to 1, of a block that is kept: more keeps less. None keeps the
            blocks of a page whose expected F1 is best.
        max_payload_bytes: a larger page fails as `too_large`.
        max_tags: a page with more `<` fails as `too_many_tags`; the largest of 3,000 real pages
            has 43,138.
    """

    format: Literal["text", "markdown"] = "text"
    comments: bool = False
    boilerplate: bool = False
    include_tables: bool = True
    min_chance: float | None = None
    max_payload_bytes: int = 20_000_000
    max_tags: int = 200_000

    version = 3
    columns = {"title": "string", "author": "string", "published": "string", "page_type": "string"}

    def __post_init__(self) -> None:
        if self.format not in ("text", "markdown"):
            raise DefinitionError(
                f"HtmlExtractor: format is {self.format!r}; allowed are 'text' and 'markdown'."
            )
        for name in ("max_payload_bytes", "max_tags"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"HtmlExtractor: {name} must be > 0.")
        if self.min_chance is not None and not 0 <= self.min_chance <= 1:
            raise DefinitionError(f"HtmlExtractor: min_chance={self.min_chance} is not 0 to 1.")

    @cached_property
    def _model(self) -> Model:
        from .html_model import load_model

        return load_model()

    def assets(self) -> tuple[str, ...]:
        from .html_model import MODEL_FILE

        return (str(MODEL_FILE),)

    def setup(self) -> None:
        """Load the model."""
        self.extract(_WARM_UP.encode(), "")

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of an HTML page and what it says of itself; see Extractor.extract.

        Raises:
            DocumentError: `too_large`, `too_many_tags`.
        """
        if len(payload) > self.max_payload_bytes:
            raise DocumentError("too_large", f"{len(payload)} bytes of {self.max_payload_bytes}")

        import numpy as np

        from .html_blocks import read_page
        from .html_meta import metadata
        from .html_write import write

        source = _utf8(payload, charset)
        # Four times as fast as source.count.
        tags = np.count_nonzero(np.frombuffer(source, np.uint8) == ord("<"))
        if tags > self.max_tags:
            raise DocumentError("too_many_tags", f"{tags} tags, max_tags is {self.max_tags}")
        page = read_page(source, self._model.judge)
        # Whoever says how sure a block must be gets no others.
        text = write(
            page,
            self._kept(page),
            self.format == "markdown",
            self.include_tables,
            whole_rows=self.min_chance is None,
        )
        return Extracted(text, metadata(page))

    def _kept(self, page: Page) -> list[int]:
        from .html_features import features
        from .html_model import keep

        if not page.texts or self.boilerplate:
            return list(range(len(page.texts)))
        table = features(page, self._model.words)
        likely = self._model.chances(page, table)
        least = None if self.min_chance is None else 1024 * self.min_chance
        return keep(page, table, likely, least, self.comments)


@dataclass(frozen=True)
class ResiliparseExtractor(Extractor):
    """Extract the main text with resiliparse's rules: the fastest, and less precise.

    Args:
        include_comments: keep the comments of readers.
        max_payload_bytes: a larger page fails as `too_large`.
        max_tags: a page with more `<` fails as `too_many_tags`.
        timeout_s: CPU seconds for one page.
        memory_gb: what one page may use.
        isolate: extract in a child process; without it the limits on time and memory are off.
    """

    include_comments: bool = False
    max_payload_bytes: int = 20_000_000
    max_tags: int = 200_000
    timeout_s: float = 120.0
    memory_gb: float = 2.0
    isolate: bool = field(default=True, metadata=_NOT_IN_FINGERPRINT)

    libraries = ("resiliparse",)

    def __post_init__(self) -> None:
        for name in ("max_payload_bytes", "max_tags", "timeout_s", "memory_gb"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"extract: {name} is {getattr(self, name)}; it must be > 0.")

    @cached_property
    def _isolated(self) -> IsolatedExtractor:
        limits = Limits(self.timeout_s, self.memory_gb, self.max_payload_bytes)
        return IsolatedExtractor(replace(self, isolate=False), limits)

    def setup(self) -> None:
        """Start the child process, or load resiliparse here."""
        if self.isolate:
            self._isolated.start()
        else:
            self.extract(_WARM_UP.encode(), "")

    def close(self) -> None:
        """End the child process."""
        if self.isolate:
            self._isolated.close()

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of an HTML page; see Extractor.extract.

        Raises:
            DocumentError: `too_large`, `too_many_tags`, and those of IsolatedExtractor.extract.
        """
        tags = payload.count(b"<")
        if tags > self.max_tags:
            raise DocumentError("too_many_tags", f"{tags} tags, max_tags is {self.max_tags}")
        if self.isolate:
            return self._isolated.extract(payload, url, charset)
        if len(payload) > self.max_payload_bytes:
            raise DocumentError("too_large", f"{len(payload)} bytes of {self.max_payload_bytes}")

        from resiliparse.extract.html2text import extract_plain_text

        from ..readers.charset import decode

        text = extract_plain_text(
            decode(payload, charset),
            main_content=True,
            alt_texts=False,
            comments=self.include_comments,
        )
        lines = (line.strip() for line in text.splitlines())
        return Extracted("\n".join(line for line in lines if line))


@dataclass(frozen=True)
class TrafilaturaExtractor(Extractor):
    """Extract the main text with trafilatura, with FineWeb's settings.

    DIFFERS: FineWeb sets trafilatura's `deduplicate`, which remembers texts from page to page: what
    a page becomes then depends on the pages before it. Here it is off.

    DIFFERS: FineWeb used a trafilatura below 1.12; here it is the version of this environment. Give
    `python` to extract with that of another one, such as v1/bin/python after
    `python -m venv v1 && v1/bin/pip install trafilatura==1.11.0 lxml_html_clean`.

    Args:
        favor_precision: less text, but surely of the page's content.
        include_tables: keep the text of tables.
        max_payload_bytes: a larger page fails as `too_large`; trafilatura's own limit.
        max_tags: a page with more `<` fails as `too_many_tags`. Time grows with their square in a
            table row; the largest of 3,000 real pages has 43,138.
        max_attributes: a page with an element of more fails as `too_many_attributes`. Time grows
            with their square: 10,000 take less than a second and 200,000 minutes.
        timeout_s: CPU seconds for one page, far above what any needs: a usual page takes 0.03,
            and the worst that we could make within `max_tags` 30.
        memory_gb: what one page may use.
        isolate: extract in a child process; without it the limits on time and memory are off.
        python: interpreter of the environment to extract in; this one when empty.
    """

    favor_precision: bool = True
    include_tables: bool = True
    max_payload_bytes: int = 20_000_000
    max_tags: int = 100_000
    max_attributes: int = 10_000
    timeout_s: float = 120.0
    memory_gb: float = 2.0
    isolate: bool = field(default=True, metadata=_NOT_IN_FINGERPRINT)
    python: str = field(default="", metadata=_NOT_IN_FINGERPRINT)

    libraries = ("trafilatura", "lxml", "jusText")

    def __post_init__(self) -> None:
        for name in (
            *("max_payload_bytes", "max_tags", "max_attributes"),
            *("timeout_s", "memory_gb"),
        ):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"extract: {name} is {getattr(self, name)}; it must be > 0.")
        if self.python and not self.isolate:
            raise DefinitionError("extract: another `python` needs isolate=True.")

    def library_versions(self) -> Mapping[str, str]:
        """Versions of what decides the text in the interpreter that extracts it."""
        if not self.python:
            return super().library_versions()
        return _versions_in(self.python, self.libraries)

    @cached_property
    def _isolated(self) -> IsolatedExtractor:
        limits = Limits(self.timeout_s, self.memory_gb, self.max_payload_bytes)
        return IsolatedExtractor(replace(self, isolate=False, python=""), limits, self.python)

    def setup(self) -> None:
        """Start the child process, or load trafilatura here."""
        if self.isolate:
            self._isolated.start()
            return
        from .trafilatura_fast import accelerate

        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
        self._text(_WARM_UP)
        accelerate()

    def close(self) -> None:
        """End the child process."""
        if self.isolate:
            self._isolated.close()

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of an HTML page; see Extractor.extract.

        Raises:
            DocumentError: `too_many_tags`, `too_many_attributes`, `error`, and those of
                IsolatedExtractor.extract.
        """
        if self.isolate and len(payload) <= self.max_payload_bytes:
            return self._isolated.extract(payload, url, charset)  # the child looks at the same
        tags = payload.count(b"<")
        if tags > self.max_tags:
            raise DocumentError("too_many_tags", f"{tags} tags, max_tags is {self.max_tags}")
        for piece in payload.split(b"<"):
            # Attributes take two bytes and more: shorter pieces cannot hold too many.
            if len(piece) > 2 * self.max_attributes:
                count = _count_attributes(piece.partition(b">")[0])
                if count > self.max_attributes:
                    message = f"{count} in one element, max_attributes is {self.max_attributes}"
                    raise DocumentError("too_many_attributes", message)
        if self.isolate:
            return self._isolated.extract(payload, url, charset)
        if len(payload) > self.max_payload_bytes:
            raise DocumentError("too_large", f"{len(payload)} bytes of {self.max_payload_bytes}")

        from ..readers.charset import decode

        try:
            return Extracted(self._text(decode(payload, charset)))
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            raise DocumentError("error", f"{type(error).__name__}: {error}"[:500]) from error

    def _text(self, html: str) -> str:
        from trafilatura import extract

        # The URL is not given: it serves metadata and links, and plain text has neither.
        text = extract(
            html,
            favor_precision=self.favor_precision,
            include_comments=False,
            include_tables=self.include_tables,
            deduplicate=False,
        )
        return text or ""


def _utf8(payload: bytes, charset: str) -> bytes:
    """Return what decode makes of a page, as UTF-8; where it is that already, none is copied."""
    from ..readers.charset import decode, name_of

    if name_of(charset) in ("utf-8", "") and b"\0" not in payload:
        return payload.removeprefix(codecs.BOM_UTF8)
    return decode(payload, charset).encode()


def _count_attributes(tag: bytes) -> int:
    """Return how many attributes a tag has, what stands between quotes counted as one."""
    return len(_QUOTED.sub(b"", tag).split()) - 1


def _versions_in(python: str, libraries: tuple[str, ...]) -> dict[str, str]:
    try:
        output = subprocess.run(
            [python, "-c", _VERSIONS, *libraries], capture_output=True, check=True, text=True
        ).stdout
    except OSError as error:
        raise DefinitionError(f"extract: cannot start python={python}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().splitlines()[-1]
        raise DefinitionError(f"extract: {python} lacks a library: {why}") from None
    return dict(zip(("unicode", *libraries), output.split(), strict=True))
