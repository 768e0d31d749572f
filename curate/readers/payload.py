"""LoadPayload: the bytes of a document, read again from where it was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import BinaryIO, ClassVar

from .. import storage
from ..document import Document
from ..errors import CurateError, DocumentError, InputError
from ..steps import Drop, Step
from .containers import Raw, container
from .containers import pieces as pieces_of
from .digests import digest_fault, payload_digest
from .entries import document_id, field_text, saved
from .frames import frame_codec
from .heads import LOOK_AHEAD, starts_record
from .http_body import BodyTooLarge
from .pdf_signs import crawl_limit, decode_pdf, why_truncated
from .ranges import Part
from .warc_records import Record, Window, read_records

_MEMBER_ENDS = ("gzip_damaged", "zstd_damaged", "lz4_damaged", "needs_dictionary", "clipped")
_MAX_OPEN = 2  # an archive of the crawl and one of refetched responses


@dataclass(frozen=True)
class LoadPayload(Step):
    """Set the payload of a document: from its refetched record, else from its record in the crawl.

    The columns say where that is: `refetch_path` and `refetch_offset`, or `file_path`, `offset` and
    `length`. Only the record is read, with one request to a remote store where its length is
    known. Where many records share a member, those before it are unpacked for each document again.
    A document that has its payload keeps it. What is read must have the `payload_digest`
    of the document; where that is None it is set, and where nobody has looked yet (`is_truncated`
    is None, as IndexReader leaves it) whether the payload is whole, as PdfWarcReader does.

    Args:
        root: put before a `file_path` that is relative, such as "s3://commoncrawl/".
        limit_bytes: how many bytes of a payload the crawl keeps, as in PdfWarcReader.
        max_record_bytes: a larger record is a failure; bounds memory.
        max_body_bytes: a body that unpacks to more is a failure.

    Failures: `payload_missing` (no place, no such file, no record there), `payload_changed` (not
    the bytes that were found), `record_too_large`, `body_too_large`, `body_damaged`, `empty_body`,
    `digest_mismatch` (a record whose own digests do not fit it), and those of a damaged record:
    `gzip_damaged`, `zstd_damaged`, `lz4_damaged`, `needs_dictionary`, `clipped`, `bad_header`,
    `bad_length`, `wrong_length`.

    Raises:
        InputError: a store that cannot be reached or refuses; the unit is tried again.
    """

    name: ClassVar[str] = "load_payload"
    columns = {"payload_digest": "string", "truncated_by": "string", "is_truncated": "bool"}

    root: str = field(default="", metadata={"fingerprint": False})
    limit_bytes: int | None = None
    max_record_bytes: int = 64 << 20
    max_body_bytes: int = 64 << 20

    def apply(self, doc: Document) -> Drop | None:
        """Set `doc.payload`."""
        if doc.payload is not None:
            return None
        if doc.metadata.get("refetch_path"):
            path, offset = doc.metadata["refetch_path"], doc.metadata.get("refetch_offset")
            self._load(doc, path, offset, None, refetched=True)
        else:
            path, offset = doc.metadata.get("file_path"), doc.metadata.get("offset")
            self._load(doc, path, offset, doc.metadata.get("length"), refetched=False)
        return None

    def close(self) -> None:
        """Close the archives."""
        self._open_files.close()

    @cached_property
    def _open_files(self) -> _OpenFiles:
        return _OpenFiles()

    def _load(
        self,
        doc: Document,
        path: str | None,
        offset: int | None,
        length: int | None,
        refetched: bool,
    ) -> None:
        if not path or offset is None or offset < 0:
            raise DocumentError("payload_missing", f"no place to read it from: {path!r}, {offset}")
        if self.root and not refetched and not storage.is_remote(path) and path[0] != "/":
            path = storage.join(self.root, path)
        try:
            part = Part(self._open_files.get(path), path, offset, length or None)
            record = self._record(part, f"{path} at {offset}", None if refetched else doc)
        except InputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise DocumentError("payload_missing", f"{path}: there is no such file") from None
            raise
        self._take(doc, record, f"{path} at {offset}", refetched)

    def _record(self, part: Part, place: str, doc: Document | None) -> Record:
        """Return the record at an offset; where several share its member, that of the document."""
        raw = Raw(part)  # type: ignore[arg-type]  # it reads, seeks and tells
        raw.ahead(LOOK_AHEAD)
        head = raw.head(LOOK_AHEAD)
        if not (head.startswith(b"\x1f\x8b\x08") or frame_codec(head)) and not starts_record(
            head.lstrip(b"\r\n")
        ):
            raise DocumentError("payload_missing", f"{place}: no record starts there")
        packed = bool(container(raw))
        first: Record | None = None
        for record in _of_one_member(raw, packed, self.max_record_bytes):
            first = first or record
            # IndexReader's ids are no record's: a record alone in its member needs none.
            if doc is None or not packed or _is_of(record, doc):
                return record
        if first is None:
            raise DocumentError("payload_missing", f"{place}: no record starts there")
        return first

    def _take(self, doc: Document, record: Record, place: str, refetched: bool) -> None:
        """Check a record and give its payload to the document."""
        if record.reason:
            raise DocumentError(record.reason, f"{place}: {record.message}")
        if record.cut:
            message = f"{place}: larger than max_record_bytes={self.max_record_bytes}"
            raise DocumentError("record_too_large", message)
        page = saved(record)
        digest = payload_digest(page.body)
        expected = None if refetched else doc.metadata.get("payload_digest")
        if expected and expected != digest:
            raise DocumentError("payload_changed", f"{place}: has {digest}, not {expected}")
        if not expected and (fault := digest_fault(record, page, self.max_body_bytes)):
            raise DocumentError("digest_mismatch", f"{place}: {fault}")
        try:
            decoded = decode_pdf(page.body, page.http, self.max_body_bytes)
        except BodyTooLarge:
            message = f"{place}: unpacks to more than max_body_bytes={self.max_body_bytes}"
            raise DocumentError("body_too_large", message) from None
        if not decoded.data:
            reason = "body_damaged" if decoded.damage else "empty_body"
            raise DocumentError(reason, f"{place}: nothing of the body can be decoded")
        doc.payload = decoded.data
        if refetched:
            return
        doc.metadata["payload_digest"] = digest
        if "is_truncated" in doc.metadata and doc.metadata["is_truncated"] is None:
            dump = doc.metadata.get("dump") or ""
            limit = crawl_limit(dump) if self.limit_bytes is None else self.limit_bytes
            cause = why_truncated(field_text(record, b"warc-truncated"), page, decoded, limit)
            doc.metadata["truncated_by"], doc.metadata["is_truncated"] = cause, cause is not None


class _OpenFiles:
    """The archives that were read last; documents come in the order of their archives."""

    def __init__(self) -> None:
        self._files: dict[str, BinaryIO] = {}

    def get(self, path: str) -> BinaryIO:
        if path not in self._files:
            while len(self._files) >= _MAX_OPEN:
                self._files.pop(next(iter(self._files))).close()
            try:
                self._files[path] = storage.open_input(path)
            except CurateError:
                raise
            except Exception as error:  # every store raises its own kinds
                why = " ".join(str(error).split())[:300]
                raise InputError(f"{path}: cannot be opened: {why}") from error
        return self._files[path]

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].close()


def _is_of(record: Record, doc: Document) -> bool:
    placed = replace(record, offset=doc.metadata["offset"])
    return document_id(doc.metadata["file_path"], placed) == doc.id


def _of_one_member(raw: Raw, packed: bool, max_bytes: int) -> Iterator[Record]:
    """Yield the records of the first member; of a file that is not packed the first record."""
    for record in read_records(Window(pieces_of(raw, packed), packed), max_bytes):
        if record.offset != 0:
            return
        yield record
        if record.reason in _MEMBER_ENDS:  # what follows is searched through the whole file
            return
