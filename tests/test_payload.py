"""Reading payloads again from where they were found, on disk and in an object store."""

from __future__ import annotations

import io
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curate.document import Document
from curate.errors import DocumentError, InputError
from curate.readers.digests import payload_digest
from curate.readers.payload import LoadPayload
from curate.readers.pdf import PdfWarcReader

from .test_pdf_reader import BLOCK, PDF, PDF_TYPE, WRONG, pdf_record
from .test_warc import ARC, CONTAINERS, arc_record
from .warc_files import http, members, page, record

BIG = PDF[:-6] + bytes(range(256)) * 9_000 + PDF[-6:]


def stored(data: bytes, path: str | Path, reader: PdfWarcReader | None = None) -> list[Document]:
    """Write an archive; return its PDFs as a later stage gets them: without their payloads."""
    reader = reader or PdfWarcReader("x", dump="test")
    Path(path).write_bytes(data)
    docs = [doc for doc, fate in reader.read(str(path), io.BytesIO(data)) if fate is None]
    return [Document(doc.id, metadata=dict(doc.metadata)) for doc in docs]


def load(doc: Document, step: LoadPayload | None = None) -> bytes | None:
    (step or LoadPayload()).apply(doc)
    return doc.payload


def failure(doc: Document, step: LoadPayload | None = None) -> str:
    """Return why the payload of a document cannot be had."""
    with pytest.raises(DocumentError) as caught:
        load(doc, step)
    assert doc.payload is None
    assert caught.value.message
    return caught.value.reason


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_payload_is_had_again(container: str, tmp_path: Path) -> None:
    """In any order, and without any column changing."""
    bodies = [PDF, BIG, PDF + b"\n", PDF * 40]
    parts = [pdf_record(n, body) for n, body in enumerate(bodies)]
    data = CONTAINERS[container]([page(7), parts[0], page(8), parts[1], page(9), *parts[2:]])
    docs = stored(data, tmp_path / "a.warc")
    before = [dict(doc.metadata) for doc in docs]
    step = LoadPayload()
    for index in (0, 1, 2, 3, 1, 0):
        docs[index].payload = None
        assert load(docs[index], step) == bodies[index]
    assert [doc.metadata for doc in docs] == before
    step.close()


def test_coded_bodies_and_arc_files_are_read_as_the_reader_read_them(tmp_path: Path) -> None:
    nameless = record(http(PDF * 2), fields=[("WARC-Record-ID", "")])
    arc = arc_record("http://example.org/x.pdf", http(PDF, PDF_TYPE), "application/pdf")
    for name, parts in (("a", [record(BLOCK), nameless]), ("b", [ARC, arc, arc])):
        for data in (b"".join(parts), b"".join(members(parts)), members([b"".join(parts)])[0]):
            docs = stored(data, tmp_path / name)
            assert [load(doc) for doc in docs] == ([PDF, PDF * 2] if name == "a" else [PDF] * 2)


def test_a_payload_that_is_there_is_kept() -> None:
    assert load(Document("x", payload=b"here")) == b"here"


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=6), st.sampled_from(list(CONTAINERS)))
def test_what_is_loaded_is_what_was_found(bodies: list[bytes], container: str) -> None:
    data = CONTAINERS[container]([pdf_record(n, PDF + body) for n, body in enumerate(bodies)])
    with tempfile.TemporaryDirectory() as folder:
        docs = stored(data, f"{folder}/a.warc")
        assert [load(doc) for doc in docs] == [PDF + body for body in bodies]


def test_a_relative_path_is_looked_for_below_the_root(tmp_path: Path) -> None:
    (doc,) = stored(pdf_record(1), tmp_path / "a.warc")
    doc.metadata["file_path"] = "a.warc"
    assert failure(doc) == "payload_missing"
    assert load(doc, LoadPayload(root=f"{tmp_path}/")) == PDF
    doc.payload, doc.metadata["file_path"] = None, f"{tmp_path}/a.warc"
    assert load(doc, LoadPayload(root="s3://not/asked")) == PDF


def test_the_refetched_file_is_taken_where_there_is_one(tmp_path: Path) -> None:
    """Its bytes are not those of the crawl, and the document goes on saying that it was cut."""
    (doc,) = stored(pdf_record(1, PDF[:-6]), tmp_path / "a.warc")
    assert doc.metadata["truncated_by"] == "no_end"
    path = tmp_path / "refetch.warc.gz"
    with path.open("wb") as archive:
        writer = WARCWriter(archive, gzip=True)
        for body in (PDF * 2, BIG):
            offset = archive.tell()
            head = StatusAndHeaders("200 OK", [("Content-Type", "application/pdf")], "HTTP/1.1")
            url = "http://example.org/files/1"
            one = writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=head)
            writer.write_record(one)
    doc.metadata.update(refetch="fetched", refetch_path=str(path), refetch_offset=offset)
    before = dict(doc.metadata)
    assert load(doc) == BIG
    assert doc.metadata == before
    doc.payload = None
    doc.metadata.update(refetch_path=None, refetch_offset=None, refetch="http_404")
    assert load(doc) == PDF[:-6]


