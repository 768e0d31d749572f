"""What is given to sbatch."""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .profile import Profile

# The supervisor beside the workers of a task.
_OWN_MEMORY_MB = 256
# So long before the time limit a task gives its units back.
_SIGNAL_S = 120
# "The signal may be sent up to 60 seconds earlier than specified" (sbatch's manual, --signal).
_EARLY_S = 60


def working_s(profile: Profile) -> int:
    """Return how many seconds a task surely has before it must give its units back."""
    minutes = _minutes(profile)
    return max(0, minutes * 60 - _signal_s(minutes) - _EARLY_S)


def _minutes(profile: Profile) -> int:
    return max(1, math.ceil(profile.hours * 60))


def _signal_s(minutes: int) -> int:
    return min(_SIGNAL_S, minutes * 30)


def script(
    profile: Profile,
    name: str,
    log: str,
    command: Sequence[str],
    memory_gb: float,
    array: int = 0,
) -> str:
    """Return a batch script.

    Args:
        profile: the values for its stage.
        name: the job's name.
        log: its log file, with Slurm's %-patterns.
        command: what follows `python -m curate`.
        memory_gb: what the stage asks for; the profile may say otherwise.
        array: how many tasks; no array when 0.
    """
    memory_mb = math.ceil((profile.memory_gb or memory_gb) * 1024) * profile.workers
    minutes = _minutes(profile)
    options = [
        f"--job-name={name}",
        *([f"--array=0-{array - 1}"] if array else []),
        f"--output={_escaped(log)}",
        "--open-mode=append",
        f"--chdir={_escaped(str(Path.cwd()))}",
        *(
            f"--{key}={getattr(profile, key)}"
            for key in ("partition", "account", "qos")
            if getattr(profile, key)
        ),
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={profile.workers}",
        f"--mem={memory_mb + _OWN_MEMORY_MB}M",
        f"--time={minutes}",
        # The driver submits what was lost; a job that Slurm starts again would have its number.
        "--no-requeue",
        f"--signal=B:USR1@{_signal_s(minutes)}",
        *profile.options,
    ]
    lines = ["#!/bin/bash", *(f"#SBATCH {_quoted(option)}" for option in options)]
    lines += [f"module load {shlex.quote(module)}" for module in profile.modules]
    lines += profile.setup.strip().splitlines()
    if profile.scratch:
        # Double quotes, so that the profile may name variables of the job.
        lines += [
            f'export TMPDIR="$(mktemp -d "{profile.scratch}/curate-XXXXXX")"',
            'export CURATE_SCRATCH="$TMPDIR"',
        ]
    python = profile.python or sys.executable
    if not profile.python:
        here = str(Path(__file__).parents[3])
        path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        lines.append(f"export PYTHONPATH={shlex.quote(os.pathsep.join(path))} PYTHONSAFEPATH=1")
    lines.append(f"exec {shlex.join([python, '-m', 'curate', *command])}")
    return "\n".join(lines) + "\n"


def _escaped(path: str) -> str:
    """Write a path so that sbatch takes its quotes, backslashes and # for what they are."""
    return re.sub(r"""[\\"'#]""", r"\\\g<0>", path)


def _quoted(option: str) -> str:
    return f'"{option}"' if any(character.isspace() for character in option) else option
