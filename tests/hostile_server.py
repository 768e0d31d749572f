"""A web server on loopback that does to a crawler what the web does, and writes down every visit.

The path chooses the behaviour, so that a URL says what will happen to whoever asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import socket
import ssl
import struct
import threading
import time
import zlib
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote


def pdf(name: str = "a", size: int = 3000) -> bytes:
    """Return bytes that pass for a whole PDF."""
    filler = (name.encode() + b" ") * (size // (len(name) + 1))
    return b"%PDF-1.4\n" + filler + b"\ntrailer\n%%EOF\n"


@dataclass(frozen=True)
class Visit:
    """One request as the server saw it.

    Attributes:
        host: the address it came to.
        open: how many requests to that address were open, this one included.
    """

    time: float
    host: str
    path: str
    headers: dict[str, str]
    open: int


class HostileServer:
    """Serve while the block runs.

    Args:
        hosts: addresses of this machine to listen on, all at one port.
        robots: body of every robots.txt; None answers 404.
        log: a file that gets a line per visit, for readers in other processes.
        certificate: files with a certificate and its key, to speak TLS.
    """

    def __init__(
        self,
        hosts: Sequence[str] = ("127.0.0.1",),
        robots: str | None = None,
        log: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.hosts = hosts
        self.robots = robots
        self.visits: list[Visit] = []
        self.delay_s = 0.0
        self.recovered = False
        self._log = log
        self._certificate = certificate
        self._open: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    def __enter__(self) -> HostileServer:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def url(self, path: str, host: str = "", scheme: str = "http") -> str:
        """Return the URL of a behaviour."""
        return f"{scheme}://{host or self.hosts[0]}:{self.port}/{path}"

    @property
    def allowed(self) -> tuple[str, ...]:
        """The addresses of the server, as `allow_hosts` takes them."""
        return tuple(f"{host}:{self.port}" for host in self.hosts)

    def paths(self) -> list[str]:
        """Return what was asked for, in order, without robots.txt."""
        return [visit.path for visit in self.visits if visit.path != "robots.txt"]

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        context = None
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
        with socket.socket() as probe:
            probe.bind((self.hosts[0], 0))
            self.port = probe.getsockname()[1]
        serving = asyncio.start_server(
            self._serve, list(self.hosts), self.port, ssl=context, backlog=1024
        )
        server = self._loop.run_until_complete(serving)
        started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        host = writer.get_extra_info("sockname")[0]
        gone = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = head[0].split(" ")[1][1:]
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                self._open[host] += 1
                try:
                    self._note(Visit(time.time(), host, path, headers, self._open[host]))
                    if self.delay_s:
                        await asyncio.sleep(self.delay_s)
                    if not await self._answer(path, headers, writer):
                        break
                finally:
                    self._open[host] -= 1
            writer.close()

    def _note(self, visit: Visit) -> None:
        self.visits.append(visit)
        if self._log:
            with self._log.open("a") as stream:
                stream.write(json.dumps([visit.time, visit.host, visit.path, visit.open]) + "\n")

    async def _answer(self, path: str, headers: dict[str, str], writer: Writer) -> bool:
        """Do what the path says; return whether the connection stays open."""
        if path == "robots.txt":
            return await self._robots(headers, writer)
        kind, _, rest = path.partition("/")
        behaviour: Callable[..., Coroutine[Any, Any, bool]] = getattr(self, f"_{kind}")
        return await behaviour(rest, headers, writer)

    async def _robots(self, headers: dict[str, str], writer: Writer) -> bool:
        if self.robots is None:
            return await _send(writer, "404 Not Found", b"")
        if self.robots == "hang":
            return await self._hang("", {}, writer)
        if self.robots.isdigit():
            return await _send(writer, f"{self.robots} Busy", b"")
        return await _send_version(writer, headers, self.robots.encode(), "r1")

    async def _pdf(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send_version(writer, headers, pdf(name), "v1")

    async def _dated(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        date = "Sat, 01 Mar 2025 10:00:00 GMT"
        if headers.get("if-modified-since") == date.lower():
            return await _send(writer, "304 Not Modified", None)
        return await _send(writer, "200 OK", pdf(name), f"Last-Modified: {date}")

    async def _edited(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        """Another version each time."""
        version = self.paths().count(f"edited/{name}")
        return await _send_version(writer, headers, pdf(f"{name}{version}"), f"v{version}")

    async def _later(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        """Busy until it has recovered."""
        if self.recovered:
            return await self._pdf(name, headers, writer)
        return await _send(writer, "503 Busy", b"")

    async def _html(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        body = b"<!DOCTYPE html><p>Please log in.</p>" * 10_000
        return await _send(writer, "200 OK", body, "Content-Type: application/pdf")

    async def _status(self, code: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send(writer, f"{code} Whatever", b"" if code == "204" else b"no")

    async def _to(self, target: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send(writer, "302 Found", b"", f"Location: {unquote(target)}")

    async def _worded(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        """Write the reason and the target in letters that are not ASCII."""
        lines = (
            "HTTP/1.1 302 Trouvé ".encode() + b"\xff",
            b"Content-Length: 0",
            b"Location: /pdf/\xfc\xc3\x85",
        )
        writer.write(b"\r\n".join((*lines, b"", b"")))
        await writer.drain()
        return True

    async def _nowhere(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send(writer, "302 Found", b"")

    async def _more(self, count: str, headers: dict[str, str], writer: Writer) -> bool:
        return await self._to(f"/more/{int(count) + 1}", headers, writer)

    async def _less(self, count: str, headers: dict[str, str], writer: Writer) -> bool:
        left = int(count) - 1
        return await self._to(f"/less/{left}" if left else "/pdf/end", headers, writer)

    async def _endless(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.4\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def _drip(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
        for at in range(3000):
            writer.write(pdf()[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.05)
        return True

    async def _driphead(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        for letter in "HTTP/1.1 200 OK\r\nX: " + "y" * 1000:
            writer.write(letter.encode())
            await writer.drain()
            await asyncio.sleep(0.05)
        return False

    async def _steady(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.4\n")
        while True:
            writer.write(b"x" * 2_000)
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _hang(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        await asyncio.sleep(60)
        return False

    async def _reset(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        return _abort(writer)

    async def _cutoff(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + pdf()[:1500])
        await writer.drain()
        await asyncio.sleep(0.05)
        return _abort(writer)

    async def _short(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + pdf())
        await writer.drain()
        return False

    async def _badlength(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + pdf())
        await writer.drain()
        return False

    async def _badchunks(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + pdf()[:1024])
        await writer.drain()
        return False

    async def _chunked(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        body = b"".join(b"5dc\r\n" + part + b"\r\n" for part in (pdf(size=2976)[:1500],))
        rest = pdf(size=2976)[1500:]
        body += f"{len(rest):x}\r\n".encode() + rest + b"\r\n0\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        await writer.drain()
        return True

    async def _noend(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send(writer, "200 OK", pdf()[:2000])

    async def _garbage(self, name: str, headers: dict[str, str], writer: Writer) -> bool:
        writer.write(b"\x00\x01 not http at all\r\n\r\n")
        await writer.drain()
        return False

    async def _bomb(self, coding: str, headers: dict[str, str], writer: Writer) -> bool:
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = compressor.compress(b"%PDF-1.4\n")
        for _ in range(64):
            body += compressor.compress(bytes(1 << 20))
        body += compressor.flush()
        return await _send(writer, "200 OK", body, "Content-Encoding: gzip")

    async def _coded(self, coding: str, headers: dict[str, str], writer: Writer) -> bool:
        coded = {"gzip": gzip.compress(pdf()), "deflate": zlib.compress(pdf())}
        body = coded.get(coding, pdf())
        return await _send(writer, "200 OK", body, f"Content-Encoding: {coding}")

    async def _miscoded(self, coding: str, headers: dict[str, str], writer: Writer) -> bool:
        body = gzip.compress(os.urandom(2000))[:1000]
        return await _send(writer, "200 OK", body, "Content-Encoding: gzip")

    async def _once(self, rest: str, headers: dict[str, str], writer: Writer) -> bool:
        """`once/<status>/<Retry-After>/<name>`: busy the first time, then a PDF."""
        status, wait, name = rest.split("/")
        if self.paths().count(f"once/{rest}") == 1:
            extra = [f"Retry-After: {wait.replace('_', ' ')}"] if wait != "-" else []
            return await _send(writer, f"{status} Busy", b"", *extra)
        return await self._pdf(name, headers, writer)

    async def _busy(self, wait: str, headers: dict[str, str], writer: Writer) -> bool:
        return await _send(writer, "429 Too Many Requests", b"", f"Retry-After: {wait}")

    async def _broken(self, kind: str, headers: dict[str, str], writer: Writer) -> bool:
        """Break off in the middle; go on from there if asked to, as `kind` says."""
        body, start = pdf("resumed", 40_000), headers.get("range", "")[6:-1]
        if not start:
            tag = '\r\nETag: "v1"' if kind != "untagged" else ""
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}{tag}\r\n\r\n".encode()
            first = self.paths().count(f"broken/{kind}") == 1
            writer.write(head + (body[:20_000] if first else body))
            await writer.drain()
            await asyncio.sleep(0.7 if first else 0)  # so that it arrives before the break
            return not first
        if kind == "ignores":
            return await _send(writer, "200 OK", body)
        if kind == "lies":
            start = str(int(start) + 7)
        begin = int(start)
        return await _send(
            writer,
            "206 Partial Content",
            body[begin:],
            f"Content-Range: bytes {begin}-{len(body) - 1}/{len(body)}",
            'ETag: "v1"',
        )


async def _send(writer: Writer, status: str, body: bytes | None, *headers: str) -> bool:
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = [f"HTTP/1.1 {status}", *length, *headers, "", ""]
    writer.write("\r\n".join(lines).encode() + (body or b""))
    await writer.drain()
    return True


async def _send_version(writer: Writer, headers: dict[str, str], body: bytes, tag: str) -> bool:
    """Send a body, unless the client says that it has it."""
    if headers.get("if-none-match") == f'"{tag}"':
        return await _send(writer, "304 Not Modified", None, f'ETag: "{tag}"')
    return await _send(writer, "200 OK", body, f'ETag: "{tag}"')


def _abort(writer: Writer) -> bool:
    """Close the connection with a reset."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    return False
