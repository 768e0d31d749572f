"""How far a run is: for whoever shows it now, and in small files for whoever looks later."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..storage import is_remote, names, remove_leftovers, temporary_name

_BEAT_S = 2.0


@dataclass(slots=True)
class Progress:
    """How far a stage is, for whoever shows it.

    Attributes:
        running: unit name to its latest message while it is worked on.
        finished: counts of the units done in this run.
        done: units done, in this run or before.
        note: what else there is to know, such as how many tasks run.
    """

    stage: str
    units: int
    done: int
    sizes: dict[str, int] = field(default_factory=dict)
    running: dict[str, dict[str, float]] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    finished_bytes: int = 0
    note: str = ""

    def finish(self, counts: Mapping[str, Any]) -> None:
        """Add the counts of a unit that is done."""
        kept = ("in", "kept", "dropped", "failed")
        self.finished.update(
            {key: n for key, n in counts.items() if key in kept or key.startswith("drop:")}
        )

    def top_reasons(self, number: int) -> list[tuple[str, int]]:
        """Return the reasons that dropped most so far in this run, as `<step>/<code>`."""
        found: Counter[str] = Counter()
        told: list[Mapping[str, float]] = [self.finished, *self.running.values()]
        for counts in told:
            for key, count in counts.items():
                if key.startswith("drop:"):
                    found[key[5:]] += int(count)
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:number]

    def count(self, key: str) -> int:
        """Documents `in`, `kept`, `dropped` or `failed` so far in this run."""
        return int(self.finished[key] + sum(m.get(key, 0) for m in self.running.values()))

    @property
    def fraction(self) -> float:
        """Share of this run's input bytes that is done."""
        total = sum(self.sizes.values())
        running = sum(
            self.sizes.get(unit, 0) * message.get("fraction", 0)
            for unit, message in self.running.items()
        )
        return min(1.0, (self.finished_bytes + running) / total) if total else 1.0


@dataclass(frozen=True, slots=True)
class FailedUnit:
    """A unit that was given up."""

    stage: str
    unit: str
    input: str
    error: str
    log: str


def beside(out: str) -> Path:
    """Return the local folder for a run's logs and other small files: `out` unless it is remote."""
    if not is_remote(out):
        return Path(out)
    return Path("runs", re.sub(r"[^A-Za-z0-9_-]+", "_", out))


class LiveFile:
    """A small file `live/<name>.json` that says what a supervisor is doing, renewed as it works.

    Whoever watches it sees by its `beat` that the supervisor lives.
    """

    def __init__(self, out: str, name: str, facts: dict[str, Any]) -> None:
        self.path = beside(out) / "live" / f"{name}.json"
        self._facts = {"host": socket.gethostname(), "pid": os.getpid(), **facts}
        self._beat = 0
        self._written = 0.0

    def write(self, running: dict[str, dict[str, float]], now: bool = False) -> None:
        """Write what is being done, if the last time was some seconds ago."""
        clock = time.monotonic()
        if not now and clock - self._written < _BEAT_S:
            return
        self._written = clock
        self._beat += 1
        value = {**self._facts, "beat": self._beat, "running": running}
        temporary = self.path.with_name(temporary_name(self.path.name))
        with suppress(OSError):  # on a full disk the work itself says so
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps(value))
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file: the supervisor has ended in an orderly way."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def remove_live(out: str, name: str) -> None:
    """Remove the file of a supervisor that is gone."""
    with suppress(OSError):
        (beside(out) / "live" / f"{name}.json").unlink(missing_ok=True)


def remove_dead(out: str) -> None:
    """Remove what supervisors of this machine that were killed said of themselves."""
    remove_leftovers(str(beside(out) / "live"))
    for name, value in read_live(out).items():
        here = "task" not in value and value["host"] == socket.gethostname()
        if here and not Path(f"/proc/{value['pid']}").exists():
            remove_live(out, name)


def read_live(out: str) -> dict[str, dict[str, Any]]:
    """Read what each supervisor of a run last said, by the name of its file.

    `age_s` is added: seconds since the file was written, by this machine's clock.
    """
    found = {}
    folder = beside(out) / "live"
    for name in names(str(folder)):
        if name.startswith(".") or not name.endswith(".json"):
            continue
        with suppress(OSError, ValueError):
            value = json.loads((folder / name).read_text())
            if not (isinstance(value, dict) and value.keys() >= {"host", "pid", "beat", "running"}):
                continue  # damaged
            value["age_s"] = max(0.0, time.time() - (folder / name).stat().st_mtime)
            found[name.removesuffix(".json")] = value
    return found
