"""Which of several drivers of a run acts: the latest, as long as it lives.

Each driver makes the file `drivers/<number>.json` with the next free number and renews it as it
works. The highest number leads; the others see that and only look on.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BEAT_S = 2.0
_KEPT = 20
RUNNING, ENDED, STOPPED, CANCELLED = "running", "ended", "stopped", "cancelled"


class SupersededError(Exception):
    """Another driver of this run has taken over."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a driver last said.

    Attributes:
        state: "running"; "ended", with the run; "stopped", before it; or "cancelled".
        code: exit code of one that has ended.
        job: its Slurm job, empty for one in a terminal.
        done: units of the run that were done when it began.
        age_s: seconds since it last said anything, by this machine's clock.
    """

    number: int
    state: str = RUNNING
    beat: int = 0
    host: str = ""
    pid: int = 0
    job: str = ""
    code: int = 0
    message: str = ""
    done: int = 0
    age_s: float = field(default=0.0, compare=False)


def read_leader(control: Path) -> Record | None:
    """Return what the latest driver said; None when there was none."""
    records = _numbers(control)
    return _read(control, records[-1]) if records else None


def past_leaders(control: Path) -> list[Record]:
    """Return the drivers there were, the latest first."""
    found = [_read(control, number) for number in reversed(_numbers(control))]
    return [record for record in found if record is not None]


class Leadership:
    """This driver's part: to lead until a later one does.

    Args:
        control: folder of the run's Slurm files.
        done: units of the run that are done already.
        state: "cancelled" for one that only ends the others.
    """

    def __init__(self, control: Path, done: int = 0, state: str = RUNNING) -> None:
        self._control = control
        self._written = 0.0
        folder = control / "drivers"
        folder.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {
            "state": state,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID", ""),
            "done": done,
        }
        while True:
            numbers = _numbers(control)
            self.number = (numbers or [0])[-1] + 1
            self._facts = facts
            try:
                with self._path.open("x") as stream:
                    stream.write(json.dumps(facts))
                break
            except FileExistsError:
                continue
        for number in numbers[:-_KEPT]:
            (folder / f"{number:06d}.json").unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._control / "drivers" / f"{self.number:06d}.json"

    def check(self) -> None:
        """Say that this driver lives.

        Raises:
            SupersededError: another one leads.
        """
        if _numbers(self._control)[-1:] != [self.number]:
            raise SupersededError
        if time.monotonic() - self._written > _BEAT_S:
            self._written = time.monotonic()
            self._facts["beat"] = self._facts.get("beat", 0) + 1
            self._write()

    def end(self, state: str, code: int = 0, message: str = "") -> None:
        """Say that this driver has ended, and how."""
        self._facts.update(state=state, code=code, message=message)
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with suppress(OSError):
            temporary.write_text(json.dumps(self._facts))
            temporary.replace(self._path)


def _numbers(control: Path) -> list[int]:
    with suppress(FileNotFoundError):
        names = [entry.name for entry in os.scandir(control / "drivers")]
        return sorted(int(n.removesuffix(".json")) for n in names if n[0].isdigit())
    return []


def _read(control: Path, number: int) -> Record | None:
    path = control / "drivers" / f"{number:06d}.json"
    try:
        age_s = max(0.0, time.time() - path.stat().st_mtime)
        return Record(number, **json.loads(path.read_text()), age_s=age_s)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return Record(number)