def test_a_refetched_record_that_was_damaged_since_fails(tmp_path: Path) -> None:
    (doc,) = stored(pdf_record(1, PDF[:-6]), tmp_path / "a.warc")
    path = tmp_path / "refetch.warc"
    digests = [("WARC-Payload-Digest", payload_digest(PDF)), ("WARC-Block-Digest", WRONG)]
    refetched = record(http(PDF), fields=digests)
    path.write_bytes(refetched)
    doc.metadata.update(refetch_path=str(path), refetch_offset=0)
    assert load(doc) == PDF
    doc.payload = None
    path.write_bytes(refetched.replace(b"Catalog", b"catalog"))
    assert failure(doc) == "digest_mismatch"


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    data = b"".join(members([pdf_record(0), page(1)]))
    (doc,) = stored(data, tmp_path / "a.warc")
    places: list[dict[str, object]] = [
        {"file_path": str(tmp_path / "other.warc")},
        {"file_path": None},
        {"offset": None},
        {"offset": -1},
        {"offset": 1},
        {"offset": 1, "length": None},
        {"offset": len(data)},
        {"offset": len(data) + 1000, "length": None},
    ]
    for changed in places:
        elsewhere = Document(doc.id, metadata={**doc.metadata, **changed})
        assert failure(elsewhere) == "payload_missing"
    assert failure(Document("x")) == "payload_missing"
    (tmp_path / "empty").touch()
    doc.metadata["file_path"] = str(tmp_path / "empty")
    assert failure(doc) == "payload_missing"


