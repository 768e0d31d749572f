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
comes` undoes these last two. Pages of which the peer has no record though we have a text are
counted as lost, in either run; a text that its extractor finds empty is among them, so what that
extractor says of its pages is given beside the count.

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
the clock is given beside them. Seconds by step are on the clock, the median of the rounds: ours
from the start of a step on a page to its end, with the wait for a child that does it; datatrove's
are those of its own time_stats, without what is between its blocks. They do not add up to the CPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from fineweb_sides import Peer, Side, check_peer, run_curate, run_peer
from warcio.archiveiterator import ArchiveIterator
from warcio.warcwriter import WARCWriter

from curate.token_counter import TokenCounter

_PAYLOAD_TYPE = "WARC-Identified-Payload-Type"
GROWTH = ((1, 1), (3, 1), (10, 1), (10, 2))  # files and workers


def compare(ours: Side, peer: Side) -> dict[str, Any]:
    """Count pages that both decide alike, and those of which the peer has no record.

    datatrove keeps no record of a page without text. So one that we drop in or before the extractor
    is unrecorded there, which says nothing; one of which we have a text is lost.
    """
    ids = {page for page, step in ours.outcomes.items() if step != "warc"}
    classes: Counter[str] = Counter()
    lost = unrecorded = 0
    for page in ids:
        ours_step = ours.outcomes[page]
        peer_step = peer.outcomes.get(page)
        if peer_step is None:
            without_text = ours_step in ("url", "extract", "language_gate")
            lost, unrecorded = lost + (not without_text), unrecorded + without_text
            peer_step = "extract" if ours_step == "extract" else "no record"
        if ours_step == "language_gate":
            ours_step = "language"
        if ours_step != peer_step:
            classes[f"{ours_step or 'kept'} here, {peer_step or 'kept'} there"] += 1
    return {
        "pages": len(ids),
        "same": len(ids) - classes.total(),
        "lost": lost,
        "no_record": unrecorded,
        "differences": dict(classes.most_common()),
    }


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
    if not english:
        raise SystemExit("fineweb: --english needs a WARC with English pages")
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


def _from_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 0 and 1")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("warc", type=Path)
    parser.add_argument("--rounds", type=_from_one, default=3)
    parser.add_argument("--english", type=_share, help="share of English pages, below that of WARC")
    parser.add_argument("--pages", type=_from_one)
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
    if not options.warc.is_file():
        parser.error(f"no such WARC file: {options.warc}")
    peer_run = None if options.only else Peer(options.peer_python, options.as_it_comes)
    if peer_run:
        check_peer(peer_run.python)
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
            "peer_extractor": peer.extractor,
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
        print(
            f"{title}: {counts['same']} of {counts['pages']} the same; of {counts['lost']} with a"
            f" text the other side has no record, of {counts['no_record']} without"
        )
        for kind, count in counts["differences"].items():
            print(f"  {count:5} {kind}")
    told = ", ".join(f"{count} {kind}" for kind, count in result["peer_extractor"].items())
    print(f"datatrove's extractor, last round: {told}")
    for name, side in result["sides"].items():
        print(f"seconds on the clock by step, {name}:")
        for step, seconds in sorted(side["stages"].items(), key=lambda item: -item[1]):
            if seconds >= 0.05:
                print(f"  {seconds:8.2f} {step}")


if __name__ == "__main__":
    main()
