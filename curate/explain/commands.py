"""The commands `why`, `show`, `report` and `tune`: arguments in, exit code out.

`add_commands` is called by the command line's parser; nothing heavy is imported before a command.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..plan import Plan


# Flags of `run` that are to be given again, or the rest of the run goes on without.
ASKED = ("annotate", "keep_dropped_text")


def add_commands(
    commands: Any,
    run: argparse.ArgumentParser | None = None,
    status: argparse.ArgumentParser | None = None,
) -> None:
    """Add the commands to the subparsers of `curate`, and what they need to `run` and `status`."""
    if run is not None:
        run.add_argument(
            "--annotate",
            action="store_true",
            help="measure every document with every filter, for `curate tune`",
        )
        run.add_argument(
            "--keep-dropped-text", action="store_true", help="keep the text of dropped documents"
        )
    if status is not None:
        status.add_argument("--watch", action="store_true", help="show it as it goes on")
    why = commands.add_parser("why", help="tell the way of one record through all stages")
    _out(why)
    why.add_argument(
        "query", metavar="URL|ID|TEXT", type=_query, help="a URL, an id, or a part of one"
    )
    _limit(why, 5)
    why.add_argument("--json", action="store_true", help="print one entry per stage as JSON")
    why.set_defaults(command=_why)

    show = commands.add_parser("show", help="read documents that were kept, dropped or failed")
    _out(show)
    show.add_argument("--stage", default="", metavar="S", help="of this stage")
    kind = show.add_mutually_exclusive_group()
    kind.add_argument("--kept", action="store_true", help="documents that were kept [the default]")
    kind.add_argument(
        "--dropped",
        nargs="?",
        const="",
        metavar="REASON",
        help="documents dropped: for a reason, by a step, or any",
    )
    kind.add_argument("--failed", action="store_true", help="records that failed")
    kind.add_argument(
        "--near",
        metavar="REASON[=VALUE]",
        help="documents on either side of the threshold that gives this reason, or of VALUE",
    )
    _limit(show, 6)
    show.add_argument("--json", action="store_true", help="print the documents as JSON")
    show.set_defaults(command=_show)

    report = commands.add_parser("report", help="write report.html again, from the run's files")
    _out(report)
    report.set_defaults(command=_report)

    verify = commands.add_parser("verify", help="check every file of a run against its manifest")
    _out(verify)
    verify.add_argument("--json", action="store_true", help="print what was found as JSON")
    verify.set_defaults(command=_verify)

    tune = commands.add_parser("tune", help="propose thresholds from what the filters measured")
    _out(tune)
    tune.add_argument("--stage", default="", metavar="S", help="of this stage only")
    goal = tune.add_mutually_exclusive_group(required=True)
    goal.add_argument("--keep", type=_share, metavar="SHARE", help="keep this share, such as 0.3")
    goal.add_argument(
        "--reference", metavar="GOOD.parquet", help="texts to be like: Parquet with `text`"
    )
    tune.add_argument(
        "--by", default="", metavar="COLUMN", help="thresholds for each value, such as language"
    )
    tune.add_argument("--json", action="store_true", help="print the thresholds as JSON")
    tune.set_defaults(command=_tune)


def prepare(plan: Plan, options: argparse.Namespace) -> None:
    """Tell the workers of a run what it is asked to keep for these commands."""
    from .options import Options, write_options

    if options.dry_run or options.driver_job:  # a driver's job goes on with what was asked before
        return
    write_options(plan.out, Options(options.annotate, options.keep_dropped_text))


def finish(plan: Plan) -> None:
    """Write the report of a run, and index its records; the dataset is done whatever happens."""
    from ..report.html_report import write_report
    from .index import index_run

    try:
        write_report(plan.out, plan)
        index_run(plan.out)
    except Exception as error:  # the dataset is done, and its run ends as it would without
        _tell(f"the report could not be written: {type(error).__name__}: {error}")


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the run's folder, such as runs/fineweb")


def _limit(parser: argparse.ArgumentParser, number: int) -> None:
    parser.add_argument(
        "--limit", type=_count, default=number, metavar="N", help=f"at most so many [{number}]"
    )


def _query(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: give a URL, an id, or a part of one")
    return text


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1, such as 0.3")
    return value


def _tell(message: str) -> None:
    print(f"curate: {message}", file=sys.stderr)


def _print_json(value: Any) -> None:
    # Without ensure_ascii=False: escapes keep what was crawled from acting on a terminal.
    print(json.dumps(value, indent=1))


def _why(options: argparse.Namespace) -> int:
    from .why import Explainer

    explainer = Explainer(options.out, _tell)
    places = explainer.find(options.query, options.limit)
    shown, more = places[: options.limit], len(places) > options.limit
    if options.json:
        _print_json([entry for place in shown for entry in explainer.trace(place)])
        return 0 if shown else 1
    from . import terminal

    if not shown:
        terminal.print_unknown(explainer, options.query)
        return 1
    for place in shown:
        terminal.print_way(explainer.trace(place))
    if more:
        _tell(f"more than {options.limit} records match; give a whole URL or id, or --limit N")
    return 0


def _show(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from .show import Reader

    reader = Reader(options.out)
    if options.near is not None:
        documents = reader.near(options.near, options.stage, options.limit)
    elif options.dropped is not None:
        documents = reader.dropped(options.dropped, options.stage, options.limit)
    elif options.failed:
        documents = reader.failed(options.stage, options.limit)
    else:
        documents = reader.kept(options.stage, options.limit)
    if options.json:
        _print_json([asdict(document) for document in documents])
    else:
        from . import terminal

        terminal.print_documents(documents)
    return 0


def _report(options: argparse.Namespace) -> int:
    from ..report.html_report import write_report

    print(write_report(options.out.rstrip("/")))
    return 0


def _tune(options: argparse.Namespace) -> int:
    from . import terminal, tune

    tables = tune.propose(
        options.out, options.stage, keep=options.keep, reference=options.reference, by=options.by
    )
    if options.json:
        _print_json([table.as_json() for table in tables])
    else:
        terminal.print_tables(tables)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .verify import describe, verify

    found = verify(options.out)
    if options.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print("\n".join(describe(found)))
    return 1 if found.faults else 0
