"""A store of objects on this machine, and a proxy before it that fails as stores do."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

# Answered before the store hears of it: 503, reset, hang, upload. After: cut, lost.
FAULTS = ("503", "500", "reset", "hang", "upload", "cut", "lost")
READ_TIMEOUT_S = 2
_HANG_S = 60.0
_SICK_SHARE = 0.04
_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


class Store:
    """moto's S3 server in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            assert self._server.poll() is None
            with suppress(URLError, ConnectionError):
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
                return
            threading.Event().wait(0.05)

    def files(self) -> Any:
        """Return the store as fsspec has it, past the proxy."""
        import s3fs

        return s3fs.S3FileSystem(
            endpoint_url=self.url,
            key="test",
            secret="test",
            config_kwargs={"region_name": "us-east-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def close(self) -> None:
        """End it."""
        self._server.kill()
        self._server.wait()


def environment(url: str, attempts: int = 5) -> dict[str, str]:
    """Return the variables by which a command uses the store at this URL.

    Args:
        url: of the store or the proxy.
        attempts: how often its client tries a request before it says that it failed.
    """
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": str(attempts),
        "AWS_RETRY_MODE": "standard",
        "FSSPEC_S3": json.dumps({"config_kwargs": {"read_timeout": READ_TIMEOUT_S}}),
    }


class FaultyProxy:
    """Hands requests on to a store, and lets some of them go wrong.

    What becomes of the n-th request of a kind for an object depends on the seed, the object and n
    alone, and not on what other requests run beside it. Some objects are sick: their first requests
    all fail, so that no client's patience is enough.

    Args:
        target: the store's URL.

    Attributes:
        rate: the share of requests that go wrong; none while it is 0.
        seed: which do.
        faults: how many went wrong in which way.
    """

    def __init__(self, target: str) -> None:
        self.faults: Counter[str] = Counter()
        self.rate, self.seed = 0.0, ""
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        where = urlsplit(target)
        self.store = (where.hostname or "", where.port or 80)
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # they hang up
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def plan(self, method: str, path: str) -> str:
        """Return the fault that befalls this request; "" for none."""
        if not self.rate:
            return ""
        what = f"{self.seed} {method} {urlsplit(path).path}"
        with self._lock:
            number = self._seen[what]
            self._seen[what] += 1
        sick = random.Random(what)
        kind = ""
        if sick.random() < _SICK_SHARE and number < sick.randint(3, 12):
            kind = sick.choice([fault for fault in FAULTS if fault != "hang"])
        chosen = random.Random(f"{what} {number}")
        if not kind and chosen.random() < self.rate:
            kind = chosen.choice(FAULTS)
        if kind:
            with self._lock:
                self.faults[kind] += 1
        return kind

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def handle_any(self) -> None:
        """Hand one request on, or do what is planned for it."""
        fault = self.proxy.plan(self.command, self.path)
        size = int(self.headers.get("Content-Length") or 0)
        if fault == "upload":
            self.rfile.read(size // 2)
        if fault in ("upload", "reset"):
            self._reset()
            return
        body = self.rfile.read(size)
        if fault == "hang":
            self.connection.settimeout(_HANG_S)
            with suppress(OSError):  # until the client loses its patience
                self.rfile.read(1)
            self.close_connection = True
            return
        if fault in ("503", "500"):
            code = "SlowDown" if fault == "503" else "InternalError"
            self._answer(int(fault), [], b"<Error><Code>%s</Code></Error>" % code.encode())
            return
        self._hand_on(body, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    def _hand_on(self, body: bytes, fault: str) -> None:
        store = http.client.HTTPConnection(*self.proxy.store)
        try:
            store.request(self.command, self.path, body, dict(self.headers))
            answer = store.getresponse()
            data = answer.read()
        finally:
            store.close()
        if fault == "lost":
            self._reset()
            return
        headers = answer.getheaders()
        length = next((value for name, value in headers if name.lower() == "content-length"), "0")
        kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
        self._answer(answer.status, kept, data, length, cut=fault == "cut")

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        data: bytes,
        length: str = "",
        cut: bool = False,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", (length if is_head else "") or str(len(data)))
        self.end_headers()
        if not is_head:
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        """Break the connection off with RST, as a machine that goes down does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RD)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
