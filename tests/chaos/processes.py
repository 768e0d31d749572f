"""The processes of a run, found in /proc, and what can be done to them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MARK = "CURATE_CHAOS"
Role = Literal["driver", "worker", "child", "other"]


@dataclass(frozen=True, slots=True)
class Process:
    """A running process of a run."""

    pid: int
    role: Role

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, number)


def processes(mark: str) -> list[Process]:
    """Return the processes that carry this mark in their environment, oldest first."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes()
                found.append(Process(int(folder.name), _role(command)))
    return sorted(found, key=lambda process: process.pid)


def _role(command: bytes) -> Role:
    words = command.split(b"\0")
    if b"curate" in words and b"run" in words:
        return "driver"
    if b"curate" in words and b"worker" in words:
        return "worker"
    return "child" if b"curate.extract.child" in command else "other"
