"""Worker processes on this machine.

Units are handed out longest first; one whose worker dies or hangs is tried again in a fresh one,
and after `max_attempts` it is marked failed and the rest goes on. Workers for whom a stage has none
left go on with the units of the stage after it whose source is done.
"""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..pipeline import Unit
from ..plan import Plan, PlannedStage
from . import machine
from .assignment import Assignment
from .failures import input_of, remove_failure, write_failure
from .progress import FailedUnit, LiveFile, Progress
from .supervisor import Line, Supervisor, Workers

PATIENCE_MINUTES = 60.0


@dataclass(frozen=True, slots=True)
class Following:
    """What is left to do of a stage that takes each unit from the stage before it.

    Attributes:
        units: those that have no manifest, whether or not their source is done.
        ready: names of the units whose source is done.
    """

    planned: PlannedStage
    units: Sequence[Unit]
    ready: set[str]
    progress: Progress


@dataclass
class LocalExecutor:
    """Runs units in worker processes.

    Args:
        workers: who does them, stage after stage.
        max_attempts: how often a unit is tried.
        patience_s: how long a worker may hang in a document before it is replaced.
    """

    workers: Workers
    max_attempts: int = 3
    patience_s: float = PATIENCE_MINUTES * 60

    def run(
        self,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
        show: Callable[[Progress], None],
        then: Sequence[Following] = (),
    ) -> list[FailedUnit]:
        """Do `units`, and those of the stages after it, and return those that were given up.

        Raises:
            DefinitionError, StorageError: nothing more can be done; the workers are gone.
            KeyboardInterrupt: the workers are gone.
        """
        job = Assignment.of(plan, planned, self.patience_s)
        queues = [_Queue(job, units, progress, self.max_attempts)]
        for one in then:
            job = Assignment.of(plan, one.planned, self.patience_s)
            queue = _Queue(job, one.units, one.progress, self.max_attempts, one)
            queues[-1].following = queue
            queues.append(queue)
        lines = [Line(queue.job, queue, queue.progress.running) for queue in queues]
        supervisor = Supervisor(lines, self.workers)
        live = LiveFile(plan.out, f"local-{socket.gethostname()}-{os.getpid()}", {})
        shown = 0

        def each() -> None:
            nonlocal shown
            while shown < len(queues) - 1 and queues[shown].is_over:
                show(queues[shown].progress)
                shown += 1
            job = queues[shown].job
            live.facts |= {"stage": job.stage, "fingerprint": job.fingerprint}
            live.write(_running(lines, job.stage))
            show(queues[shown].progress)

        try:
            supervisor.run(each)
        finally:
            live.remove()
        for queue in queues[shown:]:
            show(queue.progress)
        return [failed for queue in queues for failed in queue.given_up]


def default_workers(plan: Plan) -> int:
    """Return the number of cores, or fewer where memory is short."""
    need_gb = max(planned.stage.resources.memory_gb for planned in plan.stages)
    return max(1, min(machine.cores(), int(machine.memory_gb() / need_gb)))


def _running(lines: Sequence[Line], stage: str) -> dict[str, Mapping[str, Any]]:
    """Return the latest message of each unit, for one who is told that this is the stage."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        other = {} if line.job.stage == stage else {"stage": line.job.stage}
        found.update({unit: {**message, **other} for unit, message in line.running.items()})
    return found


@dataclass(eq=False)
class _Queue:
    """The units of a stage, in memory.

    Args:
        source: says which units may be begun; all when None.

    Attributes:
        following: the stage that takes each unit from this one.
    """

    job: Assignment
    units: Sequence[Unit]
    progress: Progress
    max_attempts: int
    source: Following | None = None
    following: _Queue | None = None
    given_up: list[FailedUnit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting = deque(sorted(self.units, key=lambda unit: (-unit.size, unit.name)))
        self._attempts: Counter[str] = Counter()
        self._begun = False
        self.progress.sizes = {unit.name: max(unit.size, 1) for unit in self.units}

    def take(self) -> Unit | None:
        """Return the next unit, if there is one whose source is done."""
        if not self._begun:
            self._begin()
        unit = next(filter(self._is_ready, self._waiting), None)
        if unit is not None:
            self._waiting.remove(unit)
            self._attempts[unit.name] += 1
        return unit

    def _begin(self) -> None:
        """Leave out what another run has done while this one was busy with the stages before."""
        self._begun = True
        done = self.source.planned.done() if self.source else set()
        for unit in self._waiting:
            if unit.name in done:
                self._count(unit)
        self._waiting = deque(unit for unit in self._waiting if unit.name not in done)

    def _is_ready(self, unit: Unit) -> bool:
        return self.source is None or unit.name in self.source.ready

    @property
    def is_over(self) -> bool:
        """Whether no unit is worked on, and none can be begun before others are done."""
        return not self.progress.running and not any(map(self._is_ready, self._waiting))

    def _count(self, unit: Unit) -> None:
        self.progress.done += 1
        self.progress.finished_bytes += self.progress.sizes[unit.name]
        if self.following is not None and self.following.source is not None:
            self.following.source.ready.add(unit.name)

    def done(self, unit: Unit, counts: Mapping[str, int]) -> None:
        """Count a unit that is done."""
        self._count(unit)
        self.progress.finish(counts)
        if self._attempts[unit.name] > 1:
            remove_failure(self.job, unit)

    def failed(self, unit: Unit, error: str, log: str) -> None:
        """Queue a unit that failed again, or give it up."""
        attempts = self._attempts[unit.name]
        write_failure(self.job, unit, attempts, error, log)
        if attempts < self.max_attempts:
            self._waiting.append(unit)
        else:
            self.progress.finished_bytes += self.progress.sizes[unit.name]
            failed = FailedUnit(self.job.stage, unit.name, input_of(unit), error, log)
            self.given_up.append(failed)

    def returned(self, unit: Unit) -> None:
        """Put a unit back; that its worker was told to stop is no fault of it."""
        self._attempts[unit.name] -= 1
        self._waiting.appendleft(unit)
