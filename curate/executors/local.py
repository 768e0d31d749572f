"""Worker processes on this machine, supervised.

The supervisor hands out units, longest first, sees a worker die and gives its unit to a fresh one;
after `max_attempts` the unit is marked failed and the rest goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ..errors import DefinitionError, StorageError
from ..pipeline import Unit
from ..plan import Plan, PlannedStage
from ..storage import is_remote, join, remove, write_json

# One thread each: there are as many workers as cores, and reduction order must not vary.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)


@dataclass(slots=True)
class Progress:
    """How far a stage is, for whoever shows it.

    Attributes:
        running: unit name to its latest message while it is worked on.
        finished: counts of the units done in this run.
        done: units done, in this run or before.
    """

    stage: str
    units: int
    done: int
    sizes: dict[str, int] = field(default_factory=dict)
    running: dict[str, dict[str, float]] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    finished_bytes: int = 0

    def count(self, key: str) -> int:
        """Documents `in`, `kept`, `dropped` or `failed` so far in this run."""
        return int(self.finished[key] + sum(m.get(key, 0) for m in self.running.values()))

    @property
    def fraction(self) -> float:
        """Share of this run's input bytes that is done."""
        total = sum(self.sizes.values())
        running = sum(self.sizes[u] * m.get("fraction", 0) for u, m in self.running.items())
        return min(1.0, (self.finished_bytes + running) / total) if total else 1.0


@dataclass(frozen=True, slots=True)
class FailedUnit:
    """A unit that was given up."""

    stage: str
    unit: str
    input: str
    error: str
    log: str


@dataclass
class LocalExecutor:
    """Runs units in worker processes.

    Args:
        workers: how many at once.
        max_attempts: how often a unit is tried.
    """

    workers: int
    max_attempts: int = 3

    def run(
        self,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
        show: Callable[[Progress], None],
    ) -> list[FailedUnit]:
        """Do `units` and return those that were given up.

        Raises:
            DefinitionError, StorageError: nothing more can be done; the workers are gone.
            KeyboardInterrupt: the workers are gone.
        """
        supervision = _Supervision(self, plan, planned, units, progress)
        try:
            while supervision.busy:
                supervision.step()
                show(progress)
        finally:
            supervision.end()
        return supervision.given_up


def default_workers(plan: Plan) -> int:
    """Return the number of cores, or fewer where memory is short."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    need_gb = max(planned.stage.resources.memory_gb for planned in plan.stages)
    return max(1, min(len(os.sched_getaffinity(0)), int(memory_gb / need_gb)))


def _environment() -> dict[str, str]:
    """Make the workers run this code, not a folder `curate` that lies where we were called."""
    here = str(Path(__file__).parents[2])
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
    return {**os.environ, **_ONE_THREAD, **changes}


class _Process:
    """One worker process and the unit it has."""

    def __init__(self, plan: Plan, number: int) -> None:
        self.log = "standard error"
        stderr: IO[bytes] | None = None
        if not is_remote(plan.out):
            folder = Path(plan.out, "logs")
            folder.mkdir(parents=True, exist_ok=True)
            self.log = str(folder / f"worker-{number}.log")
            stderr = Path(self.log).open("ab")
        command = [sys.executable, "-m", "curate", "worker", plan.path, "--out", plan.out]
        for name, value in plan.given.items():
            command += ["-p", f"{name}={value}"]
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
        self._buffer = b""

    def give(self, planned: PlannedStage, unit: Unit) -> None:
        """Hand over a unit; a worker that is already dead is noticed when its output ends."""
        self.unit = unit
        order = {"stage": planned.name, "fingerprint": planned.fingerprint, "unit": asdict(unit)}
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(json.dumps(order).encode() + b"\n")
            self.stdin.flush()

    def messages(self) -> list[dict[str, Any]] | None:
        """Read the messages that are there; None when the worker's output has ended."""
        data = os.read(self.stdout.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

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
        if code == -signal.SIGKILL:
            return "the worker was killed (signal 9; by hand, or for memory: see dmesg)"
        if code < 0:
            return f"the worker died of {signal.Signals(-code).name}"
        return f"the worker ended with exit code {code}"


class _Supervision:
    """One stage being worked on."""

    def __init__(
        self,
        executor: LocalExecutor,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
    ) -> None:
        self._executor, self._plan, self._planned = executor, plan, planned
        self._queue = deque(sorted(units, key=lambda unit: (-unit.size, unit.name)))
        self._progress = progress
        self._attempts: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._started = 0
        self._processes: list[_Process] = []
        self.given_up: list[FailedUnit] = []
        progress.sizes = {unit.name: max(unit.size, 1) for unit in units}

    @property
    def busy(self) -> bool:
        """Whether there are units waiting or being worked on."""
        return bool(self._queue) or any(process.unit for process in self._processes)

    def step(self) -> None:
        """Hand out what can be handed out, then wait a moment for messages."""
        for process in self._processes:
            if self._queue and process.unit is None:
                self._give(process)
        while self._queue and len(self._processes) < self._executor.workers:
            self._started += 1
            process = _Process(self._plan, self._started)
            self._processes.append(process)
            self._selector.register(process.stdout, selectors.EVENT_READ, process)
            self._give(process)
        for key, _ in self._selector.select(timeout=0.25):
            process = key.data
            messages = process.messages()
            if messages is None:
                self._lost(process)
                continue
            for message in messages:
                self._take(process, message)

    def _give(self, process: _Process) -> None:
        unit = self._queue.popleft()
        self._attempts[unit.name] += 1
        self._progress.running[unit.name] = {}
        process.give(self._planned, unit)

    def _take(self, process: _Process, message: dict[str, Any]) -> None:
        unit = process.unit
        assert unit is not None
        if message["event"] == "progress":
            self._progress.running[unit.name] = message
            return
        process.unit = None
        del self._progress.running[unit.name]
        if message["event"] == "done":
            self._progress.done += 1
            self._progress.finished_bytes += self._progress.sizes[unit.name]
            self._progress.finished.update(
                {key: message[key] for key in ("in", "kept", "dropped", "failed")}
            )
            if self._attempts[unit.name] > 1:
                remove(_failure_path(self._plan, self._planned, unit))
        elif message["fatal"]:
            kind = DefinitionError if message["fatal"] == "DefinitionError" else StorageError
            raise kind(message["message"])
        else:
            self._failed(unit, message["message"], process.log)

    def _lost(self, process: _Process) -> None:
        self._selector.unregister(process.stdout)
        self._processes.remove(process)
        cause = process.cause()
        process.end()
        if process.unit is not None:
            del self._progress.running[process.unit.name]
            self._failed(process.unit, cause, process.log)

    def _failed(self, unit: Unit, error: str, log: str) -> None:
        attempts = self._attempts[unit.name]
        source = str(unit.spec.get("path", unit.name))
        record = {
            "unit": unit.name,
            "input": source,
            "attempts": attempts,
            "error": error,
            "log": log,
        }
        write_json(_failure_path(self._plan, self._planned, unit), record)
        if attempts < self._executor.max_attempts:
            self._queue.append(unit)
        else:
            self._progress.finished_bytes += self._progress.sizes[unit.name]
            self.given_up.append(FailedUnit(self._planned.name, unit.name, source, error, log))

    def end(self) -> None:
        """End all workers: the idle ones by closing their input, the others at once."""
        for process in self._processes:
            process.end()
        self._selector.close()


def _failure_path(plan: Plan, planned: PlannedStage, unit: Unit) -> str:
    return join(plan.out, "failures", f"{planned.name}-{planned.fingerprint}", f"{unit.name}.json")
