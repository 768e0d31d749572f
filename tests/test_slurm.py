"""`curate run --executor slurm`: the same bytes as here, and nothing done twice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT, Cli, dataset_bytes, manifest_times, write_input
from .slurm.cluster import Cluster
from .slurm.runs import (
    LONG,
    WAIT,
    finishes,
    in_terminal,
    kill_task,
    many,
    same,
    until,
    until_said,
    waiting,
)

pytestmark = pytest.mark.slurm


def jobs_of(cluster: Cluster, stage: str) -> set[str]:
    """Return the names of the jobs of a stage; each definition of it has its own."""
    names = {job.split()[-1] for job in cluster.jobs()}
    return {name for name in names if name.startswith(f"{stage}-")}


@pytest.mark.parametrize("tasks", ["1", "7", "40"])
def test_the_number_of_tasks_does_not_change_the_bytes(slurm: Cli, tasks: str) -> None:
    """On three nodes with any number of tasks, in arrays of at most four, as in one process."""
    many(slurm, 8 if tasks == "1" else 30)
    slurm("run", "toy.py", "--out", "calm")
    slurm("run", "toy.py", "--executor", "slurm", "--tasks", tasks)
    same(slurm)
    scripts = list((slurm.folder / "runs/toy/slurm/scripts").glob("load-*.sh"))
    assert len(scripts) == {"1": 1, "7": 2, "40": 8}[tasks]


def test_a_stage_waits_for_every_unit_of_the_one_before(slurm: Cli) -> None:
    """A unit that fails in the first array is given up before anything of the next stage begins."""
    many(slurm, 29)
    write_input(slurm.folder, "a", ["fail while the flag is there", *[LONG] * 50])  # the largest
    slurm("run", "toy.py", "--out", "calm")
    (slurm.folder / "flag").touch()
    done = slurm("run", "toy.py", "--executor", "slurm", "--tasks", "30", code=1)
    (failure,) = (slurm.folder / "runs/toy/failures").rglob("*.json")
    record = json.loads(failure.read_text())
    assert record["attempts"] == 3
    (published,) = manifest_times(slurm.folder, "dataset").values()
    assert failure.stat().st_mtime_ns < published
    stages = slurm.status()
    assert (stages["filter"]["done"], stages["filter"]["units"]) == (29, 30)
    assert "filter: in/a.jsonl: the worker ended with exit code 7" in done.stderr
    assert Path(record["log"]).is_file() and f"(log: {record['log']})" in done.stderr
    assert "curate run toy.py --out runs/toy --executor slurm --tasks 30" in done.stderr
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "--executor", "slurm", "--tasks", "30")
    same(slurm)


def test_the_same_command_twice_does_nothing_twice(slurm: Cli, cluster: Cluster) -> None:
    """A finished run submits no job, and two at once finish as one."""
    slurm("run", "toy.py", "--out", "calm")
    processes = [slurm.start("run", "toy.py", "--executor", "slurm") for _ in range(2)]
    outputs = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    same(slurm)
    before = manifest_times(slurm.folder, "load") | manifest_times(slurm.folder, "filter")
    logs = set((slurm.folder / "runs/toy/slurm/logs").iterdir())
    slurm("run", "toy.py", "--executor", "slurm")
    assert before == manifest_times(slurm.folder, "load") | manifest_times(slurm.folder, "filter")
    assert logs == set((slurm.folder / "runs/toy/slurm/logs").iterdir())


def test_another_number_of_tasks_takes_over_the_run(slurm: Cli) -> None:
    """The later command drives on; the earlier one follows it and ends with it."""
    first = waiting(slurm, "--tasks", "1")
    second = slurm.start("run", "toy.py", "--executor", "slurm", "--tasks", "5")
    until(lambda: len(manifest_times(slurm.folder, "filter")) == 3, second)
    until_said(first, "following it")
    finishes(slurm, second)
    finishes(slurm, first)


def test_other_jobs_of_the_user_may_have_any_name(slurm: Cli) -> None:
    """One of several lines, with the marks of squeue's table, or no UTF-8: it is left alone."""
    slurm("run", "toy.py", "--out", "calm")
    held = []
    for name in (b"two\nlines", b"a|b|c|d|e|f", b"\xef"):
        command = ["sbatch", "--parsable", "--hold", "--job-name", name, "--wrap", "true"]
        held.append(subprocess.check_output(command, env=slurm.environment).strip())
    slurm("run", "toy.py", "--executor", "slurm")
    same(slurm)
    for job in held:
        shown = subprocess.check_output(["squeue", "-h", "-j", job], env=slurm.environment)
        assert shown
        subprocess.run(["scancel", job], env=slurm.environment, check=True)


