"""Workers that hang, steps that cannot be set up, container limits, progress from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.executors import machine
from curate.executors.local import LocalExecutor
from curate.executors.progress import Progress
from curate.executors.supervisor import Workers
from curate.plan import Plan

from .conftest import Cli, dataset_bytes, write_input

WAIT = "wait while the flag is there"
LONG = "a text that is long enough to be kept"


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for a condition while a process runs."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def units_running(cli: Cli) -> dict[str, dict[str, float]]:
    """Return what the run's live file says is worked on."""
    found: dict[str, dict[str, float]] = {}
    for path in (cli.folder / "runs/toy/live").glob("*.json"):
        found.update(json.loads(path.read_text())["running"])
    return found


def test_a_worker_that_is_stopped_is_replaced(cli: Cli) -> None:
    """A process that shows no life for the time given is killed, and its unit done by another."""
    write_input(cli.folder, "d", [LONG, WAIT, LONG])
    cli("run", "toy.py", "-p", "paths=in/d.jsonl", "--out", "calm")
    (cli.folder / "flag").touch()
    process = cli.start(
        "run", "toy.py", "-p", "paths=in/d.jsonl", "--workers", "1", "--patience", "0.2"
    )
    until(lambda: list((cli.folder / "runs/toy/stages").glob("filter-*/.*.tmp")), process)
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGSTOP)
    (cli.folder / "flag").unlink()
    output = process.communicate()
    assert process.returncode == 0, output
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")


def test_a_document_without_end_costs_its_unit_and_no_other(cli: Cli) -> None:
    """A worker that hangs in one document is replaced; the unit is given up and the cause named."""
    write_input(cli.folder, "d", [LONG, WAIT, LONG])
    (cli.folder / "flag").touch()
    done = cli("run", "toy.py", "--patience", "0.1", code=1)
    assert "in/d.jsonl: the worker was" in done.stderr
    assert "--patience" in done.stderr
    assert cli.status()["filter"]["done"] == 3


SETUP = """
    def setup(self):
        raise FileNotFoundError("the model is not there")
"""


def test_a_step_that_cannot_be_set_up_is_told_once(cli: Cli) -> None:
    """It is the definition's error: one message with the log's name, and no unit is tried again."""
    text = (cli.folder / "toy.py").read_text()
    (cli.folder / "toy.py").write_text(
        text.replace("    min_chars: int = 20\n", "    min_chars: int = 20\n" + SETUP)
    )
    done = cli("run", "toy.py", "--workers", "1", code=2)
    assert "step 'min_length': its setup failed: FileNotFoundError: the model is not" in done.stderr
    assert len(done.stderr.split("curate: ", 1)[1].splitlines()) <= 3
    (log,) = (cli.folder / "runs/toy/logs").iterdir()
    assert str(log.relative_to(cli.folder)) in done.stderr
    assert log.read_text().count("Traceback") == 1
    assert not (cli.folder / "runs/toy/failures").exists()


def test_a_step_that_fails_with_every_document_shows_why(cli: Cli) -> None:
    """Exit code 1; the first traceback is shown, and is in the worker's log."""
    for name in "abc":
        write_input(cli.folder, name, ["raise", "raise"])
    done = cli("run", "toy.py", "--workers", "1", code=1)
    assert "filter: every document fails in the step min_length.\nThe first:" in done.stdout
    assert 'raise ValueError("this page is odd")' in done.stdout
    logs = [path.read_text() for path in (cli.folder / "runs/toy/logs").iterdir()]
    assert any("ValueError: this page is odd" in text for text in logs)


def test_a_step_and_its_processes_find_nothing_on_standard_input(cli: Cli) -> None:
    """One that reads it would wait there for ever, or take what the worker is told."""
    text = (cli.folder / "toy.py").read_text()
    reading = "        import subprocess\n        subprocess.run(['cat'])\n"
    signature = "    def reject(self, doc: Document) -> Drop | None:\n"
    cli("run", "toy.py", "--out", "calm")
    (cli.folder / "toy.py").write_text(text.replace(signature, signature + reading))
    cli("run", "toy.py", "--workers", "1", "--patience", "0.2")
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")


def test_a_step_that_fails_now_and_then_shows_no_traceback(cli: Cli) -> None:
    """Single odd documents are counted, and told by their decisions."""
    write_input(cli.folder, "a", ["raise", LONG])
    assert "Traceback" not in cli("run", "toy.py").stdout


