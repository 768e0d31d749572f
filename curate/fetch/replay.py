"""A server on loopback that answers with the responses of WARC files, in place of the web."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import quote

from ..readers.containers import Raw, container, pieces
from ..readers.heads import parse_fields
from ..readers.http_body import parse_response
from ..readers.warc_records import Record, Window, read_records
from ..storage import open_input
from .archive import OUTCOME, parse_head
from .params import REASONS, FetchError
from .urls import normal_url

_MAX_RECORD_BYTES = 1 << 30
# Of the hop between archive and server, or about a body that is stored without its coding.
_NOT_SENT = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length"))


class _Place(NamedTuple):
    path: str
    offset: int
    position: int
    cause: str = ""


@cache
def _index(paths: tuple[str, ...]) -> dict[str, _Place]:
    """Return where the last response to each URL is, or why there was none."""
    found: dict[str, _Place] = {}
    for path in paths:
        with open_input(path) as stream:
            for record in _records(path, stream):
                target = record.fields.get(b"warc-target-uri", b"").strip(b"<> ")
                try:
                    url = str(normal_url(target.decode("utf-8", "replace")))
                except FetchError:
                    continue
                if record.kind == "response":
                    found[url] = _Place(path, record.offset, record.position)
                elif record.kind == "metadata":
                    cause = parse_fields(record.block).get(OUTCOME.lower().encode(), b"").decode()
                    if cause in REASONS:
                        found[url] = _Place(path, record.offset, record.position, cause)
    return found


def _records(path: str, stream: object) -> Iterator[Record]:
    raw = Raw(stream)  # type: ignore[arg-type]  # a binary stream
    packed = bool(container(raw))
    yield from read_records(Window(pieces(raw, packed), packed), _MAX_RECORD_BYTES)


@contextmanager
def replaying(paths: tuple[str, ...]) -> Iterator[str]:
    """Serve WARC files while the block runs; gives the address, `http://127.0.0.1:port/`.

    A URL is asked for as the path: `/https://example.org/a.pdf`. The answer says in X-Curate-Path
    (quoted) and X-Curate-Offset which record it is, or in X-Curate-Outcome why there is none.
    """
    index = _index(paths)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            place = index.get(self.path[1:])
            if place is None or place.cause:
                robots = place is None and self.path.endswith("/robots.txt")
                cause = place.cause if place else "not_archived"
                self._answer(404, "Not Found", [] if robots else [("X-Curate-Outcome", cause)], b"")
                return
            block = _block(place)
            response = parse_response(block)
            first, fields = parse_head(block[: response.start])
            status_line = first.rstrip("\r").split(" ", 2)
            headers = [
                (name, value) for name, value in fields if value and name.lower() not in _NOT_SENT
            ]
            headers.append(("X-Curate-Path", quote(place.path)))
            headers.append(("X-Curate-Offset", str(place.offset)))
            reason = status_line[2] if len(status_line) > 2 else ""
            self._answer(response.status or 200, reason, headers, block[response.start :])

        def _answer(
            self, status: int, reason: str, headers: list[tuple[str, str]], body: bytes
        ) -> None:
            self.send_response_only(status, reason)
            for name, value in headers:
                self.send_header(name, value)
            if status >= 200 and status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the outcomes are in the decisions."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a client that hung up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            socketserver.BaseServer.shutdown(server)
            thread.join()


def _block(place: _Place) -> bytes:
    with open_input(place.path) as stream:
        raw = Raw(stream)
        packed = bool(container(raw))
        raw.seek(place.offset)
        for record in read_records(Window(pieces(raw, packed), packed), _MAX_RECORD_BYTES):
            if record.position == place.position or not packed:
                return record.block
    return b""
