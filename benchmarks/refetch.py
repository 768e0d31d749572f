"""1,000 URLs over 50 local hosts: each host's rate held, nothing fetched twice after a kill.

    python benchmarks/refetch.py [--urls 1000] [--hosts 50] [--rate 2] [--workers 2] [--json]
    python benchmarks/refetch.py --cases

A server of the tests listens on 127.0.0.1 to .50 and writes down every request. The pipeline runs
twice as a user runs it: once undisturbed, once killed (SIGKILL) when 40 % of the requests were
made, then started again. Exit code 1 if a host saw more than was promised, a URL whose answer was
in the archive was asked for again, a document is missing, or the bodies are not the server's.
With --cases, prints what becomes of each behaviour of the hostile server, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 2
PIPELINE = """
from curate import Pipeline, Stage
from curate.fetch.params import RefetchParams
from curate.fetch.stages import refetch
from curate.readers.records import JsonlReader


def pipeline(rate: float, connections: int, per_unit: int) -> Pipeline:
    keep = (("url", "string"), ("is_truncated", "bool"))
    found = Stage("find", source=JsonlReader("in.jsonl", keep=keep))
    params = RefetchParams(
        requests_per_second=rate, connections_per_host=connections, urls_per_unit=per_unit,
        allow_hosts=("127.0.0.0/8",), contact="https://example.org/bot",
    )
    return Pipeline("refetch", output=refetch(found, params))
"""


def visits_of(log: Path) -> list[tuple[float, str, str, int]]:
    """Return time, host, path and open requests of every request."""
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def politeness(visits: list[tuple[float, str, str, int]], rate: float) -> dict[str, float]:
    """Return the most requests that a host saw within ten seconds, and at once."""
    times = defaultdict(list)
    for moment, host, _, _ in visits:
        times[host].append(moment)
    busiest = 0
    for moments in times.values():
        moments.sort()
        for at, moment in enumerate(moments):
            busiest = max(busiest, bisect_left(moments, moment + 10) - at)
    gaps = [b - a for moments in times.values() for a, b in pairwise(moments)]
    return {
        "most_requests_in_ten_seconds": busiest,
        "allowed_in_ten_seconds": 10 * rate,
        "least_gap_s": round(min(gaps), 3),
        "most_open_requests": max(open_ for _, _, _, open_ in visits),
    }


def journaled(out: Path) -> set[str]:
    """Return the URLs that are in the archive."""
    found = set()
    for journal in (out / "refetch").glob("*.jsonl"):
        for line in journal.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                found.add(json.loads(line)["url"])
    return found


def run(folder: Path, out: str, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start the pipeline."""
    command = [sys.executable, "-m", "curate", "run", "pipeline.py", "--out", out]
    command += ["--workers", str(options.workers), "-p", f"rate={options.rate}"]
    command += [
        "-p",
        f"connections={CONNECTIONS}",
        "-p",
        f"per_unit={-(-options.urls // options.workers)}",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet)


def check_bodies(folder: Path, out: str) -> int:
    """Return how many published documents point at the body that the server sends."""
    import pyarrow.parquet as pq

    from curate.fetch.archive import read_record
    from curate.readers.http_body import parse_response
    from tests.hostile_server import pdf

    right = 0
    for file in sorted((folder / out / "dataset/data").iterdir()):
        for row in pq.read_table(file).to_pylist():
            if row["refetch"] == "fetched":
                path = str(folder / row["refetch_path"])
                block = read_record(path, row["refetch_offset"], 1 << 24).block
                right += block[parse_response(block).start :] == pdf(row["url"].split("/pdf/")[1])
    return right


def print_cases() -> None:
    """Meet every behaviour of the hostile server and print the outcome."""
    from curate.fetch.urls import normal_url
    from tests.hostile_server import HostileServer
    from tests.test_refetch import OUTCOMES, PARAMS, fetch

    print(f"{'what the server does':<48}{'outcome':<22}{'requests':>8}{'seconds':>9}")
    for path, _ in OUTCOMES:
        # A server each, because one that asks to be left alone is.
        with HostileServer() as server, tempfile.TemporaryDirectory() as folder:
            params = replace(PARAMS, allow_hosts=server.allowed)
            url = str(normal_url(server.url(path)))
            entry = fetch(Path(folder), [url], params)[url]
            asked = len(server.paths())
        print(f"{path:<48}{entry.outcome:<22}{asked:>8}{entry.seconds or 0:>9.2f}")


def main() -> int:
    """Run the scenario and print what the server saw."""
    sys.path.insert(0, str(ROOT))
    from tests.hostile_server import HostileServer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--urls", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cases", action="store_true")
    options = parser.parse_args()
    if options.cases:
        print_cases()
        return 0
    hosts = [f"127.0.0.{number}" for number in range(1, options.hosts + 1)]
    each = options.urls // options.hosts
    result: dict[str, Any] = {"urls": each * len(hosts), "hosts": len(hosts)}
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), Path(name, "visits")
        (folder / "pipeline.py").write_text(PIPELINE)
        with HostileServer(hosts, log=log) as server:
            server.delay_s = 0.05
            urls = [server.url(f"pdf/{number}", host) for host in hosts for number in range(each)]
            rows = [{"id": url, "text": "", "url": url, "is_truncated": True} for url in urls]
            (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

            started = time.monotonic()
            run(folder, "whole", options).wait()
            result["seconds"] = round(time.monotonic() - started, 1)
            # robots.txt is a request too.
            result["seconds_at_the_allowed_rate"] = round(each / options.rate, 1)
            whole = visits_of(log)
            result |= politeness(whole, options.rate)
            result["bodies_right"] = check_bodies(folder, "whole")

            log.write_text("")
            process = run(folder, "killed", options)
            while len(log.read_bytes().splitlines()) < len(whole) * 0.4:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.5)  # its workers end with it
            before, kept = visits_of(log), journaled(folder / "killed")
            run(folder, "killed", options).wait()
            after = visits_of(log)[len(before) :]
            asked = [f"http://{h}:{server.port}/{path}" for _, h, path, _ in after]
            counts = Counter((host, path) for _, host, path, _ in before + after)
            result["killed_after_requests"] = len(before)
            result["in_the_archive_then"] = len(kept)
            result["asked_again_though_in_the_archive"] = len(kept & set(asked))
            result["in_flight_when_killed_and_asked_again"] = sum(counts.values()) - len(counts)
            result["bodies_right_after_resume"] = check_bodies(folder, "killed")
    good = (
        result["bodies_right"] == result["bodies_right_after_resume"] == result["urls"]
        and not result["asked_again_though_in_the_archive"]
        # Requests that were apart by 1/rate when sent may arrive a little closer.
        and result["most_requests_in_ten_seconds"] <= 10 * options.rate + 1
        and result["most_open_requests"] <= CONNECTIONS
    )
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key.replace('_', ' '):<42}{value:>10}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