def test_status_shows_how_far_a_running_unit_is(cli: Cli) -> None:
    """While a unit is worked on, its records so far and its share are there to be seen."""
    write_input(cli.folder, "d", [*[LONG] * 5, WAIT])
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py", "-p", "paths=in/d.jsonl")
    until(lambda: units_running(cli), process)
    until(lambda: "filter: d-" in cli("status", "runs/toy").stdout, process)
    (value,) = json.loads(cli("status", "runs/toy", "--json").stdout)["running"]
    assert value["stage"] == "filter"
    (cli.folder / "flag").unlink()
    process.communicate()
    assert process.returncode == 0
    assert "Running" not in cli("status", "runs/toy").stdout


def test_cancel_stops_a_run_here_and_it_can_go_on(cli: Cli) -> None:
    """`curate cancel` ends the run's process; the same command finishes."""
    write_input(cli.folder, "d", [LONG, WAIT])
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py")
    until(lambda: any(unit.startswith("d-") for unit in units_running(cli)), process)
    assert cli("cancel", "runs/toy").stdout.startswith("1 stopped.")
    process.communicate()
    assert process.returncode != 0
    (cli.folder / "flag").unlink()
    cli("run", "toy.py")
    assert "there is no run here" in cli("cancel", "runs/none", code=2).stderr


def test_inputs_that_appear_during_a_run_are_left_for_the_next(cli: Cli) -> None:
    """Workers have the list of inputs that the run began with, and list nothing themselves."""
    write_input(cli.folder, "d", [LONG, WAIT])
    cli("run", "toy.py", "--out", "calm")
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py", "--workers", "1")
    until(lambda: any(unit.startswith("d-") for unit in units_running(cli)), process)
    write_input(cli.folder, "e", [LONG])
    (cli.folder / "flag").unlink()
    output = process.communicate()
    assert process.returncode == 0, output
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")


@pytest.mark.parametrize(
    ("files", "cores", "memory_gb"),
    [
        ({"cpu.max": "100000 100000", "memory.max": "1073741824"}, 1, 1),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"job/cpu.max": "150000 100000", "job/memory.max": "536870912"}, 1, 0.5),
        ({"cpu.max": "100000 100000", "job/cpu.max": "max 100000"}, 1, None),
    ],
)
def test_workers_keep_within_the_limits_of_a_container(
    tmp_path: Path, files: dict[str, str], cores: int | None, memory_gb: float | None
) -> None:
    """Limits of the control group and of those above it count; without any, the machine's do."""
    (tmp_path / "root/job").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/job\n")
    for name, text in files.items():
        (tmp_path / "root" / name).write_text(text + "\n")
    place = (tmp_path / "root", tmp_path / "own")
    nowhere = (tmp_path / "none", tmp_path / "none")
    assert machine.cores(*place) == (cores or machine.cores(*nowhere))
    assert machine.memory_gb(*place) == (memory_gb or machine.memory_gb(*nowhere))


