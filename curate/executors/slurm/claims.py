"""Who has which unit: files in a folder that all tasks and drivers see.

The n-th attempt at a unit is the file `<unit>.<n>.claim`, made in the one way that a shared file
system makes exclusive, with the task's name in it. How the attempt ended, if not with a manifest,
is a second file `<unit>.<n>.<ending>`. A task reads the folder once and then only makes files, so
a hundred thousand units are no trouble.
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
        return sum(
            ending in endings
            and FORGIVEN not in endings
            and (ending == FAILED or FAILED not in endings)
            for endings in self.endings.values()
        )

    def free(self, max_attempts: int) -> bool:
        """Whether a task may take the unit."""
        tried = self.count(FAILED) < max_attempts and self.count(LOST) < MAX_LOSSES
        return tried and not self.open


class Claims:
    """The claims of one stage of a run.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, Attempts]:
        """Return what was tried with each unit that was."""
        found: dict[str, Attempts] = {}
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                unit, number, kind = (*entry.name.rsplit(".", 2), "", "")[:3]
                if not number.isdigit():
                    continue  # such as a file that NFS keeps while somebody has it open
                endings = found.setdefault(unit, Attempts()).endings.setdefault(int(number), set())
                if kind != "claim":
                    endings.add(kind)
        return found

    def take(self, unit: str, number: int, task: str) -> bool:
        """Take a unit; False when another task was first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._create(f"{unit}.{number}.claim", task)

    def owner(self, unit: str, number: int) -> str:
        """Return the task that has a unit; empty when that is not written yet."""
        try:
            return (self.folder / f"{unit}.{number}.claim").read_text()
        except OSError:
            return ""

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


class ClaimQueue:
    """The units of a stage as one task takes them: its own share first, then what is left.

    Args:
        claims: the stage's claims.
        units: all units that are left, in the order in which they are best begun.
        done: tells the units that have a manifest.
        task: the task's name.
        share: which of how many shares is this task's own.
        max_attempts: how often a unit is tried.
    """

    def __init__(
        self,
        claims: Claims,
        units: Sequence[Unit],
        done: Callable[[], set[str]],
        task: str,
        share: tuple[int, int],
        max_attempts: int,
    ) -> None:
        first, step = share[0] % share[1], share[1]
        own = list(units[first::step])
        others = [unit for index, unit in enumerate(units) if index % step != first]
        self._units = own + others[first:] + others[:first]
        self._claims, self._done, self._task = claims, done, task
        self._max_attempts = max_attempts
        self._waiting: list[tuple[Unit, int]] = []
        self._stale = True
        self._failed: set[str] = set()
        self._failed_in_a_row = 0
        self.held: dict[str, int] = {}
        self.attempts: dict[str, int] = {}

    def take(self) -> Unit | None:
        """Claim the next unit that nobody has; none when this task fails with whatever it takes."""
        while self._failed_in_a_row < _FAILURES_OF_A_TASK:
            while self._waiting:
                unit, number = self._waiting.pop()
                if self._claims.take(unit.name, number, self._task):
                    self.held[unit.name] = number
                    return unit
            if not self._stale:
                return None
            self._look()
        return None

    def let_go(self, unit: Unit, failed: bool = False) -> int:
        """Forget a unit that this task had, and return which attempt it was.

        One that failed is left to another task: the node may be to blame.
        """
        self._stale = True
        if failed:
            self._failed.add(unit.name)
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        return self.held.pop(unit.name)

    def _look(self) -> None:
        done, tried = self._done(), self._claims.read()
        self._waiting = []
        for unit in reversed(self._units):
            attempts = tried.get(unit.name, Attempts())
            self.attempts[unit.name] = attempts.count(FAILED)
            wanted = unit.name not in done and unit.name not in self._failed
            if wanted and attempts.free(self._max_attempts):
                self._waiting.append((unit, attempts.last + 1))
        self._stale = False
