"""What a run has done so far, from its files alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import InputError
from .executors.progress import beside, read_live
from .executors.slurm.leader import read_leader
from .manifest import Manifest, StepCounts, merge
from .storage import exists, join, names, read_json

# Fewer documents that all fail may be the documents' fault, unless the errors are unexpected.
_MANY = 10


@dataclass(slots=True)
class StageStatus:
    """One stage: its units and the sum of their manifests.

    Attributes:
        units: how many there are; None while a source that decides it is not done.
        failed_units: what is known of units that were tried and have no manifest.
        total: the manifests of the units that are done, added up.
        tracebacks: step to the first unexpected error in it.
    """

    name: str
    fingerprint: str
    units: int | None
    done: int
    total: Manifest
    failed_units: list[dict[str, Any]] = field(default_factory=list)
    tracebacks: dict[str, str] = field(default_factory=dict)

    @property
    def broken_steps(self) -> list[StepCounts]:
        """The steps that fail with every document, which is seldom the documents' fault."""
        return [
            step
            for step in self.total.steps
            if step.entered
            and step.failed.total() == step.entered
            and (step.entered >= _MANY or step.failed["error"] == step.entered)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return plain values, as `curate status --json` prints them."""
        total = self.total.as_json()
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "units": self.units,
            "done": self.done,
            "failed_units": self.failed_units,
            **{
                key: total[key]
                for key in ("in", "kept", "dropped", "failed", "text_chars", "seconds", "steps")
            },
        }


@dataclass(slots=True)
class Status:
    """A run: its record run.json and its stages, in the order of the pipeline.

    Attributes:
        running: what each supervisor of workers says that it does.
        driver: who drives a run on Slurm, or did.
    """

    out: str
    run: dict[str, Any]
    stages: list[StageStatus]
    running: list[dict[str, Any]] = field(default_factory=list)
    driver: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values, as `curate status --json` prints them."""
        return {
            "pipeline": self.run["pipeline"],
            "out": self.out,
            "complete": all(stage.units == stage.done for stage in self.stages),
            "stages": [stage.as_json() for stage in self.stages],
            "running": self.running,
            "driver": self.driver,
        }


def read_status(out: str) -> Status:
    """Read what a run has done.

    Raises:
        InputError: there is no run in this folder.
        AssertionError: a unit does not hold what its source kept.
    """
    path = join(out, "run.json")
    if not exists(path):
        raise InputError(
            f"{out}: there is no run here (no run.json).\nGive the folder of a run, such as"
            " runs/fineweb."
        )
    try:
        run = read_json(path)
        records = run["stages"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is damaged ({type(error).__name__}).\nGive the run's command again: it"
            " writes the file anew and goes on where it was."
        ) from error
    stages: list[StageStatus] = []
    manifests: dict[str, dict[str, Manifest]] = {}
    for record in records:
        folder = join(out, record["folder"])
        wanted = record["units"]
        listed = {name[:-5] for name in names(folder) if name.endswith(".json")}
        read = {
            unit: Manifest.read(join(folder, f"{unit}.json"))
            for unit in wanted or ()
            if unit in listed
        }
        manifests[record["name"]] = read
        _check_against_source(record, read, manifests)
        stages.append(
            StageStatus(
                record["name"],
                record["fingerprint"],
                None if wanted is None else len(wanted),
                len(read),
                merge(record["name"], record["fingerprint"], read.values()),
                _failed_units(out, folder, set(wanted or ()) - set(read)),
                _tracebacks(read.values()),
            )
        )
    leader = read_leader(beside(out) / "slurm")
    driver = None if leader is None else asdict(leader)
    return Status(out, run, stages, list(read_live(out).values()), driver)


def _tracebacks(manifests: Iterable[Manifest]) -> dict[str, str]:
    found: dict[str, str] = {}
    for manifest in manifests:
        for step, text in manifest.details.get("tracebacks", {}).items():
            found.setdefault(step, text)
    return found


def _check_against_source(
    record: dict[str, Any], read: dict[str, Manifest], manifests: dict[str, dict[str, Manifest]]
) -> None:
    """Assert that what a unit took in is what its source kept."""
    if len(record["source"]) != 1:
        return
    above = manifests[record["source"][0]]
    for unit, manifest in read.items():
        stored = above[unit].files["documents"].rows if unit in above else manifest.entered
        if manifest.entered != stored:
            raise AssertionError(
                f"{record['name']}/{unit}: {manifest.entered} documents came in, but"
                f" {record['source'][0]} has {stored}"
            )


def _failed_units(out: str, folder: str, missing: set[str]) -> list[dict[str, Any]]:
    failures = join(out, "failures", folder.rsplit("/", 1)[-1])
    listed = set(names(failures))
    return [
        read_json(join(failures, f"{unit}.json"))
        for unit in sorted(missing)
        if f"{unit}.json" in listed
    ]
