"""Slurm's commands: what is in the queue, submit, cancel. None of them needs accounting."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ClusterError, DefinitionError

_TIMEOUT_S = 60.0
DEFAULT_MAX_ARRAY = 1001  # Slurm's own default of MaxArraySize
_LIVE = {
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "SPECIAL_EXIT",
}
_TRANSIENT = re.compile(
    "unable to contact|timed out|connection refused|communication|temporarily|zero bytes|"
    "transport|slurm_load|try again|resource unavailable",
    re.IGNORECASE,
)


class SlurmSilentError(Exception):
    """Slurm does not answer now; the controller may be restarting."""


class RefusedError(Exception):
    """Slurm refuses a job; the message is its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """One task in Slurm's queue, or one that has lately left it.

    Attributes:
        task: `<array>_<index>`, or the job's number when it is no array.
        reason: why it waits.
    """

    task: str
    name: str
    state: str
    reason: str
    node: str

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in _LIVE

    @property
    def pending(self) -> bool:
        """Whether it waits to be started."""
        return self.live and self.state not in {"RUNNING", "SUSPENDED", "SIGNALING", "STOPPED"}


def run_id(control: Path) -> str:
    """Return what the names of all jobs of a run end in."""
    return hashlib.sha256(os.fsencode(control.resolve())).hexdigest()[:8]


def job_name(stage: str, control: Path, fingerprint: str = "") -> str:
    """Return the name of the jobs of a stage; by it they are found again, not by number."""
    return "-".join(filter(None, [stage, fingerprint, run_id(control)]))


def jobs(control: Path) -> list[Job]:
    """List the jobs of a run: those in the queue and those that have lately left it.

    Raises:
        SlurmSilentError: the controller does not answer.
    """
    form = "%F|%K|%T|%N|%r|%j"
    output = _call(["squeue", "-h", "-r", "-t", "all", "-u", str(os.getuid()), "-o", form])
    found = []
    for line in output.splitlines():
        number, index, state, node, reason, name, *_ = [*line.split("|", 5), *[""] * 5]
        # The user's other jobs may have any name, also one of several lines.
        if name.endswith(f"-{run_id(control)}"):
            task = f"{number}_{index}" if index.isdigit() else number
            found.append(Job(task, name, state, reason, node))
    return found


def submit(script: Path, *options: str) -> str:
    """Give a script to sbatch and return the job's number.

    Raises:
        RefusedError: sbatch refuses it.
        SlurmSilentError: the controller does not answer.
    """
    output = _call(["sbatch", "--parsable", *options, "--", str(script)], refusing=True)
    return output.strip().rpartition("\n")[2].split(";")[0]


def cancel(tasks: Sequence[str]) -> None:
    """Cancel jobs; those that have ended meanwhile are no matter.

    Raises:
        SlurmSilentError: the controller does not answer in time.
    """
    for start in range(0, len(tasks), 500):
        _call(["scancel", "-Q", *tasks[start : start + 500]], check=False)


def max_array_size() -> int:
    """Return the cluster's MaxArraySize, or Slurm's default where it is not told.

    Raises:
        SlurmSilentError: the controller does not answer.
    """
    config = _call(["scontrol", "show", "config"])
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE)
    return max(1, int(found[1])) if found else DEFAULT_MAX_ARRAY


def ending(task: str) -> str:
    """Say how a job ended, as far as the controller still knows."""
    if not task:
        return ""
    try:
        shown = _call(["scontrol", "-o", "show", "job", task])
    except SlurmSilentError:
        return ""
    facts = dict(word.split("=", 1) for word in shown.split() if "=" in word)
    state, code = facts.get("JobState", ""), facts.get("ExitCode", "0:0")
    if facts.get("ArrayTaskId", "") != task.partition("_")[2]:
        return ""
    return state + (f", exit code {code}" if state == "FAILED" else "")


def _call(command: list[str], check: bool = True, refusing: bool = False) -> str:
    # Inside a job, what Slurm told that job must not become options of the new one.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SLURM_", "SQUEUE_", "SCANCEL_")) or key == "SLURM_CONF"
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",  # other jobs may have names that are no UTF-8
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise DefinitionError(
            f"{command[0]}: there is no such command here.\n--executor slurm is for a machine from"
            " which jobs are submitted; leave it out to run on this one."
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmSilentError(f"{command[0]} did not answer in {_TIMEOUT_S:.0f} s") from None
    if done.returncode and check:
        message = " ".join(done.stderr.split())[:500] or f"exit code {done.returncode}"
        if refusing and not _TRANSIENT.search(message):
            raise RefusedError(message)
        raise SlurmSilentError(message)
    return done.stdout


def refusal(message: str, script: Path) -> ClusterError:
    """Return the error for a script that sbatch refuses."""
    return ClusterError(
        f"sbatch refused {script}:\n  {message}\nMend the profile (--profile), then give the"
        " same command again."
    )
