"""What shows that a record is a PDF, and that it is not all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .entries import Saved
from .http_body import Body, decode_body

# As FinePDFs has them (finepdfs@a0492a0, blocks/utils.py).
PDF_TYPES = (
    "application/pdf",
    "application/x-pdf",
    "application/acrobat",
    "applications/vnd.pdf",
    "text/pdf",
)
# A URL whose path ends in .pdf; for Python's re and for RE2.
PDF_URL = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*/[^?#]*\.[pP][dD][fF](?:[?#]|$)"

# Common Crawl keeps so much of a payload; the first crawl with the higher limit (March 2025).
OLD_LIMIT_BYTES = 1 << 20
LIMIT_BYTES = 5 << 20
_FIRST_WITH_LIMIT = "CC-MAIN-2025-13"

HEADER_BYTES = 1 << 10
END_BYTES = 1 << 11
_CODED_START_BYTES = 1 << 14
_CRAWL = re.compile(r"(?:^|[/=])(CC-MAIN-\d{4}(?:-\d{2,4})?)(?=/|$)")
_URL = re.compile(PDF_URL)
_CODINGS = (b"content-encoding", b"transfer-encoding")


def crawl_of(path: str) -> str:
    """Return the crawl that a path names, such as CC-MAIN-2024-10; "" if it names none."""
    found = _CRAWL.search(path)
    return found[1] if found else ""


def crawl_limit(dump: str) -> int:
    """Return how many bytes of a payload the crawl keeps; 0 if that is not known."""
    if crawl_of(dump) != dump or not dump:
        return 0
    return OLD_LIMIT_BYTES if dump < _FIRST_WITH_LIMIT else LIMIT_BYTES


def claims_pdf(types: Iterable[str], url: str) -> bool:
    """Tell whether one of the types that a record states, or its URL, says PDF."""
    return any(kind in PDF_TYPES for kind in types) or _URL.search(url) is not None


def has_pdf_header(payload: bytes) -> bool:
    """Tell whether `%PDF-` stands in the first KiB, as viewers want it (ISO 32000, annex H.3.4)."""
    return payload.find(b"%PDF-", 0, HEADER_BYTES) >= 0


def starts_as_pdf(page: Saved, limit: int) -> bool:
    """Tell whether a body is a PDF, by its first bytes; cheap, for it is asked of every record.

    Raises:
        BodyTooLarge: those bytes alone unpack to more than `limit`.
    """
    if not any(page.http.get(name) for name in _CODINGS):
        return has_pdf_header(page.body)
    return has_pdf_header(decode_pdf(page.body[:_CODED_START_BYTES], page.http, limit).data)


def decode_pdf(body: bytes, http: Mapping[bytes, bytes], limit: int) -> Body:
    """Undo the codings of a body; of one that starts as a PDF there are none, whatever is said.

    Raises:
        BodyTooLarge: it would be larger than `limit` bytes.
    """
    if body.startswith(b"%PDF-"):
        http = {}
    return decode_body(body, http, limit)


def why_truncated(mark: str, page: Saved, decoded: Body, limit: int) -> str | None:
    """Return why a PDF is taken for cut; None for a whole one.

    Args:
        mark: the WARC-Truncated field.
        page: what the record saved.
        decoded: its body with the codings undone.
        limit: how many bytes of a payload the crawl keeps; 0 if it has no limit.

    Returns:
        The mark, whatever it is; "limit": the body is as long as the crawl allows; the kind of
        coding in which it ends; "content_length": the server announced more; or "no_end": no
        `%%EOF` in the last 2 KiB, where padding with spaces and zeros does not count.
    """
    if mark:
        return mark
    if limit and len(page.body) >= limit:
        return "limit"
    if decoded.damage:
        return decoded.damage
    if len(page.body) < announced_bytes(page.http):
        return "content_length"
    return None if has_pdf_end(decoded.data) else "no_end"


def has_pdf_end(payload: bytes) -> bool:
    """Tell whether `%%EOF` stands in the last 2 KiB, before any padding.

    Of 331 real files this misses 12: 8 that are no PDF and 4 that were broken by hand. Of the same
    files cut in half it passes 2, each cut behind the end of an earlier revision.
    """
    if b"%%EOF" in payload[-END_BYTES:]:
        return True
    return b"%%EOF" in payload.rstrip(b"\0 \t\r\n\f")[-END_BYTES:]


def announced_bytes(http: Mapping[bytes, bytes]) -> int:
    """Return how many bytes the server announced; 0 if that cannot be held against a body.

    Common Crawl corrects the fields and keeps the server's own as `X-Crawler-...`. With a coding
    the announced length is of coded bytes, which the archive may not hold.
    """
    for name in _CODINGS:
        for field in (name, b"x-crawler-" + name):
            if http.get(field, b"").strip().lower() not in (b"", b"identity"):
                return 0
    value = http.get(b"x-crawler-content-length") or http.get(b"content-length", b"")
    return int(value) if value.isdigit() and len(value) <= 18 else 0
