"""The command line: arguments in, exit code out.

Exit codes: 0 all done; 1 some units failed, a step failed with every document, or the output cannot
be written; 2 the definition, a parameter or an input is wrong; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import CurateError, DefinitionError, InputError, SignalledError
from .explain.commands import ASKED, add_commands, finish, prepare

if TYPE_CHECKING:
    from .cluster import Settings
    from .plan import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):  # names may be no UTF-8, and a terminal may know none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except CurateError as error:
        print(f"curate: {error}", file=sys.stderr)
        return 2 if isinstance(error, DefinitionError | InputError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="curate", description="Turn a raw web crawl into a training-ready dataset."
    )
    parser.add_argument("--version", action="version", version=f"curate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="do what is left to do of a pipeline")
    _pipeline_arguments(run)
    run.add_argument(
        "--executor", choices=("local", "slurm"), default="local", help="where the work runs"
    )
    run.add_argument(
        "--workers", type=_positive, metavar="N", help="worker processes, with slurm of each task"
    )
    run.add_argument(
        "--patience",
        type=_positive_number,
        default=60.0,
        metavar="MINUTES",
        help="replace a worker that hangs in one document for so long [60]",
    )
    run.add_argument("--only", default="", metavar="STAGE", help="run this one stage")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    slurm = run.add_argument_group("with --executor slurm")
    slurm.add_argument("--tasks", type=_positive, metavar="N", help="at most so many tasks at once")
    slurm.add_argument("--profile", metavar="FILE", help="facts of the cluster, in TOML")
    slurm.add_argument("--detach", action="store_true", help="drive the run by a job, and return")
    slurm.add_argument("--dry-run", action="store_true", help="print the batch scripts")
    slurm.add_argument("--driver-job", action="store_true", help=argparse.SUPPRESS)
    run.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="show stages, units, fingerprints and what is left")
    _pipeline_arguments(plan)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.set_defaults(command=_plan)

    status = commands.add_parser("status", help="show what a run has done, from its files alone")
    status.add_argument("out", metavar="OUT", help="the run's folder, such as runs/fineweb")
    status.add_argument("--json", action="store_true", help="print the status as JSON")
    status.set_defaults(command=_status)

    cancel = commands.add_parser("cancel", help="stop what is running of a run; it can go on later")
    cancel.add_argument("out", metavar="OUT", help="the run's folder, such as runs/fineweb")
    cancel.set_defaults(command=_cancel)

    task = commands.add_parser("task")  # what a Slurm array runs; not for people
    task.add_argument("plan_file")
    task.add_argument("--offset", type=int, default=0)
    task.set_defaults(command=_task)

    add_commands(commands, run, status)
    worker = commands.add_parser("worker")  # what `run` starts; not for people
    _pipeline_arguments(worker)
    worker.add_argument("--inputs", default="")
    worker.add_argument("--inputs-digest", default="")
    worker.set_defaults(command=_worker)
    return parser


def _pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE.py", help="the pipeline file")
    parser.add_argument(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the pipeline",
    )
    parser.add_argument("--out", default="", metavar="DIR", help="output folder [runs/<pipeline>]")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    given = {}
    for text in options.parameters:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DefinitionError(f"-p {text}: give a name and a value, such as -p dump=sample.")
        if name in given:
            raise DefinitionError(
                f"-p {text}: {name} is given twice. Give it once; several paths are separated by"
                " commas."
            )
        given[name] = value
    return given


def _end(*_: object) -> None:
    raise SignalledError(143)


def _run(options: argparse.Namespace) -> int:
    from .plan import Plan
    from .report.terminal import Display, print_given_up, print_status
    from .status import read_status
    from .storage import is_remote

    for number in (signal.SIGTERM, signal.SIGUSR1):  # so that what was started is ended first
        signal.signal(number, _end)
    if options.executor != "slurm":
        _refuse(options, "tasks", "profile", "detach", "dry_run", "driver_job")
    plan = Plan(options.pipeline, _parameters(options), options.out)
    plan.check_folder()
    prepare(plan, options)
    if options.detach or options.dry_run:
        return _hand_over(plan, options)
    message = ""
    with Display(enabled=not options.json) as display:
        if options.executor == "slurm":
            from .cluster import drive

            outcome = drive(plan, _settings(options), display.show, options.driver_job)
            given_up, code, message = outcome.given_up, outcome.code, outcome.message
        else:
            from .executors.local import LocalExecutor, default_workers
            from .executors.supervisor import Workers
            from .run import run

            logs = None if is_remote(plan.out) else Path(plan.out, "logs")
            with Workers(options.workers or default_workers(plan), logs) as workers:
                executor = LocalExecutor(workers, patience_s=options.patience * 60)
                given_up = run(plan, executor, display.show, options.only)
            code = 1 if given_up else 0
    status = read_status(plan.out)
    finish(plan)
    if options.json:
        print(json.dumps(status.as_json(), indent=1, ensure_ascii=False))
    else:
        print_status(status)
    if any(stage.broken_steps for stage in status.stages):
        code = code or 1
    if given_up:
        print_given_up(given_up, status, plan, _flags(options))
    if message:
        print(f"curate: {message}", file=sys.stderr)
    return code


def _refuse(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name):
            flag = name.replace("_", "-")
            raise DefinitionError(f"--{flag} is for --executor slurm; leave it out, or add that.")


def _settings(options: argparse.Namespace) -> Settings:
    from .cluster import Settings

    return Settings(
        profile=options.profile or "",
        tasks=options.tasks or 0,
        workers=options.workers or 0,
        patience_minutes=options.patience,
        only=options.only,
    )


def _flags(options: argparse.Namespace) -> list[str]:
    """Return the flags with which a run is gone on with."""
    asked = [f"--{name.replace('_', '-')}" for name in ASKED if getattr(options, name)]
    if options.executor != "slurm":
        return asked
    given = [(f"--{name}", getattr(options, name)) for name in ("tasks", "profile")]
    words = [word for flag, value in given if value for word in (flag, str(value))]
    return ["--executor", "slurm", *words, *asked]


def _hand_over(plan: Plan, options: argparse.Namespace) -> int:
    from .cluster import detach, driver_log, dry_run
    from .report.terminal import print_detached

    if options.dry_run:
        print(dry_run(plan, _settings(options), options.detach), end="")
    else:
        job = detach(plan, _settings(options))
        print_detached(job, driver_log(plan, _settings(options), job), plan, _flags(options))
    return 0


def _cancel(options: argparse.Namespace) -> int:
    from .cluster import cancel

    out = options.out.rstrip("/")
    count = cancel(out)
    print(f"{count} stopped. `curate run` goes on where it was; `curate status {out}` shows where.")
    return 0


def _task(options: argparse.Namespace) -> int:
    from .executors.slurm.task import work

    return work(options.plan_file, options.offset)


def _plan(options: argparse.Namespace) -> int:
    from .plan import Plan
    from .report.terminal import print_plan

    plan = Plan(options.pipeline, _parameters(options), options.out)
    if options.json:
        print(json.dumps(plan.as_json(), indent=1, ensure_ascii=False))
    else:
        print_plan(plan)
    return 0


def _status(options: argparse.Namespace) -> int:
    from .report.terminal import print_status
    from .status import read_status

    out = options.out.rstrip("/")
    if options.watch:
        from .report.live import watch

        status = watch(out)
    else:
        status = read_status(out)
    if options.json:
        print(json.dumps(status.as_json(), indent=1, ensure_ascii=False))
    else:
        print_status(status)
    return 0


def _worker(options: argparse.Namespace) -> int:
    from .worker import serve

    given = _parameters(options)
    return serve(options.pipeline, given, options.out, options.inputs, options.inputs_digest)
