"""FineWeb by curate and by datatrove's own example, on the same pages.

    python benchmarks/fineweb.py WARC [--rounds 3] [--gate 0.03] [--peer-python PYTHON] [--json]
    python benchmarks/fineweb.py WARC --growth [--only curate]
                                                     cost per page of 1, 3 and 10 files, and of ten
                                                     with two workers
    --pages N                                        of the first N records only
    --english 0.45                                   with fewer English pages, as in a crawl

Both run the whole pipeline, from the WARC file to the published dataset, in turn, each in a process
of its own with one worker. The WARC is written anew as Common Crawl writes it, compressed and with
each page's WARC-Identified-Payload-Type: without it the peer asks libmagic, and loses pages. The
peer states its language, has a minute for a page instead of a second (a loaded machine loses pages
otherwise) and does not drop texts that it has seen before, which depends on the order. `--as-it-
comes` undoes that, and counts the pages it loses.

The gate saves what is not English, so what it is worth depends on the mix: of the 3,000 real pages
two thirds are English, of Common Crawl's 43 to 46 % (its own statistics, 2023 to 2025). --english
leaves out English pages, evenly, until they are that share; English is what our language filter
lets through.

Without --peer-python the peer is the datatrove installed here, which then extracts with the same
trafilatura, so that decisions can be compared; its own environment has trafilatura 1.11
(python -m venv peer && peer/bin/pip install 'datatrove[processing,io]==0.10.1' spacy
lxml_html_clean).

--growth writes the pages to ten files, in turn, as many to each and each page once. A worker of
ours takes a file at a time; of datatrove each file is a task, and each task starts a process for
its extractor. So files must be of some hundred pages for figures that say something of a crawl.

CPU seconds are those of a side's processes and their children, the unit of its cost; the time on
the clock is given beside them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
from dedup_sides import Used, measured
from warcio.archiveiterator import ArchiveIterator
from warcio.warcwriter import WARCWriter

from curate.assets import LID176
from curate.token_counter import TokenCounter

HERE = Path(__file__).parent
PIPELINE = HERE.parent / "pipelines" / "fineweb.py"
_PAYLOAD_TYPE = "WARC-Identified-Payload-Type"
GROWTH = ((1, 1), (3, 1), (10, 1), (10, 2))  # files and workers
STEPS = (
    *("url", "extract", "language", "gopher_repetition", "gopher_quality", "c4_quality"),
    *("fineweb_quality", "minhash_dedup"),
)


class Side:
    """One side of the comparison: what it used in each round, and what it decided.

    Attributes:
        outcomes: by record id the step that dropped it, "" where it was published.
        stages: seconds by stage, of the last round.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rounds: list[Used] = []
        self.outcomes: dict[str, str] = {}
        self.stages: dict[str, float] = {}

    def as_json(self, pages: int) -> dict[str, Any]:
        cpu = [used.cpu_seconds for used in self.rounds]
        return {
            "cpu_ms_per_page": [round(1000 * value / pages, 2) for value in cpu],
            "wall_ms_per_page": [round(1000 * used.seconds / pages, 2) for used in self.rounds],
            "pages_per_cpu_second": round(pages / median(cpu), 1),
            "peak_mb": round(max(used.peak_mb for used in self.rounds)),
            "published": sum(not step for step in self.outcomes.values()),
            "stages": {name: round(value, 2) for name, value in self.stages.items()},
        }


def run_curate(side: Side, warc: Path, out: Path, options: dict[str, str], workers: int) -> None:
    """Run our pipeline once."""
    parameters = [part for name, value in options.items() for part in ("-p", f"{name}={value}")]
    command = [sys.executable, "-m", "curate", "run", str(PIPELINE), "-p", f"warcs={warc}"]
    command += [*parameters, "--workers", str(workers), "--out", str(out), "--json"]
    side.rounds.append(measured(command, out.parent / "log"))
    side.outcomes, side.stages = {}, {}
    for path in sorted(out.glob("stages/*/*.decisions.parquet")):
        for row in pq.read_table(path, columns=["id", "outcome", "reason"]).to_pylist():
            kept = row["outcome"] == "kept"
            side.outcomes[row["id"]] = "" if kept else row["reason"].split("/")[-2]
    for path in out.glob("stages/*/*.json"):
        manifest = json.loads(path.read_text())
        for step in manifest["steps"]:
            seconds = step["seconds"] or manifest["seconds"]
            side.stages[step["name"]] = side.stages.get(step["name"], 0.0) + seconds


@dataclass(frozen=True)
class Peer:
    """How datatrove is run."""

    python: str
    as_it_comes: bool
    tasks: int = 1
    workers: int = 1


