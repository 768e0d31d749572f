"""CPU time per request of HTTP clients on loopback, and of the whole refetch on top of one.

    python benchmarks/http_clients.py [--requests 2000] [--kilobytes 3] [--rounds 3] [--json]

Each client runs in a process of its own, 15 requests at a time (as FinePDFs did), against a server
in another process; the median of the rounds is printed. `curate` is aiohttp with everything that
refetch adds: address check, robots.txt, deadlines, content checks, WARC records, journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

ROOT = Path(__file__).resolve().parent.parent
THREADS = 15


def serve(size: int) -> None:
    """Serve bodies of `size` bytes until standard input ends; print the port."""
    sys.path.insert(0, str(ROOT))
    from tests.hostile_server import pdf

    body = pdf("a", size)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.data = transport, b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            while b"\r\n\r\n" in self.data:
                head, _, self.data = self.data.partition(b"\r\n\r\n")
                none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                self.transport.write(none if b"/robots.txt" in head else answer)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Server, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)

    asyncio.run(run())


def with_requests(urls: list[str]) -> None:
    """One session per thread, as FinePDFs."""
    import requests

    kept = local()

    def get(url: str) -> None:
        if not hasattr(kept, "session"):
            kept.session = requests.Session()
        with kept.session.get(url, stream=True, timeout=60) as response:
            for _ in response.iter_content(1 << 20):
                pass

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(get, urls))


def with_aiohttp(urls: list[str]) -> None:
    """One session, `THREADS` coroutines."""
    import aiohttp

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            queue = iter(urls)

            async def work() -> None:
                for url in queue:
                    async with session.get(url) as response:
                        async for _ in response.content.iter_any():
                            pass

            await asyncio.gather(*(work() for _ in range(THREADS)))

    asyncio.run(run())


def with_curate(urls: list[str]) -> None:
    """The scheduler of refetch, unhurried, with its archive."""
    from curate.fetch.params import RefetchParams
    from curate.fetch.scheduler import Scheduler
    from curate.fetch.store import Store

    params = RefetchParams(
        requests_per_second=0, connections_per_host=THREADS, allow_hosts=("127.0.0.1",)
    )
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        scheduler = Scheduler(params, Store(folder, 0, 4096, params))
        asyncio.run(scheduler.run(urls, lambda entry: outcomes.append(entry.outcome)))
    assert set(outcomes) == {"fetched"}


CLIENTS: dict[str, Callable[[list[str]], None]] = {
    "requests": with_requests,
    "aiohttp": with_aiohttp,
    "curate": with_curate,
}


def measure(client: str, port: int, count: int) -> float:
    """Return the CPU milliseconds per request, imports left out."""
    urls = [f"http://127.0.0.1:{port}/{number}.pdf" for number in range(count)]
    CLIENTS[client](urls[:20])
    before = resource.getrusage(resource.RUSAGE_SELF)
    CLIENTS[client](urls)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds * 1000 / count


def main() -> None:
    """Run all clients and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.kilobytes << 10)
        return
    if options.client:
        print(measure(options.client[0], int(options.client[1]), options.requests))
        return
    me = [sys.executable, __file__, "--requests", str(options.requests)]
    command = [*me, "--serve", "--kilobytes", str(options.kilobytes)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        port = server.stdout.readline().strip()
        times: dict[str, list[float]] = {client: [] for client in CLIENTS}
        for _ in range(options.rounds):
            for client, found in times.items():
                found.append(float(subprocess.check_output([*me, "--client", client, port])))
        server.stdin.close()
    result = {client: round(statistics.median(found), 3) for client, found in times.items()}
    if options.json:
        print(json.dumps({"cpu_ms_per_request": result, "kilobytes": options.kilobytes}))
        return
    print(f"{'client':<12}{'CPU ms per request':>20}")
    for client, value in result.items():
        print(f"{client:<12}{value:>20.3f}")


if __name__ == "__main__":
    main()
