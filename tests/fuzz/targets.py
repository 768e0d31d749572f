"""What is fuzzed: functions of bytes that return, whatever the bytes, or raise for a defect."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from curate.document import Document
from curate.errors import CurateError, DocumentError
from curate.extract.html import HtmlExtractor
from curate.filters.c4 import C4QualityFilter
from curate.filters.fineweb import FineWebQualityFilter
from curate.filters.gopher import GopherQualityFilter, GopherRepetitionFilter
from curate.filters.language import LanguageFilter
from curate.filters.url import UrlFilter
from curate.formatters.pii import PiiFormatter
from curate.readers.charset import decode, find_charset
from curate.readers.http_body import (
    BodyTooLarge,
    decode_body,
    media_type,
    parse_response,
    sniff_type,
)
from curate.readers.records import JsonlReader, ParquetReader
from curate.readers.warc import WarcReader
from curate.steps import Drop, Reader, Step

_LIMIT = 1 << 16


def read_warc(data: bytes) -> None:
    """A file is archives, damage, or both; each entry has a name."""
    _read(WarcReader("x"), data)


def read_jsonl(data: bytes) -> None:
    """Each line is a document or a failure."""
    _read(JsonlReader("x", keep=(("url", "string"), ("n", "int64"))), data)


def read_parquet(data: bytes) -> None:
    """A file is refused, or each row is a document or a failure."""
    with suppress(CurateError):
        _read(ParquetReader("x"), data)


def _read(reader: Reader, data: bytes) -> None:
    for doc, fate in reader.read("x", io.BytesIO(data)):
        assert doc.id
        doc.id.encode()
        if fate is None:
            doc.text.encode()


def read_response(data: bytes) -> None:
    """A body is never larger than it may be."""
    response = parse_response(data)
    media_type(response.fields.get(b"content-type", b""))
    with suppress(BodyTooLarge):
        body = decode_body(data[response.start :], response.fields, _LIMIT).data
        assert len(body) <= _LIMIT
        sniff_type(body)


def read_text(data: bytes) -> None:
    """The first line declares a charset; what follows is valid Unicode in the one that is found."""
    declared, _, body = data.partition(b"\n")
    charset, _ = find_charset(body, declared)
    decode(body, charset).encode()


def extract_html(data: bytes) -> None:
    """A page has a text, or fails for a reason."""
    with suppress(DocumentError):
        HtmlExtractor().extract(data, "http://a.example/").text.encode()


def filter_text(data: bytes) -> None:
    """A text is kept, or dropped for a reason that the filter names."""
    for step in _filters():
        doc = Document("x", _text(data), metadata={"url": "http://a.example/"})
        with suppress(DocumentError):
            fate = step.apply(doc)
            assert fate is None or (isinstance(fate, Drop) and fate.reason in step.reasons)


def filter_url(data: bytes) -> None:
    """The same for its address."""
    step = _url_filter()
    with suppress(DocumentError):
        fate = step.apply(Document("x", "a text", metadata={"url": _text(data)}))
        assert fate is None or (isinstance(fate, Drop) and fate.reason in step.reasons)


def replace_pii(data: bytes) -> None:
    """What was replaced needs no replacing again."""
    doc = Document("x", _text(data))
    PiiFormatter().apply(doc)
    once = doc.text
    PiiFormatter().apply(doc)
    assert doc.text == once, f"{once!r} becomes {doc.text!r}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@lru_cache
def _filters() -> tuple[Step, ...]:
    steps = (
        LanguageFilter(("en",), min_score=0.65),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(),
        FineWebQualityFilter(),
    )
    for step in steps:
        step.setup()
    return steps


@lru_cache
def _url_filter() -> Step:
    step = UrlFilter(
        extra_domains=("bad.example",), extra_hard_words=("bad",), extra_soft_words=("so", "so-so")
    )
    step.setup()
    return step


TARGETS: dict[str, Callable[[bytes], None]] = {
    "warc": read_warc,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "response": read_response,
    "charset": read_text,
    "html": extract_html,
    "filters": filter_text,
    "url": filter_url,
    "pii": replace_pii,
}