@pytest.mark.parametrize(
    "container", ["plain", "gzip per record", "one gzip member", "zstd per record"]
)
def test_another_payload_at_the_place_is_changed(container: str, tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    (doc,) = stored(CONTAINERS[container]([pdf_record(1)]), path)
    doc.metadata["length"] = None
    path.write_bytes(CONTAINERS[container]([pdf_record(1, PDF.replace(b"1 0 R", b"2 0 R"))]))
    assert failure(doc) == "payload_changed"


def test_damage_since_it_was_found_has_its_own_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    first, second = members([pdf_record(0, BIG), pdf_record(1)])
    doc, _ = stored(first + second, path)
    half = len(first) // 2
    path.write_bytes(first[:half] + b"\xff" * 9 + first[half + 9 :] + second)
    assert failure(doc) == "gzip_damaged"
    path.write_bytes(first[:half])
    assert failure(doc) == "clipped"
    path.write_bytes(first + second)
    doc.metadata["length"] -= 5
    assert failure(doc) == "clipped"
    packed = [*PDF_TYPE, "Content-Encoding: gzip"]
    broken = [
        (record(http(b"\x1f\x8b\x08\xff\xff", packed)), "body_damaged"),
        (record(http(b"")), "empty_body"),
        (record(http(PDF), length="x"), "bad_length"),
        (record(http(PDF), length=3), "wrong_length"),
    ]
    for data, reason in broken:
        path.write_bytes(data + page(1))
        assert failure(Document("x", metadata={"file_path": str(path), "offset": 0})) == reason


def test_what_is_too_large_fails(tmp_path: Path) -> None:
    (doc,) = stored(members([pdf_record(0, BIG)])[0], tmp_path / "a.warc")
    assert failure(doc, LoadPayload(max_record_bytes=len(BIG))) == "record_too_large"
    assert failure(doc, LoadPayload(max_body_bytes=len(BIG) - 1)) == "body_too_large"
    assert load(doc, LoadPayload(max_body_bytes=len(BIG))) == BIG


@pytest.mark.parametrize(
    ("body", "fields", "cause"),
    [
        (PDF, [], None),
        (PDF[:-6], [], "no_end"),
        (PDF, [("WARC-Truncated", "time")], "time"),
        (PDF[:-6] + b" " * (1 << 20) + PDF[-6:], [], "limit"),
    ],
)
def test_whether_a_payload_is_whole_is_found_out_where_nobody_has(
    body: bytes, fields: list[tuple[str, str]], cause: str | None, tmp_path: Path
) -> None:
    """The index says little of it, that of an old crawl nothing; a document's word stands."""
    reader = PdfWarcReader("x", dump="CC-MAIN-2018-05")
    (doc,) = stored(record(http(body), fields=fields), tmp_path / "a.warc", reader)
    known = dict(doc.metadata)
    doc.metadata.update(truncated_by=None, is_truncated=None, payload_digest=None)
    load(doc)
    assert doc.metadata == known
    assert doc.metadata["truncated_by"] == cause
    asked = Document(doc.id, metadata={**known, "truncated_by": None, "is_truncated": False})
    load(asked)
    assert asked.metadata["is_truncated"] is False
    doc.metadata["is_truncated"] = doc.payload = None
    load(doc, LoadPayload(limit_bytes=0))
    assert doc.metadata["truncated_by"] == (None if cause == "limit" else cause)


class _Recorder(BaseHTTPRequestHandler):
    """Passes requests on to a store and notes what was answered; answers 500 when told so."""

    store = ""
    answers: list[tuple[str, str, int]] = []
    broken = False

    def do_GET(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        request = urllib.request.Request(self.store + self.path, headers=headers)
        request.method = self.command
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
            if self.broken:
                self.send_error(403)
                return
            self.answers.append((self.command, self.headers.get("Range", ""), len(body)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def recorder() -> Iterator[type[_Recorder]]:
    """A bucket `crawl` in an S3-compatible store, behind a server that notes the requests."""
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    _Recorder.store = f"http://{host}:{port}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3", endpoint_url=_Recorder.store).create_bucket(Bucket="crawl")
    try:
        yield _Recorder
    finally:
        patch.undo()
        server.shutdown()
        server.server_close()
        moto.stop()


def put(key: str, data: bytes) -> None:
    """Put an object into the bucket, not through the server that notes."""
    boto3.client("s3", endpoint_url=_Recorder.store).put_object(Bucket="crawl", Key=key, Body=data)


def test_only_the_records_are_asked_of_a_store(recorder: type[_Recorder], tmp_path: Path) -> None:
    """One request a record, of its bytes exactly, though the file is a hundred times as large."""
    noise = record(http(b"\0" * 9_000_000, ["Content-Type: video/mp4"]), number=99)
    first, second = members([pdf_record(0), pdf_record(1, BIG)])
    data = first + noise + second + noise
    docs = stored(first, tmp_path / "a") + stored(second, tmp_path / "b")
    docs[1].metadata["offset"] = len(first) + len(noise)
    put("a.warc.gz", data)
    for doc in docs:
        doc.metadata["file_path"] = "a.warc.gz"
    recorder.answers.clear()
    step = LoadPayload(root="s3://crawl/")
    assert [load(doc, step) for doc in docs] == [PDF, BIG]
    gets = [(ranged, size) for method, ranged, size in recorder.answers if method == "GET"]
    assert gets == [
        (f"bytes={doc.metadata['offset']}-{doc.metadata['offset'] + len(part) - 1}", len(part))
        for doc, part in zip(docs, (first, second), strict=True)
    ]
    assert len(recorder.answers) <= 3
    step.close()


def test_a_record_of_unknown_length_is_read_in_growing_pieces(
    recorder: type[_Recorder], tmp_path: Path
) -> None:
    data = pdf_record(0, BIG) + record(http(b"\0" * 20_000_000), number=9)
    (doc,) = stored(data, tmp_path / "a.warc")
    put("b.warc", data)
    doc.metadata.update(file_path="s3://crawl/b.warc", length=None)
    recorder.answers.clear()
    assert load(doc) == BIG
    sizes = [size for method, _, size in recorder.answers if method == "GET"]
    assert len(sizes) < 6
    assert sum(sizes) < 3 * len(BIG)


def test_damage_is_not_searched_past(recorder: type[_Recorder]) -> None:
    """The rest of a damaged archive is another document's."""
    (member,) = members([pdf_record(0, BIG)])
    put("d.warc.gz", member[:9] + b"\xff" * 50 + member[59:] + b"\0" * 30_000_000)
    place = {"file_path": "s3://crawl/d.warc.gz", "offset": 0}
    recorder.answers.clear()
    assert failure(Document("x", metadata=place)) == "gzip_damaged"
    assert sum(size for _, _, size in recorder.answers) < 2_000_000


def test_a_missing_object_costs_a_document_and_a_broken_store_the_unit(
    recorder: type[_Recorder], tmp_path: Path
) -> None:
    """What a store does not have is not there; what it does not give is asked for again."""
    (doc,) = stored(pdf_record(1), tmp_path / "a.warc")
    doc.metadata["file_path"] = "s3://crawl/none.warc"
    assert failure(doc) == "payload_missing"
    put("c.warc", pdf_record(1))
    doc.metadata["file_path"] = "s3://crawl/c.warc"
    recorder.broken = True
    try:
        with pytest.raises(InputError, match=r"s3://crawl/c\.warc"):
            load(doc)
    finally:
        recorder.broken = False
    step = LoadPayload()
    assert load(doc, step) == PDF
    doc.payload, recorder.broken = None, True
    try:
        with pytest.raises(InputError, match="cannot be read"):
            load(doc, step)
    finally:
        recorder.broken = False
    assert load(doc, step) == PDF