def run_peer(side: Side, warc: Path, out: Path, peer: Peer) -> None:
    """Run datatrove once."""
    options = {
        "warc": str(warc),
        "out": str(out),
        "lid_model": str(LID176.locate()),
        "tokenizer": str(out.parent / "tokenizer.json"),
        "as_it_comes": peer.as_it_comes,
        "tasks": peer.tasks,
        "workers": peer.workers,
    }
    out.mkdir()
    command = [peer.python, str(HERE / "fineweb_peer.py"), json.dumps(options)]
    side.rounds.append(measured(command, out.parent / "log"))
    side.outcomes = {}
    for step in STEPS:
        for record in _records(out / "removed" / step):
            side.outcomes[record["id"]] = step
    for record in _records(out / "published"):
        side.outcomes[record["id"]] = ""
    side.stages = {}
    for path in out.glob("logs/*/stats.json"):
        for block in json.loads(path.read_text()):
            name = block["name"].split(" ", 1)[-1].strip()
            times = block.get("time_stats")  # 0 of a block that took none
            seconds = times.get("total", 0.0) if isinstance(times, dict) else 0.0
            side.stages[name] = side.stages.get(name, 0.0) + seconds


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl*")):
        opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
        with opened as lines:
            yield from map(json.loads, lines)


def compare(ours: Side, peer: Side) -> dict[str, Any]:
    """Count pages that both decide alike; a page that only one side has was lost or not read."""
    ids = {page for page, step in ours.outcomes.items() if step != "warc"}
    classes: Counter[str] = Counter()
    for page in ids:
        ours_step = ours.outcomes[page]
        # datatrove keeps no record of pages without text; ours are dropped by the extractor.
        peer_step = peer.outcomes.get(page, "extract")
        if ours_step == "language_gate":
            ours_step = "language"
        if ours_step != peer_step:
            classes[f"{ours_step or 'kept'} here, {peer_step or 'kept'} there"] += 1
    same = len(ids) - classes.total()
    return {"pages": len(ids), "same": same, "differences": dict(classes.most_common())}


def as_crawled(
    warc: Path, target: Path, pages: int | None = None, left_out: Collection[str] = ()
) -> Path:
    """Write the records as Common Crawl does: compressed, each with its payload's type."""
    with warc.open("rb") as stream, target.open("wb") as output:
        writer = WARCWriter(output, gzip=True)
        for record in islice(ArchiveIterator(stream), pages):
            if record.rec_headers.get_header("WARC-Record-ID") in left_out:
                continue
            kind = record.http_headers and record.http_headers.get_header("Content-Type")
            if kind and not record.rec_headers.get_header(_PAYLOAD_TYPE):
                record.rec_headers.add_header(_PAYLOAD_TYPE, kind.partition(";")[0].strip())
            writer.write_record(record)
    return target


def with_english(warc: Path, folder: Path, share: float) -> Path:
    """Write the records with so few English ones, evenly left out, that they are `share` of all."""
    side = Side("which are English")
    run_curate(side, warc, folder / "mix", {}, 1)
    shutil.rmtree(folder / "mix")
    english = [
        page
        for page, step in side.outcomes.items()
        if step not in ("warc", "url", "extract", "language")
    ]
    wanted = round(share / (1 - share) * (len(side.outcomes) - len(english)))
    every = min(wanted / len(english), 1.0)
    left_out = {page for n, page in enumerate(english) if int((n + 1) * every) == int(n * every)}
    return as_crawled(warc, folder / "mixed.warc.gz", left_out=left_out)


def in_files(warc: Path, folder: Path, count: int) -> tuple[list[Path], int]:
    """Write the pages in turn to so many files; return these, and the pages in each."""
    with warc.open("rb") as stream:
        each = sum(record.rec_type == "response" for record in ArchiveIterator(stream)) // count
    if not each:
        raise SystemExit(f"fineweb: --growth needs {count} pages or more")
    paths = [folder / f"{number:02}.warc.gz" for number in range(count)]
    with ExitStack() as opened, warc.open("rb") as stream:
        writers = [WARCWriter(opened.enter_context(path.open("wb")), gzip=True) for path in paths]
        pages = (record for record in ArchiveIterator(stream) if record.rec_type == "response")
        for number, record in enumerate(islice(pages, each * count)):
            writers[number % count].write_record(record)
    return paths, each


