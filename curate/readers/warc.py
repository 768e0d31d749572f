"""WarcReader: pages from WARC and ARC files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..document import Document
from ..steps import Drop, Failure, Reader
from .charset import decode, find_charset
from .containers import Raw, container, pieces
from .http_body import BodyTooLarge, decode_body, media_type, parse_response, sniff_type
from .warc_records import Record, Window, read_records

Fate = Drop | Failure | None

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_PAGE_SCHEMES = (b"http:", b"https:")


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

    Drops: `not_html`, `http_status` (value: the status), `empty_body`.

    Failures of a record: `no_uri`, `record_too_large`, `body_too_large`, `body_damaged` (nothing of
    it can be decoded; what can is kept and named in the column `truncated`).

    Failures of a place of the file, with its `offset`: `gzip_damaged`, `zstd_damaged`,
    `lz4_damaged`, `needs_dictionary`, `clipped`, `garbage`, `bad_header`, `bad_length` (not a
    number), `wrong_length`; of the file, `not_a_warc` and `empty_file`.
    """

    name = "warc"
    reasons = ("not_html", "http_status", "empty_body")
    columns = {
        "url": "string",
        "date": "string",
        "dump": "string",
        "file_path": "string",
        "offset": "int64",
        "charset": "string",
        "charset_source": "string",
        "truncated": "string",
    }
    libraries = ("resiliparse",)

    paths: str = field(metadata={"fingerprint": False})
    dump: str = ""
    content_types: tuple[str, ...] = _HTML_TYPES
    # DIFFERS: the reference does not look at the status; Common Crawl's warc/ holds only 200.
    statuses: tuple[int, int] = (200, 299)
    max_record_bytes: int = 64 << 20
    max_body_bytes: int = 64 << 20

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Fate]]:
        raw = Raw(stream)
        packed = bool(container(raw))
        empty = True
        for record in read_records(Window(pieces(raw, packed), packed), self.max_record_bytes):
            empty = False
            if record.reason:
                yield self._document(path, record), Failure(record.reason, record.message)
            elif _enters(record):
                doc = self._document(path, record)
                fate = self._fill(doc, record)
                if fate is not None:
                    doc.text, doc.payload = "", None
                yield doc, fate
        if empty:
            yield self._document(path, Record(0, 0)), Failure("empty_file", "no bytes to read")

    def _document(self, path: str, record: Record) -> Document:
        """Return the record's document without its body.

        A place or a record without an id is named by where it is, `<path>#<offset>`.
        """
        fields = record.fields
        place = f"{path}#{record.offset}"
        if record.position not in (0, record.offset):
            place += f"+{record.position}"
        metadata: dict[str, Any] = {
            "url": _url(fields) or None,
            "date": _text(fields, b"warc-date") or None,
            "dump": self.dump,
            "file_path": path,
            "offset": record.offset,
            "charset": None,
            "charset_source": None,
            "truncated": _text(fields, b"warc-truncated") or None,
        }
        return Document(_text(fields, b"warc-record-id") or place, metadata=metadata)

    def _fill(self, doc: Document, record: Record) -> Fate:
        """Set the payload of `doc` and its charset; return its fate."""
        fields, body = record.fields, record.block
        declared = fields.get(b"content-type", b"")
        http: Mapping[bytes, bytes] = {}
        if not doc.metadata["url"]:
            return Failure("no_uri", "the record has no WARC-Target-URI")
        if record.kind == "response" and _is_http(record):
            response = parse_response(body)
            http, body = response.fields, body[response.start :]
            declared = http.get(b"content-type", b"")
            if response.status is not None and not self._accepts_status(response.status):
                return Drop("http_status", value=response.status)
        identified = media_type(fields.get(b"warc-identified-payload-type", b""))
        kind = identified or media_type(declared)
        if kind and not self._accepts_type(kind, record):
            return Drop("not_html")
        if record.cut:
            message = f"the record is larger than max_record_bytes={self.max_record_bytes}"
            return Failure("record_too_large", message)
        try:
            decoded = decode_body(body, http, self.max_body_bytes)
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
        charset, source = find_charset(decoded.data, declared)
        doc.payload = decoded.data
        doc.metadata["charset"], doc.metadata["charset_source"] = charset, source
        if decoded.damage:
            doc.metadata["truncated"] = decoded.damage
        if kind == "text/plain":
            doc.text = decode(decoded.data, charset)
        return None

    def _accepts_status(self, status: int) -> bool:
        return self.statuses[0] <= status <= self.statuses[1]

    def _accepts_type(self, kind: str, record: Record) -> bool:
        extracted = record.kind == "conversion" and kind == "text/plain"
        return extracted or kind in self.content_types


def _enters(record: Record) -> bool:
    """Tell whether the record is a candidate for the dataset.

    A resource is: a page saved without its HTTP headers. One without an HTTP URL is a crawler's
    own: a log, a screenshot.
    """
    if record.kind == "resource":
        return _uri(record.fields).lower().startswith(_PAGE_SCHEMES)
    return record.kind in ("response", "conversion")


def _is_http(record: Record) -> bool:
    declared = media_type(record.fields.get(b"content-type", b""))
    return declared in ("application/http", "") or record.block.startswith(b"HTTP/")


def _uri(fields: Mapping[bytes, bytes]) -> bytes:
    uri = fields.get(b"warc-target-uri", b"").strip()
    # wget puts the angle brackets of the standard's grammar around it.
    return uri[1:-1].strip() if uri[:1] == b"<" and uri[-1:] == b">" else uri


def _url(fields: Mapping[bytes, bytes]) -> str:
    return _uri(fields).decode("utf-8", "replace")


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")
