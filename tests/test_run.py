"""`curate run`: nothing lost, nothing done twice, the same bytes always."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from .conftest import Cli, dataset_bytes, manifest_times, write_input


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for a condition while a process runs."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            raise AssertionError(process.communicate())


def test_every_record_is_kept_dropped_or_failed(cli: Cli) -> None:
    """The counts of each stage add up, and what one stage kept is what the next takes in."""
    write_input(cli.folder, "d", ["short", "raise", "long enough to be kept"])
    with (cli.folder / "in" / "d.jsonl").open("a") as stream:
        stream.write("not JSON\n")
    cli("run", "toy.py")
    stages = cli.status()
    assert list(stages) == ["load", "filter", "dataset"]
    for stage in stages.values():
        assert stage["in"] == stage["kept"] + stage["dropped"] + stage["failed"]
        assert stage["units"] == stage["done"]
    assert stages["load"]["in"] == 124
    assert stages["load"]["failed"] == 1
    assert stages["filter"]["in"] == stages["load"]["kept"] == 123
    assert stages["filter"]["failed"] == 1
    assert stages["filter"]["kept"] == stages["dataset"]["kept"]


def test_each_record_has_a_decision_with_value_and_threshold(cli: Cli) -> None:
    """A dropped document says by which step, for which reason, measured against what."""
    write_input(cli.folder, "d", ["short", "raise", "long enough to be kept"])
    cli("run", "toy.py", "-p", "paths=in/d.jsonl")
    (path,) = (cli.folder / "runs/toy/stages").glob("filter-*/*.decisions.parquet")
    rows = pq.read_table(path).to_pylist()
    assert [row["outcome"] for row in rows] == ["dropped", "failed", "kept"]
    assert (rows[0]["reason"], rows[0]["value"], rows[0]["threshold"]) == (
        "min_length/too_short",
        5.0,
        20.0,
    )
    assert rows[1]["reason"] == "min_length/error"
    assert "this page is odd" in rows[1]["message"]
    assert [row["id"] for row in rows] == ["d-0", "d-1", "d-2"]


def test_published_columns_are_those_of_the_pipeline_in_their_order(cli: Cli) -> None:
    """The dataset holds what the pipeline names and nothing else."""
    cli("run", "toy.py")
    (path,) = (cli.folder / "runs/toy/dataset/data").glob("*.parquet")
    assert pq.read_schema(path).names == ["text", "id", "file_path"]
    assert "toy" in (cli.folder / "runs/toy/dataset/README.md").read_text()


def test_the_number_of_workers_does_not_change_the_bytes(cli: Cli) -> None:
    """One worker and three make the same dataset."""
    cli("run", "toy.py", "--workers", "1", "--out", "one")
    cli("run", "toy.py", "--workers", "3", "--out", "three")
    assert dataset_bytes(cli.folder, "one") == dataset_bytes(cli.folder, "three")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_is_replaced(cli: Cli, kill: signal.Signals) -> None:
    """A worker that dies in the middle costs nothing: the run ends by itself, the same bytes."""
    write_input(cli.folder, "d", [*"abc", "kill once", *["a text to be kept, " * 3] * 20])
    cli("run", "toy.py", "--out", "calm")
    (cli.folder / "flag").write_text(str(kill.value))
    cli("run", "toy.py")
    assert not (cli.folder / "flag").exists()
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_goes_on_where_it_was(cli: Cli, kill: signal.Signals) -> None:
    """What was finished before the kill is not done again, and the dataset is the same bytes."""
    texts = ["wait while the flag is there", *["a text to be kept, " * 3] * 20]
    write_input(cli.folder, "d", texts)
    cli("run", "toy.py", "--out", "calm")
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py", "--workers", "2")
    until(lambda: len(manifest_times(cli.folder, "filter")) == 3, process)
    process.send_signal(kill)
    _, errors = process.communicate()
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on where it was" in errors
    before = manifest_times(cli.folder, "load") | manifest_times(cli.folder, "filter")
    (cli.folder / "flag").unlink()
    cli("run", "toy.py")
    after = manifest_times(cli.folder, "load") | manifest_times(cli.folder, "filter")
    assert before.items() <= after.items()
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")
    assert list((cli.folder / "runs").rglob("*.tmp")) == []


def test_a_killed_run_takes_its_workers_with_it(cli: Cli) -> None:
    """No worker goes on when the run it belongs to was killed."""
    write_input(cli.folder, "d", ["wait while the flag is there"])
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py", "--workers", "1", "-p", "paths=in/d.jsonl")
    until(lambda: list((cli.folder / "runs/toy/stages").glob("filter-*/.*.tmp")), process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    for child in children:
        while (
            time.monotonic() < deadline
            and Path(f"/proc/{child}").exists()
            and "(zombie)" not in _state(child)
        ):
            pass
        assert time.monotonic() < deadline


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return "(zombie)"


def test_a_unit_that_cannot_succeed_does_not_stop_the_others(cli: Cli) -> None:
    """It is tried again, given up and named; mended, the same command finishes the run."""
    write_input(cli.folder, "d", ["fail while the flag is there"])
    (cli.folder / "flag").touch()
    done = cli("run", "toy.py", code=1)
    assert "in/d.jsonl: the worker ended with exit code 7" in done.stderr
    assert "curate run toy.py" in done.stderr
    stages = cli.status()
    assert (stages["filter"]["units"], stages["filter"]["done"]) == (4, 3)
    assert stages["filter"]["failed_units"][0]["attempts"] == 3
    assert "Incomplete" in (cli.folder / "runs/toy/dataset/README.md").read_text()
    (cli.folder / "flag").unlink()
    cli("run", "toy.py")
    stages = cli.status()
    assert (stages["filter"]["done"], stages["filter"]["failed_units"]) == (4, [])
    assert stages["dataset"]["kept"] == stages["filter"]["kept"]
    assert "Incomplete" not in (cli.folder / "runs/toy/dataset/README.md").read_text()


def test_a_changed_threshold_redoes_its_stage_and_no_earlier_one(cli: Cli) -> None:
    """Loading is kept; the filter is done again; going back costs only the last stage."""
    cli("run", "toy.py")
    loaded, first = manifest_times(cli.folder, "load"), dataset_bytes(cli.folder)
    manifests = list((cli.folder / "runs/toy/stages").glob("filter-*/*.json"))
    filtered = [path.stat().st_mtime_ns for path in manifests]
    cli("run", "toy.py", "-p", "min_chars=30")
    assert manifest_times(cli.folder, "load") == loaded
    assert cli.status()["filter"]["kept"] < 60
    assert dataset_bytes(cli.folder) != first
    cli("run", "toy.py")
    assert [path.stat().st_mtime_ns for path in manifests] == filtered
    assert dataset_bytes(cli.folder) == first


def test_an_added_input_does_only_itself(cli: Cli) -> None:
    """The units that were done stay; the dataset is that of a run with all inputs."""
    cli("run", "toy.py")
    before = manifest_times(cli.folder, "load") | manifest_times(cli.folder, "filter")
    write_input(cli.folder, "aa", ["a text to be kept, once more"] * 3)
    cli("run", "toy.py")
    after = manifest_times(cli.folder, "load") | manifest_times(cli.folder, "filter")
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2
    cli("run", "toy.py", "--out", "fresh")
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "fresh")


def test_a_removed_input_leaves_the_dataset(cli: Cli) -> None:
    """What is no longer among the inputs is no longer published."""
    cli("run", "toy.py", "-p", "paths=in/a.jsonl", "--out", "fresh")
    cli("run", "toy.py")
    cli("run", "toy.py", "-p", "paths=in/a.jsonl")
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "fresh")


def test_the_folder_of_another_pipeline_is_left_alone(cli: Cli) -> None:
    """A wrong --out must not cost the dataset that is there."""
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    other = (cli.folder / "toy.py").read_text().replace('Pipeline("toy"', 'Pipeline("other"')
    (cli.folder / "other.py").write_text(other)
    done = cli("run", "other.py", "--out", "runs/toy", code=2)
    assert "runs/toy: holds the pipeline 'toy' and not 'other'" in done.stderr
    assert "another folder with --out" in done.stderr
    assert dataset_bytes(cli.folder) == before
    assert "nothing left to do" in cli("run", "toy.py").stderr


def test_what_a_user_has_put_into_the_dataset_stays(cli: Cli) -> None:
    """Only files of ours are removed when the dataset changes; `verify` names the others."""
    cli("run", "toy.py")
    data = cli.folder / "runs/toy/dataset/data"
    (data / "mine").mkdir()
    own = [data / "mine.parquet", data / "mine" / "notes.txt", data / "train-extra.parquet"]
    for path in own:
        path.write_text("mine")
    cli("run", "toy.py", "-p", "min_chars=30")
    assert [path.read_text() for path in own] == ["mine"] * 3
    assert "mine.parquet" in cli("verify", "runs/toy", code=1).stdout


def test_running_again_does_nothing(cli: Cli) -> None:
    """A finished run has nothing left to do."""
    cli("run", "toy.py")
    before = {p: p.stat().st_mtime_ns for p in (cli.folder / "runs/toy/stages").rglob("*.*")}
    assert "nothing left to do" in cli("run", "toy.py").stderr
    after = {p: p.stat().st_mtime_ns for p in (cli.folder / "runs/toy/stages").rglob("*.*")}
    assert before == after


def test_one_stage_can_be_run_alone(cli: Cli) -> None:
    """`--only` runs a stage whose sources are done, and says so when they are not."""
    done = cli("run", "toy.py", "--only", "filter", code=2)
    assert "--only load" in done.stderr
    cli("run", "toy.py", "--only", "load")
    assert not manifest_times(cli.folder, "filter")
    cli("run", "toy.py", "--only", "filter")
    assert len(manifest_times(cli.folder, "filter")) == 3


def test_a_file_that_is_too_large_to_write_is_one_message(cli: Cli) -> None:
    """A full disk ends the run with what to do; with room, the same command finishes it."""

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    write_input(cli.folder, "d", [random.Random(1).randbytes(50_000).hex()])
    done = cli("run", "toy.py", code=1, before=no_room)
    assert "cannot be written" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "Traceback" in line]) == 0
    assert len(done.stderr.split("curate: ", 1)[1].splitlines()) <= 3
    cli("run", "toy.py")


def test_two_runs_at_once_do_no_harm(cli: Cli) -> None:
    """Both finish, and the dataset is that of one."""
    cli("run", "toy.py", "--out", "alone")
    processes = [cli.start("run", "toy.py") for _ in range(2)]
    for process in processes:
        output = process.communicate()
        assert process.returncode == 0, output
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "alone")


def test_json_is_all_that_goes_to_standard_output(cli: Cli) -> None:
    """`run --json` can be piped into another program."""
    value = json.loads(cli("run", "toy.py", "--json").stdout)
    assert value["complete"] is True
    assert [stage["name"] for stage in value["stages"]] == ["load", "filter", "dataset"]


WAITING = """
class Waiting:
    def __set_name__(self, owner, name):
        Path("begun").touch()
        while Path("begun").exists():
            pass
