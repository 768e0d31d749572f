"""A worker process: takes units as JSON lines on standard input, tells what became of them.

The protocol is one JSON object a line. In: `{"stage", "fingerprint", "unit": {"name", "size",
"spec"}}`, or `{}` to close the steps of the last stage, which is not answered. Out: `{"event":
"progress", "in", "kept", "dropped", "failed", "drop:<step>/<reason>", "fraction", "memory_mb"}` and
`{"event": "alive"}` now and then, and in the end `{"event": "done"}` with the same counts,
`{"event": "stopped"}` after SIGTERM, or `{"event": "error", "fatal", "message"}`, where `fatal` is
"" for what a second try may mend. Nothing is pickled: the worker loads the pipeline file itself and
refuses a stage whose fingerprint is not the one it was told.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from .errors import CurateError, DefinitionError, StorageError
from .manifest import Manifest
from .pipeline import Unit
from .plan import Plan
from .task import Worker

_ALIVE_EVERY_S = 1.0


class _Stopped(BaseException):
    """SIGTERM has come: the unit ends after the current document and is given back."""


class _Replies:
    """The worker's side of the protocol; a thread of it says that the process lives."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        threading.Thread(target=self._live, daemon=True).start()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message."""
        with self._lock:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()

    def _live(self) -> None:
        while True:
            try:
                self.tell({"event": "alive"})
            except (OSError, ValueError):  # the supervisor is gone
                return
            threading.Event().wait(_ALIVE_EVERY_S)


def serve(path: str, parameters: dict[str, str], out: str, inputs: str, digest: str) -> int:
    """Work until standard input ends.

    Args:
        path: the pipeline file.
        parameters: the user's parameters.
        out: the run's output folder.
        inputs: a JSON file with the run's fixed list of inputs; none when empty.
        digest: the list's digest.
    """
    # Blocked and looked for between documents. Processes that a step starts inherit this, so that
    # a signal to the whole task never fails the document they are working on.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    orders, replies = _take_stdin(), _Replies(_take_stdout())
    _die_with_parent()
    worker: Worker | None = None
    try:
        for line in orders:
            order = json.loads(line)
            if not order:
                _release(worker)
                continue
            try:
                if worker is None:
                    worker = Worker(Plan(path, parameters, out))
                    if inputs:
                        worker.plan.read_inputs(inputs, digest)
                manifest = _do(worker, order, replies)
            except _Stopped:
                replies.tell({"event": "stopped"})
                break
            except CurateError as error:
                fatal = isinstance(error, DefinitionError | StorageError)
                kind = type(error).__name__ if fatal else ""
                replies.tell({"event": "error", "fatal": kind, "message": str(error)})
            except Exception as error:
                traceback.print_exc()
                message = f"{type(error).__name__}: {error}"
                replies.tell({"event": "error", "fatal": "", "message": message})
            else:
                replies.tell({"event": "done", **manifest.counts()})
    finally:
        if worker is not None:
            worker.close()
    return 0


def _release(worker: Worker | None) -> None:
    """Close the steps; what goes wrong is no unit's fault, so no reply is told."""
    try:
        if worker is not None:
            worker.close()
    except Exception:
        traceback.print_exc()


def _die_with_parent() -> None:
    """Have the kernel end this process when its supervisor dies, however that happens."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(143)


def _do(worker: Worker, order: dict[str, Any], replies: _Replies) -> Manifest:
    planned = worker.plan.stage(order["stage"])
    if planned.fingerprint != order["fingerprint"]:
        raise DefinitionError(
            f"stage {planned.name!r}: the pipeline file or a library changed during the run"
            f" ({order['fingerprint']} is now {planned.fingerprint}).\nGive the command again."
        )

    def report(manifest: Manifest, fraction: float) -> None:
        if signal.SIGTERM in signal.sigpending():
            raise _Stopped
        facts = {"fraction": fraction, "memory_mb": _memory_mb()}
        replies.tell({"event": "progress", **facts, **manifest.counts()})

    return worker.run(planned, Unit(**order["unit"]), report)


def _memory_mb() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _take_stdin() -> TextIO:
    """Keep standard input for the protocol: what steps and their processes read has ended."""
    orders = os.fdopen(os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return orders


def _take_stdout() -> TextIO:
    """Keep standard output for the protocol: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies
