"""What people see in the terminal: live progress, the table at the end, the plan."""

from __future__ import annotations

import shlex
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..executors.progress import FailedUnit, Progress
from ..executors.slurm.leader import RUNNING
from ..explain.safe_text import visible
from ..plan import Plan
from ..status import StageStatus, Status
from ..storage import exists, join
from .live import Speed, duration, live_view

_PLAIN_EVERY_S = 5.0
_MAX_RUNNING = 20
_SILENT_S = 60.0
_NAME, _COUNT = 24, 12  # columns of the table


class Display:
    """Show progress: a live line in a terminal, a plain line now and then elsewhere."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._speed = Speed()
        self._stage = self._over = ""
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
        if over and self._over == progress.stage:
            return
        self._over = progress.stage if over else ""
        if not self._enabled or (not over and now - self._shown < self._interval):
            return
        self._shown = now
        line = _line(progress, now - self._started)
        if self._console.is_terminal and not over:
            view = live_view(progress, *self._speed(progress, now), {})
            self._live.update(view, refresh=True)
        else:
            self._live.update(Text(""))
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
        parts.append(f"{fraction:.0%}, {duration(seconds * (1 - fraction) / fraction)} left")
    if progress.note and progress.done < progress.units:
        parts.append(progress.note)
    return ", ".join(parts)


def print_status(status: Status) -> None:
    """Print the table of a run, where its dataset is, and what to type next."""
    console = Console(highlight=False)
    _print_row(console, "", ("in", "kept", "dropped", "failed"), style="bold")
    for stage in status.stages:
        _print_stage(console, stage)
    for stage in status.stages:
        _print_broken_steps(console, stage)
    console.print()
    left = [stage for stage in status.stages if stage.units != stage.done]
    for stage in left:
        units = "?" if stage.units is None else f"{stage.units:,}"
        failed = f", {len(stage.failed_units):,} failed" if stage.failed_units else ""
        console.print(f"{stage.name}: {stage.done:,} of {units} units done{failed}", soft_wrap=True)
    _print_running(console, status)
    report = join(status.out, "report.html")
    if exists(report):
        console.print(f"Report:   {report}", soft_wrap=True, markup=False)
    if left:
        flags = ["--executor", "slurm"] if status.driver else []
        command = run_command(status.run["file"], status.run["given"], status.out, flags)
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
        _print_row(console, name, [f"{n:,}" if n else "-" for n in counts])
        reasons = [*_ordered(step.dropped), *(f"failed: {r}" for r in _ordered(step.failed))]
        for line in textwrap.wrap(", ".join(reasons), console.width - 6):
            console.print(f"      {line}", style="red" if failed else "dim", markup=False)


def _print_broken_steps(console: Console, stage: StageStatus) -> None:
    """Show the steps that fail with every document, and the first traceback of each."""
    for step in stage.broken_steps:
        console.print(
            f"\n{stage.name}: every document fails in the step {step.name}.",
            style="red",
            markup=False,
        )
        if step.name in stage.tracebacks:
            console.print(
                f"The first:\n{visible(stage.tracebacks[step.name].rstrip())}",
                style="dim",
                markup=False,
            )


def _print_running(console: Console, status: Status) -> None:
    """Show what is being worked on now, and who drives a run on Slurm."""
    lines = []
    for value in status.running:
        where = f"{value['host']}, task {value['task']}" if "task" in value else value["host"]
        if value["age_s"] > _SILENT_S:
            where += f", no sign of life for {duration(value['age_s'])}"
        for unit, message in value["running"].items():
            entered, kept = int(message.get("in", 0)), int(message.get("kept", 0))
            share = f"{message.get('fraction', 0):.0%}, {entered:,} records, {kept:,} kept"
            lines.append(f"  {value['stage']}: {unit}: {share} ({where})")
    if lines:
        console.print(f"Running:  {len(lines)} units")
    for line in lines[:_MAX_RUNNING]:
        console.print(line, soft_wrap=True, markup=False)
    if len(lines) > _MAX_RUNNING:
        console.print(f"  ... and {len(lines) - _MAX_RUNNING} more (--json shows all)")
    if status.driver is not None:
        driver = status.driver
        what = f"job {driver['job']}" if driver["job"] else f"process {driver['pid']}"
        state = driver["state"]
        if state == RUNNING and driver["age_s"] > _SILENT_S:
            state = f"last heard of {duration(driver['age_s'])} ago"
            if any(stage.units != stage.done for stage in status.stages):
                state += "; if its job is not in the queue, the command below drives on"
        console.print(f"Driver:   {what} on {driver['host']}: {state}", soft_wrap=True)


def _print_row(console: Console, name: str, counts: Sequence[str], style: str = "") -> None:
    """Print a line of the table; in a narrow terminal, the name on a line of its own."""
    if console.width >= _NAME + len(counts) * _COUNT:
        text = f"{name:<{_NAME}}" + "".join(f"{count:>{_COUNT}}" for count in counts)
    else:
        width = min(_COUNT, console.width // len(counts))
        text = (f"{name}\n" if name else "") + "".join(f"{count:>{width}}" for count in counts)
    console.print(Text(text, style=style), soft_wrap=True)


def _ordered(reasons: Mapping[str, int]) -> list[str]:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [f"{reason} {count:,}" for reason, count in ordered]


def print_given_up(
    units: Sequence[FailedUnit], status: Status, plan: Plan, flags: Sequence[str] = ()
) -> None:
    """Print which units failed, why, where to look, and what to type next."""
    print(f"\n{len(units)} unit(s) failed and were left out:", file=sys.stderr)
    if status.stages[-1].units != status.stages[-1].done:
        print("The dataset was left as it was.", file=sys.stderr)
    for unit in units[:10]:
        error = " ".join(unit.error.split())
        error = error if len(error) <= 300 else f"{error[:296]} ..."
        print(f"  {unit.stage}: {unit.input}: {error} (log: {unit.log})", file=sys.stderr)
    if len(units) > 10:
        print(f"  ... all of them: {plan.out}/failures/", file=sys.stderr)
    command = run_command(plan.path, plan.given, plan.out, flags)
    print(f"Mend the cause, then try again: {command}", file=sys.stderr)


def print_detached(job: str, log: str, plan: Plan, flags: Sequence[str]) -> None:
    """Print how to follow a run that a job drives."""
    print(
        f"Job {job} drives the run; its log: {log}"
        f"\nShow:     curate status {plan.out}"
        f"\nFollow:   {run_command(plan.path, plan.given, plan.out, flags)}"
        f"\nStop:     curate cancel {plan.out}"
    )


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


def run_command(path: str, given: Mapping[str, str], out: str, flags: Sequence[str] = ()) -> str:
    """Return the command that goes on with a run."""
    words = ["curate", "run", path]
    for name, value in given.items():
        words += ["-p", f"{name}={value}"]
    return shlex.join([*words, "--out", out, *flags])
