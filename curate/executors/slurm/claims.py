"""Who has which unit: files in a folder that all tasks and drivers see.

The n-th attempt at a unit is the file `<unit>.<n>.claim`, made in the one way that a shared file
system makes exclusive, with the names of task and node in it. How the attempt ended, if not with a
manifest, is a second file `<unit>.<n>.<ending>`. A node that is to be left alone is the file
`<node>.node.avoid`. A task reads the folder once and then only makes files, so a hundred thousand
units are no trouble.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pipeline import Unit

# A task that vanishes is seldom its unit's fault: nodes fail, jobs are preempted.
MAX_LOSSES = 10
# A task that fails with so many units in a row is on a node that is out of order.
_FAILURES_OF_A_TASK = 3

FAILED, LOST, RETURNED, REFUSED = "failed", "lost", "returned", "refused"
FORGIVEN = "forgiven"
# It failed, but its node was out of order: counted as lost.
EXCUSED = "excused"
_AVOID = ".node.avoid"


@dataclass(slots=True)
class Attempts:
    """What was tried with one unit.

    Attributes:
        endings: attempt to the kinds of ending it has; none while it is being worked on.
    """

    endings: dict[int, set[str]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The latest attempt."""
        return max(self.endings, default=0)

    @property
    def open(self) -> bool:
        """Whether a task has the unit."""
        return bool(self.endings) and not self.endings[self.last]

    def count(self, ending: str) -> int:
        """How many attempts ended so; one that failed and was lost has failed."""
        return len(self.ended(ending))

    def ended(self, ending: str) -> list[int]:
        """Return the attempts that ended so."""
        return [n for n, endings in self.endings.items() if _counts(endings, ending)]

    def free(self, max_attempts: int) -> bool:
        """Whether a task may take the unit."""
        tried = self.count(FAILED) < max_attempts and self.count(LOST) < MAX_LOSSES
        return tried and not self.open


def _counts(endings: set[str], ending: str) -> bool:
    if FORGIVEN in endings:
        return False
    if EXCUSED in endings:
        return ending == LOST
    return ending in endings and (ending == FAILED or FAILED not in endings)


