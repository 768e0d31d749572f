"""The two sides of `fineweb.py`: how each is run, and what is read of its run."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
from dedup_sides import Used, measured

from curate.assets import LID176

HERE = Path(__file__).parent
PIPELINE = HERE.parent / "pipelines" / "fineweb.py"
PEER_MODULES = (
    *("datatrove", "warcio", "cchardet", "magic", "trafilatura", "lxml.html.clean", "fasttext"),
    *("fasteners", "tldextract", "ahocorasick", "tokenizers", "spacy", "orjson"),
)
STEPS = (
    *("url", "extract", "language", "gopher_repetition", "gopher_quality", "c4_quality"),
    *("fineweb_quality", "minhash_dedup"),
)


class Side:
    """One side of the comparison: what it used in each round, and what it decided.

    Attributes:
        outcomes: by record id the step that dropped it, "" where it was published.
        stages: seconds by step, of each round.
        extractor: what the peer's extractor says of its pages, such as how many took too long.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rounds: list[Used] = []
        self.outcomes: dict[str, str] = {}
        self.stages: list[dict[str, float]] = []
        self.extractor: dict[str, int] = {}

    def as_json(self, pages: int) -> dict[str, Any]:
        cpu = [used.cpu_seconds for used in self.rounds]
        return {
            "cpu_ms_per_page": [round(1000 * value / pages, 2) for value in cpu],
            "wall_ms_per_page": [round(1000 * used.seconds / pages, 2) for used in self.rounds],
            "pages_per_cpu_second": round(pages / median(cpu), 1),
            "peak_mb": round(max(used.peak_mb for used in self.rounds)),
            "published": sum(not step for step in self.outcomes.values()),
            "stages": {
                name: round(median(stages.get(name, 0.0) for stages in self.stages), 2)
                for name in dict.fromkeys(name for stages in self.stages for name in stages)
            },
        }


def run_curate(side: Side, warc: Path, out: Path, options: dict[str, str], workers: int) -> None:
    """Run our pipeline once."""
    parameters = [part for name, value in options.items() for part in ("-p", f"{name}={value}")]
    command = [sys.executable, "-m", "curate", "run", str(PIPELINE), "-p", f"warcs={warc}"]
    command += [*parameters, "--workers", str(workers), "--out", str(out), "--json"]
    side.rounds.append(measured(command, out.parent / "log"))
    side.outcomes = {}
    for path in sorted(out.glob("stages/*/*.decisions.parquet")):
        for row in pq.read_table(path, columns=["id", "outcome", "reason"]).to_pylist():
            kept = row["outcome"] == "kept"
            side.outcomes[row["id"]] = "" if kept else row["reason"].split("/")[-2]
    stages: dict[str, float] = defaultdict(float)
    for path in out.glob("stages/*/*.json"):
        manifest = json.loads(path.read_text())
        for step in manifest["steps"]:
            seconds = step["seconds"] or manifest["seconds"]
            stages[step["name"]] += seconds
    side.stages.append(stages)


@dataclass(frozen=True)
class Peer:
    """How datatrove is run."""

    python: str
    as_it_comes: bool
    tasks: int = 1
    workers: int = 1


def check_peer(python: str) -> None:
    """Refuse a python that lacks what datatrove needs, before anything runs.

    Raises:
        SystemExit: a module cannot be imported; the message says how to install it.
    """
    probe = """if 1:
        import importlib, sys
        for name in sys.argv[1:]:
            try:
                importlib.import_module(name)
            except Exception:
                print(name)
    """
    try:
        command = [python, "-c", probe, *PEER_MODULES]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"fineweb: --peer-python {python} does not run: {error}") from None
    if told:
        raise SystemExit(
            f"fineweb: {python} lacks {', '.join(told)}, which datatrove needs. Install it with\n"
            "  python -m venv peer && peer/bin/pip install 'datatrove[processing,io]==0.10.1' spacy"
            " lxml_html_clean\nand give --peer-python peer/bin/python (magic also needs libmagic1)."
        )


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
    stages: dict[str, float] = defaultdict(float)
    for path in out.glob("logs/*/stats.json"):
        for block in json.loads(path.read_text()):
            name = block["name"].split(" ", 1)[-1].strip()
            times = block.get("time_stats")  # 0 of a block that took none
            seconds = times.get("total", 0.0) if isinstance(times, dict) else 0.0
            stages[name] += seconds
            if "Trafilatura" in name:
                side.extractor = {kind: _total(count) for kind, count in block["stats"].items()}
    side.stages.append(stages)


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl*")):
        opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
        with opened as lines:
            yield from map(json.loads, lines)


def _total(count: int | dict[str, int]) -> int:
    return count if isinstance(count, int) else int(count["total"])
