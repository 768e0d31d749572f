"""Run an extractor in a child process with limits: a page that crashes costs that page only.

The child is a new interpreter, not a fork. It gets the extractor as JSON (its class and its plain
values), loads and warms it up, and then answers one page after the other over a socket (child.py).
What both import at once is the standard library only, so that the child can be the interpreter of
another environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import CurateError, DefinitionError, DocumentError
from ..steps import Extracted, Extractor
from .child import OF_MACHINE, Limits, receive, send

__all__ = ["IsolatedExtractor", "Limits"]

_STARTUP_S = 300.0
_START_ATTEMPTS = 3
_WALL_PER_CPU_SECOND = 10.0

# For another environment, `curate` is an empty package: its own `__init__` and its neighbours on
# sys.path need libraries, or bring versions, that are not meant for that environment.
_BOOT = """\
import json, sys, types
path = json.loads(sys.argv[3])
if path is None:
    curate = sys.modules["curate"] = types.ModuleType("curate")
    curate.__path__ = [sys.argv[2]]
else:
    sys.path[:] = path
from curate.extract.child import serve
serve(int(sys.argv[1]))
"""


class _Killed(CurateError):
    """The child was killed from outside, which is no fault of a page."""


class _Died(Exception):
    """The child ended without an answer."""


class _Child:
    """One child process, warmed up and ready."""

    def __init__(self, extractor: Extractor, limits: Limits, python: str) -> None:
        self.owner = os.getpid()
        self.fresh = True
        self._sock, theirs = socket.socketpair()
        path = None if python else [str(Path(entry).absolute()) for entry in sys.path]
        package = str(Path(__file__).resolve().parent.parent)
        command = [python or sys.executable, "-c", _BOOT, str(theirs.fileno()), package]
        with theirs, tempfile.TemporaryFile() as noise:
            try:
                self._process = subprocess.Popen(
                    [*command, json.dumps(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=noise,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={**os.environ, "PYTHONHASHSEED": "0"},
                )
            except OSError as error:
                self._sock.close()
                raise DefinitionError(
                    f"extract: cannot start {command[0]}: {error.strerror}.\n`python` must be the"
                    " interpreter of an environment, such as /opt/env/bin/python."
                ) from error
            self.stop = weakref.finalize(self, _stop, self._process, self._sock, self.owner)
            theirs.close()
            self._warm_up(command[0], _describe(extractor, limits), noise)

    def _warm_up(self, python: str, description: Mapping[str, Any], noise: IO[bytes]) -> None:
        self._sock.settimeout(_STARTUP_S)
        try:
            answer, _ = self._exchange(description, b"")
        except (_Died, TimeoutError) as error:
            self.stop()
            if self._process.returncode == -signal.SIGKILL:
                raise _Killed(f"extract: {python} was killed while it started.") from error
            noise.seek(0)
            lines = noise.read().decode(errors="replace").strip().splitlines()
            answer = {"failed": lines[-1] if lines else str(error) or "no answer"}
        if "failed" in answer:
            self.stop()
            raise DefinitionError(
                f"extract: the extractor does not start in {python}: {answer['failed']}"
            )
        self._sock.settimeout(description["timeout_s"] * _WALL_PER_CPU_SECOND)

    def ask(self, payload: bytes, url: str, charset: str) -> tuple[dict[str, Any], bytes]:
        """Return the child's answer; a child that did not survive it answers `failed`, `leave`."""
        try:
            return self._exchange({"url": url, "charset": charset}, payload)
        except TimeoutError:
            return {"failed": ["timeout", "no answer, while using little CPU time"]}, b""
        except _Died as death:
            timeout = self._process.returncode == -signal.SIGPROF
            if self._process.returncode == -signal.SIGKILL:
                raise _Killed("the process was killed") from death
            reason = "timeout" if timeout else "crashed"
            return {"failed": [reason, str(death)], "leave": True}, b""

    def _exchange(self, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            send(self._sock, header, body)
            frame = receive(self._sock)
        except ConnectionError:
            frame = None
        if frame is not None:
            return frame
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            raise _Died("the process closed its connection") from None
        if code == -signal.SIGPROF:
            raise _Died("the CPU time limit was reached")
        raise _Died(signal.Signals(-code).name if code < 0 else f"it ended with exit code {code}")


class IsolatedExtractor:
    """Extract in a child process that is started when needed and replaced when a page broke it.

    A crash or a lack of memory is believed only of a child that has seen no page before: a page
    that broke one silently must not be paid for by the page that follows it.

    Args:
        extractor: what to run: a dataclass of plain values, importable or defined in a file.
        limits: what one document may use.
        python: interpreter of another environment to run it in; ours when empty.
    """

    def __init__(self, extractor: Extractor, limits: Limits, python: str = "") -> None:
        self._extractor = extractor
        self._limits = limits
        self._python = python
        self._child: _Child | None = None

    def start(self) -> None:
        """Start the child and wait until it is ready.

        Raises:
            DefinitionError: it cannot be started.
        """
        self._ready()

    def _ready(self) -> _Child:
        # A process forked off this one must not talk to our child.
        if self._child is None or self._child.owner != os.getpid():
            self._child = self._start()
        return self._child

    def _start(self) -> _Child:
        # For want of memory the kernel may kill a child that has done nothing wrong.
        for _ in range(_START_ATTEMPTS - 1):
            with contextlib.suppress(_Killed):
                return _Child(self._extractor, self._limits, self._python)
        return _Child(self._extractor, self._limits, self._python)

    def close(self) -> None:
        """End the child. It is started again when it is needed again."""
        if self._child is not None:
            self._child.stop()
        self._child = None

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        """Extract as Extractor.extract does.

        Raises:
            DocumentError: with the extractor's own reason, or `too_large`, `timeout`, `crashed`,
                `out_of_memory`, `too_deep` (recursion), `error` (any other exception).
            DefinitionError: the child cannot be started.
            CurateError: it is killed again and again, or the machine has no room for it.
        """
        size, limit = len(payload), self._limits.max_payload_bytes
        if size > limit:
            raise DocumentError("too_large", f"{size} bytes, max_payload_bytes is {limit}")
        kills = 0
        while True:
            child = self._ready()
            fresh, child.fresh = child.fresh, False
            try:
                answer, text = child.ask(payload, url, charset)
            except _Killed as error:
                self.close()
                kills += 1
                if kills < _START_ATTEMPTS:
                    continue
                # What the machine has no memory for is not recorded of the page: elsewhere it has.
                raise CurateError(
                    f"extract: {url}: the process that extracts it was killed {kills} times, most"
                    " likely for want of memory: see dmesg.\nGive fewer --workers, then try again."
                ) from error
            except BaseException:
                self.close()
                raise
            reason, message = answer.get("failed", ("", ""))
            if reason == "timeout" or answer.get("leave"):
                self.close()
            if reason in ("crashed", "out_of_memory") and not fresh:
                continue
            if reason == OF_MACHINE:
                raise CurateError(f"extract: {url}: {message}")
            if reason:
                raise DocumentError(reason, message)
            return Extracted(text.decode("utf-8", "surrogatepass"), answer["metadata"])


def _stop(process: subprocess.Popen[bytes], sock: socket.socket, owner: int) -> None:
    sock.close()
    if owner == os.getpid():
        # The group, so that no program that the extractor called is left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _describe(extractor: Extractor, limits: Limits) -> dict[str, Any]:
    kind = type(extractor)
    assert dataclasses.is_dataclass(extractor)
    values = {f.name: getattr(extractor, f.name) for f in dataclasses.fields(extractor) if f.init}
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    description = {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "file": file and str(Path(file).resolve()),
        "values": values,
        "parent": os.getpid(),
        **dataclasses.asdict(limits),
    }
    try:
        json.dumps(description)
    except TypeError as error:
        raise DefinitionError(
            f"extract: {kind.__name__} cannot be isolated: {error}. Its values must be plain"
            " (numbers, strings, tuples)."
        ) from None
    return description
