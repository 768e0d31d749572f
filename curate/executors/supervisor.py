"""Worker processes on one machine, watched: a worker that dies or hangs is replaced.

Where units come from, and what a failure means, is the business of a `Queue`: the local executor
has one in memory, a Slurm task one of files that all tasks share.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

from ..errors import DefinitionError, StorageError
from ..pipeline import Unit
from .assignment import Assignment

# One thread each: there are as many workers as cores, and reduction order must not vary.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)
# A worker says each second that it lives; code that holds the interpreter may keep it from that.
_SILENCE_S = 600.0
# A worker that has grown larger is not kept for another stage, which has its own use for memory.
_KEPT_MB = 512


class Queue(Protocol):
    """Units to be done, and what became of them."""

    def take(self) -> Unit | None:
        """Return the next unit, or None when there is none now."""

    def done(self, unit: Unit, counts: Mapping[str, int]) -> None:
        """Hear that a unit is done."""

    def failed(self, unit: Unit, error: str, log: str) -> None:
        """Hear that a unit failed; it may be given out again."""

    def returned(self, unit: Unit) -> None:
        """Hear that a unit was stopped before it was finished."""


class _Process:
    """One worker process and the unit it has."""

    def __init__(self, job: Assignment, log: Path | None, name: str) -> None:
        self.log = name
        stderr: IO[bytes] | None = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            stderr = log.open("ab")
        command = [sys.executable, "-m", "curate", "worker", job.path, "--out", job.out]
        command += ["--inputs", job.inputs, "--inputs-digest", job.inputs_digest]
        for parameter, value in job.given.items():
            command += ["-p", f"{parameter}={value}"]
        self.memory_mb = 0.0
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment(),
            start_new_session=True,
        )
        if stderr is not None:
            stderr.close()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.unit: Unit | None = None
        self.killed_for = ""
        self.heard = self.moved = time.monotonic()
        self._has_spoken = False
        self._entered = -1
        self._buffer = b""

    def give(self, job: Assignment, unit: Unit) -> None:
        """Hand over a unit; a worker that is already dead is noticed when its output ends."""
        self.unit = unit
        self.heard = self.moved = time.monotonic()
        order = {"stage": job.stage, "fingerprint": job.fingerprint, "unit": asdict(unit)}
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(json.dumps(order).encode() + b"\n")
            self.stdin.flush()

    def rest(self) -> None:
        """Have the worker close the steps of its last stage, such as a child that extracts."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(b"{}\n")
            self.stdin.flush()

    def messages(self) -> list[dict[str, Any]] | None:
        """Read the messages that are there; None when the worker's output has ended."""
        data = os.read(self.stdout.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self.heard = time.monotonic()
        if not self._has_spoken:
            self._has_spoken, self.moved = True, self.heard
        for message in messages:
            if message.get("in", self._entered) != self._entered:
                self._entered = message["in"]
                self.moved = self.heard
        return messages

    def hangs(self, job: Assignment) -> str:
        """Say why the worker is taken for hung; empty when it is not."""
        now = time.monotonic()
        # Until its first word it imports libraries, which takes long on a busy file system.
        silence_s = min(_SILENCE_S, job.patience_s) if self._has_spoken else _SILENCE_S
        if now - self.heard > silence_s:
            return f"the worker gave no sign of life for {now - self.heard:.0f} s and was replaced"
        if job.per_document and self._has_spoken and now - self.moved > job.patience_s:
            return (
                f"the worker was {now - self.moved:.0f} s in one document and was replaced"
                " (--patience says how long it may)"
            )
        return ""

    def end(self) -> None:
        """End the process and what it started."""
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def cause(self) -> str:
        """Say how the process ended."""
        code = self.process.wait()
        if self.killed_for:
            return self.killed_for
        if code == -signal.SIGKILL:
            return "the worker was killed (signal 9; by hand, or for memory: see dmesg)"
        if code < 0:
            return f"the worker died of {signal.Signals(-code).name}"
        return f"the worker ended with exit code {code}"


class Workers:
    """Worker processes of a run, kept from one stage to the next: each start costs half a second.

    Args:
        count: how many at once.
        logs: folder of their logs; None when they write to this process's standard error.
        log: what to call that standard error.
    """

    def __init__(self, count: int, logs: Path | None = None, log: str = "standard error") -> None:
        self.count = count
        self._logs, self._log = logs, log
        self._idle: list[_Process] = []
        self._started = 0

    def take(self, job: Assignment) -> _Process:
        """Return a process that waits for units of a stage of `job`'s run."""
        while self._idle:
            process = self._idle.pop()
            if process.process.poll() is None:
                return process
            process.end()
        self._started += 1
        path = self._logs and self._logs / f"worker-{self._started}.log"
        return _Process(job, path, str(path or self._log))

    def give_back(self, process: _Process) -> None:
        """Keep a process for another stage, or end it: what it holds is not the next one's."""
        if process.unit is None and process.memory_mb <= _KEPT_MB:
            process.rest()
            self._idle.append(process)
        else:
            process.end()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that wait."""
        while self._idle:
            self._idle.pop().end()


class Supervisor:
    """Runs the units of a queue in worker processes.

    Args:
        job: the stage.
        queue: where units come from.
        workers: who does them.

    Attributes:
        running: unit name to its latest message while it is worked on.
    """

    def __init__(self, job: Assignment, queue: Queue, workers: Workers) -> None:
        self._job, self._queue, self._workers = job, queue, workers
        self._selector = selectors.DefaultSelector()
        self._processes: list[_Process] = []
        self._stop_by: float | None = None
        self.running: dict[str, dict[str, float]] = {}

    def run(self, each: Callable[[], None]) -> None:
        """Work until the queue has nothing more, and call `each` several times a second.

        Raises:
            DefinitionError, StorageError: nothing more can be done.
        """
        try:
            while True:
                self._hand_out()
                if not any(process.unit for process in self._processes):
                    return
                self._listen()
                each()
        finally:
            for process in self._processes:
                self._workers.give_back(process)
            self._selector.close()

    def stop(self, grace_s: float) -> None:
        """Take no more units; have each worker end its document and give its unit back."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + grace_s
            for process in self._processes:
                with contextlib.suppress(OSError):
                    process.process.terminate()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_by is not None

    def _hand_out(self) -> None:
        while not self.stopping and sum(p.unit is not None for p in self._processes) < (
            self._workers.count
        ):
            unit = self._queue.take()
            if unit is None:
                return
            idle = next((p for p in self._processes if p.unit is None), None)
            self.running[unit.name] = {}
            (idle or self._start()).give(self._job, unit)

    def _start(self) -> _Process:
        process = self._workers.take(self._job)
        self._processes.append(process)
        self._selector.register(process.stdout, selectors.EVENT_READ, process)
        return process

    def _listen(self) -> None:
        for key, _ in self._selector.select(timeout=0.25):
            process = key.data
            messages = process.messages()
            if messages is None:
                self._lost(process)
                continue
            for message in messages:
                self._take(process, message)
        for process in list(self._processes):
            if process.unit is not None and not process.killed_for:
                process.killed_for = process.hangs(self._job)
                if process.killed_for:
                    process.process.kill()
        if self._stop_by is not None and time.monotonic() > self._stop_by:
            for process in list(self._processes):
                process.process.kill()

    def _take(self, process: _Process, message: dict[str, Any]) -> None:
        unit = process.unit
        if unit is None or message["event"] == "alive":
            return
        if message["event"] == "progress":
            self.running[unit.name] = message
            process.memory_mb = message["memory_mb"]
            return
        process.unit = None
        self.running.pop(unit.name, None)
        if message["event"] == "done":
            self._queue.done(unit, message)
        elif message["event"] == "stopped":
            self._forget(process)
            process.end()
            self._queue.returned(unit)
        elif message["fatal"]:
            kind = DefinitionError if message["fatal"] == "DefinitionError" else StorageError
            raise kind(f"{message['message']} (log: {process.log})")
        else:
            self._queue.failed(unit, message["message"], process.log)

    def _lost(self, process: _Process) -> None:
        self._forget(process)
        cause = process.cause()
        process.end()
        if process.unit is not None:
            self.running.pop(process.unit.name, None)
            if self.stopping:
                self._queue.returned(process.unit)
            else:
                self._queue.failed(process.unit, cause, process.log)

    def _forget(self, process: _Process) -> None:
        self._selector.unregister(process.stdout)
        self._processes.remove(process)


def _environment() -> dict[str, str]:
    """Make the workers run this code, not a folder `curate` that lies where we were called."""
    here = str(Path(__file__).parents[2])
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
    return {**os.environ, **_ONE_THREAD, **changes}
