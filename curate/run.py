"""Run a plan: stage after stage, until every unit has its manifest or was given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .dataset import remove_stale
from .errors import DefinitionError
from .executors.local import FailedUnit, Progress
from .pipeline import StageKind, Unit
from .plan import Plan, PlannedStage
from .report.card import write_card
from .status import read_status
from .storage import join, remove_leftovers


class Executor(Protocol):
    """What runs the units of a stage."""

    def run(
        self,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
        show: Callable[[Progress], None],
    ) -> list[FailedUnit]:
        """Do `units` and return those that were given up."""


def run(
    plan: Plan, executor: Executor, show: Callable[[Progress], None], only: str = ""
) -> list[FailedUnit]:
    """Do what is left to do of a plan and return the units that were given up.

    Args:
        plan: what to do.
        executor: who does it.
        show: told how far the current stage is, several times a second.
        only: the one stage to run; all when empty.

    Raises:
        DefinitionError: `only` names no stage, or one whose sources are not done.
        StorageError: the output cannot be written.
    """
    selected = [plan.stage(only)] if only else plan.stages
    plan.save()
    given_up: list[FailedUnit] = []
    for planned in selected:
        units = plan.units(planned, partial=not only)
        if units is None and given_up:
            break  # the message names what failed; the dataset stays as it was
        if units is None or (only and plan.ready(planned, units) != units):
            source = next(s.name for s in planned.stage.sources if isinstance(s, StageKind))
            raise DefinitionError(
                f"stage {planned.name!r} needs {source!r}, which is not done."
                f"\nRun it first: --only {source}, or leave --only out."
            )
        is_dataset = planned is plan.stages[-1]
        if is_dataset:
            remove_stale(plan.out, planned.folder, units)
            plan.save(partial=True)
        done = planned.done()
        todo = [unit for unit in plan.ready(planned, units) if unit.name not in done]
        remove_leftovers(planned.folder)
        progress = Progress(planned.name, len(units), len([u for u in units if u.name in done]))
        if todo:
            given_up += executor.run(plan, planned, todo, progress, show)
            remove_leftovers(planned.folder)
        else:
            show(progress)
        if is_dataset:
            remove_leftovers(join(plan.out, "dataset", "data"))
            write_card(plan, read_status(plan.out))
    return given_up
