"""A task of a Slurm array: takes units of one stage until there are none, then ends.

It knows no other task and asks Slurm nothing. It reads a plan file with the stage, its units and
the list of inputs, claims units through files, and has workers do them.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CurateError, DefinitionError
from ...pipeline import Unit
from ...storage import is_remote, names
from ..assignment import Assignment
from ..failures import remove_failure, write_failure
from ..progress import LiveFile
from ..supervisor import Supervisor, Workers
from .claims import FAILED, REFUSED, RETURNED, ClaimQueue, Claims, Place

# A worker has so long to end its document, and is then killed. Slurm's KillWait may be shorter.
_GRACE_S = 20.0
# A unit that had so much of the time limit and did not end never will.
_WHOLE_LIMIT = 0.8
# Said of a file below the output folder, these are no node's fault.
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


_PLAIN = ("claims", "tasks", "workers", "max_attempts", "anywhere", "hours", "working_s", "logs")


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What the tasks of a stage are told.

    Attributes:
        units: those that are left, in the order in which they are best begun.
        tasks: how many tasks share them.
        anywhere: whether the last attempt at a unit may be where it always failed.
        hours: the time limit.
        working_s: what of it there surely is before units are given back.
        logs: folder of the tasks' log files.
    """

    job: Assignment
    units: list[Unit]
    claims: str
    tasks: int
    workers: int
    max_attempts: int
    anywhere: bool
    hours: float
    working_s: float
    logs: str

    @staticmethod
    def read(path: str) -> TaskPlan:
        """Read a plan file."""
        value = json.loads(Path(path).read_text())
        return TaskPlan(
            job=Assignment(**value["job"], inputs=path),
            units=[Unit(*unit) for unit in value["units"]],
            **{key: value[key] for key in _PLAIN},
        )

    def log(self, task: str) -> str:
        """Return a task's log file."""
        return f"{self.logs}/{self.job.stage}-{task}.log"


def work(path: str, offset: int) -> int:
    """Be one task of an array.

    Args:
        path: the plan file.
        offset: what is added to the index in the array, to know this task's own share.
    """
    plan = TaskPlan.read(path)
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    task = os.environ.get("SLURM_ARRAY_JOB_ID", "") + f"_{index}"
    if not index:
        task = f"{socket.gethostname()}-{os.getpid()}"
    log = plan.log(task)
    claims = Claims(Path(plan.claims))

    def done() -> set[str]:
        listed = names(plan.job.folder)
        return {name.removesuffix(".json") for name in listed if name.endswith(".json")}

    place = Place(
        task=task,
        node=os.environ.get("SLURMD_NODENAME", socket.gethostname()),
        share=(offset + int(index or 0), plan.tasks),
        max_attempts=plan.max_attempts,
        workers=plan.workers,
        anywhere=plan.anywhere,
    )
    queue = ClaimQueue(claims, plan.units, done, place)
    endings = _Endings(plan, claims, queue, place)
    workers = Workers(plan.workers, log=log)
    supervisor = Supervisor(plan.job, endings, workers)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop(_GRACE_S))
    facts = {"stage": plan.job.stage, "fingerprint": plan.job.fingerprint, "task": task, "log": log}
    live = LiveFile(plan.job.out, task, facts)
    live.write({}, now=True)
    try:
        with workers:
            supervisor.run(lambda: live.write(supervisor.running))
    except CurateError as error:
        print(f"curate: {error}", flush=True)
        endings.refuse(str(error), _whose(error, plan.job.out), log)
        return 1
    finally:
        live.remove()
        if scratch := os.environ.get("CURATE_SCRATCH"):
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


class _Endings:
    """The task's queue: claims units, and writes what became of them."""

    def __init__(self, plan: TaskPlan, claims: Claims, queue: ClaimQueue, place: Place) -> None:
        self._plan, self._claims, self._queue, self._place = plan, claims, queue, place
        self._begun: dict[str, float] = {}

    def take(self) -> Unit | None:
        """Claim the next unit."""
        unit = self._queue.take()
        if unit is not None:
            self._begun[unit.name] = time.monotonic()
        return unit

    def done(self, unit: Unit, counts: Mapping[str, int]) -> None:
        """Forget a unit that has its manifest."""
        if self._queue.let_go(unit) > 1:
            remove_failure(self._plan.job, unit)

    def failed(self, unit: Unit, error: str, log: str) -> None:
        """Write down a failure; the unit is free again."""
        attempts = self._queue.attempts[unit.name] + 1
        write_failure(self._plan.job, unit, attempts, error, log)
        self._end(unit, FAILED, error=error)

    def returned(self, unit: Unit) -> None:
        """Give a unit back, which costs it nothing unless it had the whole time limit."""
        had_s = time.monotonic() - self._begun[unit.name]
        if had_s > _WHOLE_LIMIT * self._plan.working_s:
            error = f"was not done within the time limit of {self._plan.hours:g} h; raise hours"
            self.failed(unit, f"{error} in the profile", self._plan.log(self._place.task))
        else:
            self._end(unit, RETURNED)

    def refuse(self, error: str, kind: str, log: str) -> None:
        """Write that this task cannot work at all, and give back what it had."""
        for name, number in self._queue.held.items():
            facts = {"error": error, "kind": kind, "log": log, **self._where}
            self._claims.end(name, number, REFUSED, facts)

    def _end(self, unit: Unit, ending: str, **facts: Any) -> None:
        number = self._queue.let_go(unit, failed=ending == FAILED)
        self._claims.end(unit.name, number, ending, {**facts, **self._where})

    @property
    def _where(self) -> dict[str, str]:
        return {"task": self._place.task, "node": self._place.node}


def _whose(error: CurateError, out: str) -> str:
    """Tell whose fault it is that a task cannot work: "definition", "storage" or "node"."""
    if isinstance(error, DefinitionError):
        return "definition"
    message = str(error)
    full = any(f": {why}." in message for why in _FULL)
    return "storage" if full and message.startswith(out) and not is_remote(out) else "node"
