"""A run that dies or fails at any place where it writes goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["exit", "torn", "error once", "error from then on"])
def test_no_place_where_a_run_writes_loses_or_doubles_a_document(fault: str) -> None:
    """Before each write, fsync, rename, link, removal and new folder, and within each write.

    After a death also what a power failure may leave: files without their unsynced data, and
    folders without their unsynced changes.
    """
    found = visit(fault)
    assert found["places"] > 200
    assert found["wrong"] == []


@pytest.mark.chaos
def test_another_run_may_do_all_the_work_at_any_place_where_a_run_writes() -> None:
    """Both end well, and what is there is what one would have left; here each third place."""
    found = visit("another run", "0", "-1", "3")
    assert found["places"] > 200
    assert found["codes"] == {"0": found["visited"]}
    assert found["wrong"] == []


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("scene", "fault"),
    [
        *(("refetch", fault) for fault in ("exit", "torn", "error once", "error from then on")),
        ("repair", "exit"),
    ],
)
def test_no_place_where_a_refetch_writes_loses_what_was_fetched(scene: str, fault: str) -> None:
    """Or sends it again; `repair` goes on after a run that was cut off in the archive's journal.

    Here each seventh place.
    """
    found = visit(fault, "0", "-1", "7", "--scene", scene)
    assert found["places"] > 200
    assert found["wrong"] == []


@pytest.mark.chaos
def test_the_command_takes_a_relative_folder_and_only_faults_that_it_knows(tmp_path: Path) -> None:
    """A word it does not know must not pass for another fault."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.fault_points", "here"]
    subprocess.run([*command, "exit", "0", "1"], cwd=tmp_path, env=environment, check=True)
    done = subprocess.run(
        [*command, "eror once"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "invalid choice: 'eror once'" in done.stderr


def visit(fault: str, *bounds: str) -> dict[str, Any]:
    """Have a run fail in one way at each place where it writes; return what was found."""
    # Each place syncs a hundred files: in memory where that is possible.
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fault_points", folder, fault, *bounds],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{fault}: {found['visited']} of {found['places']} places visited")
    return found
