"""How long each task has given no sign of life, by this machine's clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

# Not heard of for so long, all at once: the driver or the file system stood still, not the tasks.
_PAUSE_S = 60.0


class Life:
    """The beats of a stage's tasks."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[Any, float]] = {}
        self._listened = time.monotonic()

    def hear(self, live: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what the tasks' files say now."""
        now = time.monotonic()
        pause = now - self._listened
        self._listened = now
        if pause > _PAUSE_S:
            self._beats = {task: (beat, at + pause) for task, (beat, at) in self._beats.items()}
        for task, value in live.items():
            if self._beats.get(task, (None,))[0] != value["beat"]:
                self._beats[task] = (value["beat"], now)

    def silent_s(self, task: str) -> float:
        """Return for how long; 0 when the task is asked for the first time."""
        now = time.monotonic()
        return now - self._beats.setdefault(task, (None, now))[1]
