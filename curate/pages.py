"""The pages of a document: where each ends in its text, kept exact through every change."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from .document import Document
from .errors import DefinitionError, DocumentError
from .steps import Drop, Formatter, Step


def split_pages(text: str, page_ends: Sequence[int]) -> list[str]:
    """Return the pages of a text.

    Args:
        text: the whole text.
        page_ends: for each page the offset, in characters, of its end; the last is the text's.

    Raises:
        DocumentError: `page_ends` are not offsets of this text.
    """
    bounds = [0, *page_ends]
    if bounds[-1] != len(text) or any(start > end for start, end in pairwise(bounds)):
        message = f"page_ends={list(page_ends)[:8]} do not fit a text of {len(text)} characters"
        raise DocumentError("page_ends", message)
    return [text[start:end] for start, end in pairwise(bounds)]


def set_pages(doc: Document, pages: Sequence[str]) -> None:
    """Make `pages` the text of a document, and `page_ends` say where each ends."""
    doc.text = "".join(pages)
    doc.metadata["page_ends"] = list(accumulate(map(len, pages)))


def pages_of(doc: Document) -> list[str]:
    """Return the pages of a document; one page where it has no `page_ends`."""
    ends = doc.metadata.get("page_ends")
    return [doc.text] if ends is None else split_pages(doc.text, ends)


class PagesStep(Step):
    """Rewrites the pages of a document, each in its place; drops a document without text."""

    columns = {"page_ends": "list<int64>"}
    reasons = ("no_text",)

    @abstractmethod
    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        """Return the pages as they shall be: as many, in the same order."""

    def apply(self, doc: Document) -> Drop | None:
        pages = pages_of(doc)
        rewritten = self.rewrite(pages, doc)
        if len(rewritten) != len(pages):
            raise AssertionError(f"{self.name}: {len(pages)} pages became {len(rewritten)}")
        set_pages(doc, rewritten)
        return None if doc.text.strip() else Drop("no_text")


@dataclass(frozen=True)
class PerPage(PagesStep):
    """Apply a formatter to each page by itself, so that `page_ends` stay exact.

    It goes by the formatter's name in decisions and counts.

    Args:
        formatter: what rewrites the text of one page.
    """

    formatter: Formatter

    name = "per_page"

    def __post_init__(self) -> None:
        if not isinstance(self.formatter, Formatter):
            raise DefinitionError(
                f"PerPage: formatter is {self.formatter!r}, but must be a Formatter,"
                " such as PiiFormatter()"
            )
        object.__setattr__(self, "name", self.formatter.name)

    def identity(self) -> Mapping[str, Any]:
        kind = type(self.formatter)
        inner = {"class": f"{kind.__module__}.{kind.__qualname__}", "version": kind.version}
        return {**inner, **self.formatter.identity()}

    def assets(self) -> tuple[str, ...]:
        return self.formatter.assets()

    def library_versions(self) -> Mapping[str, str]:
        return self.formatter.library_versions()

    def setup(self) -> None:
        self.formatter.setup()

    def close(self) -> None:
        self.formatter.close()

    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        return [self.formatter.format(page) for page in pages]
