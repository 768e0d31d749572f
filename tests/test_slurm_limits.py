"""`curate run --executor slurm` at the time limit, and everything that can happen at once."""

from __future__ import annotations

import pytest

from .conftest import Cli, write_input
from .slurm.cluster import Cluster
from .slurm.runs import LONG, WAIT, failures, finishes, kill_task, running, until, waiting

pytestmark = pytest.mark.slurm


def test_a_task_that_meets_its_time_limit_gives_its_units_back(slurm: Cli) -> None:
    """No half file is left, another task does the unit, and what may be too long is noted."""
    (slurm.folder / "short.toml").write_text("hours = 0.01\n")
    process = waiting(slurm, "--profile", "short.toml", "--workers", "2")
    until(lambda: "raise hours in the profile" in failures(slurm), process)
    finishes(slurm, process)


def test_everything_at_once(slurm: Cli, cluster: Cluster) -> None:
    """A task, a node, the controller and the driver killed, a node frozen, a time limit met."""
    limit = '[stages.filter]\nhours = 0.01\noptions = ["--signal=B:CONT@30"]\n'
    (slurm.folder / "short.toml").write_text(limit)
    for name in "efg":
        write_input(slurm.folder, name, [f"{LONG}, {name}", WAIT, LONG])
    process = waiting(slurm, "--profile", "short.toml")
    until(lambda: all(running(slurm, name) for name in "defg"), process)
    kill_task(slurm, "d")
    vanished = running(slurm, "e")["node"]
    cluster.kill_node(vanished)
    frozen = next(name for name in cluster.names if name != vanished)
    cluster.freeze_node(frozen)
    cluster.kill_controller()
    process.kill()
    process.communicate()
    cluster.start_controller()
    process = slurm.start("run", "toy.py", "--executor", "slurm", "--profile", "short.toml")
    until(lambda: cluster.nodes_in("down") == 2, process)
    cluster.thaw_node(frozen)
    cluster.start_node(vanished)
    until(lambda: "TIMEOUT" in failures(slurm), process)
    finishes(slurm, process)
    assert not failures(slurm)
