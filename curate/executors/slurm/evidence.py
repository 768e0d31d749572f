"""What a stage's claims and jobs say of the nodes, and what follows for its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from . import commands
from .claims import EXCUSED, FAILED, FORGIVEN, REFUSED, Attempts, Claims
from .nodes import Nodes

_FAILED_STATES = {"FAILED", "BOOT_FAIL"}
# So many units that are done are looked up at a time, of those that tell nothing but a good node.
_LOOKED_UP = 50
# So many tasks, or nodes, that say they cannot work are no chance.
_ENOUGH = 3


class Evidence:
    """What is known of where the units of one stage failed and were done.

    Args:
        nodes: what is known of the nodes from this and earlier stages.
        stage: its name.
        claims: its claims.

    Attributes:
        refusing: nodes on which tasks have said, since the last progress, that they cannot work.
        silenced: tasks that were cancelled because they gave no sign of life.
        fruitless: nodes on which tasks ended before they had a unit.
        cancelled: whether tasks were cancelled, by others, before they had a unit.
    """

    def __init__(self, nodes: Nodes, stage: str, claims: Claims) -> None:
        self._nodes, self._stage, self._claims = nodes, stage, claims
        self._owners: dict[tuple[str, int], tuple[str, str]] = {}
        self._heard: set[tuple[str, int]] = set()
        self._claimants: set[str] = set()
        self._before: set[str] | None = None
        self._ended: set[str] = set()
        self._barren: set[str] = set()
        self._working: set[str] = set()
        self._of_run: set[str] = set()
        self._of_definition: set[str] = set()
        self.refusing: set[str] = set()
        self.silenced: set[str] = set()
        self.fruitless: set[str] = set()
        self.cancelled = False

    def owner(self, unit: str, number: int) -> tuple[str, str]:
        """Return the task that made an attempt, and its node."""
        owner = self._owners.get((unit, number), ("", ""))
        if not owner[0]:
            owner = self._owners[unit, number] = self._claims.owner(unit, number)
            self._claimants.add(owner[0])
        return owner

    def owners(self, tried: Mapping[str, Attempts], left: Sequence[str]) -> dict[str, str]:
        """Return the tasks that have a unit now, and their nodes."""
        attempts = ((name, tried[name]) for name in left if name in tried)
        owners = dict(self.owner(name, one.last) for name, one in attempts if one.open)
        self._working = set(owners.values()) - {""}
        return owners

    def progress(self) -> None:
        """Hear that something was done or has failed: what tasks refused was no lasting trouble."""
        for said in (self._of_run, self._of_definition, self.refusing):
            said.clear()

    @property
    def is_hopeless(self) -> bool:
        """Whether tasks say that none can work: not on one node while others do."""
        everywhere = max(len(self._of_definition), len(self.refusing)) >= _ENOUGH
        return len(self._of_run) >= _ENOUGH or (everywhere and self._working <= self.refusing)

    def hear(self, tried: Mapping[str, Attempts], new: Set[str], left: Sequence[str]) -> None:
        """Take how attempts ended, and where.

        Args:
            tried: the attempts.
            new: units that are done since the last time.
            left: units that are not.
        """
        for name in (*left, *new):
            if name in tried:
                for number, endings in tried[name].endings.items():
                    if endings and (name, number) not in self._heard:
                        self._hear_ending(name, number, endings)
        known = sorted(new & tried.keys())
        telling = [name for name in known if self._nodes.accuse(self._id(name))]
        for name in {*telling, *known[:_LOOKED_UP]}:
            if node := self.owner(name, tried[name].last)[1]:
                self._nodes.done(self._id(name), node)

    def excuse(self, tried: Mapping[str, Attempts], left: Sequence[str], most: int) -> None:
        """Count failures on nodes that are out of order as losses, before a unit is given up."""
        proven = self._nodes.proven(self._working)
        for name in left if proven else ():
            attempts = tried.get(name)
            if attempts is None or attempts.open or attempts.count(FAILED) < most:
                continue
            for number in attempts.ended(FAILED):
                node = self._claims.failed_on(name, number)
                if node in proven:
                    self._claims.end(name, number, EXCUSED, {"node": node})
                    attempts.endings[number].add(EXCUSED)

    def bad_nodes(self, jobs: Sequence[commands.Job]) -> set[str]:
        """Return the nodes to be avoided.

        Args:
            jobs: the stage's, with those that have lately left the queue.
        """
        if self._before is None:  # what an earlier command met may have been mended
            self._before = {job.task for job in jobs if not job.live}
        jobs = [job for job in jobs if job.task not in self._before]
        cancelled = {job.task for job in jobs if job.state == "CANCELLED"}
        self.cancelled = bool(cancelled - self._claimants - self.silenced)
        jobs = [job for job in jobs if job.node]
        failed = {
            job.task: job.node
            for job in jobs
            if job.state in _FAILED_STATES or job.task in self.silenced
        }
        # Claims were read before the queue: who is not among them the second time had no unit.
        barren = {task for task in failed if task in self._ended and task not in self._claimants}
        self._ended = set(failed)
        for task in barren - self._barren:  # once: its node may have done something since
            self._nodes.barren(task, failed[task])
        self._barren |= barren
        self.fruitless = {failed[task] for task in failed if task not in self._claimants}
        self.fruitless |= {job.node for job in jobs if job.state == "NODE_FAIL"}
        return self._nodes.bad(self._working)

    def barred(self, tried: Mapping[str, Attempts], free: Sequence[str], most: int) -> set[str]:
        """Return the node, if any, on which none of the units that are free may be tried."""
        found = {self._claims.barred(name, tried.get(name, Attempts()), most) for name in free}
        return found if len(found) == 1 and "" not in found else set()

    def _hear_ending(self, name: str, number: int, endings: set[str]) -> None:
        if FORGIVEN in endings or not endings & {FAILED, REFUSED}:
            self._heard.add((name, number))
            return
        facts = self._claims.facts(name, number, FAILED if FAILED in endings else REFUSED)
        node = str(facts.get("node", ""))
        if not node:
            return  # it is being written
        self._heard.add((name, number))
        task = str(facts.get("task", ""))
        self._claimants.add(task)
        if FAILED in endings:
            self._nodes.failed(self._id(name), node)
            return
        self.refusing.add(node)
        if facts.get("kind") == "storage":
            self._of_run.add(task)
            return
        if facts.get("kind") == "definition":
            self._of_definition.add(task)
        self._nodes.refused(task, node)

    def _id(self, unit: str) -> str:
        return f"{self._stage}/{unit}"
