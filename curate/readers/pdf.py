"""PdfWarcReader: PDFs from WARC and ARC files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..document import Document
from ..steps import Drop, Failure, Reader
from .containers import Raw, container, pieces
from .digests import digest_fault, payload_digest
from .entries import Saved, document_id, enters, field_text, saved, url_of
from .http_body import BodyTooLarge, media_type
from .pdf_signs import (
    claims_pdf,
    crawl_limit,
    crawl_of,
    decode_pdf,
    has_pdf_header,
    starts_as_pdf,
    why_truncated,
)
from .warc_records import Record, Window, read_records

Fate = Drop | Failure | None

# What is known of a PDF before it is read, whichever reader has found it.
FOUND_COLUMNS = {
    "url": "string",
    "date": "string",
    "dump": "string",
    "file_path": "string",
    "offset": "int64",
    "length": "int64",
    "mime": "string",
    "truncated_by": "string",
    "is_truncated": "bool",
    "payload_digest": "string",
}


@dataclass(frozen=True)
class PdfWarcReader(Reader):
    """Find the PDFs in WARC and ARC files; plain, gzip, zstd or lz4, told by content.

    A PDF is what has `%PDF-` in its first KiB, whatever it is declared as. What is declared as one
    or lies under a URL path that ends in .pdf, and has it not, is no PDF and is told apart from
    the rest. Which records enter is as in WarcReader.

    Args:
        paths: the files.
        dump: the crawl they belong to; where it is empty, the one that a file's path names.
        limit_bytes: how many bytes of a payload the crawl keeps; a payload of as many is
            truncated. None: that of Common Crawl's `dump`, and no limit for any other; 0: none.
        statuses: the HTTP status codes to read, first and last. A response without one is read.
        max_record_bytes: a larger record is a failure; bounds memory.
        max_body_bytes: a body that unpacks to more is a failure.
        verify_digests: fail a record none of whose digests fits what is stored.

    Columns: those of `FOUND_COLUMNS`. `length` is None where several records share a member;
    `truncated_by` says why `is_truncated` (`pdf_signs.why_truncated`), None for a whole PDF.

    Drops: `not_pdf`, `no_pdf_header` (only claims to be one), `http_status` (value: the status),
    `empty_body`.

    Failures of a record: those of WarcReader, and `digest_mismatch`.
    """

    name = "pdf_warc"
    version = 2
    reasons = ("not_pdf", "no_pdf_header", "http_status", "empty_body")
    columns = FOUND_COLUMNS

    paths: str = field(metadata={"fingerprint": False})
    dump: str = ""
    limit_bytes: int | None = None
    # DIFFERS: the reference does not look at the status; Common Crawl's warc/ holds only 200.
    statuses: tuple[int, int] = (200, 299)
    max_record_bytes: int = 64 << 20
    max_body_bytes: int = 64 << 20
    verify_digests: bool = True

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Fate]]:
        raw = Raw(stream)
        packed = bool(container(raw))
        records = read_records(Window(pieces(raw, packed), packed), self.max_record_bytes)
        empty = True
        for record, length in _with_lengths(records, raw):
            empty = False
            if record.reason:
                doc = self._document(path, record, None)
                yield doc, Failure(record.reason, record.message)
            elif enters(record):
                doc = self._document(path, record, length)
                yield doc, self._fill(doc, record)
        if empty:
            doc = self._document(path, Record(0, 0), None)
            yield doc, Failure("empty_file", "no bytes to read")

    def _document(self, path: str, record: Record, length: int | None) -> Document:
        metadata: dict[str, Any] = {
            "url": url_of(record) or None,
            "date": field_text(record, b"warc-date") or None,
            "dump": self.dump or crawl_of(path),
            "file_path": path,
            "offset": record.offset,
            "length": length,
            "mime": None,
            "truncated_by": field_text(record, b"warc-truncated") or None,
            "is_truncated": None,
            "payload_digest": None,
        }
        return Document(document_id(path, record), metadata=metadata)

    def _fill(self, doc: Document, record: Record) -> Fate:
        """Set the payload of `doc` and what is known of it; return its fate."""
        if not doc.metadata["url"]:
            return Failure("no_uri", "the record has no WARC-Target-URI")
        page = saved(record)
        doc.metadata["mime"] = media_type(page.content_type) or None
        if page.status is not None and not self.statuses[0] <= page.status <= self.statuses[1]:
            return Drop("http_status", value=page.status)
        identified = media_type(record.fields.get(b"warc-identified-payload-type", b""))
        claims = claims_pdf((doc.metadata["mime"], identified), doc.metadata["url"])
        try:
            if not claims and not starts_as_pdf(page, self.max_body_bytes):
                return Drop("not_pdf")
            if record.cut:
                message = f"the record is larger than max_record_bytes={self.max_record_bytes}"
                return Failure("record_too_large", message)
            return self._judge(doc, record, page)
        except BodyTooLarge:
            message = f"the body unpacks to more than max_body_bytes={self.max_body_bytes}"
            return Failure("body_too_large", message)

    def _judge(self, doc: Document, record: Record, page: Saved) -> Fate:
        decoded = decode_pdf(page.body, page.http, self.max_body_bytes)
        if not decoded.data and decoded.damage:
            return Failure("body_damaged", "nothing of the body can be decoded")
        if not decoded.data:
            return Drop("empty_body")
        if not has_pdf_header(decoded.data):
            return Drop("no_pdf_header")
        if self.verify_digests and (fault := digest_fault(record, page, self.max_body_bytes)):
            return Failure("digest_mismatch", fault)
        limit = crawl_limit(doc.metadata["dump"]) if self.limit_bytes is None else self.limit_bytes
        cause = why_truncated(doc.metadata["truncated_by"] or "", page, decoded, limit)
        doc.metadata["truncated_by"], doc.metadata["is_truncated"] = cause, cause is not None
        doc.metadata["payload_digest"] = payload_digest(page.body)
        doc.payload = decoded.data
        return None


def _with_lengths(records: Iterable[Record], raw: Raw) -> Iterator[tuple[Record, int | None]]:
    """Yield each record with the bytes from its offset to the next one's or the file's end.

    None where it shares its member with others: they have one offset.
    """
    last: Record | None = None
    shared = False
    for record in records:
        if last is not None:
            same = record.offset == last.offset
            yield last, None if same or shared else record.offset - last.offset
            shared = same
        last = record
    if last is not None:
        yield last, None if shared else raw.at - last.offset
