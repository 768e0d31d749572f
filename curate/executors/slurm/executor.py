"""The driver: submits tasks for a stage, and gates on its manifests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...pipeline import Unit
from ...plan import Plan, PlannedStage
from ..assignment import Assignment
from ..failures import given_up, write_failure
from ..progress import FailedUnit, Progress, beside, read_live, remove_live
from . import commands, complaints
from .claims import FAILED, LOST, REFUSED, Attempts, Claims
from .leader import Leadership
from .life import Life
from .profile import Profile
from .scripts import script, working_s

# A task that has left the queue is given up when its last sign of life is so long ago.
_GONE_S = 8.0
_QUEUE_EVERY_S = (2.0, 30.0)
_LOOK_EVERY_S = (0.5, 30.0)
# sbatch may refuse for a while, as when the user's limit of jobs is reached.
_REFUSED_FOR_S = 3600.0
_CANNOT_BEGIN = 3
_NODE_FAILURES = {"FAILED", "NODE_FAIL", "BOOT_FAIL"}


def control_folder(out: str) -> Path:
    """Return the folder of a run's Slurm files: scripts, claims, drivers, logs."""
    return beside(out) / "slurm"


@dataclasses.dataclass
class SlurmExecutor:
    """Runs units in the tasks of job arrays.

    Args:
        profile: facts of the cluster.
        leader: says whether this driver still leads.
        tasks: how many at once; the profile's number when 0.
        workers: worker processes in each task; the profile's number when 0.
        max_attempts: how often a unit is tried.
        patience_s: how long a worker may hang in a document before it is replaced.
        forgive: whether attempts of earlier commands count no more.
    """

    profile: Profile
    leader: Leadership
    tasks: int = 0
    workers: int = 0
    max_attempts: int = 3
    patience_s: float = 3600.0
    forgive: bool = True

    def of(self, stage: str) -> Profile:
        """Return the profile of a stage, with what the command line says."""
        profile = self.profile.of(stage)
        return dataclasses.replace(
            profile,
            tasks=self.tasks or profile.tasks,
            workers=self.workers or profile.workers,
        )

    def run(
        self,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
        show: Callable[[Progress], None],
    ) -> list[FailedUnit]:
        """Do `units` and return those that were given up; no task is left then.

        Raises:
            SupersededError: another driver of the run has taken over.
            ClusterError: Slurm refuses the tasks, or they cannot begin.
            DefinitionError, StorageError: the tasks say that they cannot work at all.
        """
        stage = StageRun(self, plan, planned, units, progress)
        if self.forgive:
            stage.claims.forgive()
        while not stage.over:
            self.leader.check()
            began = time.monotonic()
            stage.look()
            show(progress)
            if not stage.over:
                stage.act()
                low, high = _LOOK_EVERY_S
                time.sleep(min(high, max(low, 10 * (time.monotonic() - began))))
        return stage.end()


