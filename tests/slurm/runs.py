"""Runs on the test cluster: started, looked into, disturbed, and compared with calm ones."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..conftest import Cli, dataset_bytes, write_input

LONG = "a text that is long enough to be kept"
WAIT = "wait while the flag is there"


def until(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for a condition while a process runs."""
    deadline = time.monotonic() + 150
    while not condition():
        assert time.monotonic() < deadline
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.05)


def until_said(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a process has said a text beside its output."""
    stream = process.stderr
    assert stream is not None
    said = ""
    while text not in said:
        assert select.select([stream], [], [], 150)[0], said
        more = os.read(stream.fileno(), 4096).decode()
        assert more, f"it ended, having said: {said}"
        said += more


def in_terminal(cli: Cli, *arguments: str, until: str = "", then: Callable[[], None]) -> str:
    """Run a command in a terminal, do something once it has shown a text, and return all it showed.

    Args:
        cli: the command line.
        arguments: of the command, which must end with exit code 0.
        until: the text.
        then: what to do.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        cli.command(*arguments),
        cwd=cli.folder,
        env=cli.environment | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, done = "", False
    with contextlib.suppress(OSError):  # EIO: the command has ended
        while data := os.read(ours, 1 << 16):
            shown += data.decode(errors="replace")
            if not done and until in shown:
                done = True
                then()
    os.close(ours)
    assert process.wait() == 0, shown
    return shown


def many(cli: Cli, count: int) -> None:
    """Have so many input files."""
    for path in (cli.folder / "in").iterdir():
        path.unlink()
    for number in range(count):
        write_input(cli.folder, f"i{number:02d}", [f"{LONG} {number}", "short", "raise"])


def waiting(cli: Cli, *options: str) -> subprocess.Popen[str]:
    """Start a run on Slurm that stays in the middle of a unit while the file `flag` is there."""
    write_input(cli.folder, "d", [f"{LONG}, before", WAIT, f"{LONG}, after"])
    if not (cli.folder / "calm").exists():
        cli("run", "toy.py", "--out", "calm")
    (cli.folder / "flag").touch()
    process = cli.start("run", "toy.py", "--executor", "slurm", *options)
    until(lambda: running(cli), process)
    return process


def running(cli: Cli, name: str = "d") -> dict[str, str]:
    """Return node, task and process number of what is in the middle of an input's unit."""
    for path in (cli.folder / "runs/toy/live").glob("[0-9]*.json"):
        try:
            value = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        for unit in value["running"]:
            if unit.startswith(f"{name}-") and value["stage"] == "filter":
                temporary = list((cli.folder / "runs/toy/stages").glob(f"filter-*/.{unit}.*"))
                if temporary:
                    return {"node": value["host"], "task": value["task"], "pid": value["pid"]}
    return {}


def finishes(cli: Cli, process: subprocess.Popen[str], code: int = 0) -> str:
    """Take the flag away and see that the run ends with the undisturbed run's bytes."""
    (cli.folder / "flag").unlink(missing_ok=True)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == code, f"{output}\n{errors}"
    same(cli)
    return errors


def same(cli: Cli) -> None:
    """See that the dataset is that of the undisturbed run here, with nothing half done beside."""
    assert dataset_bytes(cli.folder) == dataset_bytes(cli.folder, "calm")
    assert [p for p in (cli.folder / "runs/toy").rglob("*.tmp") if "drivers" not in p.parts] == []


def failures(cli: Cli) -> str:
    """Return what is known of units that failed."""
    return "".join(path.read_text() for path in (cli.folder / "runs/toy/failures").rglob("*.json"))


def kill_task(cli: Cli, name: str = "d") -> None:
    """Kill the task that has an input's unit: the task itself, and none of its workers."""
    wanted = running(cli, name)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                here = (entry / "cwd").readlink() == cli.folder
                status = (entry / "status").read_text()
            except OSError:
                continue
            inner = status.partition("NSpid:")[2].splitlines()[0].split()[-1]
            if here and b"task" in words and inner == str(wanted["pid"]):
                os.kill(int(entry.name), signal.SIGKILL)
                return
    raise AssertionError("there is no such task")
