"""The command line: arguments in, exit code out.

Exit codes: 0 all done; 1 some units failed, or the output cannot be written; 2 the definition, a
parameter or an input is wrong; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence

from . import __version__
from .errors import CurateError, DefinitionError, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
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
    run.add_argument("--executor", choices=("local",), default="local", help="where the work runs")
    run.add_argument("--workers", type=_positive, metavar="N", help="worker processes [cores]")
    run.add_argument("--only", default="", metavar="STAGE", help="run this one stage")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    run.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="show stages, units, fingerprints and what is left")
    _pipeline_arguments(plan)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.set_defaults(command=_plan)

    status = commands.add_parser("status", help="show what a run has done, from its files alone")
    status.add_argument("out", metavar="OUT", help="the run's folder, such as runs/fineweb")
    status.add_argument("--json", action="store_true", help="print the status as JSON")
    status.set_defaults(command=_status)

    worker = commands.add_parser("worker")  # what `run` starts; not for people
    _pipeline_arguments(worker)
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


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    given = {}
    for text in options.parameters:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DefinitionError(f"-p {text}: give a name and a value, such as -p dump=sample.")
        given[name] = value
    return given


def _run(options: argparse.Namespace) -> int:
    from .executors.local import LocalExecutor, default_workers
    from .plan import Plan
    from .report.terminal import Display, print_status, run_command
    from .run import run
    from .status import read_status

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers are ended first
    plan = Plan(options.pipeline, _parameters(options), options.out)
    executor = LocalExecutor(options.workers or default_workers(plan))
    with Display(enabled=not options.json) as display:
        given_up = run(plan, executor, display.show, options.only)
    status = read_status(plan.out)
    if options.json:
        print(json.dumps(status.as_json(), indent=1, ensure_ascii=False))
    else:
        print_status(status)
    if given_up:
        print(f"\n{len(given_up)} unit(s) failed and were left out:", file=sys.stderr)
        if status.stages[-1].units != status.stages[-1].done:
            print("The dataset was left as it was.", file=sys.stderr)
        for unit in given_up[:10]:
            error = " ".join(unit.error.split())[:300]
            print(f"  {unit.stage}: {unit.input}: {error} (log: {unit.log})", file=sys.stderr)
        if len(given_up) > 10:
            print(f"  ... all of them: {plan.out}/failures/", file=sys.stderr)
        print(
            f"Mend the cause, then try again: {run_command(plan.path, plan.given, plan.out)}",
            file=sys.stderr,
        )
    return 1 if given_up else 0


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

    status = read_status(options.out.rstrip("/"))
    if options.json:
        print(json.dumps(status.as_json(), indent=1, ensure_ascii=False))
    else:
        print_status(status)
    return 0


def _worker(options: argparse.Namespace) -> int:
    from .worker import serve

    return serve(options.pipeline, _parameters(options), options.out)