class StageRun:
    """One stage being worked on by tasks.

    Attributes:
        over: whether each unit is done or given up.
    """

    def __init__(
        self,
        executor: SlurmExecutor,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
    ) -> None:
        self._executor, self._planned, self._progress = executor, planned, progress
        self._profile = executor.of(planned.name)
        self._control = control_folder(plan.out)
        key = f"{planned.name}-{planned.fingerprint}"
        self.claims = Claims(self._control.resolve() / "claims" / key)
        self._units = {u.name: u for u in sorted(units, key=lambda u: (-u.size, u.name))}
        self._job = Assignment.of(plan, planned, executor.patience_s)
        self._inputs = plan.inputs_json()
        self._name = commands.job_name(planned.name, self._control, planned.fingerprint)
        self._memory_gb = planned.stage.resources.memory_gb
        progress.sizes = {unit.name: max(unit.size, 1) for unit in units}
        self.over = False
        self._done: set[str] = set()
        self._left = list(self._units)
        self._given_up: set[str] = set()
        self._tried: dict[str, Attempts] = {}
        self._owners: dict[tuple[str, int], str] = {}
        self._life = Life()
        self._jobs: list[commands.Job] | None = None
        self._queue_at = 0.0
        self._queue_every = _QUEUE_EVERY_S[0]
        self._signs = (-1, -1)
        self._waves = 0
        self._refused = 0
        self._refused_since: float | None = None
        self._max_array = 0

    def look(self) -> None:
        """Read manifests, claims, signs of life and, now and then, the queue."""
        # Claims before the queue: who has claimed and is not in the queue afterwards has left it.
        self._tried = self.claims.read()
        now = time.monotonic()
        self._jobs = None
        if now >= self._queue_at:
            self._ask_queue(now)
        live = read_live(self._job.out)
        self._life.hear(live)
        new = (self._planned.done() & self._units.keys()) - self._done
        self._done |= new
        self._progress.done += len(new)
        for name in new:
            manifest = self._planned.manifest(name)
            self._progress.finished_bytes += self._progress.sizes[name]
            self._progress.finish(manifest.counts())
        self._left = [name for name in self._units if name not in self._done]
        most = self._executor.max_attempts
        self._given_up = {
            name
            for name in self._left
            if (tried := self._tried.get(name)) and not tried.open and not tried.free(most)
        }
        self.over = len(self._given_up) == len(self._left)
        running: dict[str, dict[str, float]] = {}
        for value in live.values():
            if value.get("fingerprint") == self._planned.fingerprint:
                running.update(value["running"])
        left = self._units.keys() - self._done
        self._progress.running = {unit: m for unit, m in running.items() if unit in left}

    def act(self) -> None:
        """Free what lost tasks had, and submit tasks for what is free."""
        signs = (len(self._done), sum(self._count(a) for a in self._tried.values()))
        if signs != self._signs:
            self._signs, self._waves = signs, 0
            self._refused = self._refusals()
        self._free_lost()
        if self._refusals() - self._refused >= _CANNOT_BEGIN:
            raise complaints.refused(self.claims, self._tried)
        if self._jobs is not None:
            self._submit(self._jobs)

    def end(self) -> list[FailedUnit]:
        """Cancel tasks that have nothing to do, and return the units that were given up."""
        try:
            own = [job.task for job in commands.jobs(self._control) if self._is_ours(job)]
            commands.cancel(own)
        except commands.SlurmSilentError:
            pass  # they find nothing to do and end
        for task, value in read_live(self._job.out).items():
            if "task" in value and value["stage"] == self._planned.name:
                remove_live(self._job.out, task)
        self._progress.running, self._progress.note = {}, ""
        if not self._given_up:
            self.claims.remove()
        return [given_up(self._job, self._units[name]) for name in self._left]

    @staticmethod
    def _count(tried: Attempts) -> int:
        return sum(bool(endings) and REFUSED not in endings for endings in tried.endings.values())

    def _is_ours(self, job: commands.Job) -> bool:
        return job.live and job.name == self._name

    def _ask_queue(self, now: float) -> None:
        try:
            self._jobs = commands.jobs(self._control)
        except commands.SlurmSilentError as error:
            self._progress.note = f"Slurm does not answer: {error}"
            self._queue_at = now + self._queue_every
            return
        ours = [job for job in self._jobs if self._is_ours(job)]
        waiting = [job for job in ours if job.pending]
        note = f"{len(ours) - len(waiting)} tasks running"
        if waiting:
            note += f", {len(waiting)} waiting ({waiting[0].reason})"
        self._progress.note = note
        self._queue_every = min(_QUEUE_EVERY_S[1], self._queue_every * 1.3)
        self._queue_at = now + self._queue_every

    def _owner(self, unit: str, number: int) -> str:
        owner = self._owners.get((unit, number)) or self.claims.owner(unit, number)
        self._owners[unit, number] = owner
        return owner

    def _free_lost(self) -> None:
        now = time.monotonic()
        in_queue = None if self._jobs is None else {job.task for job in self._jobs if job.live}
        mute_s = self._profile.silence_minutes * 60
        # Also those that hang before their first claim, as in `module load`.
        ours = [
            job.task for job in self._jobs or () if self._is_ours(job) and job.state == "RUNNING"
        ]
        with suppress(commands.SlurmSilentError):
            commands.cancel([task for task in ours if self._life.silent_s(task) >= mute_s])
        for name in self._left:
            tried = self._tried.get(name)
            if tried is None or not tried.open:
                continue
            task = self._owner(name, tried.last)
            silent_s = self._life.silent_s(task or f"{name}.{tried.last}")
            if silent_s < min(_GONE_S, mute_s):
                continue
            if silent_s >= mute_s:
                cause = f"its task {task} gave no sign of life for {silent_s:.0f} s"
                with suppress(commands.SlurmSilentError):
                    commands.cancel([task] if task else [])
            elif in_queue is None:
                self._queue_at = min(self._queue_at, now + _QUEUE_EVERY_S[0])
                continue
            elif task in in_queue:
                continue
            else:
                how = commands.ending(task)
                cause = f"its task {task} ended" + (f": {how}" if how else " without a word")
                cause += "; raise hours in the profile" if "TIMEOUT" in how else ""
            self._lose(name, tried, task, cause)

    def _lose(self, name: str, tried: Attempts, task: str, cause: str) -> None:
        if name in self._planned.done():
            return
        unit = self._units[name]
        at_fault = any(state in cause for state in ("OUT_OF_MEMORY", "FAILED", "TIMEOUT"))
        ending = FAILED if at_fault else LOST
        if self.claims.end(name, tried.last, ending, {"error": cause, "task": task}):
            attempts = 1 + tried.count(FAILED) + tried.count(LOST)
            write_failure(self._job, unit, attempts, cause, self._log(task))
        remove_live(self._job.out, task)
        self._queue_every = _QUEUE_EVERY_S[0]
        self._queue_at = 0.0

    def _log(self, task: str) -> str:
        return f"{self._logs}/{self._planned.name}-{task}.log"

    @property
    def _logs(self) -> str:
        return self._executor.profile.log_folder or str(self._control.resolve() / "logs")

    def _submit(self, jobs: Sequence[commands.Job]) -> None:
        most, workers = self._executor.max_attempts, self._profile.workers
        free = sum(self._tried.get(name, Attempts()).free(most) for name in self._left)
        ours = [job for job in jobs if self._is_ours(job)]
        busy = {
            self._owner(name, tried.last)
            for name in self._left
            if (tried := self._tried.get(name)) and tried.open
        }
        coming = sum(job.task not in busy for job in ours)
        wanted = min(self._profile.tasks - len(ours), -(-free // workers) - coming)
        if wanted < 1:
            return
        if self._waves >= _CANNOT_BEGIN:
            if not busy:
                raise complaints.barren(self._planned.name, self._name, jobs, self._log)
            # Others work: a node is out of order, and ends what it is given at once.
            self._progress.note += "; some tasks end before they have done anything"
            self._queue_at = time.monotonic() + _QUEUE_EVERY_S[1]
        else:
            self._queue_every = _QUEUE_EVERY_S[0]
            self._queue_at = time.monotonic() + self._queue_every
        avoid = self._nodes_to_avoid(jobs)
        self._waves += 1
        plan_file = self._plan_file()
        try:
            self._max_array = self._max_array or self._array_size()
        except commands.SlurmSilentError:
            self._waves -= 1
            return
        for offset in range(0, wanted, self._max_array):
            size = min(self._max_array, wanted - offset)
            path = self.write_script(plan_file, len(ours) + offset, size)
            self._executor.leader.check()
            try:
                commands.submit(path, *avoid)
                self._refused_since = None
            except commands.SlurmSilentError as error:
                self._progress.note = f"Slurm does not answer: {error}"
                self._waves -= 1
                return
            except commands.RefusedError as error:
                if avoid and not busy:
                    raise complaints.barren(
                        self._planned.name, self._name, jobs, self._log
                    ) from error
                self._bear_refusal(str(error), path, bool(ours) or offset > 0)
                return

    def _nodes_to_avoid(self, jobs: Sequence[commands.Job]) -> list[str]:
        """Return the option that keeps tasks from nodes on which they end at once.

        The last wave before giving up tells a node that is out of order from a wrong profile.
        """
        ours = [job for job in jobs if job.name == self._name and job.node]
        bad = {job.node for job in ours if job.state in _NODE_FAILURES}
        if self._waves < _CANNOT_BEGIN - 1 or not bad:
            return []
        return [f"--exclude={','.join(sorted(bad))}"]

    def _bear_refusal(self, message: str, path: Path, working: bool) -> None:
        now = time.monotonic()
        first = self._refused_since is None and self._signs[0] == 0
        self._refused_since = self._refused_since or now
        if not working and (first or now - self._refused_since > _REFUSED_FOR_S):
            raise commands.refusal(message, path)
        self._progress.note = f"sbatch refuses for now: {message}"
        self._queue_at = now + _QUEUE_EVERY_S[1]
        self._waves = 0

    def _array_size(self) -> int:
        largest = commands.max_array_size()
        return min(largest, self._executor.profile.max_array_size or largest)

    def write_script(self, plan_file: str, offset: int, size: int) -> Path:
        """Write the batch script of an array."""
        path = self._control / "scripts" / f"{self._planned.name}-{offset}.sh"
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(self._logs).mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{self._executor.leader.number}.tmp")
        temporary.write_text(self.script(plan_file, offset, size))
        temporary.replace(path)
        return path

    def script(self, plan_file: str, offset: int, size: int) -> str:
        """Return the batch script of an array."""
        log = f"{self._logs.replace('%', '%%')}/{self._planned.name}-%A_%a.log"
        command = ["task", plan_file, "--offset", str(offset)]
        return script(self._profile, self._name, log, command, self._memory_gb, size)

    def _plan_file(self) -> str:
        job = dataclasses.asdict(self._job)
        job.pop("inputs")
        left = [self._units[name] for name in self._left]
        value = {
            "job": {**job, "given": dict(self._job.given)},
            "units": [[unit.name, unit.size, dict(unit.spec)] for unit in left],
            "inputs": self._inputs,
            "claims": str(self.claims.folder),
            "tasks": self._profile.tasks,
            "workers": self._profile.workers,
            "max_attempts": self._executor.max_attempts,
            "hours": self._profile.hours,
            "working_s": working_s(self._profile),
            "logs": self._logs,
        }
        text = json.dumps(value)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        path = self._control.resolve() / "plans" / f"{self._planned.name}-{digest}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{self._executor.leader.number}.tmp")
            temporary.write_text(text)
            temporary.replace(path)
        return str(path)

    def _refusals(self) -> int:
        return sum(tried.count(REFUSED) for tried in self._tried.values())