def test_limits_of_the_older_control_groups_count(tmp_path: Path) -> None:
    """Version 1 has a hierarchy for each controller."""
    (tmp_path / "root/memory/job").mkdir(parents=True)
    (tmp_path / "root/cpu,cpuacct/job").mkdir(parents=True)
    (tmp_path / "own").write_text("4:memory:/job\n3:cpu,cpuacct:/job\n")
    (tmp_path / "root/memory/job/memory.limit_in_bytes").write_text("1073741824\n")
    (tmp_path / "root/cpu,cpuacct/job/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "root/cpu,cpuacct/job/cpu.cfs_period_us").write_text("100000\n")
    assert machine.cores(tmp_path / "root", tmp_path / "own") == 1
    assert machine.memory_gb(tmp_path / "root", tmp_path / "own") == 1


def test_a_worker_of_an_earlier_definition_publishes_nothing(cli: Cli) -> None:
    """One that was held up, as on a node that froze, does not put its file among later ones."""
    cli("run", "toy.py")
    record = json.loads((cli.folder / "runs/toy/run.json").read_text())["stages"][-1]
    (manifest,) = (cli.folder / "runs/toy" / record["folder"]).glob("*.json")
    unit = {"name": manifest.stem, "size": 1, "spec": json.loads(manifest.read_text())["spec"]}
    order = {"stage": "dataset", "fingerprint": record["fingerprint"], "unit": unit}
    cli("run", "toy.py", "-p", "min_chars=30")
    before = dataset_bytes(cli.folder)
    done = subprocess.run(
        cli.command("worker", "toy.py", "--out", "runs/toy"),
        cwd=cli.folder,
        env=cli.environment,
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["event"] == "error" and "a later command has changed" in answer["message"]
    assert dataset_bytes(cli.folder) == before


def test_what_a_killed_run_said_of_itself_is_forgotten(cli: Cli) -> None:
    """`curate status` shows nothing as running after the next run."""
    write_input(cli.folder, "d", [LONG, WAIT])
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py")
    until(lambda: any(unit.startswith("d-") for unit in units_running(cli)), process)
    process.kill()
    process.communicate()
    (cli.folder / "flag").unlink()
    cli("run", "toy.py")
    assert "Running" not in cli("status", "runs/toy").stdout


def test_a_dataset_file_that_was_cut_is_written_again(cli: Cli) -> None:
    """A published file that is not as its manifest says does not stay."""
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    (file,) = (cli.folder / "runs/toy/dataset/data").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    cli("run", "toy.py")
    assert dataset_bytes(cli.folder) == before


PIDS = """
import os
from dataclasses import dataclass
from typing import ClassVar
from curate import Pipeline, Stage
from curate.readers.records import JsonlReader
from curate.steps import Step

@dataclass
class Pid(Step):
    column: str
    megabytes: int
    name: ClassVar[str] = "pid"

    @property
    def columns(self):
        return {self.column: "int64"}

    def setup(self):
        self.held = b"x" * (self.megabytes << 20)

    def apply(self, doc):
        doc.metadata[self.column] = os.getpid()

def pipeline(megabytes: int) -> Pipeline:
    first = Stage("first", source=JsonlReader("in/d.jsonl"), steps=(Pid("one", megabytes),))
    second = Stage("second", source=first, steps=(Pid("two", 1),))
    return Pipeline("pids", output=second)
"""


def test_a_worker_goes_on_with_the_next_stage_unless_it_has_grown(cli: Cli) -> None:
    """One process does stage after stage; one that has grown large makes room for a new one."""
    (cli.folder / "pids.py").write_text(PIDS)
    write_input(cli.folder, "d", [LONG])
    for megabytes, same in ((1, True), (700, False)):
        cli("run", "pids.py", "-p", f"megabytes={megabytes}", "--out", f"{megabytes}")
        (row,) = pq.read_table(cli.folder / f"{megabytes}" / "dataset" / "data").to_pylist()
        assert (row["one"] == row["two"]) is same


HOLDING = """
import os
from dataclasses import dataclass
from typing import ClassVar
from curate import Pipeline, Stage
from curate.readers.records import JsonlReader
from curate.steps import Step

@dataclass(frozen=True)
class Holding(Step):
    told: str
    name: ClassVar[str] = "holding"

    def apply(self, doc):
        pass

    def close(self):
        os.write(os.open(self.told, os.O_WRONLY), b"closed")

def pipeline(folder: str) -> Pipeline:
    reader = JsonlReader(folder + "/in/d.jsonl")
    held = Stage("hold", source=reader, steps=(Holding(folder + "/told"),))
    return Pipeline("holding", output=held)
"""


def test_a_worker_that_waits_for_a_stage_has_closed_the_steps_of_the_last(cli: Cli) -> None:
    """A child that extracted does not take memory while other workers do the stages after it."""
    folder = cli.folder
    (folder / "holding.py").write_text(HOLDING)
    write_input(folder, "d", [LONG])
    os.mkfifo(folder / "told")
    told = os.open(folder / "told", os.O_RDONLY | os.O_NONBLOCK)
    plan = Plan(str(folder / "holding.py"), {"folder": str(folder)}, str(folder / "out"))
    plan.save()
    stage = plan.stages[0]
    units = plan.units(stage) or []
    with Workers(1, folder / "logs") as workers:
        progress = Progress(stage.name, len(units), 0)
        assert not LocalExecutor(workers).run(plan, stage, units, progress, lambda _: None)
        assert select.select([told], [], [], 60)[0]
    os.close(told)