def test_tasks_that_others_cancel_are_given_again(slurm: Cli, cluster: Cluster) -> None:
    """As a controller does that has lost its last seconds; it says nothing against the profile."""
    slurm("run", "toy.py", "--out", "calm")
    cluster.drain(*cluster.names)
    process = slurm.start("run", "toy.py", "--executor", "slurm")
    for _ in range(5):
        until(cluster.jobs, process)
        subprocess.run(["scancel", "--user=root"], env=cluster.environment, check=True)
        until(lambda: not cluster.jobs(), process)
    cluster.resume(*cluster.names)
    finishes(slurm, process)


def test_a_changed_threshold_ends_the_tasks_of_the_old_one(slurm: Cli, cluster: Cluster) -> None:
    """The later command's tasks take the place of those that do what nobody wants any more."""
    first = waiting(slurm, "--tasks", "1")
    (old,) = jobs_of(cluster, "filter")
    options = ("-p", "min_chars=30", "--executor", "slurm")
    second = slurm.start("run", "toy.py", *options)
    until(lambda: (now := jobs_of(cluster, "filter")) and old not in now, second)
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "-p", "min_chars=30", "--out", "thirty")
    output = second.communicate(timeout=200)
    assert second.returncode == 0, output
    assert dataset_bytes(slurm.folder) == dataset_bytes(slurm.folder, "thirty")
    errors = first.communicate(timeout=60)[1]
    assert first.returncode == 1 and "a later command changed this run" in errors


def test_a_command_given_while_the_controller_is_away_waits(slurm: Cli, cluster: Cluster) -> None:
    """Slurm's silence is no error: the run begins when it answers."""
    slurm("run", "toy.py", "--out", "calm")
    cluster.kill_controller()
    process = slurm.start("run", "toy.py", "--executor", "slurm")
    until(lambda: list((slurm.folder / "runs/toy").glob("slurm/drivers/*.json")), process)
    cluster.start_controller()
    finishes(slurm, process)


def test_a_node_that_ends_every_task_at_once_is_done_without(slurm: Cli) -> None:
    """What such a node swallows, the others do."""
    many(slurm, 12)
    slurm("run", "toy.py", "--out", "calm")
    profile = "setup = 'test \"$SLURMD_NODENAME\" != n1 || exit 1'\n"
    (slurm.folder / "cluster.toml").write_text(profile)
    options = ("--executor", "slurm", "--tasks", "6", "--profile", "cluster.toml")
    slurm("run", "toy.py", *options)
    same(slurm)


def test_an_input_added_in_between_is_done_alone(slurm: Cli) -> None:
    """What was done stays; the dataset is that of a run with all inputs."""
    process = waiting(slurm)
    before = manifest_times(slurm.folder, "load")
    write_input(slurm.folder, "aa", [f"{LONG}, added"])
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "--executor", "slurm")
    process.communicate(timeout=60)
    slurm("run", "toy.py", "--out", "calm")
    after = manifest_times(slurm.folder, "load")
    assert before.items() <= after.items() and len(after) == len(before) + 1
    same(slurm)


def test_a_stage_that_cannot_succeed_is_given_up(slurm: Cli, cluster: Cluster) -> None:
    """Each unit is tried three times; exit code 1, and unit, cause, log and command are named."""
    many(slurm, 0)
    for name in "abc":
        write_input(slurm.folder, name, ["fail while the flag is there"])
    (slurm.folder / "flag").touch()
    done = slurm("run", "toy.py", "--executor", "slurm", code=1)
    assert not cluster.live()
    for name in "abc":
        assert f"filter: in/{name}.jsonl: the worker ended with exit code 7 (log: /" in done.stderr
    assert "curate run toy.py --out runs/toy --executor slurm" in done.stderr
    assert [unit["attempts"] for unit in slurm.status()["filter"]["failed_units"]] == [3, 3, 3]
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "--out", "calm")
    slurm("run", "toy.py", "--executor", "slurm")
    same(slurm)


def test_tasks_refuse_a_changed_definition(slurm: Cli, cluster: Cluster) -> None:
    """A pipeline file that changes during the run ends it with what to do, and leaves no job."""
    process = waiting(slurm, "--tasks", "1")
    text = (slurm.folder / "toy.py").read_text()
    (slurm.folder / "toy.py").write_text(text.replace("< self.min_chars", "<= self.min_chars"))
    kill_task(slurm, "d")
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 2, errors
    assert "changed during the run" in errors and "log: /" in errors
    assert not cluster.live()


