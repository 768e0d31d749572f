"""What befalls a run: signals at random moments, a full disk, files that may not grow."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .processes import Role, processes

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGSTOP)
_ROLES: tuple[Role, ...] = ("worker", "worker", "child", "driver")
FULL = "full disk"
NO_GROWTH = "files may not grow"


@dataclass(frozen=True, slots=True)
class Blow:
    """One disturbance.

    Attributes:
        after_s: seconds after the start of the command.
        kind: the name of a signal, "full disk" or "files may not grow".
        role: which process it hits, for a signal; "all" for every one at once.
        number: which of them, and how much: it is taken modulo what there is.
    """

    after_s: float
    kind: str
    role: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.role} at {self.after_s:.2f} s".replace("  ", " ")


def choose(random_: random.Random, usual_s: float) -> list[Blow]:
    """Choose what befalls one command, in order of time."""
    blows = []
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        after_s = random_.uniform(0.02, 1.05) * usual_s
        number = random_.randrange(1 << 16)
        dice = random_.random()
        if dice < 0.12:
            blows.append(Blow(after_s, FULL, "", number))
        elif dice < 0.2:
            blows.append(Blow(0.0, NO_GROWTH, "", number))
        else:
            number_ = random_.choice(_SIGNALS)
            role = "all" if random_.random() < 0.15 else random_.choice(_ROLES)
            blows.append(Blow(after_s, number_.name, role, number))
    return sorted(blows, key=lambda blow: blow.after_s)


def before_start(blows: list[Blow]) -> Callable[[], None] | None:
    """Return what the command's process does before it is the command."""
    for blow in blows:
        if blow.kind == NO_GROWTH:
            size = 64 << blow.number % 14  # from 64 bytes to half a megabyte
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return None


def strike(blow: Blow, mark: str, disk: Path) -> bool:
    """Do it; tell whether there was something to hit."""
    if blow.kind == NO_GROWTH:
        return True
    if blow.kind == FULL:
        _fill(disk, leave=(0, 4096, 65536)[blow.number % 3])
        return True
    there = processes(mark)
    hit = there if blow.role == "all" else [one for one in there if one.role == blow.role]
    if not hit:
        return False
    if blow.role != "all":
        hit = [hit[blow.number % len(hit)]]
    for process in hit:
        process.signal(signal.Signals[blow.kind])
    if blow.kind == "SIGSTOP":
        time.sleep(0.1 + blow.number % 20 / 10)
        for process in hit:
            process.signal(signal.SIGCONT)
    return True


def _fill(disk: Path, leave: int) -> None:
    """Take all space of a small disk but `leave` bytes."""
    usage = shutil.disk_usage(disk)
    with suppress(OSError):
        size = max(usage.free - leave, 0)
        with (disk / "filler").open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(size, 1))


def make_room(disk: Path) -> None:
    """Undo a full disk."""
    (disk / "filler").unlink(missing_ok=True)


class SmallDisk:
    """A tmpfs on which a run writes; a plain folder where it may not be mounted."""

    def __init__(self, folder: Path, size_mb: int = 64) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
        self.small = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def close(self) -> None:
        """Take it away."""
        if self.small:
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
