"""How much memory there is, for the tasks that must hold a whole corpus's clusters."""

from __future__ import annotations

from pathlib import Path

from ..errors import CurateError

_GIB = 1 << 30


def check_memory(stage: str, what: str, need: int) -> None:
    """Refuse to begin what would end for want of memory.

    Raises:
        CurateError: there is less than `need` bytes.
    """
    free = available()
    if free is not None and need > free:
        raise CurateError(
            f"{stage}: {what} take about {need / _GIB:.1f} GB of memory, and {free / _GIB:.1f} GB"
            " are free here.\nRun this stage where there is more (--only), or split the corpus:"
            " `within` and runs of their own with `against` compare less at once."
        )


def available() -> int | None:
    """Return how many bytes this process may still take; None where that cannot be told."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail")]
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return min(limits, default=None)
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            limits += _group_limit(controllers, path)
    return max(0, min(limits)) if limits else None


def _group_limit(controllers: str, path: str) -> list[int]:
    """Return what a control group leaves, of Linux' version 2 (no controllers named) or 1."""
    folder = Path("/sys/fs/cgroup", controllers, path.lstrip("/"))
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    limit, used = names if controllers else ("memory.max", "memory.current")
    try:
        return [int((folder / limit).read_text()) - int((folder / used).read_text())]
    except (OSError, ValueError):  # "max", or not mounted here
        return []
