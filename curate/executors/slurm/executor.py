"""The driver: submits tasks for a stage, and gates on its manifests."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...errors import CurateError
from ...pipeline import Unit
from ...plan import Plan, PlannedStage
from ..assignment import Assignment
from ..failures import given_up, write_failure
from ..progress import FailedUnit, Progress, beside, read_live, remove_live
from . import commands, complaints
from .arrays import Arrays
from .claims import FAILED, LOST, REFUSED, Attempts, Claims
from .evidence import Evidence
from .leader import Leadership
from .life import Life
from .nodes import Nodes
from .profile import Profile

# A task that has left the queue is given up when its last sign of life is so long ago.
_GONE_S = 8.0
_QUEUE_EVERY_S = (2.0, 30.0)
_LOOK_EVERY_S = (0.5, 30.0)
# sbatch may refuse for a while, as when the user's limit of jobs is reached.
_REFUSED_FOR_S = 3600.0
_CANNOT_BEGIN = 3
# A controller that comes back without its last seconds gives numbers again, and nodes that know
# these as ended have what begins with one of them cancelled: it says nothing of the profile.
_CANCELLED = 12
# These wait because nodes are busy: letting them onto a bad node would waste their attempts there.
_IN_TURN, _IN_TURN_S = {"Priority", "Resources"}, 24 * 3600.0


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
    nodes: Nodes = dataclasses.field(default_factory=Nodes)

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
        self.arrays = Arrays(
            self._control,
            plan,
            planned,
            self._profile,
            executor.profile,
            self._job,
            self.claims,
            executor.max_attempts,
        )
        self._evidence = Evidence(executor.nodes, planned.name, self.claims)
        progress.sizes = {unit.name: max(unit.size, 1) for unit in units}
        self.over = False
        self._done: set[str] = set()
        self._left = list(self._units)
        self._given_up: set[str] = set()
        self._tried: dict[str, Attempts] = {}
        self._life = Life()
        self._jobs: list[commands.Job] | None = None
        self._queue_at = 0.0
        self._queue_every = _QUEUE_EVERY_S[0]
        self._signs = (-1, -1)
        self._waves = 0
        self._refused_since: float | None = None
        self._anywhere = False
        self._stuck_since: float | None = None

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
        self._evidence.hear(self._tried, new, self._left)
        self._evidence.excuse(self._tried, self._left, most)
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
            self._evidence.progress()
        self._free_lost()
        if self._evidence.is_hopeless:
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
        return job.live and job.name == self.arrays.name

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

    def _free_lost(self) -> None:
        now = time.monotonic()
        in_queue = None if self._jobs is None else {job.task for job in self._jobs if job.live}
        mute_s = self._profile.silence_minutes * 60
        # Also those that hang before their first claim, as in `module load`.
        ours = [
            job.task for job in self._jobs or () if self._is_ours(job) and job.state == "RUNNING"
        ]
        silent = [task for task in ours if self._life.silent_s(task) >= mute_s]
        self._evidence.silenced.update(silent)
        with suppress(commands.SlurmSilentError):
            commands.cancel(silent)
        for name in self._left:
            tried = self._tried.get(name)
            if tried is None or not tried.open:
                continue
            task, node = self._evidence.owner(name, tried.last)
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
            self._lose(name, tried, (task, node), cause)

    def _lose(self, name: str, tried: Attempts, owner: tuple[str, str], cause: str) -> None:
        if name in self._planned.done():
            return
        unit, (task, node) = self._units[name], owner
        at_fault = any(state in cause for state in ("OUT_OF_MEMORY", "FAILED", "TIMEOUT"))
        ending = FAILED if at_fault else LOST
        if self.claims.end(name, tried.last, ending, {"error": cause, "task": task, "node": node}):
            attempts = 1 + tried.count(FAILED) + tried.count(LOST)
            write_failure(self._job, unit, attempts, cause, self.arrays.log(task))
        remove_live(self._job.out, task)
        self._queue_every = _QUEUE_EVERY_S[0]
        self._queue_at = 0.0

    def _submit(self, jobs: Sequence[commands.Job]) -> None:
        most, workers = self._executor.max_attempts, self._profile.workers
        free = [name for name in self._left if self._tried.get(name, Attempts()).free(most)]
        ours = [job for job in jobs if self._is_ours(job)]
        owners = self._evidence.owners(self._tried, self._left)
        coming = [job for job in ours if job.task not in owners]
        bad = self._evidence.bad_nodes([j for j in jobs if j.name == self.arrays.name])
        if waiting := [job.task for job in coming if job.pending and bad - self.claims.avoided]:
            # They may yet be started there; the next ones may not.
            with suppress(commands.SlurmSilentError):
                commands.cancel(waiting)
            self._queue_at = 0.0
        self.claims.avoid(bad)
        barred = set() if self._anywhere else self._evidence.barred(self._tried, free, most)
        if self._is_stuck([] if owners else coming, bad | barred):
            self._let_in(coming, barred)
            return
        wanted = min(self._profile.tasks - len(ours), -(-len(free) // workers) - len(coming))
        if wanted < 1 or waiting:
            return
        most_waves = _CANCELLED if self._evidence.cancelled else _CANNOT_BEGIN
        if self._waves >= most_waves:
            if not owners:
                raise self._complaint(jobs)
            # Others work: a node is out of order, and ends what it is given at once.
            self._progress.note += "; some tasks end before they have done anything"
            self._queue_at = time.monotonic() + _QUEUE_EVERY_S[1]
        else:
            self._queue_every = _QUEUE_EVERY_S[0]
            self._queue_at = time.monotonic() + self._queue_every
        if self._waves >= _CANNOT_BEGIN - 1:
            # The last wave tells a node that is out of order from a wrong profile.
            bad |= self._evidence.fruitless
        self._waves += 1
        units = [self._units[name] for name in self._left]
        offset, number = len(ours), self._executor.leader.number
        try:
            for size in self.arrays.sizes(wanted):
                path = self.arrays.write(units, offset, size, self._anywhere, number)
                self._executor.leader.check()
                self.arrays.submit(path, bad | barred)
                self._refused_since = None
                offset += size
        except commands.SlurmSilentError as error:
            self._progress.note = f"Slurm does not answer: {error}"
            self._waves -= 1
        except commands.RefusedError as error:
            no_node = "node" in str(error)
            if barred and no_node:
                self._let_in([], barred)
            elif bad and no_node and not owners:
                if self._waves >= most_waves:
                    raise self._complaint(jobs) from error
                self._let_in([], barred)  # the good ones may be no nodes of this stage
            else:
                self._bear_refusal(str(error), path, offset > 0)

    def _is_stuck(self, coming: Sequence[commands.Job], avoided: set[str]) -> bool:
        """Tell whether tasks have waited long for a node that is none of those to be avoided."""
        now = time.monotonic()
        if not avoided or not coming or not all(job.pending for job in coming):
            self._stuck_since = None
            return False
        self._stuck_since = self._stuck_since or now
        in_turn = all(job.reason in _IN_TURN for job in coming)
        patience_s = _IN_TURN_S if in_turn else self._profile.silence_minutes * 60
        return now - self._stuck_since > patience_s

    def _let_in(self, coming: Sequence[commands.Job], barred: set[str]) -> None:
        """Take what nodes there are: no other one can be had."""
        if self._evidence.refusing and not barred:
            raise complaints.refused(self.claims, self._tried)
        self._anywhere, self._stuck_since = True, None
        if barred:
            self._waves = 0
        else:
            self._executor.nodes.forget()
        self._queue_at = 0.0
        with suppress(commands.SlurmSilentError):
            commands.cancel([job.task for job in coming])

    def _complaint(self, jobs: Sequence[commands.Job]) -> CurateError:
        if self._evidence.refusing:
            return complaints.refused(self.claims, self._tried)
        stage, name = self._planned.name, self.arrays.name
        return complaints.barren(stage, name, jobs, self.arrays.log, self._evidence.silenced)

    def _bear_refusal(self, message: str, path: Path, working: bool) -> None:
        now = time.monotonic()
        first = self._refused_since is None and self._signs[0] == 0
        self._refused_since = self._refused_since or now
        if not working and (first or now - self._refused_since > _REFUSED_FOR_S):
            raise commands.refusal(message, path)
        self._progress.note = f"sbatch refuses for now: {message}"
        self._queue_at = now + _QUEUE_EVERY_S[1]
        self._waves = 0
