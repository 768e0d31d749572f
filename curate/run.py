"""Run a plan: stage after stage, until every unit has its manifest or was given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from .dataset import remove_stale
from .errors import DefinitionError, StorageError
from .executors.progress import FailedUnit, Progress, remove_dead
from .pipeline import StageKind, Unit
from .plan import Plan, PlannedStage
from .report.card import write_card
from .status import read_status
from .storage import file_size, is_remote, join, remove, remove_leftovers

_PUBLISH_TRIES = 3


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
    plan: Plan,
    executor: Executor,
    show: Callable[[Progress], None],
    only: str = "",
    check: Callable[[], None] = lambda: None,
) -> list[FailedUnit]:
    """Do what is left to do of a plan and return the units that were given up.

    Args:
        plan: what to do.
        executor: who does it.
        show: told how far the current stage is, several times a second.
        only: the one stage to run; all when empty.
        check: called before each stage; raises when this run shall not go on.

    Raises:
        DefinitionError: `only` names no stage, or one whose sources are not done; or the folder
            holds another pipeline.
        StorageError: the output cannot be written, or another run writes there too.
    """
    selected = [plan.stage(only)] if only else plan.stages
    plan.check_folder()
    check()
    for folder in ("", "dataset", "index"):  # what a killed driver was writing
        remove_leftovers(join(plan.out, folder))
    remove_dead(plan.out)
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
        check()
        if planned is not plan.stages[-1]:
            given_up += _work(plan, planned, units, executor, show)
            continue
        for _ in range(_PUBLISH_TRIES):
            remove_stale(plan.out, planned.folder, units)
            plan.save(partial=True)
            given_up += _work(plan, planned, units, executor, show)
            if given_up or _published(plan, planned, units):
                break
        else:
            raise StorageError(
                f"{plan.out}/dataset: another run writes there too.\nEnd it, or give another place"
                " with --out; then give the same command again."
            )
        write_card(plan, read_status(plan.out))
    return given_up


def _work(
    plan: Plan,
    planned: PlannedStage,
    units: Sequence[Unit],
    executor: Executor,
    show: Callable[[Progress], None],
) -> list[FailedUnit]:
    """Do what is left of a stage, and remove what killed writers left."""
    done = planned.done()
    todo = [unit for unit in plan.ready(planned, list(units)) if unit.name not in done]
    progress = Progress(planned.name, len(units), sum(unit.name in done for unit in units))
    remove_leftovers(planned.folder)
    given_up: list[FailedUnit] = []
    if todo:
        given_up = executor.run(plan, planned, todo, progress, show)
    else:
        show(progress)
    _remove_needless(plan, planned, units)
    return given_up


def _published(plan: Plan, planned: PlannedStage, units: Sequence[Unit]) -> bool:
    """Tell whether each file of the dataset is there as its manifest says.

    Another run to the same folder may have removed or replaced one; such a file is done again.
    """
    done = planned.done()
    whole = all(unit.name in done for unit in units)
    for unit in units if whole else ():
        for file in planned.manifest(unit.name).files.values():
            path = join(plan.out, file.name)
            size = file_size(path)
            if size != file.bytes:
                whole = False
            if size not in (None, file.bytes):
                remove(path)
    return whole


def _remove_needless(plan: Plan, planned: PlannedStage, units: Sequence[Unit]) -> None:
    """Remove the temporary files of writers that died, here or on other machines.

    One that still writes a unit which is done sees its manifest and stops, or fails unheard.
    """
    remove_leftovers(planned.folder)
    if is_remote(plan.out):
        return
    done = planned.done()
    for path in Path(planned.folder).glob(".*.tmp"):
        if path.name[1:].split(".", 1)[0] in done:
            path.unlink(missing_ok=True)
    if planned is plan.stages[-1] and all(unit.name in done for unit in units):
        for path in Path(plan.out, "dataset", "data").rglob(".*.tmp"):
            path.unlink(missing_ok=True)
