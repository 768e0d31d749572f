"""A server that speaks the OpenAI protocol for chat with images, and misbehaves when told to."""

from __future__ import annotations

import base64
import json
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "reducto/RolmOCR"
DEFAULT = "The text of the page.\nIts second line."


class OpenAiServer(ThreadingHTTPServer):
    """Answers requests with `moods`, one after the other; the last one stays.

    A mood is a name (see Handler.answer), "name" for what the image is called (name_of), or a text
    to answer with.

    Attributes:
        asked: the body of each request for a text, in order.
        most_at_once: requests that were being answered at the same time.
        pieces: pieces that were sent of endless answers.
        gather: answers wait until so many requests are there.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.moods: list[str] = ["ok"]
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.listed = 0
        self.most_at_once = 0
        self.pieces = 0
        self.gather = 1
        self.at_once = 0
        self.lock = threading.Condition()
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that leaves."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def mood(self) -> str:
        """Return what is next."""
        with self.lock:
            return self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]


@contextmanager
def serving(*moods: str) -> Iterator[OpenAiServer]:
    """Run a server on a free port of this machine."""
    server = OpenAiServer()
    server.moods = list(moods) or ["ok"]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: OpenAiServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the models."""
        self.server.listed += 1
        mood = self.server.moods[0]
        if mood == "unauthorized":
            self.whole(401, {"error": {"message": "wrong key"}})
        elif mood == "no list":
            self.whole(404, {"detail": "Not Found"})
        elif mood == "website":
            self.whole(200, None)
        else:
            self.whole(200, {"object": "list", "data": [{"id": MODEL}, {"id": "other"}]})

    def do_POST(self) -> None:
        """Answer with the text of an image."""
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.asked.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            server.lock.notify_all()
            server.lock.wait_for(lambda: server.most_at_once >= server.gather, 10)
        try:
            mood = server.mood()
            self.answer(name_of(image_of(body)) if mood == "name" else mood)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            with server.lock:
                server.at_once -= 1
                server.lock.notify_all()

    def answer(self, mood: str) -> None:
        """Do what the mood says."""
        if mood.isdigit():
            self.whole(int(mood), {"error": {"message": f"status {mood}"}})
        elif mood.startswith("wait "):
            self.whole(429, {"error": {"message": "slower"}}, {"Retry-After": mood[5:]})
        elif mood == "hang":
            self.server.closing.wait(30)
            self.close_connection = True
        elif mood == "reset":
            self.close_connection = True
        elif mood == "not json":
            self.whole(200, None)
        elif mood == "other json":
            self.whole(200, {"choices": "none"})
        elif mood == "cut":
            self.stream([DEFAULT], finish=None)
            self.close_connection = True
        elif mood == "in one piece":
            message = {"role": "assistant", "content": DEFAULT}
            usage = {"prompt_tokens": 1500, "completion_tokens": 12}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self.whole(200, {"choices": choices, "usage": usage})
        elif mood == "length":
            self.stream(["A text that is ", "not whole"], finish="length")
        elif mood == "endless":
            self.stream(iter(lambda: "A line that comes again and again.\n", ""), finish="length")
        elif mood == "drip":
            self.stream(self.drip(), finish="stop")
        else:
            text = DEFAULT if mood in ("ok", "no list") else mood
            self.stream([text[i : i + 7] for i in range(0, len(text), 7)], finish="stop")

    def drip(self) -> Iterator[str]:
        """Send a word, and another one much later."""
        count = 0
        while not self.server.closing.wait(0.02):
            yield f"word{count} "
            count += 1

    def whole(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Send an answer in one piece; one that is not JSON for None."""
        data = b"<html>busy</html>" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, pieces: Sequence[str] | Iterator[str], finish: str | None) -> None:
        """Send server-sent events, as vLLM does."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = 0
        for piece in pieces:
            self.event({"choices": [{"index": 0, "delta": {"content": piece}}]})
            count += 1
            self.server.pieces += 1
        if finish is None:
            return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 1500, "completion_tokens": count}})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, value: Any) -> None:
        """Send one event."""
        self.chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def chunk(self, data: bytes) -> None:
        """Send one chunk."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def image_of(body: dict[str, Any]) -> str:
    """Return the PNG in a request, in base64."""
    (message,) = body["messages"]
    (url,) = [part["image_url"]["url"] for part in message["content"] if "image_url" in part]
    kind, _, data = str(url).partition(",")
    assert kind == "data:image/png;base64"
    return data


def name_of(image: str) -> str:
    """Return a name that other images do not have."""
    return f"page {zlib.crc32(image.encode()):08x}"


def image_size(body: dict[str, Any]) -> tuple[int, int]:
    """Return width and height of the PNG in a request, and see that it is whole."""
    png = base64.b64decode(image_of(body))
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) == (8, 2)
    packed = png[41 : 41 + int.from_bytes(png[33:37], "big")]
    assert len(zlib.decompress(packed)) == height * (width * 3 + 1)
    return width, height
