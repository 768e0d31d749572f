"""Fail at each place where a run writes: `python -m tests.fault_points FOLDER FAULT`.

Runs a small pipeline (JSON lines, a filter, MinHash deduplication, the published dataset) in a
process of its own for each place, then gives the command again and compares. Prints what was found
as JSON. FOLDER is made; it must not hold an earlier visit.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
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

from .faulty_files import EXIT_CODE, Fault, FaultyFiles, lose_data, lose_names

PIPELINE = '''
from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.stages import minhash_dedup
from curate.filters.gopher import GopherQualityFilter
from curate.readers.records import JsonlReader


def pipeline(paths: str = "in/*.jsonl") -> Pipeline:
    """Texts, filtered and deduplicated by MinHash."""
    loaded = Stage("load", source=JsonlReader(paths))
    filtered = Stage("filter", source=loaded, steps=(GopherQualityFilter(min_words=5),))
    deduped = minhash_dedup(filtered, MinHashParams(ngram_size=2, num_buckets=2))
    return Pipeline("toy", output=deduped)
'''
WORDS = [
    *("the", "quick", "brown", "fox", "that", "jumps", "over", "lazy", "dogs", "and"),
    *("of", "a", "cat", "with", "be", "to", "have"),
]


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


def prepare_folder(folder: Path) -> None:
    """Write the pipeline and its inputs."""
    (folder / "in").mkdir(parents=True)
    (folder / "toy.py").write_text(PIPELINE)
    for number, name in enumerate("ab"):
        lines = []
        for line in range(6):
            words = [WORDS[(line * 3 + number + at * (line + 1)) % len(WORDS)] for at in range(60)]
            lines.append(json.dumps({"id": f"{name}-{line}", "text": " ".join(words)}))
        lines += [lines[0].replace("-0", "-copy"), "no JSON", json.dumps({"text": "too short"})]
        (folder / "in" / f"{name}.jsonl").write_text("\n".join(lines))


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


def contents(out: Path) -> dict[str, str]:
    """Return the SHA-256 of the published files and of what the stages wrote."""
    paths = [*(out / "dataset").rglob("*"), *(out / "stages").rglob("*")]
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and path.suffix != ".json"
    }


def check(folder: Path, expected: dict[str, str]) -> str:
    """Give the command again, undisturbed; return what is wrong then, or ""."""
    code = work(folder, None)
    return f"exit code {code}" if code else difference(folder, expected)


def difference(folder: Path, expected: dict[str, str]) -> str:
    """Return what is not as after one undisturbed run, or ""."""
    found = contents(folder / "out")
    if found != expected:
        return f"differ: {sorted(found.items() ^ expected.items())}"
    faults = verify(str(folder / "out")).faults
    if faults:
        return f"verify: {faults}"
    left = [str(path) for path in (folder / "out").rglob("*.tmp")]
    return f"left behind: {left}" if left else ""


def main(folder: Path, fault: Fault, first: int, last: int, every: int) -> dict[str, Any]:
    """Visit places from `first` to before `last`; to the end when it is negative."""
    prepare_folder(folder / "origin")
    _import_libraries(folder / "origin")
    shutil.copytree(folder / "origin", folder / "whole")
    journal = folder / "journal"
    journal.mkdir()
    out = folder / "whole" / "out"
    code = work(folder / "whole", FaultyFiles(out, journal, -1))
    assert code == 0, code
    expected = contents(out)
    changes = json.loads((journal / "changes.json").read_text())
    wrong: list[str] = []
    codes: dict[str, int] = {}
    visited = 0
    for place in range(first, len(changes) if last < 0 else last, every):
        if fault == "torn" and not changes[place].startswith("write"):
            continue
        visited += 1
        shutil.rmtree(journal)
        journal.mkdir()
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(folder / "origin", folder / "run", copy_function=shutil.copy2)
        if fault == "another run":
            code = work_beside_another(folder / "run", journal, place)
            codes[str(code)] = codes.get(str(code), 0) + 1
            what = f"exit code {code}" if code else difference(folder / "run", expected)
            if what:
                wrong.append(f"{place} {changes[place]}: {what}")
            continue
        number = errno.ENOSPC if place % 2 else errno.EIO
        files = FaultyFiles(folder / "run" / "out", journal, place, fault, number)
        code = work(folder / "run", files)
        codes[str(code)] = codes.get(str(code), 0) + 1
        if fault in ("exit", "torn"):
            assert code == EXIT_CODE, (place, changes[place], code)
        elif code not in (0, 1):
            wrong.append(f"{place} {changes[place]}: ended with code {code}")
        losses: list[Callable[[Path, Path], None]] = [lambda *_: None]
        if fault == "exit":
            losses += [lose_data, lose_names]
        shutil.rmtree(folder / "crashed", ignore_errors=True)
        for index, lose in enumerate(losses):
            if index:
                shutil.rmtree(folder / "run")
                _copy(folder / "crashed", folder / "run", journal)
            elif len(losses) > 1:
                (folder / "run").rename(folder / "crashed")
                _copy(folder / "crashed", folder / "run", journal)
            lose(folder / "run" / "out", journal)
            what = check(folder / "run", expected)
            if what:
                wrong.append(f"{place} {changes[place]} ({getattr(lose, '__name__', '')}): {what}")
    return {"places": len(changes), "visited": visited, "codes": codes, "wrong": wrong}


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
        moved[old.stat().st_ino] = (target / old.relative_to(source)).stat().st_ino
    kept = journal / "lost-first.json"
    if not kept.exists():
        kept.write_text(json.dumps(lost))
    first = json.loads(kept.read_text())
    lost["dirty"] = [moved[inode] for inode in first["dirty"] if inode in moved]
    path.write_text(json.dumps(lost))


def _given(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault_points", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("fault", choices=get_args(Fault))
    parser.add_argument("first", type=int, nargs="?", default=0, help="the first place")
    parser.add_argument("last", type=int, nargs="?", default=-1, help="the one to end before")
    parser.add_argument("every", type=int, nargs="?", default=1, help="the stride")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    given = _given(sys.argv[1:])
    # Absolute: what follows changes the folder of this process.
    folder = given.folder.resolve()
    if (folder / "origin").exists():
        sys.exit(f"{folder} holds an earlier visit: name a new folder")
    print(json.dumps(main(folder, given.fault, given.first, given.last, given.every), indent=1))
