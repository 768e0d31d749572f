"""A run on Slurm: driven from here or from inside the cluster, looked on at, cancelled."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import ClusterError, CurateError, DefinitionError, InputError
from .executors.progress import FailedUnit, Progress, read_live
from .executors.slurm import commands
from .executors.slurm.claims import Claims
from .executors.slurm.executor import SlurmExecutor, StageRun, control_folder
from .executors.slurm.leader import (
    CANCELLED,
    ENDED,
    RUNNING,
    STOPPED,
    Leadership,
    Record,
    SupersededError,
    past_leaders,
    read_leader,
)
from .executors.slurm.profile import DRIVER, Profile, load_profile
from .executors.slurm.scripts import script
from .plan import Plan
from .run import run
from .storage import exists, join, names, read_json

_LOOK_EVERY_S = 1.0
# The leading driver renews its file every two seconds.
_LEADER_SILENT_S = 30.0
_DRIVER_MEMORY_GB = 2.0
# So many drivers in a row may die before any unit gets done.
_MAX_DEATHS = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user says of a run on Slurm; 0 and "" leave it to the profile."""

    profile: str = ""
    tasks: int = 0
    workers: int = 0
    patience_minutes: float = 60.0
    only: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the units given up, or the exit code of the driver that was followed."""

    given_up: list[FailedUnit]
    code: int
    message: str = ""


def drive(
    plan: Plan, settings: Settings, show: Callable[[Progress], None], job: bool = False
) -> Outcome:
    """Do what is left to do of a plan; follow another driver while a later one leads.

    Args:
        plan: what to do.
        settings: the user's.
        show: told how far the current stage is.
        job: whether this is the driver that --detach submitted.

    Raises:
        CurateError: nothing more can be done; no job of the run is left.
    """
    control = control_folder(plan.out)
    profile = load_profile(settings.profile, [stage.name for stage in plan.stages])
    if job:
        _submit_successor(control, _logs(profile, control))
    else:
        with suppress(commands.SlurmSilentError):  # the controller is waited for
            commands.jobs(control)
    forgive = not job
    while True:
        leader = Leadership(control, sum(len(stage.done()) for stage in plan.stages))
        executor = SlurmExecutor(
            profile,
            leader,
            settings.tasks,
            settings.workers,
            patience_s=settings.patience_minutes * 60,
            forgive=forgive,
        )
        try:
            _cancel_others(plan, control)
            given_up = run(plan, executor, show, settings.only, leader.check)
        except SupersededError:
            record = _follow(plan, control, show)
            if record.state == CANCELLED:
                _cancel_jobs(control)  # what this driver submitted meanwhile
                return Outcome([], 130, "the run was stopped by `curate cancel`.")
            _check_same(plan)
            if record.state == ENDED:
                return Outcome([], record.code, record.message)
            forgive = False
        except CurateError as error:
            _cancel_jobs(control)
            leader.end(ENDED, 1, str(error))
            raise
        except BaseException:
            leader.end(STOPPED)
            if not job:
                what = f"`curate cancel {plan.out}` stops them"
                print(f"\nTasks on the cluster go on; {what}.", file=sys.stderr)
            raise
        else:
            _cancel_jobs(control)
            leader.end(ENDED, 1 if given_up else 0)
            return Outcome(given_up, 1 if given_up else 0)


def detach(plan: Plan, settings: Settings) -> str:
    """Submit a small job that drives the run, and return its number.

    Raises:
        ClusterError: sbatch refuses it.
    """
    control = control_folder(plan.out)
    profile = load_profile(settings.profile, [stage.name for stage in plan.stages])
    name = commands.job_name(DRIVER, control)
    try:
        commands.cancel([j.task for j in commands.jobs(control) if j.live and j.name == name])
    except commands.SlurmSilentError as error:
        raise ClusterError(f"Slurm does not answer: {error}\nTry again when it does.") from error
    plan.save()
    for stage in plan.stages:
        Claims(control / "claims" / f"{stage.name}-{stage.fingerprint}").forgive()
    logs = _logs(profile, control)
    logs.mkdir(parents=True, exist_ok=True)
    path = control / "scripts" / "driver.sh"
    path.parent.mkdir(parents=True, exist_ok=True)
    script = _driver_script(plan, settings, control, logs)
    path.write_text(script, "utf-8", "surrogateescape")
    try:
        return commands.submit(path)
    except commands.RefusedError as error:
        raise commands.refusal(str(error), path) from error
    except commands.SlurmSilentError as error:
        raise ClusterError(f"Slurm does not answer: {error}\nTry again when it does.") from error


def driver_log(plan: Plan, settings: Settings, job: str) -> str:
    """Return the log file of the job that drives a run."""
    profile = load_profile(settings.profile, [stage.name for stage in plan.stages])
    return str(_logs(profile, control_folder(plan.out)) / f"driver-{job}.log")


def dry_run(plan: Plan, settings: Settings, detached: bool) -> str:
    """Return the scripts that a run would give to sbatch; nothing is written or submitted."""
    control = control_folder(plan.out)
    profile = load_profile(settings.profile, [stage.name for stage in plan.stages])
    driver: Any = None  # it is not run
    executor = SlurmExecutor(profile, driver, settings.tasks, settings.workers)
    try:
        largest = commands.max_array_size()
    except (commands.SlurmSilentError, DefinitionError):  # not on a cluster
        largest = commands.DEFAULT_MAX_ARRAY
    texts = []
    for planned in plan.stages:
        units = plan.units(planned)
        stage = StageRun(executor, plan, planned, units or [], Progress(planned.name, 0, 0))
        number = executor.of(planned.name).tasks
        left = number if units is None else len({u.name for u in units} - planned.done())
        size = min(number, left, largest, profile.max_array_size or largest)
        title = f"# {planned.name}: {'?' if units is None else left} units left"
        plan_file = control.resolve() / "plans" / f"{planned.name}-DIGEST.json"
        texts.append(
            f"{title}\n{stage.arrays.script(str(plan_file), 0, size)}" if size else f"{title}\n"
        )
    if detached:
        logs = _logs(profile, control)
        texts.append(f"# the driver\n{_driver_script(plan, settings, control, logs)}")
    return "\n".join(texts)


def cancel(out: str) -> int:
    """Stop what is running of a run, and return how many jobs and processes that were.

    Raises:
        InputError: there is no run.
        ClusterError: Slurm does not answer, or jobs do not end.
    """
    if not exists(join(out, "run.json")):
        raise InputError(f"{out}: there is no run here (no run.json).")
    stopped = 0
    for value in read_live(out).values():
        if "task" not in value and value["host"] == os.uname().nodename:
            command = Path(f"/proc/{value['pid']}/cmdline")
            with suppress(OSError):
                if b"curate" in command.read_bytes():
                    os.kill(value["pid"], signal.SIGTERM)
                    stopped += 1
    control = control_folder(out)
    if control.is_dir():
        Leadership(control, state=CANCELLED)
        stopped += _cancel_jobs(control, wait=True)
    return stopped


def _cancel_others(plan: Plan, control: Path) -> None:
    """Cancel tasks of an earlier definition, which would go on with what nobody wants."""
    own = {commands.job_name(stage.name, control, stage.fingerprint) for stage in plan.stages}
    own.add(commands.job_name(DRIVER, control))
    with suppress(commands.SlurmSilentError):
        there = commands.jobs(control)
        commands.cancel([job.task for job in there if job.live and job.name not in own])


def _cancel_jobs(control: Path, wait: bool = False) -> int:
    """Cancel all jobs of a run but the one that this process is in."""
    own, seen = os.environ.get("SLURM_JOB_ID"), set()
    deadline = time.monotonic() + (120 if wait else 30)
    while True:
        try:
            there = commands.jobs(control)
            live = [job.task for job in there if job.live and job.task != own]
            commands.cancel(live)
            seen |= set(live)
            ending = wait and any(job.state == "COMPLETING" for job in there)
            if not live and not ending:
                return len(seen)
            problem = f"{len(live)} jobs have not ended"
        except commands.SlurmSilentError as error:
            problem = f"Slurm does not answer: {error}"
        if time.monotonic() > deadline:
            if wait:
                raise ClusterError(f"{problem}.\nGive the command again.")
            return len(seen)
        time.sleep(0.5)


def _follow(plan: Plan, control: Path, show: Callable[[Progress], None]) -> Record:
    """Show how far another driver is, until it has ended or shows no life."""
    record = read_leader(control)
    if record is not None and record.state == RUNNING:
        print("Another `curate run` has taken over; following it.", file=sys.stderr)
    last, since = None, time.monotonic()
    while True:
        record = read_leader(control)
        if record is not None and record.state != RUNNING:
            return record
        if record != last:
            last, since = record, time.monotonic()
        if time.monotonic() - since > _LEADER_SILENT_S:
            return record or Record(0)
        if exists(join(plan.out, "run.json")):  # the other may not have begun
            show(_progress(plan.out))
        time.sleep(_LOOK_EVERY_S)


def _progress(out: str) -> Progress:
    live = list(read_live(out).values())
    stages = [s for s in read_json(join(out, "run.json"))["stages"] if s["units"] is not None]
    left = []
    for stage in stages:
        done = {name[:-5] for name in names(join(out, stage["folder"])) if name.endswith(".json")}
        count = len(done & set(stage["units"]))
        if count < len(stage["units"]):
            left.append(Progress(stage["name"], len(stage["units"]), count))
    busy = {value["stage"] for value in live}
    progress = next((p for p in left if p.stage in busy), left[0] if left else Progress("", 0, 0))
    for value in live:
        if value["stage"] == progress.stage:
            progress.running.update(value["running"])
    progress.note = f"{len(live)} tasks running"
    return progress


def _check_same(plan: Plan) -> None:
    """Refuse to go on with a plan that a later command has replaced."""
    there = read_json(join(plan.out, "run.json"))
    mine = [stage.fingerprint for stage in plan.stages]
    if there["inputs"] != plan.inputs_json() or mine != [s["fingerprint"] for s in there["stages"]]:
        raise ClusterError(
            f"{plan.out}: a later command changed this run.\nGive the one that you want again."
        )


def _submit_successor(control: Path, logs: Path) -> None:
    """Leave a second driver in the queue, which starts when this one ends before the run does."""
    deaths = 0
    for record in past_leaders(control):
        if record.state != RUNNING or not record.job:
            break
        deaths += 1
    past = past_leaders(control)[:_MAX_DEATHS]
    if deaths >= _MAX_DEATHS and len({record.done for record in past}) == 1:
        raise ClusterError(
            f"{_MAX_DEATHS} drivers in a row died before anything got done.\nSee their logs in"
            f" {logs} and give them more memory: [stages.driver] in the profile."
        )
    with suppress(commands.SlurmSilentError, commands.RefusedError):
        commands.submit(control / "scripts" / "driver.sh", "--dependency=singleton")


def _logs(profile: Profile, control: Path) -> Path:
    return Path(profile.log_folder or control.resolve() / "logs")


def _driver_script(plan: Plan, settings: Settings, control: Path, logs: Path) -> str:
    profile = load_profile(settings.profile, [stage.name for stage in plan.stages])
    command = ["run", plan.path, "--out", plan.out, "--executor", "slurm", "--driver-job"]
    for name, value in plan.given.items():
        command += ["-p", f"{name}={value}"]
    for flag, setting in (
        ("--profile", settings.profile),
        ("--tasks", settings.tasks),
        ("--workers", settings.workers),
        ("--only", settings.only),
        ("--patience", settings.patience_minutes),
    ):
        if setting:
            command += [flag, str(setting)]
    name = commands.job_name(DRIVER, control)
    log = f"{str(logs).replace('%', '%%')}/driver-%j.log"
    own = replace(profile.of(DRIVER), workers=1, scratch="")
    return script(own, name, log, command, _DRIVER_MEMORY_GB)
