"""WARC records of what was asked and answered."""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Sequence
from functools import cache
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..errors import CurateError, InputError
from ..readers.containers import Raw, pieces
from ..readers.http_body import parse_response
from ..readers.warc_records import Record, Window, read_records
from ..storage import open_input
from .client import Answer

if TYPE_CHECKING:
    from yarl import URL

_NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
OUTCOME = "Refetch-Outcome"  # in the metadata record of a URL that gave nothing
_SPACE = " \t\r"  # around a header; Python strips letters of UTF-8 that is read as Latin-1
_IN_MEMORY_BYTES = 4 << 20
_HEAD_BYTES = 1 << 20  # room for the head of an answer beside its body
_LEVEL = 1  # PDFs are compressed inside; more effort saves under 1 %


def encode(
    answers: Sequence[Answer], url: str, cause: str = "", message: str = ""
) -> tuple[IO[bytes], int]:
    """Return the records of one URL, gzip per record, and where the last response starts in them.

    Args:
        answers: of each hop, the last one last. They are closed.
        url: what was asked for first.
        cause: why it failed; kept in a record of its own, so that a replay fails alike.
        message: the same for a person.
    """
    out = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)
    offset = 0
    for answer, after in zip(answers, (*answers[1:], None), strict=False):
        offset = out.tell()
        _write_pair(out, answer, after.archived if after else None)
        answer.close()
    if cause:
        fields = f"{OUTCOME}: {cause}\r\nRefetch-Message: {' '.join(message.split())}\r\n"
        _write(out, "metadata", url, fields.encode(errors="replace"), "application/warc-fields")
    return out, offset


def warcinfo(agent: str) -> bytes:
    """Return the record at the head of an archive."""
    out = io.BytesIO()
    fields = (
        f"software: curate/{__version__}\r\nformat: WARC File Format 1.1\r\nrobots: obey\r\n"
        f"http-header-user-agent: {agent}\r\n"
    )
    _write(out, "warcinfo", None, fields.encode(), "application/warc-fields")
    return out.getvalue()


def read_record(path: str, offset: int, max_bytes: int) -> Record:
    """Read the one record that starts at `offset` of a WARC file.

    Raises:
        InputError: there is none.
    """
    with open_input(path) as stream:
        stream.seek(offset)
        records = read_records(Window(pieces(Raw(stream), True), True), max_bytes)
        record = next(records, None)
    if record is None or record.reason:
        raise InputError(f"{path}: no record can be read at byte {offset}.")
    return record


def load(path: str, offset: int, url: URL, max_bytes: int) -> Answer | None:
    """Return the archived answer of a URL, of a body up to so many bytes; None if it is gone."""
    try:
        record = read_record(path, offset, max_bytes + _HEAD_BYTES)
    except (CurateError, OSError):
        return None
    target = record.fields.get(b"warc-target-uri", b"").decode("latin-1").strip("<> ")
    if record.kind != "response" or record.cut or target != str(url):
        return None
    response = parse_response(record.block)
    if len(record.block) - response.start > max_bytes:
        return None
    first, headers = parse_head(record.block[: response.start])
    body = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)
    body.write(record.block[response.start :])
    date, identifier = (
        record.fields.get(name, b"").decode("latin-1") for name in (b"warc-date", b"warc-record-id")
    )
    answer = Answer(url, b"", date, response.status or 0, first[13:].strip(), headers, body)
    answer.size = len(record.block) - response.start
    answer.archived = (identifier, date)
    return answer


def parse_head(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the first line of a head as it was archived, and its headers in their order."""
    first, *lines = head.decode("latin-1").split("\n")
    fields = (line.partition(":") for line in lines)
    return first, [
        (name.strip(_SPACE), value.strip(_SPACE)) for name, colon, value in fields if colon
    ]


class _Member:
    """One gzip member that is written to."""

    def __init__(self, out: IO[bytes]) -> None:
        from isal import isal_zlib

        self._out = out
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, 31)

    def write(self, data: bytes) -> None:
        self._out.write(self._compressor.compress(data))

    def flush(self) -> None:
        self._out.write(self._compressor.flush())


def _write_pair(out: IO[bytes], answer: Answer, confirmed: tuple[str, str] | None) -> None:
    """Write an answer and its request; what it only confirmed follows as it was archived."""
    headers = list(answer.headers)
    if answer.header("transfer-encoding"):
        # The body is stored without it, as Common Crawl does; the new name says that it was there.
        headers = [
            (f"X-Crawl-{key}" if key.lower() == "transfer-encoding" else key, value)
            for key, value in headers
        ]
        headers.append(("Content-Length", str(answer.size)))
    fields = {"WARC-Truncated": "length"} if answer.cut else {}
    if answer.resumed_at:
        fields["Refetch-Resumed-At"] = ", ".join(map(str, answer.resumed_at))
    if confirmed is not None:
        fields["WARC-Profile"] = _NOT_MODIFIED
        fields["WARC-Refers-To"], fields["WARC-Refers-To-Date"] = confirmed
        fields["WARC-Refers-To-Target-URI"] = str(answer.url)
    if answer.archived is not None:
        fields["WARC-Record-ID"] = answer.archived[0]
    answer.body.seek(0)
    status = _head_type()(f"{answer.status} {answer.reason}", headers, "HTTP/1.1")
    identifier = _write(
        out,
        "response" if confirmed is None else "revisit",
        str(answer.url),
        answer.body,
        "",
        status,
        {"WARC-Date": answer.date} | fields,
    )
    if answer.archived is not None:
        return
    concurrent = {"WARC-Date": answer.date, "WARC-Concurrent-To": identifier}
    content_type = "application/http; msgtype=request"
    _write(out, "request", str(answer.url), answer.request, content_type, None, concurrent)


@cache
def _head_type() -> type[Any]:
    from warcio.statusandheaders import StatusAndHeaders

    class Head(StatusAndHeaders):  # type: ignore[misc]  # warcio has no types
        """A head that is written as it was received: warcio's own must become ASCII, or fails."""

        def to_ascii_bytes(self, filter_func: Any = None) -> bytes:
            return bytes(self.to_bytes(filter_func, "latin-1"))

    return Head


def _write(
    out: IO[bytes],
    kind: str,
    url: str | None,
    block: bytes | IO[bytes],
    content_type: str,
    status: Any = None,
    fields: dict[str, str] | None = None,
) -> str:
    """Write one record and return its id."""
    from warcio.warcwriter import WARCWriter

    member = _Member(out)
    writer = WARCWriter(member, gzip=False, warc_version="1.1")
    identifier = f"<urn:uuid:{uuid.uuid4()}>"
    stream = io.BytesIO(block) if isinstance(block, bytes) else block
    length = stream.seek(0, io.SEEK_END) or stream.tell()
    stream.seek(0)
    record = writer.create_warc_record(
        url,
        kind,
        payload=stream,
        length=length,
        warc_content_type=content_type,
        http_headers=status,
        warc_headers_dict={"WARC-Record-ID": identifier, **(fields or {})},
    )
    writer.write_record(record)
    return identifier