def growth(warc: Path, folder: Path, peer: Peer | None, rounds: int) -> dict[str, Any]:
    """Measure the cost per page of one, three and ten files, and of ten with two workers."""
    files, each = in_files(warc, folder, max(times for times, _ in GROWTH))
    rows: list[dict[str, Any]] = []
    for times, workers in GROWTH:
        inputs, out = folder / f"x{times}-{workers}", folder / "out"
        inputs.mkdir()
        for file in files[:times]:
            (inputs / file.name).hardlink_to(file)
        ours, theirs = Side("curate"), Side("datatrove")
        for _ in range(rounds):
            if peer:
                run_peer(theirs, inputs / "*", out, replace(peer, tasks=times, workers=workers))
                shutil.rmtree(out)
            run_curate(ours, inputs / "*", out, {}, workers)
            shutil.rmtree(out)
        shutil.rmtree(inputs)
        sides = {side.name: side.as_json(times * each) for side in (ours, theirs) if side.rounds}
        rows.append({"files": times, "pages": times * each, "workers": workers, "sides": sides})
    one, two = (row["sides"] for row in rows[-2:])
    faster = {
        name: round(
            median(one[name]["wall_ms_per_page"]) / median(two[name]["wall_ms_per_page"]), 2
        )
        for name in one
    }
    return {"rows": rows, "two_workers": faster}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("warc", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--english", type=float, help="share of English pages, below that of WARC")
    parser.add_argument("--pages", type=int)
    parser.add_argument(
        "--gate", type=float, default=0.03, help="of the run with the language gate"
    )
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--as-it-comes", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--only", choices=("curate",), help="with --growth: leave datatrove out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.only and not options.growth:
        parser.error("--only goes with --growth")
    peer_run = None if options.only else Peer(options.peer_python, options.as_it_comes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warc = as_crawled(options.warc, folder / "pages.warc.gz", options.pages)
        if options.english:
            warc = with_english(warc, folder, options.english)
        counter = TokenCounter("gpt2")
        counter.setup()
        counter._tokenizer.save(str(folder / "tokenizer.json"))
        if peer_run is None or options.growth:
            grown = growth(warc, folder, peer_run, options.rounds)
            print(json.dumps(grown)) if options.json else show_growth(grown)
            return
        plain, gated, peer = map(Side, ("curate", "curate, gate", "datatrove"))
        for number in range(options.rounds):
            run_peer(peer, warc, folder / f"p{number}", peer_run)
            run_curate(plain, warc, folder / f"a{number}", {}, 1)
            run_curate(gated, warc, folder / f"g{number}", {"language_gate": str(options.gate)}, 1)
            for part in "pag":
                shutil.rmtree(folder / f"{part}{number}")
        pages = len(plain.outcomes)
        ratios = {
            side.name: [
                p.cpu_seconds / u.cpu_seconds for p, u in zip(peer.rounds, side.rounds, strict=True)
            ]
            for side in (plain, gated)
        }
        result = {
            "pages": pages,
            "ratio": round(median(ratios["curate"]), 2),
            "ratio_gate": round(median(ratios["curate, gate"]), 2),
            "ratios": {name: [round(r, 2) for r in values] for name, values in ratios.items()},
            "peak_mb": round(max(used.peak_mb for used in plain.rounds)),
            "stages": {side.name: side.as_json(pages)["stages"] for side in (peer, plain, gated)},
            "sides": {side.name: side.as_json(pages) for side in (peer, plain, gated)},
            "decisions": compare(plain, peer),
            "decisions_gate": compare(gated, plain),
        }
    if options.json:
        print(json.dumps(result))
        return
    show(result)


def show_growth(grown: dict[str, Any]) -> None:
    """Print the cost per page by size and workers."""
    for row in grown["rows"]:
        for name, side in row["sides"].items():
            print(
                f"{row['files']:3} files, {row['pages']:6,} pages, {row['workers']} workers"
                f" {name:10} {median(side['cpu_ms_per_page']):7.1f} CPU ms a page,"
                f" {median(side['wall_ms_per_page']):7.1f} on the clock, peak {side['peak_mb']} MB"
            )
    for name, faster in grown["two_workers"].items():
        print(f"{name:10} two workers {faster:.2f} times as fast as one")


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{result['pages']:,} records")
    for name, side in result["sides"].items():
        cpu = side["cpu_ms_per_page"]
        print(
            f"{name:14} {median(cpu):7.1f} CPU ms a page ({min(cpu)} to {max(cpu)}),"
            f" {median(side['wall_ms_per_page']):7.1f} on the clock, peak {side['peak_mb']} MB,"
            f" {side['published']} published"
        )
    for name, values in result["ratios"].items():
        print(f"{name:14} {median(values):.2f} times datatrove ({min(values)} to {max(values)})")
    for title in ("decisions", "decisions_gate"):
        counts = result[title]
        print(f"{title}: {counts['same']} of {counts['pages']} the same")
        for kind, count in counts["differences"].items():
            print(f"  {count:5} {kind}")
    for name, side in result["sides"].items():
        print(f"seconds by step, {name}:")
        for step, seconds in sorted(side["stages"].items(), key=lambda item: -item[1]):
            if seconds >= 0.05:
                print(f"  {seconds:8.2f} {step}")


if __name__ == "__main__":
    main()
