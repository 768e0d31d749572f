"""What is known of units that were tried and failed, for `curate status` and the last message."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..pipeline import Unit
from ..storage import exists, join, read_json, remove, write_json
from .assignment import Assignment
from .progress import FailedUnit


def write_failure(job: Assignment, unit: Unit, attempts: int, error: str, log: str) -> None:
    """Write what went wrong with a unit the last time."""
    record = {
        "unit": unit.name,
        "input": input_of(unit),
        "attempts": attempts,
        "error": error,
        "log": log,
    }
    write_json(_path(job, unit), record)


def remove_failure(job: Assignment, unit: Unit) -> None:
    """Forget what went wrong with a unit: it is done."""
    remove(_path(job, unit))


def given_up(job: Assignment, unit: Unit) -> FailedUnit:
    """Return a unit that was given up, with what is known of it."""
    record: dict[str, Any] = {}
    with suppress(ValueError):
        if exists(_path(job, unit)):
            record = read_json(_path(job, unit))
    error = record.get("error", "its task vanished and left no message")
    return FailedUnit(job.stage, unit.name, input_of(unit), error, record.get("log", "none"))


def input_of(unit: Unit) -> str:
    """Return the input that a person knows a unit by."""
    return str(unit.spec.get("path", unit.name))


def _path(job: Assignment, unit: Unit) -> str:
    return join(job.out, "failures", f"{job.stage}-{job.fingerprint}", f"{unit.name}.json")
