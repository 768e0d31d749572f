"""What people see in the terminal: live progress, the table at the end, the plan."""

from __future__ import annotations

import shlex
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..executors.local import Progress
from ..plan import Plan
from ..status import StageStatus, Status

_PLAIN_EVERY_S = 5.0


class Display:
    """Show progress: a live line in a terminal, a plain line now and then elsewhere."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._stage = ""
        self._started = self._shown = 0.0

    def __enter__(self) -> Display:
        if self._enabled and self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Take the state of the current stage."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._started, self._shown = progress.stage, now, now
        over = not progress.running and progress.done >= progress.units
        if not self._enabled or (not over and now - self._shown < self._interval):
            return
        self._shown = now
        line = _line(progress, now - self._started)
        if self._console.is_terminal and not over:
            self._live.update(Text(line), refresh=True)
        else:
            self._console.print(Text(line), soft_wrap=True)

    @property
    def _interval(self) -> float:
        return 0.25 if self._console.is_terminal else _PLAIN_EVERY_S


def _line(progress: Progress, seconds: float) -> str:
    entered, kept = progress.count("in"), progress.count("kept")
    parts = [f"{progress.stage:<18} {progress.done}/{progress.units} units"]
    if not progress.sizes:
        return parts[0] + ", nothing left to do"
    parts.append(f"{entered:,} records")
    if seconds > 0.5:
        parts.append(f"{entered / seconds:,.0f}/s")
    parts.append(f"{kept:,} kept" + (f" ({kept / entered:.0%})" if entered else ""))
    if progress.count("failed"):
        parts.append(f"{progress.count('failed'):,} failed")
    fraction = progress.fraction
    if 0.02 < fraction < 1 and seconds > 2:
        parts.append(f"{fraction:.0%}, {_duration(seconds * (1 - fraction) / fraction)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def print_status(status: Status) -> None:
    """Print the table of a run, where its dataset is, and what to type next."""
    console = Console(highlight=False)
    console.print(_row("", "in", "kept", "dropped", "failed", style="bold"))
    for stage in status.stages:
        _print_stage(console, stage)
    console.print()
    left = [stage for stage in status.stages if stage.units != stage.done]
    for stage in left:
        units = "?" if stage.units is None else f"{stage.units:,}"
        failed = f", {len(stage.failed_units):,} failed" if stage.failed_units else ""
        console.print(f"{stage.name}: {stage.done:,} of {units} units done{failed}", soft_wrap=True)
    if left:
        command = run_command(status.run["file"], status.run["given"], status.out)
        console.print(f"Next:     {command}", soft_wrap=True, markup=False)
        return
    total = status.stages[-1].total
    console.print(
        f"Dataset:  {status.out}/dataset  ({total.kept:,} documents,"
        f" {total.text_chars:,} characters)",
        soft_wrap=True,
    )
    console.print(
        f'Next:     datasets.load_dataset("parquet", data_dir="{status.out}/dataset/data")'
        f"\n          curate status {status.out} --json",
        soft_wrap=True,
        markup=False,
    )


def _print_stage(console: Console, stage: StageStatus) -> None:
    steps = stage.total.steps
    alone = [step.name for step in steps] == [stage.name]
    if not alone:
        console.print(stage.name, style="bold", markup=False)
    for step in steps:
        failed = step.failed.total()
        counts = (step.entered, step.kept, step.dropped.total(), failed)
        name = step.name if alone else f"  {step.name}"
        console.print(_row(name, *(f"{n:,}" if n else "-" for n in counts)))
        reasons = [*_ordered(step.dropped), *(f"failed: {r}" for r in _ordered(step.failed))]
        for line in textwrap.wrap(", ".join(reasons), console.width - 6):
            console.print(f"      {line}", style="red" if failed else "dim", markup=False)


def _row(name: str, *counts: str, style: str = "") -> Text:
    return Text(f"{name:<24}" + "".join(f"{count:>12}" for count in counts), style=style)


def _ordered(reasons: Mapping[str, int]) -> list[str]:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [f"{reason} {count:,}" for reason, count in ordered]


def print_plan(plan: Plan) -> None:
    """Print the stages of a plan and what is left to do."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    table.add_column("units", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("fingerprint", no_wrap=True)
    table.add_column("steps")
    stages: list[dict[str, Any]] = plan.as_json()["stages"]
    for stage in stages:
        known = stage["units"] is not None
        table.add_row(
            stage["name"],
            f"{stage['units']:,}" if known else "?",
            f"{stage['left']:,}" if known else "?",
            stage["fingerprint"],
            Text(", ".join(stage["steps"]), style="dim"),
        )
    console.print(table)
    if any(stage["units"] is None for stage in stages):
        console.print("?  known when the stage before it is done", style="dim")
    command = run_command(plan.path, plan.given, plan.out)
    console.print(f"\nOutput:   {plan.out}\nNext:     {command}", soft_wrap=True, markup=False)


def run_command(path: str, given: Mapping[str, str], out: str) -> str:
    """Return the command that goes on with a run."""
    words = ["curate", "run", path]
    for name, value in given.items():
        words += ["-p", f"{name}={value}"]
    return shlex.join([*words, "--out", out])
