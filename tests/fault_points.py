"""Fail at each place where a run writes: `python -m tests.fault_points FOLDER FAULT`.

Runs a small pipeline (`--scene`: see `fault_scenes.py`) in a process of its own for each place,
then gives the command again and compares. Prints what was found as JSON. FOLDER is made; it must
not hold an earlier visit.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from curate.executors.progress import FailedUnit, Progress
from curate.explain.commands import finish, prepare
from curate.explain.verify import verify
from curate.pipeline import Unit
from curate.plan import Plan, PlannedStage
from curate.run import run
from curate.task import Worker

from .fault_scenes import Dedup, Refetch, Scene
from .faulty_files import (
    EXIT_CODE,
    Fault,
    FaultyFiles,
    lose_data,
    lose_names,
    lose_some_names,
)
from .hostile_server import HostileServer

SCENES = ("dedup", "refetch", "repair")


class InProcess:
    """Do the units in this process, so that the places of a run have one order."""

    def run(
        self,
        plan: Plan,
        planned: PlannedStage,
        units: Sequence[Unit],
        progress: Progress,
        show: Callable[[Progress], None],
    ) -> list[FailedUnit]:
        worker = Worker(plan)
        for unit in units:
            worker.run(planned, unit, lambda *_: None)
        worker.close()
        return []


def work(folder: Path, files: FaultyFiles | None) -> int:
    """Give the command in a process of its own; return its exit code."""
    child = os.fork()
    if not child:
        os._exit(work_here(folder, files))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def work_here(folder: Path, files: FaultyFiles | None) -> int:
    """Give the command in this process; return its exit code."""
    code = 3
    try:
        os.chdir(folder)
        if files:
            files.install()
        plan = Plan("toy.py", {}, "out")
        options = argparse.Namespace(
            annotate=False, keep_dropped_text=True, dry_run=False, driver_job=False
        )
        prepare(plan, options)
        run(plan, InProcess(), lambda _: None)
        finish(plan)
        code = 0
        if files:
            (files.journal / "changes.json").write_text(json.dumps(files.changes))
    except OSError:
        code = 2
    except BaseException as error:
        code = 1
        if type(error).__name__ != "StorageError":
            traceback.print_exc()
            code = 3
    return code


def work_beside_another(folder: Path, journal: Path, place: int) -> int:
    """Give the command, and once more from beginning to end while the first waits at a place.

    Returns the exit code of the first.
    """
    waits, says_that_it_waits = os.pipe()
    other_is_done, says_that_other_is_done = os.pipe()

    def another() -> None:
        os.close(says_that_it_waits)
        os.read(other_is_done, 1)

    child = os.fork()
    if not child:
        os.close(says_that_other_is_done)
        files = FaultyFiles(folder / "out", journal, place, "another run", another=another)
        os._exit(work_here(folder, files))
    os.close(says_that_it_waits)
    os.read(waits, 1)
    code = work(folder, None)
    for pipe in (says_that_other_is_done, waits, other_is_done):
        os.close(pipe)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or code


class Visit:
    """A folder in which a scene is played once for each place where it writes.

    Args:
        folder: for all that is written; new.
        scene: what is run.
        torn: begin with what is left of a run that was cut off while it noted what it had fetched.
    """

    def __init__(self, folder: Path, scene: Scene, torn: bool = False) -> None:
        self._scene = scene
        self._origin, self._run, self._crashed = (
            folder / name for name in ("origin", "run", "crashed")
        )
        self._journal = folder / "journal"
        scene.prepare(self._origin)
        _import_libraries(self._origin)
        self.changes, self._expected = self._undisturbed()
        if torn:
            lines = [
                place
                for place, change in enumerate(self.changes)
                if change.startswith("write refetch/") and change.endswith(".jsonl")
            ]
            self._begin()
            assert work(self._run, self._files(lines[1], "torn")) == EXIT_CODE
            shutil.rmtree(self._origin)
            self._run.rename(self._origin)
            self.changes, _ = self._undisturbed()

    def _undisturbed(self) -> tuple[list[str], dict[str, str]]:
        """Return the changes of a run that is left alone, and what it makes."""
        self._begin()
        code = work(self._run, self._files(-1, "exit"))
        assert code == 0, code
        changes = json.loads((self._journal / "changes.json").read_text())
        return changes, self._scene.contents(self._run / "out")

    def _begin(self) -> None:
        for folder in (self._journal, self._run, self._crashed):
            shutil.rmtree(folder, ignore_errors=True)
        self._journal.mkdir()
        shutil.copytree(self._origin, self._run, copy_function=shutil.copy2)
        self._scene.restart()

    def _files(self, place: int, fault: Fault) -> FaultyFiles:
        number = errno.ENOSPC if place % 2 else errno.EIO
        return FaultyFiles(self._run / "out", self._journal, place, fault, number)

    def at(self, place: int, fault: Fault) -> tuple[int, list[str]]:
        """Fail at one place; return the exit code, and what is wrong after another run."""
        self._begin()
        if fault == "another run":
            code = work_beside_another(self._run, self._journal, place)
            wrong = f"exit code {code}" if code else self._difference()
            return code, [wrong] if wrong else []
        code = work(self._run, self._files(place, fault))
        if fault in ("exit", "torn"):
            assert code == EXIT_CODE, (place, self.changes[place], code)
        elif code not in (0, 1):
            return code, [f"ended with code {code}"]
        losses: list[Callable[[Path, Path], None]] = [lambda *_: None]
        if fault == "exit":
            losses += [lose_data, lose_names, lose_some_names]
            self._run.rename(self._crashed)
        found = []
        for lose in losses:
            if fault == "exit":
                shutil.rmtree(self._run, ignore_errors=True)
                _copy(self._crashed, self._run, self._journal)
            lose(self._run / "out", self._journal)
            again = work(self._run, None)
            wrong = f"exit code {again}" if again else self._difference()
            if lose is losses[0] and not wrong:
                wrong = "; ".join(self._scene.faults(self._run / "out"))
            if wrong:
                found.append(f"{getattr(lose, '__name__', '')}: {wrong}")
        return code, found

    def _difference(self) -> str:
        """Return what is not as after one undisturbed run, or ""."""
        out = self._run / "out"
        found = self._scene.contents(out)
        if found != self._expected:
            return f"differ: {sorted(found.items() ^ self._expected.items())}"
        faults = verify(str(out)).faults
        if faults:
            return f"verify: {faults}"
        left = [str(path) for path in out.rglob("*.tmp")]
        return f"left behind: {left}" if left else ""


def visit(visit: Visit, fault: Fault, first: int, last: int, every: int) -> dict[str, Any]:
    """Visit places from `first` to before `last`; to the end when it is negative."""
    wrong: list[str] = []
    codes: dict[str, int] = {}
    changes = visit.changes
    for place in range(first, len(changes) if last < 0 else last, every):
        if fault == "torn" and not changes[place].startswith("write"):
            continue
        code, found = visit.at(place, fault)
        codes[str(code)] = codes.get(str(code), 0) + 1
        wrong += [f"{place} {changes[place]} {what}" for what in found]
    return {"places": len(changes), "visited": sum(codes.values()), "codes": codes, "wrong": wrong}


def _import_libraries(folder: Path) -> None:
    """Load once what each process would load again."""
    import pyarrow.compute
    import pyarrow.parquet
    import scipy.sparse.csgraph

    from curate.explain import index
    from curate.report import html_report

    assert pyarrow.parquet and pyarrow.compute and scipy.sparse.csgraph and index and html_report
    pyarrow.Table.from_pylist([{"text": ""}])
    os.chdir(folder)
    for planned in Plan("toy.py", {}, "out").stages:
        for step in planned.stage.steps:
            step.setup()


def _copy(source: Path, target: Path, journal: Path) -> None:
    """Copy a folder; the inodes in the journal become those of the copy."""
    shutil.copytree(source, target, copy_function=shutil.copy2)
    path = journal / "lost.json"
    lost = json.loads(path.read_text())
    moved = {}
    for old in source.rglob("*"):
        moved[str(old.stat().st_ino)] = (target / old.relative_to(source)).stat().st_ino
    kept = journal / "lost-first.json"
    if not kept.exists():
        kept.write_text(json.dumps(lost))
    first = json.loads(kept.read_text())
    lost["dirty"] = {moved[inode]: size for inode, size in first["dirty"].items() if inode in moved}
    path.write_text(json.dumps(lost))


def _given(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault_points", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("fault", choices=get_args(Fault))
    parser.add_argument("first", type=int, nargs="?", default=0, help="the first place")
    parser.add_argument("last", type=int, nargs="?", default=-1, help="the one to end before")
    parser.add_argument("every", type=int, nargs="?", default=1, help="the stride")
    parser.add_argument("--scene", choices=SCENES, default=SCENES[0])
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Print what was found."""
    given = _given(arguments)
    # Absolute: what follows changes the folder of this process.
    folder = given.folder.resolve()
    if (folder / "origin").exists():
        sys.exit(f"{folder} holds an earlier visit: name a new folder")
    bounds = given.fault, given.first, given.last, given.every
    if given.scene == "dedup":
        found = visit(Visit(folder, Dedup()), *bounds)
    else:
        with HostileServer(["127.0.0.1", "127.0.0.4"]) as server:
            found = visit(Visit(folder, Refetch(server), given.scene == "repair"), *bounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