class Claims:
    """The claims of one stage of a run.

    Args:
        folder: where they are.

    Attributes:
        avoided: nodes that are to be left alone, when the folder was read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.avoided: set[str] = set()
        self._failed_on: dict[tuple[str, int], str] = {}

    def read(self) -> dict[str, Attempts]:
        """Return what was tried with each unit that was."""
        found: dict[str, Attempts] = {}
        self.avoided = set()
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                if entry.name.endswith(_AVOID):
                    self.avoided.add(entry.name.removesuffix(_AVOID))
                unit, number, kind = (*entry.name.rsplit(".", 2), "", "")[:3]
                if not number.isdigit():
                    continue  # such as a file that NFS keeps while somebody has it open
                endings = found.setdefault(unit, Attempts()).endings.setdefault(int(number), set())
                if kind != "claim":
                    endings.add(kind)
        return found

    def take(self, unit: str, number: int, task: str, node: str) -> bool:
        """Take a unit; False when another task was first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._create(f"{unit}.{number}.claim", f"{task} {node}")

    def owner(self, unit: str, number: int) -> tuple[str, str]:
        """Return the task that has a unit, and its node; empty when that is not written yet."""
        try:
            task, _, node = (self.folder / f"{unit}.{number}.claim").read_text().partition(" ")
        except OSError:
            return "", ""
        return task, node

    def failed_on(self, unit: str, number: int) -> str:
        """Return the node on which an attempt failed; empty when that is not known."""
        key = unit, number
        if not self._failed_on.get(key):
            self._failed_on[key] = str(self.facts(unit, number, FAILED).get("node", ""))
        return self._failed_on[key]

    def barred(self, unit: str, attempts: Attempts, max_attempts: int) -> str:
        """Return the node on which a unit always failed, if only one attempt is left."""
        failed = attempts.ended(FAILED)
        if not failed or len(failed) < max_attempts - 1:
            return ""
        nodes = {self.failed_on(unit, number) for number in failed}
        return nodes.pop() if len(nodes) == 1 else ""

    def avoid(self, nodes: set[str]) -> None:
        """Say which nodes are to be left alone by tasks that meet them."""
        for node in nodes - self.avoided:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._create(f"{node}{_AVOID}", "")
        for node in self.avoided - nodes:
            (self.folder / f"{node}{_AVOID}").unlink(missing_ok=True)
        self.avoided = set(nodes)

    def end(self, unit: str, number: int, ending: str, facts: Mapping[str, Any]) -> bool:
        """Write how an attempt ended; False when that is known already."""
        return self._create(f"{unit}.{number}.{ending}", json.dumps(dict(facts)))

    def facts(self, unit: str, number: int, ending: str) -> dict[str, Any]:
        """Return what was written of the end of an attempt."""
        try:
            return dict(json.loads((self.folder / f"{unit}.{number}.{ending}").read_text()))
        except (OSError, ValueError):
            return {}

    def forgive(self) -> None:
        """Let the attempts that ended count no more, so that each unit is tried as at first."""
        for unit, attempts in self.read().items():
            for number, endings in attempts.endings.items():
                if endings and FORGIVEN not in endings:
                    self.end(unit, number, FORGIVEN, {})

    def remove(self) -> None:
        """Remove the whole folder: every unit is done."""
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                Path(entry.path).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _create(self, name: str, text: str) -> bool:
        try:
            descriptor = os.open(self.folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        return True


@dataclass(frozen=True, slots=True)
class Place:
    """A task, where it runs, and how it takes units.

    Attributes:
        task: its name.
        share: which of how many shares of the units is its own.
        max_attempts: how often a unit is tried.
        workers: how many units it has at once.
        anywhere: whether the last attempt at a unit may be where it always failed.
    """

    task: str
    node: str
    share: tuple[int, int]
    max_attempts: int
    workers: int
    anywhere: bool


class ClaimQueue:
    """The units of a stage as one task takes them: its own share first, then what is left.

    The last attempt at a unit is on another node than all before, and the only one of its task
    while it goes on: neither a node nor what has eaten the task's memory shall have it given up.

    Args:
        claims: the stage's claims.
        units: all units that are left, in the order in which they are best begun.
        done: tells the units that have a manifest.
        place: who takes them.
    """

    def __init__(
        self, claims: Claims, units: Sequence[Unit], done: Callable[[], set[str]], place: Place
    ) -> None:
        first, step = place.share[0] % place.share[1], place.share[1]
        own = list(units[first::step])
        others = [unit for index, unit in enumerate(units) if index % step != first]
        self._units = own + others[first:] + others[:first]
        self._claims, self._done, self._place = claims, done, place
        self._waiting: list[tuple[Unit, int]] = []
        self._last: list[tuple[Unit, int]] = []
        self._alone = False
        self._stale = True
        self._failed: set[str] = set()
        self._failed_in_a_row = 0
        self.held: dict[str, int] = {}
        self.attempts: dict[str, int] = {}

    def take(self) -> Unit | None:
        """Claim the next unit that nobody has; none when this task fails with whatever it takes."""
        if self._alone or self._failed_in_a_row >= _FAILURES_OF_A_TASK:
            return None
        unit = self._claim(self._waiting)
        if unit is None and self._stale:
            self._look()
            unit = self._claim(self._waiting)
        if unit is None and not self.held:
            unit = self._claim(self._last)
            self._alone = unit is not None
        return unit

    def _claim(self, waiting: list[tuple[Unit, int]]) -> Unit | None:
        while waiting:
            unit, number = waiting.pop()
            if self._claims.take(unit.name, number, self._place.task, self._place.node):
                self.held[unit.name] = number
                return unit
        return None

    def let_go(self, unit: Unit, failed: bool = False) -> int:
        """Forget a unit that this task had, and return which attempt it was.

        One that failed is left to another task: the node may be to blame.
        """
        self._stale = True
        self._alone = False
        if failed:
            self._failed.add(unit.name)
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        return self.held.pop(unit.name)

    def _look(self) -> None:
        done, tried = self._done(), self._claims.read()
        place = self._place
        self._waiting, self._last, self._stale = [], [], False
        if place.node in self._claims.avoided:
            return
        for unit in reversed(self._units):
            attempts = tried.get(unit.name, Attempts())
            failed = self.attempts[unit.name] = attempts.count(FAILED)
            wanted = unit.name not in done and unit.name not in self._failed
            if not wanted or not attempts.free(place.max_attempts):
                continue
            if (
                not place.anywhere
                and self._claims.barred(unit.name, attempts, place.max_attempts) == place.node
            ):
                continue
            is_last = place.workers > 1 and 0 < place.max_attempts - 1 <= failed
            (self._last if is_last else self._waiting).append((unit, attempts.last + 1))
