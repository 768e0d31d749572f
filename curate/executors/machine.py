"""How many cores and how much memory this process may use, container limits included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def cores(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the cores this process may use: its affinity and the quota of its control groups."""
    limit = float(len(os.sched_getaffinity(0)))
    for folder in _groups("cpu", root, own):
        quota = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(quota) == 2 and all(word.isdigit() for word in quota) and int(quota[1]):
            limit = min(limit, int(quota[0]) / int(quota[1]))
    return max(1, int(limit))


def memory_gb(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> float:
    """Return the memory this process may use, in GiB."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _groups("memory", root, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            for word in _words(folder / name):
                if word.isdigit():
                    limit = min(limit, int(word))
    return limit / (1 << 30)


def _groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of those it lies in.

    A line of /proc/self/cgroup is `id:controllers:path`; version 2 has the one line `0::path`. In a
    container the path may name a folder that is not there: the root is then the container's own.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and controller not in names:
            continue
        base = root / (controllers if controllers and (root / controllers).is_dir() else "")
        if controllers and base == root:
            base = root / controller
        folder = base / path.lstrip("/")
        while folder != base and base in folder.parents:
            yield folder
            folder = folder.parent
        yield base


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
