"""The child side of isolation: what runs in the process that may crash.

Frames go over one socket: a small JSON header and raw bytes. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import importlib.util
import json
import logging
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DocumentError, is_of_machine
from ..steps import Extractor

_FRAME = struct.Struct("!IQ")
_MAX_ANSWER_BYTES = 1 << 28
_RECYCLE_BYTES = 1 << 29
# An extractor may catch the MemoryError of a page and go on with half of it, so a page that came
# this near to the limit counts as having met it.
_NEAR_LIMIT = 0.9
_KEPT_BYTES = 1 << 26
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_GARBAGE_THRESHOLD = 10_000
# The reason of a failure that is none of the page's.
OF_MACHINE = "of_machine"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one document may use.

    Attributes:
        timeout_s: CPU seconds. A child that waits is given ten times as many by the clock.
        memory_gb: address space on top of that of the warmed-up child.
        max_payload_bytes: a larger payload is not tried.
    """

    timeout_s: float
    memory_gb: float
    max_payload_bytes: int


def send(sock: socket.socket, header: Mapping[str, Any], body: bytes) -> None:
    """Write one frame."""
    head = json.dumps(header).encode()
    sock.sendall(_FRAME.pack(len(head), len(body)) + head)
    sock.sendall(body)  # apart: a page is not copied to be joined


def receive(sock: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame; None when the other side is gone."""
    start = _read(sock, _FRAME.size)
    if start is None:
        return None
    head_size, body_size = _FRAME.unpack(start)
    head = _read(sock, head_size)
    body = _read(sock, body_size)
    if head is None or body is None:
        return None
    return json.loads(head), body


def _read(sock: socket.socket, size: int) -> bytes | None:
    parts = []
    while size:
        part = sock.recv(size, socket.MSG_WAITALL)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def serve(fd: int) -> None:
    """Be the child: build the extractor, then answer pages until the parent is gone."""
    sock = socket.socket(fileno=fd)
    os.set_inheritable(fd, False)
    frame = receive(sock)
    if frame is None:
        return
    description, _ = frame
    _die_with(description["parent"])
    logging.disable(logging.CRITICAL)
    try:
        extractor = _build(description)
        extractor.setup()
    except BaseException as error:
        send(sock, {"failed": f"{type(error).__name__}: {error}"}, b"")
        return
    with Path(os.devnull).open("wb") as devnull:
        os.dup2(devnull.fileno(), 2)
    _keep_memory()
    limits = Limits(**{f.name: description[f.name] for f in dataclasses.fields(Limits)})
    allowed, resident = _set_limits(limits)
    send(sock, {}, b"")
    while (frame := receive(sock)) is not None:
        header, payload = frame
        answer, text = _answer(extractor, limits, payload, header["url"], header["charset"])
        peak_now, resident_now = _memory()
        if peak_now > allowed * _NEAR_LIMIT:
            answer, text = {"failed": ["out_of_memory", f"over {limits.memory_gb} GB"]}, b""
        reason = answer.get("failed", ("",))[0]
        if reason == "out_of_memory" or resident_now > resident + _RECYCLE_BYTES:
            answer["leave"] = True
        send(sock, answer, text)


def _answer(
    extractor: Extractor, limits: Limits, payload: bytes, url: str, charset: str
) -> tuple[dict[str, Any], bytes]:
    # The timer counts the CPU time of all threads; its signal also ends code that is not Python.
    signal.setitimer(signal.ITIMER_PROF, limits.timeout_s)
    try:
        extracted = extractor.extract(payload, url, charset)
        text = extracted.text.encode("utf-8", "surrogatepass")
        answer = {"metadata": dict(extracted.metadata)}
        size = len(text) + len(json.dumps(answer))
        if size <= _MAX_ANSWER_BYTES:
            return answer, text
        return {"failed": ["too_large", f"{size} bytes of text were extracted"]}, b""
    except DocumentError as error:
        failed = [error.reason, error.message]
    except MemoryError:
        failed = ["out_of_memory", f"over {limits.memory_gb} GB"]
    except RecursionError:
        failed = ["too_deep", "Python's recursion limit"]
    except BaseException as error:
        reason = OF_MACHINE if is_of_machine(error) else "error"
        failed = [reason, f"{type(error).__name__}: {error}"[:500]]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"failed": failed}, b""


def _build(description: Mapping[str, Any]) -> Extractor:
    name, file = description["module"], description["file"]
    try:
        if name == "__main__":
            raise ModuleNotFoundError(name=name)
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A pipeline file may define its own extractor, and it is not importable by name.
        if error.name != name or file is None:
            raise
        name = "curate_main" if name == "__main__" else name
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    kind: Any = module
    for part in description["name"].split("."):
        kind = getattr(kind, part)
    extractor: Extractor = kind(**{k: _tuples(v) for k, v in description["values"].items()})
    return extractor


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _die_with(parent: int) -> None:
    """End with the parent even in the middle of a page; between pages the socket tells."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    # Where memory runs out for all, the kernel shall end this process and not the worker.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _keep_memory() -> None:
    """Keep the memory of one page for the next, and look for cycles of garbage less often."""
    import ctypes

    # Where the C library is not glibc, memory is asked for anew.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES >> 4)
    # A page makes thousands of objects, hardly any in cycles; what is loaded stays.
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


def _set_limits(limits: Limits) -> tuple[int, int]:
    """Set the limits that stay; return the bytes that may be mapped and those resident now."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    peak, resident = _memory()
    allowed = peak + int(limits.memory_gb * (1 << 30))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    if peak:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    return allowed, resident


def _memory() -> tuple[int, int]:
    """Return the bytes mapped at most so far and those resident now; zeros where unknown."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return 0, 0
    peak, resident = (
        int(status.partition(key)[2].split(None, 1)[0]) << 10 for key in (b"VmPeak:", b"VmRSS:")
    )
    return peak, resident
