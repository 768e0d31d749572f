"""Which nodes are out of order: what fails on them is done, or goes on, on others."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Set

# So many units must have failed on a node, and none been done there since.
_UNITS = 3
# So many tasks there must have ended before they had a unit, or have said that they cannot work.
_TASKS = 2
# A node may have been mended since.
_FORGET_S = 3600.0


class Nodes:
    """What became of the work on each node, in all stages of a run."""

    def __init__(self) -> None:
        self._units: dict[str, dict[str, float]] = defaultdict(dict)
        self._barren: dict[str, dict[str, float]] = defaultdict(dict)
        self._refusing: dict[str, dict[str, float]] = defaultdict(dict)
        self._failed_on: dict[str, set[str]] = defaultdict(set)
        self._done_elsewhere: set[str] = set()
        self._good: set[str] = set()

    def failed(self, unit: str, node: str) -> None:
        """Hear that a unit failed on a node."""
        self._units[node][unit] = time.monotonic()
        self._failed_on[unit].add(node)

    def barren(self, task: str, node: str) -> None:
        """Hear that a task ended before it had a unit."""
        self._barren[node].setdefault(task, time.monotonic())

    def refused(self, task: str, node: str) -> None:
        """Hear that a task said that it cannot work there."""
        self._refusing[node].setdefault(task, time.monotonic())

    def done(self, unit: str, node: str) -> None:
        """Hear that a unit was done, which speaks for its node, and against where it failed."""
        self._good.add(node)
        for held_against in (self._units, self._barren, self._refusing):
            held_against.pop(node, None)
        if self._failed_on.get(unit, set()) - {node}:
            self._done_elsewhere.add(unit)

    def accuse(self, unit: str) -> bool:
        """Tell whether it matters for a node where this unit is done."""
        return unit in self._failed_on

    def bad(self, working: Set[str]) -> set[str]:
        """Return the nodes to be avoided.

        A unit that fails on several nodes speaks against none of them until it is done. Failures
        everywhere are no node's: another one must have done something, or be at work.

        Args:
            working: nodes on which a task has a unit now.
        """
        refusing = {node for node, found in self._refusing.items() if _recent(found) >= _TASKS}
        accused = {
            node
            for node in self._units.keys() | self._barren.keys()
            if len(self._against(node)) >= _UNITS or _recent(self._barren.get(node, {})) >= _TASKS
        }
        others = (self._good | working) - accused - refusing
        return refusing | accused if others else refusing

    def proven(self, working: Set[str]) -> set[str]:
        """Return the bad nodes of which a unit that failed there was done on another one."""
        return {node for node in self.bad(working) if self._against(node) & self._done_elsewhere}

    def forget(self) -> None:
        """Give each node another chance."""
        for held_against in (self._units, self._barren, self._refusing):
            held_against.clear()

    def _against(self, node: str) -> set[str]:
        now = time.monotonic()
        return {
            unit
            for unit, at in self._units.get(node, {}).items()
            if now - at < _FORGET_S
            and (unit in self._done_elsewhere or len(self._failed_on[unit]) == 1)
        }


def _recent(found: dict[str, float]) -> int:
    return sum(time.monotonic() - at < _FORGET_S for at in found.values())
