"""A worker process: takes units as JSON lines on standard input, tells what became of them.

The protocol is one JSON object a line. In: `{"stage", "fingerprint", "unit": {"name", "size",
"spec"}}`. Out: `{"event": "progress", "in", "kept", "dropped", "failed", "fraction"}`, and then
`{"event": "done"}` with the same counts or `{"event": "error", "fatal", "message"}`, where `fatal`
is "" for what a second try may mend. Nothing is pickled: the worker loads the pipeline file itself
and refuses a stage whose fingerprint is not the one it was told.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any, TextIO

from .errors import CurateError, DefinitionError, StorageError
from .manifest import Manifest
from .pipeline import Unit
from .plan import Plan
from .task import Worker


def serve(path: str, parameters: dict[str, str], out: str) -> int:
    """Work until standard input ends."""
    replies = _take_stdout()
    _die_with_parent()
    worker: Worker | None = None
    try:
        for line in sys.stdin:
            order = json.loads(line)
            try:
                worker = worker or Worker(Plan(path, parameters, out))
                manifest = _do(worker, order, replies)
            except CurateError as error:
                fatal = isinstance(error, DefinitionError | StorageError)
                kind = type(error).__name__ if fatal else ""
                _tell(replies, {"event": "error", "fatal": kind, "message": str(error)})
            except Exception as error:
                traceback.print_exc()
                message = f"{type(error).__name__}: {error}"
                _tell(replies, {"event": "error", "fatal": "", "message": message})
            else:
                _tell(replies, {"event": "done", **_counts(manifest)})
    finally:
        if worker is not None:
            worker.close()
    return 0


def _die_with_parent() -> None:
    """Have the kernel end this process when its supervisor dies, however that happens."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(143)


def _do(worker: Worker, order: dict[str, Any], replies: TextIO) -> Manifest:
    planned = worker.plan.stage(order["stage"])
    if planned.fingerprint != order["fingerprint"]:
        raise DefinitionError(
            f"stage {planned.name!r}: the pipeline file or a library changed during the run"
            f" ({order['fingerprint']} is now {planned.fingerprint}).\nGive the command again."
        )

    def report(manifest: Manifest, fraction: float) -> None:
        _tell(replies, {"event": "progress", "fraction": fraction, **_counts(manifest)})

    return worker.run(planned, Unit(**order["unit"]), report)


def _counts(manifest: Manifest) -> dict[str, int]:
    return {
        "in": manifest.kept + manifest.dropped + manifest.failed,
        "kept": manifest.kept,
        "dropped": manifest.dropped,
        "failed": manifest.failed,
    }


def _tell(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def _take_stdout() -> TextIO:
    """Keep standard output for the protocol: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies
