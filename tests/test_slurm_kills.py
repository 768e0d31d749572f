"""`curate run --executor slurm`, disturbed: whatever is killed, the bytes are the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import Cli, manifest_times, write_input
from .slurm.cluster import Cluster
from .slurm.runs import LONG, WAIT, finishes, kill_task, running, same, until, waiting

pytestmark = pytest.mark.slurm


def test_a_worker_that_is_killed_once_is_replaced(slurm: Cli) -> None:
    """The task gives the unit to a fresh worker."""
    write_input(slurm.folder, "d", ["kill once", *[LONG] * 20])
    slurm("run", "toy.py", "--out", "calm")
    (slurm.folder / "flag").touch()
    slurm("run", "toy.py", "--executor", "slurm")
    assert not (slurm.folder / "flag").exists()
    same(slurm)


def test_a_task_that_is_killed_is_replaced(slurm: Cli) -> None:
    """SIGKILL of a task costs its unit nothing but time."""
    process = waiting(slurm)
    kill_task(slurm, "d")
    finishes(slurm, process)


def test_a_node_that_vanishes_is_done_without(slurm: Cli, cluster: Cluster) -> None:
    """What ran on it is done on another node."""
    process = waiting(slurm)
    node = running(slurm)["node"]
    cluster.kill_node(node)
    (slurm.folder / "flag").unlink()
    try:
        finishes(slurm, process)
    finally:
        cluster.start_node(node)


def test_a_controller_that_is_killed_and_comes_back_is_waited_for(
    slurm: Cli, cluster: Cluster
) -> None:
    """Units that run are finished meanwhile, and the run goes on."""
    process = waiting(slurm)
    cluster.kill_controller()
    (slurm.folder / "flag").unlink()
    until(lambda: len(manifest_times(slurm.folder, "filter")) == 4, process)
    cluster.start_controller()
    finishes(slurm, process)


def test_a_driver_that_is_killed_is_started_again(slurm: Cli) -> None:
    """`status` says that nobody drives; the tasks go on; the same command takes the run up."""
    process = waiting(slurm)
    process.kill()
    process.communicate()
    (beat,) = (slurm.folder / "runs/toy/slurm/drivers").iterdir()
    long_ago = time.time() - 605
    os.utime(beat, (long_ago, long_ago))
    told = slurm("status", "runs/toy").stdout
    assert "last heard of 10 min ago" in told and "the command below drives on" in told
    before = manifest_times(slurm.folder, "load")
    assert running(slurm)
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "--executor", "slurm")
    assert before.items() <= manifest_times(slurm.folder, "load").items()
    same(slurm)


def test_a_zombie_node_that_comes_back_does_no_harm(slurm: Cli, cluster: Cluster) -> None:
    """A node that Slurm has given up works on; its copy and the new one are the same bytes."""
    process = waiting(slurm)
    node = running(slurm)["node"]
    cluster.signal_node(node, signal.SIGSTOP)
    until(lambda: cluster.nodes_in("down") == 1, process)
    (slurm.folder / "flag").unlink()
    until(lambda: len(manifest_times(slurm.folder, "filter")) == 4, process)
    cluster.signal_node(node, signal.SIGCONT)
    finishes(slurm, process)


def test_a_frozen_node_that_wakes_up_too_late_does_no_harm(slurm: Cli, cluster: Cluster) -> None:
    """All of a node stands still, another does its unit, and then there are two live copies."""
    process = waiting(slurm)
    node, first = running(slurm)["node"], running(slurm)["task"]
    cluster.freeze_node(node)
    until(lambda: running(slurm).get("task", first) != first, process)
    cluster.thaw_node(node)
    finishes(slurm, process)


def test_a_detached_run_finishes_by_itself(slurm: Cli, cluster: Cluster) -> None:
    """A small job drives it; killed, another takes its place; `run` attaches; nothing pends."""
    write_input(slurm.folder, "d", [LONG, WAIT, LONG])
    slurm("run", "toy.py", "--out", "calm")
    (slurm.folder / "flag").touch()
    logs = slurm.folder / "logs of mine"
    (slurm.folder / "cluster.toml").write_text(f'log_folder = "{logs}"\n')
    options = ("--executor", "slurm", "--profile", "cluster.toml", "--annotate")
    told = slurm("run", "toy.py", *options, "--detach").stdout
    assert "curate status runs/toy" in told and "curate cancel runs/toy" in told
    until(lambda: running(slurm))
    follow = next(line for line in told.splitlines() if line.startswith("Follow:"))
    assert "--profile cluster.toml" in follow and "--annotate" in follow
    log = Path(told.partition("its log: ")[2].splitlines()[0])
    assert log.is_file() and log.parent == logs
    driver = json.loads(slurm("status", "runs/toy", "--json").stdout)["driver"]
    assert driver["job"] in told and driver["state"] == "running"
    subprocess.run(
        ["scancel", "--signal=KILL", "--batch", driver["job"]], env=cluster.environment, check=True
    )

    def successor() -> bool:
        now = json.loads(slurm("status", "runs/toy", "--json").stdout)["driver"]
        return now["job"] not in ("", driver["job"])

    until(successor)
    (slurm.folder / "flag").unlink()
    until(lambda: not cluster.jobs())
    same(slurm)
    assert "nothing left to do" in slurm("run", "toy.py", *options).stderr


def test_cancel_stops_a_run_that_can_go_on(slurm: Cli, cluster: Cluster) -> None:
    """`curate cancel` leaves no job and no half file; the driver ends; the command goes on."""
    process = waiting(slurm)
    before = manifest_times(slurm.folder, "filter")
    assert "stopped" in slurm("cancel", "runs/toy").stdout
    output = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert not cluster.live()
    (slurm.folder / "flag").unlink()
    slurm("run", "toy.py", "--executor", "slurm")
    assert before.items() <= manifest_times(slurm.folder, "filter").items()
    same(slurm)
