"""Do a thing with an input that was made to harm, in a process that may take so much."""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path

import pyarrow as pa

from curate.errors import CurateError
from curate.extract.html import HtmlExtractor, TrafilaturaExtractor
from curate.readers.records import JsonlReader
from curate.readers.warc import WarcReader
from curate.steps import Reader


@dataclass(frozen=True, slots=True)
class Bound:
    """What an input may take: CPU seconds, and MiB on top of what the process has."""

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"≤ {self.seconds:,.0f} s, ≤ {self.megabytes:,.0f} MB"


# The README states them; memory is a multiple of the setting that bounds it.
ARCHIVE = Bound(60, 5 * (WarcReader.max_record_bytes + WarcReader.max_body_bytes) >> 20)
RECORDS = Bound(60, 64 * JsonlReader.max_line_bytes >> 20)
URL = Bound(10, 300)
PAGE = Bound(TrafilaturaExtractor.timeout_s, 1024 * TrafilaturaExtractor.memory_gb)
PAGE_IN_PROCESS = Bound(10, 50 * HtmlExtractor.max_payload_bytes >> 20)
NAME = Bound(1, 16)
TEXT = Bound(20, 1000)  # each step, of a million characters


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        found: outcome to number.
        seconds: CPU time, with that of its child processes.
        megabytes: how much more memory it had at its peak; of a child process, all of it.
        status: exit status; not 0 when it took more than it may, or broke.
        bound: what it may take.
    """

    found: dict[str, int]
    seconds: float
    megabytes: float
    status: int
    bound: Bound | None = None

    @property
    def is_within(self) -> bool:
        """Whether it kept to its bound, where it has one, and did not break."""
        bound = self.bound or Bound(inf, inf)
        within = self.seconds <= bound.seconds and self.megabytes <= bound.megabytes
        return within and self.status == 0


def apart(function: Callable[[], dict[str, int]], bound: Bound, address_bytes: int = 0) -> Outcome:
    """Call a function in a process of its own that is ended where it goes beyond its bound.

    Args:
        function: what to call; returns outcome to number.
        bound: what it may take.
        address_bytes: its address space, where that of its child processes is bounded and not its
            own; they inherit it.
    """
    more = address_bytes or int(bound.megabytes) << 20
    # The child would take what we have freed and kept, and that is not counted.
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        resource.setrlimit(resource.RLIMIT_CPU, (ceil(bound.seconds),) * 2)
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + more,) * 2)
        before = resource.getrusage(resource.RUSAGE_SELF)
        try:
            found = function()
        except MemoryError:
            os._exit(1)
        except BaseException:
            os._exit(2)
        after = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        times = [after.ru_utime, after.ru_stime, children.ru_utime, children.ru_stime]
        seconds = sum(times) - before.ru_utime - before.ru_stime
        megabytes = max(after.ru_maxrss - before.ru_maxrss, children.ru_maxrss) / 1024
        os.write(writing, json.dumps([found, seconds, megabytes]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    found, seconds, megabytes = json.loads(answer or "[{}, 0.0, 0.0]")
    return Outcome(found, seconds, megabytes, status, bound)


def measure(reader: Reader, data: bytes, bound: Bound) -> Outcome:
    """Read a file to its end: what became of its records."""

    def read() -> dict[str, int]:
        fates: Counter[str] = Counter()
        try:
            for doc, fate in reader.read("x", io.BytesIO(data)):
                fates[fate.reason if fate else "kept"] += 1
                doc.id.encode()
        except CurateError:
            fates["refused"] += 1
        return dict(fates)

    return apart(read, bound)


def name_of(status: int) -> str:
    """Say what an exit status of `apart` means."""
    if status == -signal.SIGXCPU:
        return "too much time"
    return {0: "", 1: "too much memory"}.get(status, f"broken ({status})")
