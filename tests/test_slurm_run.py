"""The end-to-end tests of `curate run`, with the runs that they are about on Slurm."""

from __future__ import annotations

import pytest

from . import test_run
from .conftest import ROOT, Cli
from .slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

# Those that have their like in test_slurm.py and test_slurm_kills.py, with other things disturbed;
# the last two are about the processes of one machine.
ELSEWHERE = {
    "test_the_number_of_workers_does_not_change_the_bytes",
    "test_a_killed_worker_is_replaced",
    "test_a_unit_that_cannot_succeed_does_not_stop_the_others",
    "test_an_added_input_does_only_itself",
    "test_running_again_does_nothing",
    "test_two_runs_at_once_do_no_harm",
    "test_a_folder_that_looks_like_a_flag_is_written_to",
    "test_a_killed_run_goes_on_where_it_was",
    "test_a_killed_run_takes_its_workers_with_it",
}

globals().update(
    {
        name: test
        for name, test in vars(test_run).items()
        if name.startswith("test_") and name not in ELSEWHERE
    }
)


class OnSlurm(Cli):
    """The command, whose runs go to the cluster; those that they are compared with stay here."""

    def command(self, *arguments: str) -> list[str]:
        """Return the command as a list of words."""
        if arguments[0] == "run" and "--out" not in arguments:
            arguments += ("--executor", "slurm", "--tasks", "1")
        return super().command(*arguments)


@pytest.fixture
def cli(cli: Cli, cluster: Cluster) -> OnSlurm:
    """The folder of the tests here, on an idle cluster."""
    on_slurm = OnSlurm(cli.folder)
    on_slurm.environment |= cluster.environment | {"PYTHONPATH": str(ROOT)}
    return on_slurm
