"""WarcReader: pages from WARC and ARC files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..document import Document
from ..steps import Drop, Failure, Reader
from .charset import decode, find_charset
from .containers import Raw, container, pieces
from .digests import payload_digest
from .entries import document_id, enters, field_text, saved, url_of
from .http_body import BodyTooLarge, decode_body, media_type, sniff_type
from .warc_records import Record, Window, read_records

Fate = Drop | Failure | None

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_COLUMNS = {
    "url": "string",
    "date": "string",
    "dump": "string",
    "file_path": "string",
    "offset": "int64",
    "charset": "string",
    "charset_source": "string",
    "truncated": "string",
}


@dataclass(frozen=True)
class WarcReader(Reader):
    """Read the pages of WARC and ARC files; plain, gzip, zstd or lz4, told by content.

    `response` and `conversion` records enter, and `resource` records with an HTTP URL; others
    (requests, metadata, revisits) are no pages and are passed over.

    Args:
        paths: the files.
        dump: the crawl they belong to, for the column of that name.
        content_types: the types of page to read; a `conversion` may also be text/plain.
        statuses: the HTTP status codes to read, first and last. A response without one is read.
        max_record_bytes: a larger record is a failure; bounds memory.
        max_body_bytes: a body that unpacks to more is a failure.
        digest_payloads: set the column `payload_digest`, by which `exact_dedup(by="payload")`
            compares; takes 0.1 ms a page.

    Drops: `not_html`, `http_status` (value: the status), `empty_body`.

    Failures of a record: `no_uri`, `record_too_large`, `body_too_large`, `body_damaged` (nothing of
    it can be decoded; what can is kept and named in the column `truncated`).

    Failures of a place of the file, with its `offset`: `gzip_damaged`, `zstd_damaged`,
    `lz4_damaged`, `needs_dictionary`, `clipped`, `garbage`, `bad_header`, `bad_length` (not a
    number), `wrong_length`; of the file, `not_a_warc` and `empty_file`.
    """

    name = "warc"
    version = 2
    reasons = ("not_html", "http_status", "empty_body")
    libraries = ("resiliparse",)

    paths: str = field(metadata={"fingerprint": False})
    dump: str = ""
    content_types: tuple[str, ...] = _HTML_TYPES
    # DIFFERS: the reference does not look at the status; Common Crawl's warc/ holds only 200.
    statuses: tuple[int, int] = (200, 299)
    max_record_bytes: int = 64 << 20
    max_body_bytes: int = 64 << 20
    digest_payloads: bool = False

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on a parameter
        """Where a page is from and how it is written, and its digest where that is asked for."""
        digest = {"payload_digest": "string"} if self.digest_payloads else {}
        return {**_COLUMNS, **digest}

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Fate]]:
        raw = Raw(stream)
        packed = bool(container(raw))
        empty = True
        for record in read_records(Window(pieces(raw, packed), packed), self.max_record_bytes):
            empty = False
            if record.reason:
                yield self._document(path, record), Failure(record.reason, record.message)
            elif enters(record):
                doc = self._document(path, record)
                fate = self._fill(doc, record)
                if fate is not None:
                    doc.text, doc.payload = "", None
                yield doc, fate
        if empty:
            yield self._document(path, Record(0, 0)), Failure("empty_file", "no bytes to read")

    def _document(self, path: str, record: Record) -> Document:
        """Return the record's document without its body."""
        metadata: dict[str, Any] = {
            "url": url_of(record) or None,
            "date": field_text(record, b"warc-date") or None,
            "dump": self.dump,
            "file_path": path,
            "offset": record.offset,
            "charset": None,
            "charset_source": None,
            "truncated": field_text(record, b"warc-truncated") or None,
        }
        return Document(document_id(path, record), metadata=metadata)

    def _fill(self, doc: Document, record: Record) -> Fate:
        """Set the payload of `doc` and its charset; return its fate."""
        if not doc.metadata["url"]:
            return Failure("no_uri", "the record has no WARC-Target-URI")
        page = saved(record)
        if page.status is not None and not self._accepts_status(page.status):
            return Drop("http_status", value=page.status)
        identified = media_type(record.fields.get(b"warc-identified-payload-type", b""))
        kind = identified or media_type(page.content_type)
        if kind and not self._accepts_type(kind, record):
            return Drop("not_html")
        if record.cut:
            message = f"the record is larger than max_record_bytes={self.max_record_bytes}"
            return Failure("record_too_large", message)
        try:
            decoded = decode_body(page.body, page.http, self.max_body_bytes)
        except BodyTooLarge:
            message = f"the body unpacks to more than max_body_bytes={self.max_body_bytes}"
            return Failure("body_too_large", message)
        if not decoded.data:
            if decoded.damage:
                return Failure("body_damaged", "nothing of the body can be decoded")
            return Drop("empty_body")
        kind = kind or sniff_type(decoded.data)
        if not self._accepts_type(kind, record):
            return Drop("not_html")
        charset, source = find_charset(decoded.data, page.content_type)
        doc.payload = decoded.data
        doc.metadata["charset"], doc.metadata["charset_source"] = charset, source
        if decoded.damage:
            doc.metadata["truncated"] = decoded.damage
        if self.digest_payloads:
            doc.metadata["payload_digest"] = payload_digest(page.body)
        if kind == "text/plain":
            doc.text = decode(decoded.data, charset)
        return None

    def _accepts_status(self, status: int) -> bool:
        return self.statuses[0] <= status <= self.statuses[1]

    def _accepts_type(self, kind: str, record: Record) -> bool:
        extracted = record.kind == "conversion" and kind == "text/plain"
        return extracted or kind in self.content_types
