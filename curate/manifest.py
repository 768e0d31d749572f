"""What one unit became: counts, reasons, seconds per step, checksums; and their merge."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from .errors import InputError
from .storage import read_json


@dataclass(slots=True)
class StepCounts:
    """What one step did: documents in, drops and failures by reason, seconds of work."""

    name: str
    entered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def kept(self) -> int:
        """Documents that went on to the next step."""
        return self.entered - self.dropped.total() - self.failed.total()

    def spend(self, since: float) -> float:
        """Count the time since `since` as this step's, and return the time now."""
        now = perf_counter()
        self.seconds += now - since
        return now

    def add(self, other: StepCounts) -> None:
        """Add the counts of the same step in another unit."""
        self.entered += other.entered
        self.dropped.update(other.dropped)
        self.failed.update(other.failed)
        self.seconds += other.seconds

    def as_json(self) -> dict[str, Any]:
        """Return plain values; reasons sorted, so that equal counts are equal bytes."""
        return {
            "name": self.name,
            "in": self.entered,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "failed": dict(sorted(self.failed.items())),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file of a unit.

    Attributes:
        name: its path relative to the output folder.
        sha256: of all its bytes.
        footer: SHA-256 of its footer, which `stored` compares; empty if it is not Parquet.
    """

    name: str
    bytes: int
    rows: int
    sha256: str
    footer: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return plain values, those that are empty left out."""
        return {name: value for name, value in asdict(self).items() if value != ""}


@dataclass(slots=True)
class Manifest:
    """The record that a unit is done, and what became of its input.

    Attributes:
        entered: records that came in; always kept + dropped + failed.
        text_chars: characters of text that were kept.
        files: the files that hold the result, by role ("documents", "decisions", ...).
        spec: what the unit read.
        details: what else the stages after this one need to know.
    """

    stage: str
    fingerprint: str
    unit: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    entered: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    text_chars: int = 0
    seconds: float = 0.0
    steps: list[StepCounts] = field(default_factory=list)
    files: dict[str, FileInfo] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def check_ledger(self) -> None:
        """Assert that every record is accounted for: in = kept + dropped + failed.

        Raises:
            AssertionError: a defect of curate; the unit must not be marked as done.
        """
        if self.entered != self.kept + self.dropped + self.failed:
            raise AssertionError(
                f"{self.stage}/{self.unit}: the ledger does not balance: {self.entered} in,"
                f" {self.kept} kept, {self.dropped} dropped, {self.failed} failed"
            )

    def counts(self) -> dict[str, int]:
        """Return what there is to tell while the unit is worked on; drops by reason as `drop:...`.

        Records that are decided count as `in`, so that a part of a unit balances as well.
        """
        counts = {
            "in": self.kept + self.dropped + self.failed,
            "kept": self.kept,
            "dropped": self.dropped,
            "failed": self.failed,
        }
        for step in self.steps:
            for reason, count in step.dropped.items():
                counts[f"drop:{step.name}/{reason}"] = count
        return counts

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "unit": self.unit,
            "spec": dict(self.spec),
            "in": self.entered,
            "kept": self.kept,
            "dropped": self.dropped,
            "failed": self.failed,
            "text_chars": self.text_chars,
            "seconds": round(self.seconds, 3),
            "steps": [step.as_json() for step in self.steps],
            "files": {role: info.as_json() for role, info in self.files.items()},
            "details": self.details,
        }

    def stored(self) -> dict[str, Any]:
        """Return the manifest as it is stored: with the SHA-256 of all else that is in it."""
        value: dict[str, Any] = json.loads(json.dumps(self.as_json()))
        return {**value, "sha256": _digest(value)}

    @staticmethod
    def read(path: str) -> Manifest:
        """Read a manifest's file.

        Raises:
            InputError: it is damaged.
        """
        try:
            return Manifest.from_json(read_json(path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: is damaged ({type(error).__name__}).\nRemove it and give the run's"
                " command again; `curate verify OUT` names all that is damaged."
            ) from error

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Manifest:
        """Read a stored manifest.

        Raises:
            ValueError: it was changed since. Those of earlier versions have no SHA-256 to tell.
            KeyError, TypeError, AttributeError: it is no manifest.
        """
        if "sha256" in value:
            rest = {name: part for name, part in value.items() if name != "sha256"}
            if value["sha256"] != _digest(rest):
                raise ValueError("its content has another SHA-256 than it says")
        return Manifest(
            stage=value["stage"],
            fingerprint=value["fingerprint"],
            unit=value["unit"],
            spec=value["spec"],
            entered=value["in"],
            kept=value["kept"],
            dropped=value["dropped"],
            failed=value["failed"],
            text_chars=value["text_chars"],
            seconds=value["seconds"],
            steps=[
                StepCounts(
                    step["name"],
                    step["in"],
                    Counter(step["dropped"]),
                    Counter(step["failed"]),
                    step["seconds"],
                )
                for step in value["steps"]
            ],
            files={role: FileInfo(**info) for role, info in value["files"].items()},
            details=value["details"],
        )


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def merge(name: str, fingerprint: str, manifests: Iterable[Manifest]) -> Manifest:
    """Add up the manifests of one stage."""
    total = Manifest(name, fingerprint, unit="")
    for manifest in manifests:
        total.entered += manifest.entered
        total.kept += manifest.kept
        total.dropped += manifest.dropped
        total.failed += manifest.failed
        total.text_chars += manifest.text_chars
        total.seconds += manifest.seconds
        for index, step in enumerate(manifest.steps):
            if index == len(total.steps):
                total.steps.append(StepCounts(step.name))
            total.steps[index].add(step)
    return total
