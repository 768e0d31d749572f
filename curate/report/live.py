"""The live view of a stage: a bar, the speed, what is dropped, who works on what."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..executors.progress import Progress
from ..executors.slurm.leader import RUNNING
from ..explain.safe_text import one_line
from ..status import Status, read_status

_REASONS = 5
_WORKERS = 8
_DRIVER_SILENT_S = 120.0  # it says every few seconds that it lives
_WATCH_EVERY_S = 2.0
# Between stages nothing is worked on for a moment; later the run has ended, and lacks something.
_IDLE_S = 30.0


def duration(seconds: float) -> str:
    """Return a time that is left as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


class Speed:
    """Records per second of a stage since it was first seen, and the time left."""

    def __init__(self) -> None:
        self._stage = ""
        self._since = self._entered = self._fraction = 0.0

    def __call__(self, progress: Progress, now: float) -> tuple[float | None, float | None]:
        """Return records per second and seconds left, where they can be told."""
        entered, fraction = progress.count("in"), progress.fraction
        if progress.stage != self._stage:
            self._stage, self._since = progress.stage, now
            self._entered, self._fraction = entered, fraction
        seconds = now - self._since
        speed = (entered - self._entered) / seconds if seconds > 0.5 else None
        gained = fraction - self._fraction
        left = (1 - fraction) * seconds / gained if gained > 0.02 and seconds > 2 else None
        return speed, left


def live_view(
    progress: Progress, speed: float | None, left: float | None, hosts: Mapping[str, str]
) -> RenderableType:
    """Return the view of the stage that is worked on.

    Args:
        progress: how far it is.
        speed: records per second.
        left: seconds left.
        hosts: where units are worked on, where that is told.
    """
    entered, kept = progress.count("in"), progress.count("kept")
    top = Table.grid(padding=(0, 1))
    top.add_row(
        Text(progress.stage, "bold"),
        ProgressBar(total=1.0, completed=progress.fraction, width=32),
        Text(f"{progress.fraction:.0%}", "bold"),
        Text(f"{progress.done:,}/{progress.units:,} units"),
        Text("" if left is None else f"{duration(left)} left", "cyan"),
    )
    facts = [f"{entered:,} records"]
    facts += [] if speed is None else [f"{speed:,.0f}/s"]
    facts += [f"{kept:,} kept ({kept / entered:.0%})"] if entered else []
    failed = progress.count("failed")
    facts += [f"{failed:,} failed"] if failed else []
    facts += [progress.note] if progress.note else []
    lines: list[RenderableType] = [top, Text(f"  {' · '.join(facts)}")]
    reasons = progress.top_reasons(_REASONS)
    if reasons:
        told = " · ".join(f"{one_line(reason, 60)} {count:,}" for reason, count in reasons)
        lines.append(Text(f"  dropped: {told}", "dim"))
    lines.append(_workers(progress.running, hosts))
    return Group(*lines)


def _workers(running: Mapping[str, Mapping[str, float]], hosts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for unit, message in sorted(running.items())[:_WORKERS]:
        memory = message.get("memory_mb")
        table.add_row(
            Text(f"  {one_line(unit, 40)}", "dim"),
            ProgressBar(total=1.0, completed=message.get("fraction", 0.0), width=16),
            Text(f"{int(message.get('in', 0)):,} records", "dim"),
            Text("" if memory is None else f"{memory:,.0f} MB", "dim"),
            Text(hosts.get(unit, ""), "dim"),
        )
    if len(running) > _WORKERS:
        table.add_row(Text(f"  and {len(running) - _WORKERS:,} more", "dim"))
    return table


def of_status(status: Status) -> tuple[Progress | None, dict[str, str]]:
    """Return how far the stage is that supervisors work on, and on which host each unit is.

    All units count the same: their sizes are in no file of the run.
    """
    alive = list(status.running)
    if not alive:
        return None, {}
    name = alive[-1]["stage"]
    stage = next((one for one in status.stages if one.name == name), None)
    if stage is None:
        return None, {}
    units = stage.units or stage.done
    progress = Progress(name, units, stage.done)
    progress.finish(stage.total.counts())
    hosts = {}
    for value in alive:
        if value["stage"] == name:
            progress.running.update(value["running"])
            hosts.update(dict.fromkeys(value["running"], str(value["host"])))
    others = range(max(0, units - len(progress.running)))
    progress.sizes = dict.fromkeys([*progress.running, *map(str, others)], 1)
    progress.finished_bytes = stage.done
    return progress, hosts


def watch(out: str, until: Callable[[], bool] = lambda: False) -> Status:
    """Show a run as it goes on, wherever it runs, until it ends; return its last status."""
    console = Console(highlight=False)
    speed = Speed()
    worked = time.monotonic()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            status = read_status(out)
            live.update(_overview(status, speed, began), refresh=True)
            complete = all(stage.units == stage.done for stage in status.stages)
            driver = status.driver or {"state": "", "age_s": 0.0}
            waits = driver["state"] == RUNNING and driver["age_s"] < _DRIVER_SILENT_S
            if status.running or waits:
                worked = began
            if complete or until() or began - worked > _IDLE_S:
                return status
            # A run of very many units takes a while to read: look at it less often.
            time.sleep(max(_WATCH_EVERY_S, 5 * (time.monotonic() - began)))


def _overview(status: Status, speed: Speed, now: float) -> RenderableType:
    progress, hosts = of_status(status)
    rows = Table.grid(padding=(0, 2))
    for stage in status.stages:
        total = stage.total
        units = "?" if stage.units is None else f"{stage.units:,}"
        share = f"{total.kept / total.entered:.0%} kept" if total.entered else ""
        rows.add_row(
            Text(stage.name, "bold" if progress and stage.name == progress.stage else ""),
            ProgressBar(total=max(stage.units or 1, 1), completed=stage.done, width=24),
            Text(f"{stage.done:,}/{units} units"),
            Text(f"{total.entered:,} records" if total.entered else "", "dim"),
            Text(share, "dim"),
            Text(f"{len(stage.failed_units):,} failed" if stage.failed_units else "", "red"),
        )
    parts: list[RenderableType] = [rows]
    if progress is not None:
        parts += [Text(""), live_view(progress, *speed(progress, now), hosts)]
    else:
        parts.append(Text("\nNothing is being worked on now.", "dim"))
    return Group(*parts)
