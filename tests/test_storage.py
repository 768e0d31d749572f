"""Inputs and outputs on an object store behave as local ones do."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import pytest

from curate import storage
from curate.document import Document, DocumentWriter, open_parquet, read_documents, schema
from curate.errors import InputError
from curate.inputs import list_inputs, open_unchanged

from .conftest import Cli, dataset_bytes


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a running S3-compatible server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert server.poll() is None
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except URLError:
                continue
        yield url
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_cli(cli: Cli, s3: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A command line whose environment names the server, and a bucket `crawl` with the inputs."""
    settings = {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    cli.environment.update(settings)
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.mkdirs("crawl/in", exist_ok=True)
    for path in (cli.folder / "in").iterdir():
        files.put_file(str(path), f"crawl/in/{path.name}")
    return cli


def test_a_run_on_s3_publishes_the_same_bytes(s3_cli: Cli) -> None:
    """Inputs and output in a bucket: the dataset is that of a local run, and status reads it."""
    s3_cli("run", "toy.py", "--out", "local", "-p", "paths=s3://crawl/in/*.jsonl")
    s3_cli("run", "toy.py", "--out", "s3://crawl/out", "-p", "paths=s3://crawl/in/*.jsonl")
    stages = s3_cli.status("s3://crawl/out")
    assert [stage["done"] for stage in stages.values()] == [3, 3, 1]
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    published = {
        path.rsplit("/", 1)[-1]: files.cat_file(path)
        for path in files.ls("crawl/out/dataset/data", detail=False)
    }
    assert published == dataset_bytes(s3_cli.folder, "local")
    again = s3_cli("run", "toy.py", "--out", "s3://crawl/out", "-p", "paths=s3://crawl/in/*.jsonl")
    assert again.stderr.count("nothing left to do") == 3


def test_a_missing_object_is_a_clear_message(s3_cli: Cli) -> None:
    """A glob that matches nothing in the bucket says so."""
    done = s3_cli("run", "toy.py", "-p", "paths=s3://crawl/nothing/*.jsonl", code=2)
    assert "matches no file" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_folder_without_a_name_is_an_error_and_no_gap(s3_cli: Cli) -> None:
    """Objects below `odd//` cannot be listed; a pattern that does not reach them is not refused."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # of other tests, whose server is gone
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    for name in ("odd/a.jsonl", "odd/b/", "odd/b/c.jsonl", "odd//d.jsonl"):
        files.pipe_file(f"crawl/{name}", b"")
    assert [file.path for file in list_inputs("s3://crawl/odd/*.jsonl")] == [
        "s3://crawl/odd/a.jsonl"
    ]
    assert [file.path for file in list_inputs("s3://crawl/odd/b/**")] == [
        "s3://crawl/odd/b/c.jsonl"
    ]
    for pattern in ("odd/**", "odd/*/*.jsonl", "odd//*.jsonl"):
        with pytest.raises(InputError, match="nothing between two slashes"):
            list_inputs(f"s3://crawl/{pattern}")


def test_an_object_that_changes_while_it_is_read_is_an_error(s3_cli: Cli) -> None:
    """Its version tag tells, also where the size stays."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # of other tests, whose server is gone
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    (file,) = list_inputs("s3://crawl/in/a.jsonl")
    with open_unchanged(file.path, file.size, file.tag) as stream:
        data = stream.read()
    with (
        pytest.raises(InputError, match="has changed since"),
        open_unchanged(file.path, file.size, file.tag),
    ):
        files.pipe_file("crawl/in/a.jsonl", data.swapcase())
    with pytest.raises(InputError, match="has changed since"):
        open_unchanged(file.path, file.size, file.tag).__enter__()


class _Partial(BaseHTTPRequestHandler):
    """Sends less than the range it is asked for, as a server may."""

    def do_GET(self) -> None:
        ranged = "Range" in self.headers
        self.send_response(206 if ranged else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", "900" if ranged else "1000")
        if ranged:
            self.send_header("Content-Range", "bytes 0-899/1000")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(bytes(900 if ranged else 1000))

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_a_range_that_is_sent_in_part_is_an_error() -> None:
    """What follows is never taken for the missing bytes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Partial) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (file,) = list_inputs(f"http://127.0.0.1:{server.server_address[1]}/a.jsonl")
        assert file.size == 1000
        with (
            pytest.raises(InputError, match="100 of 1,000 bytes from 0 were not sent"),
            open_unchanged(file.path, file.size, file.tag) as stream,
        ):
            stream.read()
        server.shutdown()


def test_inputs_are_sorted_and_named_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths and globs may overlap; order and duplicates do not matter."""
    monkeypatch.chdir(cli.folder)
    files = list_inputs("in/c.jsonl, in/*.jsonl,in/a.jsonl")
    assert [file.path for file in files] == ["in/a.jsonl", "in/b.jsonl", "in/c.jsonl"]
    with pytest.raises(InputError, match="matches no file"):
        list_inputs("in/*.warc.gz")


class _Watched(io.BytesIO):
    """A stream that remembers which threads read it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.threads: set[int] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(size)


def test_tables_are_read_by_the_thread_that_asks(tmp_path: Path) -> None:
    """A thread of Arrow's that holds a stream at the end aborts a command that has done its work.

    That happens once in hundreds of runs; who reads is seen each time.
    """
    output = storage.Output(str(tmp_path / "documents.parquet"))
    writer = DocumentWriter(output, schema({"url": "string"}))
    for number in range(5000):
        writer.add(Document(f"{number}", f"text {number}", {"url": f"https://{number}.example"}))
    writer.close()
    output.commit()
    stream = _Watched((tmp_path / "documents.parquet").read_bytes())
    assert len(list(read_documents(stream))) == 5000
    table = open_parquet(stream).read(["id", "url"], use_threads=False)
    assert table.num_rows == 5000
    assert stream.threads == {threading.get_ident()}
