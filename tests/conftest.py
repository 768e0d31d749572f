"""What several tests share: the command line as a user runs it, and a small corpus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .slurm.cluster import Cluster

ROOT = Path(__file__).parent.parent

# A user's own pipeline file, with a step that does what the tests need done to a worker.
PIPELINE = '''
import os
from dataclasses import dataclass
from pathlib import Path

from curate import Document, Drop, Filter, Pipeline, Stage
from curate.readers.records import JsonlReader


@dataclass(frozen=True)
class MinLength(Filter):
    name = "min_length"
    reasons = ("too_short",)
    min_chars: int = 20

    def reject(self, doc: Document) -> Drop | None:
        if doc.text == "return True":
            return True
        if doc.text == "set undeclared metadata":
            doc.metadata["undeclared"] = 1
            return None
        if doc.text == "raise":
            raise ValueError("this page is odd")
        if doc.text == "fail while the flag is there" and Path("flag").exists():
            os._exit(7)
        if doc.text == "kill once" and Path("flag").exists():
            number = int(Path("flag").read_text() or 9)
            Path("flag").unlink()
            os.kill(os.getpid(), number)
        if doc.text == "wait while the flag is there":
            while Path("flag").exists():
                pass
        if len(doc.text) < self.min_chars:
            return Drop("too_short", len(doc.text), self.min_chars)
        return None


def pipeline(paths: str = "in/*.jsonl", min_chars: int = 20, loud: bool = False) -> Pipeline:
    """Keep texts that are long enough."""
    loaded = Stage("load", source=JsonlReader(paths))
    filtered = Stage("filter", source=loaded, steps=(MinLength(min_chars),))
    return Pipeline("toy", output=filtered, columns=("text", "id", "file_path"))
'''


class Cli:
    """The command `curate`, run in a folder as a user runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def command(self, *arguments: str) -> list[str]:
        """Return the command as a list of words."""
        return [sys.executable, "-m", "curate", *arguments]

    def __call__(
        self, *arguments: str, code: int = 0, before: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and check its exit code."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=before,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def status(self, out: str = "runs/toy") -> dict[str, dict[str, Any]]:
        """Return `curate status --json`, stages by name."""
        value = json.loads(self("status", out, "--json").stdout)
        return {stage["name"]: stage for stage in value["stages"]}


def pytest_configure() -> None:
    """Have commands that the tests start end at Ctrl-C: jobs in a script's background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A folder with a pipeline file toy.py and three input files of 40 documents."""
    (tmp_path / "toy.py").write_text(PIPELINE)
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_input(tmp_path, name, [f"{name} {'x' * (number % 40)}" for number in range(40)])
    yield Cli(tmp_path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Slurm cluster of three nodes, started once."""
    with Cluster() as started:
        yield started


@pytest.fixture
def slurm(cli: Cli, cluster: Cluster) -> Iterator[Cli]:
    """The folder of `cli` on an idle cluster, on which the test leaves no job."""
    cli.environment |= cluster.environment | {"PYTHONPATH": str(ROOT)}
    yield cli
    # A task that has done its work may still be about to end, or be reported.
    deadline = time.monotonic() + 60
    while (left := cluster.jobs()) and time.monotonic() < deadline:
        os.sched_yield()
    for process in cli.started:
        process.kill()
        process.communicate()
    cluster.mend()
    assert not left


def write_input(folder: Path, name: str, texts: list[str]) -> None:
    """Write one input file."""
    lines = [json.dumps({"id": f"{name}-{n}", "text": text}) for n, text in enumerate(texts)]
    (folder / "in" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def dataset_bytes(folder: Path, out: str = "runs/toy") -> dict[str, bytes]:
    """Return the published files of a run, by name."""
    data = folder / out / "dataset" / "data"
    files = sorted(path for path in data.rglob("*") if path.is_file())
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


def manifest_times(folder: Path, stage: str, out: str = "runs/toy") -> dict[str, int]:
    """Return when each unit of a stage, as the run has it now, was finished, by manifest."""
    if not (folder / out / "run.json").exists():
        return {}
    stages = json.loads((folder / out / "run.json").read_text())["stages"]
    (last,) = (entry["folder"] for entry in stages if entry["name"] == stage)
    files = (folder / out / last).glob("*.json")
    return {f"{stage}/{file.name}": file.stat().st_mtime_ns for file in files}