def test_what_sbatch_refuses_is_quoted(slurm: Cli) -> None:
    """The message is Slurm's own, with the script and where to mend it."""
    (slurm.folder / "cluster.toml").write_text('partition = "nowhere"\n')
    options = ("--executor", "slurm", "--profile", "cluster.toml")
    for more in ([], ["--detach"]):
        done = slurm("run", "toy.py", *options, *more, code=1)
        assert "invalid partition specified: nowhere" in done.stderr
        assert "runs/toy/slurm/scripts/" in done.stderr and "--profile" in done.stderr
        assert "Traceback" not in done.stderr


def test_tasks_that_cannot_begin_end_the_run(slurm: Cli) -> None:
    """Without Python on the nodes the message has the end of a task's log."""
    (slurm.folder / "cluster.toml").write_text('python = "/nowhere/python"\n')
    done = slurm("run", "toy.py", "--executor", "slurm", "--profile", "cluster.toml", code=1)
    assert "its tasks end before they have done anything" in done.stderr
    assert "/nowhere/python" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_workers_share_a_task(slurm: Cli) -> None:
    """Whole nodes are used by several workers in each task, and the bytes are the same."""
    many(slurm, 9)
    slurm("run", "toy.py", "--out", "calm")
    slurm("run", "toy.py", "--executor", "slurm", "--tasks", "2", "--workers", "3")
    same(slurm)


def test_in_a_terminal_a_run_is_shown_as_it_goes_on(slurm: Cli) -> None:
    """What is worked on and how many tasks run; then the dataset; `show` prints, and ends."""
    write_input(slurm.folder, "d", [f"{LONG}, before", WAIT, f"{LONG}, after"])
    flag = slurm.folder / "flag"
    flag.touch()
    run = ("run", "toy.py", "--executor", "slurm")
    shown = in_terminal(slurm, *run, until="1 tasks running", then=flag.unlink)
    assert "curate status runs/toy --json" in shown
    shown = in_terminal(slurm, "show", "runs/toy", "--kept", "--limit", "2", then=lambda: None)
    assert "a-22" in shown and "a-23" in shown


@pytest.mark.parametrize("name", ['50%a of it\'s "odd" #1', "-p"])
def test_a_folder_of_any_name_is_written_to(slurm: Cli, name: str) -> None:
    """Quotes, blanks, signs of sbatch's own and what looks like a flag are parts of a name."""
    slurm("run", "toy.py", "--out", "calm")
    folder = slurm.folder / name
    folder.mkdir()
    (slurm.folder / "in").rename(folder / "in")
    (slurm.folder / "toy.py").rename(folder / "toy.py")
    (folder / "profile.toml").write_text("hours = 1\n")
    inside = Cli(folder)
    inside.environment = slurm.environment
    options = ("--executor", "slurm", "--profile", "profile.toml")
    inside("run", "toy.py", f"--out={name}", *options)
    published = dataset_bytes(slurm.folder, "calm")
    assert dataset_bytes(folder, name) == published
    inside("verify", "--", name)


def test_fineweb_on_three_nodes_is_what_it_is_here(slurm: Cli) -> None:
    """The whole of FineWeb on the sample: extraction, filters, deduplication, the dataset."""
    pipeline, sample = ROOT / "pipelines/fineweb.py", f"warcs={ROOT}/sample_data/warc/*.warc.gz"
    slurm("run", str(pipeline), "-p", sample, "--out", "calm")
    options = ("--executor", "slurm", "--tasks", "6", "--out", "runs/toy")
    slurm("run", str(pipeline), "-p", sample, *options)
    same(slurm)


def test_finepdf_on_three_nodes_is_what_it_is_here(slurm: Cli) -> None:
    """The whole of FinePDF on the sample, its answers from an archive."""
    sample = ROOT / "sample_data/pdf"
    given = (f"warcs={sample}/crawl-*.warc.gz", f"replay={sample}/originals.warc.gz", "ocr=off")
    options = [part for parameter in given for part in ("-p", parameter)]
    pipeline = str(ROOT / "pipelines/finepdf.py")
    slurm("run", pipeline, *options, "--out", "calm")
    slurm("run", pipeline, *options, "--executor", "slurm", "--tasks", "3", "--out", "runs/toy")
    same(slurm)
