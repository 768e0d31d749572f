"""Random bytes and texts: no reader, decoder or step ends in anything but its own outcomes."""

from __future__ import annotations

import gzip
import io
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.document import Document
from curate.errors import CurateError
from curate.filters.c4 import C4QualityFilter
from curate.filters.fineweb import FineWebQualityFilter
from curate.filters.gopher import GopherQualityFilter, GopherRepetitionFilter
from curate.filters.language import LanguageFilter
from curate.filters.url import UrlFilter
from curate.formatters.pii import PiiFormatter
from curate.readers.charset import decode, find_charset
from curate.readers.heads import parse_fields, parse_head, starts_record
from curate.readers.http_body import BodyTooLarge, decode_body
from curate.readers.records import JsonlReader, ParquetReader
from curate.readers.warc import WarcReader
from curate.steps import Drop, Reader, Step

from ..warc_files import http, page, record

# What an ARC line is in one expression, whose search takes cubic time.
ARC_LINE = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]{1,15}:[^\n]{0,8192}?) ([0-9A-Fa-f.:]+|-) (\d{12,18}) "
    rb"([^\n]{0,1024}? )?([^\s]{1,20})[ \t\r]*\n"
)
WORDS = ["http://a.example/", " ", "-", "1.2.3.4", "20240101120000", "text/html", "12", "\t", "\r"]
ARC_TEXTS = st.lists(st.sampled_from([*WORDS, "ab:", "filedesc:", "x y", "123456789012"]))
STEPS = [
    UrlFilter(),
    LanguageFilter(("en",), min_score=0.65),
    GopherRepetitionFilter(),
    GopherQualityFilter(),
    C4QualityFilter(),
    FineWebQualityFilter(),
    PiiFormatter(),
]
PARTS = st.sampled_from(
    [
        *(page(1), page(2)[:-1], gzip.compress(page(3)), gzip.compress(page(4))[:-5]),
        *(b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"WARC/1.0\r\n", b"\r\n\r\n"),
        *(b"Content-Length: 5\r\n", b"\0"),
    ]
)
FILES = st.lists(PARTS | st.binary(max_size=50), max_size=8).map(b"".join)
TEXTS = st.text(st.characters(), max_size=300) | st.lists(
    st.sampled_from(
        ["a@b.example", "10.0.0.1", "\ud800", "\0", "{", "lorem ipsum", "\n", "。", "e.g."]
    )
).map(" ".join)


@pytest.mark.parametrize("reader", [WarcReader("x"), JsonlReader("x"), ParquetReader("x")])
@settings(max_examples=150, deadline=None)
@given(data=FILES)
@example(data=b"")
@example(data=b"http:a - 123456789012 \n")
def test_any_bytes_are_read_to_their_end(reader: Reader, data: bytes) -> None:
    """Each entry is a document, a drop or a failure; a file that is none says so."""
    try:
        for doc, _ in reader.read("x", io.BytesIO(data)):
            assert doc.id
    except CurateError:
        assert not isinstance(reader, WarcReader)


@settings(max_examples=300, deadline=None)
@given(parts=ARC_TEXTS, end=st.sampled_from(["\n", " \r\n", ""]))
@example(parts=["ab:", " ", "-", " ", "123456789012", " ", " ", "12"], end="\n")
@example(parts=["ab:", " 1 123456789012 \t", "x"], end="\n")
def test_an_arc_line_is_what_the_expression_says(parts: list[str], end: str) -> None:
    """Reading it by hand is faster, and nothing else."""
    line = ("".join(parts) + end).encode()
    match = ARC_LINE.match(line)
    assert starts_record(line, 0, True) == bool(match)
    if match:
        head = parse_head(line)
        assert head is not None
        assert head.fields[b"warc-target-uri"] == match[1]
        assert head.fields[b"content-length"] == match[5]


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200),
    codings=st.lists(st.sampled_from(["gzip", "br", "deflate", "zstd", "x", ""]), max_size=10),
    chunked=st.booleans(),
)
def test_any_body_is_decoded_within_the_limit(
    data: bytes, codings: list[str], chunked: bool
) -> None:
    """Whatever its header says of it."""
    fields = {b"content-encoding": ",".join(codings).encode()}
    if chunked:
        fields[b"transfer-encoding"] = b"chunked"
    with suppress(BodyTooLarge):
        assert len(decode_body(data, fields, 1000).data) <= 1000


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), declared=st.text(st.characters(codec="latin-1"), max_size=30))
def test_any_bytes_have_a_charset_and_decode(data: bytes, declared: str) -> None:
    """And the text is valid Unicode."""
    charset, _ = find_charset(data, declared.encode("latin-1"))
    decode(data, charset).encode()


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_lines_are_fields(data: bytes) -> None:
    """Names are in lower case and never empty."""
    assert all(name and name == name.lower() for name in parse_fields(data))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@settings(max_examples=80, deadline=None)
@given(text=TEXTS, url=TEXTS)
def test_any_text_is_kept_or_dropped_for_a_known_reason(step: Step, text: str, url: str) -> None:
    """URLs with control characters and texts with lone surrogates among them."""
    metadata: dict[str, Any] = {"url": url}
    doc = Document("x", text, metadata=metadata)
    try:
        fate = step.apply(doc)
    except CurateError:
        return
    assert fate is None or (isinstance(fate, Drop) and fate.reason in step.reasons)


def test_a_url_with_control_characters_stays_in_its_column() -> None:
    """It is a value and never a path or a line."""
    url = "http://a.example/\x00\x1b[31m/../../etc/passwd\t"
    data = record(http(), url=url)
    (found,) = WarcReader("x").read("x", io.BytesIO(data))
    assert "\n" not in found[0].metadata["url"]
