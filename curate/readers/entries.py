"""What a record of an archive is for the readers: whether it enters, its name, what it saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .http_body import media_type, parse_response
from .warc_records import Record

_PAGE_SCHEMES = (b"http:", b"https:")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a record saved of a page.

    Attributes:
        body: the payload as it is stored, its codings not undone.
        status: the HTTP status; None where there is none.
        http: the fields of the response, names in lower case.
        content_type: the declared type, as it stands there.
    """

    body: bytes
    status: int | None
    http: Mapping[bytes, bytes]
    content_type: bytes


def enters(record: Record) -> bool:
    """Tell whether the record is a candidate for the dataset.

    A resource is: a page saved without its HTTP headers. One without an HTTP URL is a crawler's
    own: a log, a screenshot.
    """
    if record.kind == "resource":
        return _uri(record.fields).lower().startswith(_PAGE_SCHEMES)
    return record.kind in ("response", "conversion")


def saved(record: Record) -> Saved:
    """Take a record's block apart."""
    if record.kind == "response" and _is_http(record):
        response = parse_response(record.block)
        http = response.fields
        declared = http.get(b"content-type", b"")
        return Saved(record.block[response.start :], response.status, http, declared)
    return Saved(record.block, None, {}, record.fields.get(b"content-type", b""))


def document_id(path: str, record: Record) -> str:
    """Return the WARC-Record-ID.

    A place or a record without one is named by where it is, `<path>#<offset>`.
    """
    place = f"{path}#{record.offset}"
    if record.position not in (0, record.offset):
        place += f"+{record.position}"
    return field_text(record, b"warc-record-id") or place


def url_of(record: Record) -> str:
    """Return the WARC-Target-URI; "" if there is none."""
    return _uri(record.fields).decode("utf-8", "replace")


def field_text(record: Record, name: bytes) -> str:
    """Return a field of the WARC header as text; "" if there is none."""
    return record.fields.get(name, b"").decode("utf-8", "replace")


def _is_http(record: Record) -> bool:
    declared = media_type(record.fields.get(b"content-type", b""))
    return declared in ("application/http", "") or record.block.startswith(b"HTTP/")


def _uri(fields: Mapping[bytes, bytes]) -> bytes:
    uri = fields.get(b"warc-target-uri", b"").strip()
    # wget puts the angle brackets of the standard's grammar around it.
    return uri[1:-1].strip() if uri[:1] == b"<" and uri[-1:] == b">" else uri