"""


@pytest.mark.parametrize(("kill", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "wait", ["Waiting().__set_name__(None, '')", "class Own:\n    a = Waiting()"]
)
def test_a_signal_while_a_definition_is_read_is_no_fault_of_it(
    cli: Cli, kill: signal.Signals, code: int, wait: str
) -> None:
    """The command ends as at any other moment, also where Python is making a class."""
    with (cli.folder / "toy.py").open("a") as file:
        file.write(WAITING + wait)
    process = cli.start("run", "toy.py")
    until((cli.folder / "begun").exists, process)
    process.send_signal(kill)
    assert "line" not in process.communicate()[1]
    assert process.returncode == code


def test_what_a_definition_prints_is_not_part_of_the_answer(cli: Cli) -> None:
    """It is shown beside `--json`."""
    with (cli.folder / "toy.py").open("a") as file:
        file.write("\nprint('hello')\n")
    done = cli("plan", "toy.py", "--json")
    assert json.loads(done.stdout)["stages"]
    assert "hello" in done.stderr


def test_a_folder_that_looks_like_a_flag_is_written_to(cli: Cli) -> None:
    """So is a pipeline file read: neither is a flag to the workers."""
    cli("run", "toy.py", "--out", "calm")
    (cli.folder / "toy.py").rename(cli.folder / "-toy.py")
    cli("run", "--out=-p", "--", "-toy.py")
    assert dataset_bytes(cli.folder, "-p") == dataset_bytes(cli.folder, "calm")


def test_text_and_ids_that_are_no_unicode_cost_one_document(cli: Cli) -> None:
    """A lone surrogate fails its own document, by name, and no other."""
    lines = [
        '{"id": "text", "text": "a lone surrogate \\ud800 in a text long enough"}',
        '{"id": "id \\udfff", "text": "a lone surrogate in the id of this text"}',
        '{"id": "fine", "text": "a text that is long enough to be kept"}',
    ]
    (cli.folder / "in" / "d.jsonl").write_text("\n".join(lines) + "\n")
    cli("run", "toy.py", "-p", "paths=in/d.jsonl")
    stages = cli.status()
    assert (stages["load"]["in"], stages["load"]["kept"], stages["load"]["failed"]) == (3, 1, 2)
    assert stages["load"]["steps"][-1]["failed"] == {"invalid_unicode": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return True", "a step returns a Drop, or None"),
        ("set undeclared metadata", "undeclared is set by a step but declared by none"),
    ],
)
def test_a_step_that_breaks_the_rules_is_named(cli: Cli, text: str, message: str) -> None:
    """A step of the user's own that is wrong stops the run with what to mend."""
    write_input(cli.folder, "d", [text])
    done = cli("run", "toy.py", "-p", "paths=in/d.jsonl", code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_fails_upstream_leaves_the_dataset_as_it_was(cli: Cli) -> None:
    """A dataset that was finished is not replaced by one of nothing."""
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    for name in "abc":
        write_input(cli.folder, name, ["fail while the flag is there"])
    (cli.folder / "flag").touch()
    done = cli("run", "toy.py", code=1)
    assert "The dataset was left as it was" in done.stderr
    assert dataset_bytes(cli.folder) == before


def test_an_input_that_is_rewritten_is_read_again(cli: Cli) -> None:
    """A file of the same name and size with other content makes another dataset."""
    write_input(cli.folder, "a", ["a text that is long enough, one"])
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    write_input(cli.folder, "a", ["a text that is long enough, two"])
    cli("run", "toy.py")
    assert dataset_bytes(cli.folder) != before


def test_a_changed_step_of_the_users_own_is_run_again(cli: Cli) -> None:
    """A change of the code in the pipeline file redoes the stage that uses it."""
    cli("run", "toy.py")
    before = cli.status()["filter"]
    text = (cli.folder / "toy.py").read_text()
    (cli.folder / "toy.py").write_text(text.replace("< self.min_chars", "<= self.min_chars + 5"))
    cli("run", "toy.py")
    assert cli.status()["filter"]["kept"] < before["kept"]


def test_a_deleted_dataset_is_made_again(cli: Cli) -> None:
    """The files of the dataset are looked for, not only their manifests."""
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    for path in (cli.folder / "runs/toy/dataset/data").iterdir():
        path.unlink()
    cli("run", "toy.py")
    assert dataset_bytes(cli.folder) == before


def test_a_value_that_does_not_fit_its_column_costs_one_document(cli: Cli) -> None:
    """An odd value in one line fails that line, by column and value."""
    pipeline = (cli.folder / "toy.py").read_text()
    pipeline = pipeline.replace("JsonlReader(paths)", 'JsonlReader(paths, keep=(("n", "int64"),))')
    (cli.folder / "toy.py").write_text(pipeline)
    lines = [
        '{"text": "a text that is long enough", "n": 1}',
        '{"text": "a text that is long enough", "n": "n/a"}',
        '{"text": "a text that is long enough", "n": 100000000000000000000}',
    ]
    (cli.folder / "in" / "d.jsonl").write_text("\n".join(lines) + "\n")
    cli("run", "toy.py", "-p", "paths=in/d.jsonl")
    stages = cli.status()
    assert stages["load"]["steps"][-1]["failed"] == {"invalid_value": 2}
    cli("verify", "runs/toy")
    assert stages["dataset"]["kept"] == 1
