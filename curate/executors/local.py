"""Worker processes on this machine.

Units are handed out longest first; one whose worker dies or hangs is tried again in a fresh one,
and after `max_attempts` it is marked failed and the rest goes on.
"""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..pipeline import Unit
from ..plan import Plan, PlannedStage
from . import machine
from .assignment import Assignment
from .failures import input_of, remove_failure, write_failure
from .progress import FailedUnit, LiveFile, Progress
from .supervisor import Supervisor, Workers

PATIENCE_MINUTES = 60.0


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
    ) -> list[FailedUnit]:
        """Do `units` and return those that were given up.

        Raises:
            DefinitionError, StorageError: nothing more can be done; the workers are gone.
            KeyboardInterrupt: the workers are gone.
        """
        job = Assignment.of(plan, planned, self.patience_s)
        queue = _Queue(job, units, progress, self.max_attempts)
        supervisor = Supervisor(job, queue, self.workers)
        facts = {"stage": planned.name, "fingerprint": planned.fingerprint}
        live = LiveFile(plan.out, f"local-{socket.gethostname()}-{os.getpid()}", facts)

        def each() -> None:
            progress.running = supervisor.running
            live.write(supervisor.running)
            show(progress)

        try:
            supervisor.run(each)
        finally:
            live.remove()
        progress.running = {}
        show(progress)
        return queue.given_up


def default_workers(plan: Plan) -> int:
    """Return the number of cores, or fewer where memory is short."""
    need_gb = max(planned.stage.resources.memory_gb for planned in plan.stages)
    return max(1, min(machine.cores(), int(machine.memory_gb() / need_gb)))


class _Queue:
    """The units of a stage, in memory."""

    def __init__(
        self, job: Assignment, units: Sequence[Unit], progress: Progress, max_attempts: int
    ) -> None:
        self._job, self._progress, self._max_attempts = job, progress, max_attempts
        self._waiting = deque(sorted(units, key=lambda unit: (-unit.size, unit.name)))
        self._attempts: Counter[str] = Counter()
        self.given_up: list[FailedUnit] = []
        progress.sizes = {unit.name: max(unit.size, 1) for unit in units}

    def take(self) -> Unit | None:
        """Return the next unit."""
        if not self._waiting:
            return None
        unit = self._waiting.popleft()
        self._attempts[unit.name] += 1
        return unit

    def done(self, unit: Unit, counts: Mapping[str, int]) -> None:
        """Count a unit that is done."""
        self._progress.done += 1
        self._progress.finished_bytes += self._progress.sizes[unit.name]
        self._progress.finish(counts)
        if self._attempts[unit.name] > 1:
            remove_failure(self._job, unit)

    def failed(self, unit: Unit, error: str, log: str) -> None:
        """Queue a unit that failed again, or give it up."""
        attempts = self._attempts[unit.name]
        write_failure(self._job, unit, attempts, error, log)
        if attempts < self._max_attempts:
            self._waiting.append(unit)
        else:
            self._progress.finished_bytes += self._progress.sizes[unit.name]
            failed = FailedUnit(self._job.stage, unit.name, input_of(unit), error, log)
            self.given_up.append(failed)

    def returned(self, unit: Unit) -> None:
        """Put a unit back; that its worker was told to stop is no fault of it."""
        self._attempts[unit.name] -= 1
        self._waiting.appendleft(unit)
