"""Do a thing with an input that was made to harm, in a process that may take so much."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from curate.errors import CurateError
from curate.steps import Reader

CPU_S = 60
MEMORY_BYTES = 1 << 30  # on top of what the process has


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        found: outcome to number.
        seconds: CPU time, with that of its child processes.
        megabytes: how much more memory it had at its peak; of a child process, all of it.
        status: exit status; not 0 when it took more than it may, or broke.
    """

    found: dict[str, int]
    seconds: float
    megabytes: float
    status: int


def apart(
    function: Callable[[], dict[str, int]], memory_bytes: int = MEMORY_BYTES, cpu_s: int = CPU_S
) -> Outcome:
    """Call a function in a process of its own, within the limits."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes,) * 2)
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
    return Outcome(found, seconds, megabytes, status)


def measure(reader: Reader, data: bytes, memory_bytes: int = MEMORY_BYTES) -> Outcome:
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

    return apart(read, memory_bytes)


def name_of(status: int) -> str:
    """Say what an exit status of `apart` means."""
    if status == -signal.SIGXCPU:
        return "too much time"
    return {0: "", 1: "too much memory"}.get(status, f"broken ({status})")
