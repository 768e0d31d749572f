"""The kinds of step.

A step is a frozen dataclass of plain values: its configuration is its identity. It keeps no counts
and carries nothing from one document to the next; `task.py` counts. What is expensive to load (a
model, a list) is a `cached_property` that `setup` touches, once per worker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import Any, BinaryIO, ClassVar

from .document import Document


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The cluster of a removed document.

    Attributes:
        cluster: the cluster's name, the same for any sharding.
        size: documents in it.
        of_id: id of the canonical document, which is kept.
        of_url: its URL, where it has one.
    """

    cluster: str
    size: int
    of_id: str
    of_url: str | None


@dataclass(frozen=True, slots=True)
class Drop:
    """A filter's no.

    Attributes:
        reason: stable snake_case code, one of the step's `reasons`.
        value: what was measured, where the rule is a measure.
        threshold: the limit it was held against.
        duplicate: what the document duplicates, for the steps that remove duplicates.
    """

    reason: str
    value: float | None = None
    threshold: float | None = None
    duplicate: Duplicate | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be processed, or a damaged place of an input."""

    reason: str
    message: str = ""


class Component(ABC):
    """What a pipeline file configures: a reader or a step.

    Class attributes:
        name: snake_case; decisions read `<name>/<reason>`.
        version: raised whenever the output changes; part of the fingerprint.
        reasons: every drop reason it can give.
        columns: metadata it sets, name to type: "string", "int64", "double", "bool",
            "list<int64>", "list<string>".
        libraries: distributions whose version decides the output; part of the fingerprint.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ()
    columns: Mapping[str, str] = {}
    libraries: ClassVar[tuple[str, ...]] = ()

    def assets(self) -> tuple[str, ...]:
        """Paths of the files that decide the output; their SHA-256 is part of the fingerprint."""
        return ()

    def identity(self) -> Mapping[str, Any]:
        """Plain values that tell this component from others of its class: its dataclass fields."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)  # type: ignore[arg-type]  # every component is a dataclass
            if field.metadata.get("fingerprint", True)
        }

    def library_versions(self) -> Mapping[str, str]:
        """Versions of `libraries` as installed here."""
        return {library: metadata.version(library) for library in self.libraries}


class Step(Component):
    """One operation on one document."""

    def file_metadata(self) -> Mapping[str, str]:
        """Key-value pairs for the metadata of the Parquet files this step's documents go to."""
        return {}

    def setup(self) -> None:
        """Load what the step needs. Called once per worker, before the first document."""

    def close(self) -> None:
        """Release what `setup` took, such as a child process."""

    @abstractmethod
    def apply(self, doc: Document) -> Drop | None:
        """Change `doc` in place; return a Drop to remove it.

        Raises:
            DocumentError: this document cannot be processed; it is recorded as failed.
        """


class Annotator(Step):
    """Adds metadata and never removes a document."""

    @abstractmethod
    def annotate(self, doc: Document) -> None:
        """Set the keys named in `columns`."""

    def apply(self, doc: Document) -> Drop | None:
        self.annotate(doc)
        return None


class Filter(Step):
    """Keeps or drops a document."""

    @abstractmethod
    def reject(self, doc: Document) -> Drop | None:
        """Return why `doc` is dropped, or None to keep it."""

    def apply(self, doc: Document) -> Drop | None:
        return self.reject(doc)


class Formatter(Step):
    """Rewrites the text and never removes a document."""

    @abstractmethod
    def format(self, text: str) -> str:
        """Return the text as it shall be published."""

    def apply(self, doc: Document) -> Drop | None:
        doc.text = self.format(doc.text)
        return None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What an extractor made of a payload."""

    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Extractor(Step):
    """Makes text of a payload. Drops what has none as `no_text`."""

    name = "extract"
    reasons = ("no_text",)

    @abstractmethod
    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Return the text of `payload`.

        Args:
            payload: the body, content encodings undone.
            url: where it came from; for resolving, never for fetching.
            charset: what the reader found the payload to be written in.
        """

    def apply(self, doc: Document) -> Drop | None:
        payload = doc.payload or b""
        charset = doc.metadata.get("charset") or "utf-8"
        extracted = self.extract(payload, doc.metadata.get("url") or "", charset)
        doc.payload = None
        doc.text = extracted.text
        doc.metadata.update(extracted.metadata)
        return None if doc.text else Drop("no_text")


class Reader(Component):
    """Turns one input file into documents.

    A reader is a frozen dataclass with a field `paths`: a path, a glob, or several separated by
    commas; fsspec URLs are allowed. `paths` says which units there are and is not part of the
    fingerprint (mark it `field(metadata={"fingerprint": False})`).
    """

    paths: str

    @abstractmethod
    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Drop | Failure | None]]:
        """Yield every record of the file, in order, with its fate so far.

        A record the reader cannot or must not use comes with a Drop or a Failure; so does a damaged
        place of the file, as a document without text that carries the byte `offset`. Nothing is
        passed over in silence, and no damage ends the iteration before the end of the file.

        Args:
            path: the file's path as the user gave it, for `file_path`.
            stream: the file, seekable, open for reading in binary. `stream.tell()` is the progress.
        """
