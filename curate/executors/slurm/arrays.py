"""The job arrays of a stage: what their tasks are told, and giving them to sbatch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence, Set
from pathlib import Path

from ...pipeline import Unit
from ...plan import Plan, PlannedStage
from ..assignment import Assignment
from . import commands
from .claims import Claims
from .profile import Profile
from .scripts import script, working_s


class Arrays:
    """The job arrays of one stage.

    Args:
        control: folder of the run's Slurm files.
        plan: the run.
        planned: the stage.
        profile: the values for the stage.
        run_profile: those for the run: its log folder and the largest array.
        job: what workers are told.
        claims: the stage's.
        max_attempts: how often a unit is tried.

    Attributes:
        name: of the jobs.
        logs: folder of their log files.
    """

    def __init__(
        self,
        control: Path,
        plan: Plan,
        planned: PlannedStage,
        profile: Profile,
        run_profile: Profile,
        job: Assignment,
        claims: Claims,
        max_attempts: int,
    ) -> None:
        self._control, self._planned, self._profile = control, planned, profile
        self._job, self._claims, self._max_attempts = job, claims, max_attempts
        self._inputs = plan.inputs_json()
        self._largest = run_profile.max_array_size
        self._max_array = 0
        self.name = commands.job_name(planned.name, control, planned.fingerprint)
        self.logs = run_profile.log_folder or str(control.resolve() / "logs")

    def log(self, task: str) -> str:
        """Return the log file of a task."""
        return f"{self.logs}/{self._planned.name}-{task}.log"

    def sizes(self, wanted: int) -> list[int]:
        """Divide so many tasks into arrays that the cluster takes.

        Raises:
            SlurmSilentError: the controller does not answer.
        """
        if not self._max_array:
            largest = commands.max_array_size()
            self._max_array = min(largest, self._largest or largest)
        full, rest = divmod(wanted, self._max_array)
        return [self._max_array] * full + [rest] * bool(rest)

    def write(
        self, units: Sequence[Unit], offset: int, size: int, anywhere: bool, driver: int
    ) -> Path:
        """Write the batch script of an array, and what its tasks are told.

        Args:
            units: those that are left.
            offset: number of the first task.
            size: how many tasks.
            anywhere: whether the last attempt at a unit may be where it always failed.
            driver: this driver's number.
        """
        text = self.script(self._write_plan(units, anywhere, driver), offset, size)
        path = self._control / "scripts" / f"{self._planned.name}-{offset}.sh"
        Path(self.logs).mkdir(parents=True, exist_ok=True)
        _write(path, text, driver)
        return path

    def submit(self, path: Path, avoid: Set[str]) -> None:
        """Give a script to sbatch.

        Args:
            path: the script.
            avoid: nodes that none of its tasks shall be on.

        Raises:
            RefusedError: sbatch refuses it.
            SlurmSilentError: the controller does not answer.
        """
        if not avoid:
            commands.submit(path)
            return
        # The option here takes the place of the one that the profile may have.
        names = [*_excluded(self._profile.options), *sorted(avoid)]
        commands.submit(path, f"--exclude={','.join(names)}")

    def script(self, plan_file: str, offset: int, size: int) -> str:
        """Return the batch script of an array."""
        log = f"{self.logs.replace('%', '%%')}/{self._planned.name}-%A_%a.log"
        command = ["task", plan_file, "--offset", str(offset)]
        memory_gb = self._planned.stage.resources.memory_gb
        return script(self._profile, self.name, log, command, memory_gb, size)

    def _write_plan(self, units: Sequence[Unit], anywhere: bool, driver: int) -> str:
        job = dataclasses.asdict(self._job)
        job.pop("inputs")
        value = {
            "job": {**job, "given": dict(self._job.given)},
            "units": [[unit.name, unit.size, dict(unit.spec)] for unit in units],
            "inputs": self._inputs,
            "claims": str(self._claims.folder),
            "tasks": self._profile.tasks,
            "workers": self._profile.workers,
            "max_attempts": self._max_attempts,
            "anywhere": anywhere,
            "hours": self._profile.hours,
            "working_s": working_s(self._profile),
            "logs": self.logs,
        }
        text = json.dumps(value)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        path = self._control.resolve() / "plans" / f"{self._planned.name}-{digest}.json"
        if not path.exists():
            _write(path, text, driver)
        return str(path)


def _write(path: Path, text: str, driver: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{driver}.tmp")
    temporary.write_text(text, "utf-8", "surrogateescape")
    temporary.replace(path)


def _excluded(options: Sequence[str]) -> list[str]:
    """Return what the profile's own options keep tasks from."""
    found = (re.match(r"(?:--exclude[= ]|-x ?)\s*(.+)", option) for option in options)
    return [match[1].strip() for match in found if match]
