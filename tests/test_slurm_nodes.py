"""`curate run --executor slurm` on nodes that are out of order, and with tasks that hang."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from curate.executors.slurm.nodes import Nodes

from .conftest import Cli, write_input
from .slurm.cluster import Cluster
from .slurm.runs import LONG, failures, finishes, many, same, until

pytestmark = pytest.mark.slurm

# On n1 whatever reads Parquet fails, as with a broken installation or a full local disk. The others
# begin when three units have failed there, or they might have done nearly all of them by then.
BROKEN = f"""
python = "{sys.executable}"
setup = '''
if [ "$SLURMD_NODENAME" = n1 ]; then
  export PYTHONPATH="$PWD/broken:$PYTHONPATH"
else
  until [ -e broken/seen ] || [ "$(find runs/toy/failures -name '*.json' | wc -l)" -ge 3 ]; do
    sleep .1
  done
  touch broken/seen
fi
'''
"""


def on_slurm(cli: Cli, profile: str, *options: str, code: int = 0) -> str:
    """Run with a profile and return what was said on standard error."""
    (cli.folder / "cluster.toml").write_text(profile)
    options = ("--executor", "slurm", "--profile", "cluster.toml", *options)
    return cli("run", "toy.py", *options, code=code).stderr


def nodes_of(cluster: Cluster, cli: Cli, stage: str) -> list[str]:
    """Return the node of each task of a stage, with those that have ended."""
    form = ["squeue", "-h", "-r", "-t", "all", "-o", "%j %N %Z"]
    done = subprocess.run(form, env=cluster.environment, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [
        line[1]
        for line in lines
        if len(line) == 3 and line[0].startswith(f"{stage}-") and line[2] == str(cli.folder)
    ]


def test_a_node_on_which_every_worker_fails_is_found_out(slurm: Cli, cluster: Cluster) -> None:
    """No unit is given up for it; after its first failures it gets no more tasks."""
    many(slurm, 16)
    slurm("run", "toy.py", "--out", "calm")
    (slurm.folder / "broken/pyarrow").mkdir(parents=True)
    (slurm.folder / "broken/pyarrow/__init__.py").write_text(
        "raise OSError(28, 'No space left on device')\n"
    )
    on_slurm(slurm, BROKEN, "--tasks", "6")
    same(slurm)
    assert all(not stage["failed_units"] for stage in slurm.status().values())
    assert "n1" in nodes_of(cluster, slurm, "load")
    assert "n1" not in nodes_of(cluster, slurm, "filter")


def test_the_last_attempt_is_on_another_node(slurm: Cli, cluster: Cluster) -> None:
    """A unit that fails on the one node there is waits for another before it is given up."""
    write_input(slurm.folder, "d", ["fail while the flag is there", *[LONG] * 20])
    slurm("run", "toy.py", "--out", "calm")
    text = (slurm.folder / "toy.py").read_text()
    on_n1 = 'os.environ.get("SLURMD_NODENAME") == "n1":\n            os._exit'
    (slurm.folder / "toy.py").write_text(
        text.replace('Path("flag").exists():\n            os._exit', on_n1)
    )
    cluster.drain("n2", "n3")
    process = slurm.start("run", "toy.py", "--executor", "slurm")
    until(lambda: '"attempts": 2' in failures(slurm), process)
    until(lambda: [job for job in cluster.jobs() if "PENDING  filter" in job], process)
    cluster.resume("n2", "n3")
    finishes(slurm, process)


def test_where_there_is_one_node_a_unit_is_given_up_there(slurm: Cli) -> None:
    """It is tried three times, and the run ends."""
    write_input(slurm.folder, "d", ["fail while the flag is there"])
    (slurm.folder / "flag").touch()
    errors = on_slurm(slurm, 'options = ["--nodelist=n2"]\n', code=1)
    assert "filter: in/d.jsonl: the worker ended with exit code 7" in errors
    assert slurm.status()["filter"]["failed_units"][0]["attempts"] == 3


def test_a_node_that_cannot_write_does_not_end_the_run(slurm: Cli, cluster: Cluster) -> None:
    """Its tasks refuse, the others do its share."""
    for name in "abcdef":
        write_input(slurm.folder, name, [random.Random(name).randbytes(50_000).hex()])
    slurm("run", "toy.py", "--out", "calm")
    setup = "setup = 'test \"$SLURMD_NODENAME\" != n1 || ulimit -f 40'\n"
    on_slurm(slurm, setup, "--tasks", "6")
    same(slurm)


def test_where_no_node_can_write_the_run_ends(slurm: Cli, cluster: Cluster) -> None:
    """What each of them says is the message, and no job is left."""
    for name in "abcdef":
        write_input(slurm.folder, name, [random.Random(name).randbytes(50_000).hex()])
    errors = on_slurm(slurm, "setup = 'ulimit -f 40'\n", code=1)
    assert "cannot be written: File too large" in errors and "log: /" in errors
    assert "Traceback" not in errors
    assert not cluster.live()


def test_a_task_that_hangs_before_it_has_a_unit_is_replaced(slurm: Cli) -> None:
    """As when a module or a file system hangs on a node: cancelled, and another one submitted."""
    slurm("run", "toy.py", "--out", "calm")
    (slurm.folder / "flag").touch()
    hang = "test ! -e flag || { rm flag; sleep inf; }"
    errors = on_slurm(slurm, f"silence_minutes = 0.1\nsetup = '{hang}'\n", "--tasks", "1")
    assert not (slurm.folder / "flag").exists(), errors
    same(slurm)


def test_tasks_that_all_hang_end_the_run(slurm: Cli, cluster: Cluster) -> None:
    """The message says that they hang, and no job is left."""
    profile = "silence_minutes = 0.03\nsetup = 'sleep inf'\n"
    errors = on_slurm(slurm, profile, "--tasks", "1", code=1)
    assert "its tasks hang before they have done anything" in errors
    assert "Mend modules, setup or python in the profile" in errors
    assert not cluster.live()


def test_a_unit_is_not_given_up_for_what_runs_beside_it(slurm: Cli) -> None:
    """A unit ends its whole task, as when memory runs out: its neighbours are done, alone."""
    text = (slurm.folder / "toy.py").read_text()
    text = text.replace("os._exit(7)", "os.kill(os.getppid(), 9)")
    text = text.replace('"wait while the flag is there":', '"slow":\n            time.sleep(2)', 1)
    text = text.replace('            while Path("flag").exists():\n                pass\n', "")
    (slurm.folder / "toy.py").write_text(text.replace("import os\n", "import os\nimport time\n"))
    for name in "abc":
        write_input(slurm.folder, name, [LONG, "slow", LONG])
    write_input(slurm.folder, "d", ["fail while the flag is there"])
    (slurm.folder / "flag").touch()
    errors = on_slurm(slurm, "", "--tasks", "1", "--workers", "4", code=1)
    (failed,) = slurm.status()["filter"]["failed_units"]
    assert failed["input"] == "in/d.jsonl" and "1 unit(s) failed" in errors


@pytest.mark.parametrize(
    ("told", "bad"),
    [
        ("n1:a n1:b n1:c n2+d", "n1"),  # what fails there, and nothing is done there
        ("n1:a n1:b n2+d", ""),  # two may be chance
        ("n1:a n1:b n1:c", ""),  # nobody else has done anything
        ("n1:a n1:b n1:c n2+d n1+e", ""),  # it has done something since
        ("n1+e n1:a n1:b n1:c n2+d", "n1"),  # it did something, before
        ("n1:a n1:b n1:c n2+d n2:a", ""),  # a fails everywhere
        ("n1:a n1:b n1:c n2+d n2:a n3+a", "n1"),  # it does not
        ("n1:a n1:b n1:c n2:d n2:e n2:f n3+g", "n1 n2"),
        ("n1:a n1:b n1:c n2:d n2:e n2:f", ""),
        ("n1:a n2:a n3:a n1:b n2:b n3:b n1:c n2:c n3:c n1+d", ""),  # units that cannot succeed
        ("n1!1 n1!2 n2+d", "n1"),  # tasks end there before they have a unit
        ("n1!1 n1!2 n2!3 n2!4", ""),
        ("n1?a n1?b", "n1"),  # tasks say that they cannot work there
    ],
)
def test_a_node_is_bad_when_the_others_do_what_fails_there(told: str, bad: str) -> None:
    """What is told: node, then ":" failed, "+" done, "!" task ended, "?" refused, and of what."""
    nodes = Nodes()
    hear = {":": nodes.failed, "+": nodes.done, "!": nodes.barren, "?": nodes.refused}
    for word in told.split():
        hear[word[2]](word[3:], word[:2])
    assert nodes.bad(set()) == set(bad.split())
