"""Rounds: a run is disturbed, given again, and must end as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from curate.explain.verify import verify

from .corpus import write_pages, write_pdfs
from .disturb import FULL, Blow, SmallDisk, before_start, choose, make_room, strike
from .processes import MARK, processes

ROOT = Path(__file__).parents[2]
_HANGS_S = 900.0
_DISK_MB = 64


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A pipeline as it is run here."""

    pipeline: str
    parameters: tuple[str, ...]
    write_inputs: Callable[[Path], list[str]]


KINDS = {
    "fineweb": Kind("pipelines/fineweb.py", ("warcs=in/*.warc.gz",), write_pages),
    "finepdf": Kind(
        "pipelines/finepdf.py", ("warcs=in/*.warc.gz", "refetch=no", "ocr=off"), write_pdfs
    ),
}


@dataclass(slots=True)
class Result:
    """What happened in a round: the commands given, what befell them, how they ended."""

    name: str
    story: list[str] = field(default_factory=list)
    blows: int = 0
    seconds: float = 0.0
    broken: str = ""


class Chaos:
    """Rounds over one pipeline in one folder.

    Args:
        kind: which pipeline.
        folder: where to work; a small disk is mounted in it where that is allowed.
        environment: what the command's environment has beside ours.
    """

    def __init__(self, kind: str, folder: Path, environment: Mapping[str, str] | None = None):
        self.kind = KINDS[kind]
        self.folder = folder
        self.environment = dict(environment or {})
        self.names = self.kind.write_inputs(folder / "inputs")
        self.disk = SmallDisk(folder / "disk", _DISK_MB)
        self.expected: dict[str, str] = {}
        self.usual_s = 0.0

    def __enter__(self) -> Chaos:
        """Make the undisturbed run that all others must equal."""
        place = self._place("undisturbed", self.names)
        started = time.monotonic()
        code, output = self._command(place, "undisturbed", 2, [], Result("undisturbed"))
        if code != 0:
            raise Broken(f"the undisturbed run ended with exit code {code}:\n{output}")
        self.usual_s = time.monotonic() - started
        self.expected = contents(place / "out")
        if not any("dataset/data/" in name for name in self.expected):
            raise Broken("the undisturbed run published nothing")
        shutil.rmtree(place)
        return self

    def __exit__(self, *_: object) -> None:
        self.disk.close()

    def round(self, seed: int, number: int) -> Result:
        """Do one round; what is chosen depends on the seed and the number alone."""
        random_ = random.Random(f"{seed}/{number}")
        result = Result(f"seed {seed} round {number}")
        mark = f"{os.getpid()}-{seed}-{number}"
        place = self._place(f"round-{number}", self.names)
        started = time.monotonic()
        try:
            for _ in range(random_.choice((1, 1, 2, 3))):
                names = self._choose_inputs(random_)
                self._lay(place, names)
                blows = choose(random_, self.usual_s)
                if not self.disk.small:
                    blows = [blow for blow in blows if blow.kind != FULL]
                result.story.append(f"{len(names)} inputs")
                self._attempt(place, mark, random_.randint(1, 3), blows, result)
            self._lay(place, self.names)
            self._finish(place, mark, random_.randint(1, 3), result)
            shutil.rmtree(place)
        except Broken as broken:
            result.broken = str(broken)
        finally:
            make_room(self.disk.folder)
            for process in processes(mark):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, 9)
        result.seconds = time.monotonic() - started
        return result

    def _attempt(
        self, place: Path, mark: str, workers: int, blows: Sequence[Blow], result: Result
    ) -> None:
        before = manifest_times(place / "out")
        code, output = self._command(place, mark, workers, blows, result)
        result.story[-1] += f", {workers} workers: exit code {code}"
        make_room(self.disk.folder)
        if code not in (0, 1, 130, 143, -2, -9, -15):
            raise Broken(f"exit code {code}:\n{output[-3000:]}")
        self._check_quiet(mark)
        self._check_whole(place / "out")
        after = manifest_times(place / "out")
        again = [name for name, when in before.items() if after.get(name, when) != when]
        if again:
            raise Broken(f"done twice: {again}")

    def _finish(self, place: Path, mark: str, workers: int, result: Result) -> None:
        result.story.append("undisturbed")
        self._attempt(place, mark, workers, [], result)
        if not result.story[-1].endswith("exit code 0"):
            raise Broken("the last, undisturbed command failed")
        found = contents(place / "out")
        differing = sorted(name for name in self.expected if found.get(name) != self.expected[name])
        published = {name for name in found if name.startswith("dataset/data/")}
        foreign = sorted(published - self.expected.keys())
        if differing or foreign:
            raise Broken(f"differ: {differing}; do not belong here: {foreign}")
        left = [str(path) for path in (place / "out").rglob(".*.tmp")]
        if left:
            raise Broken(f"left behind: {left}")

    def _command(
        self, place: Path, mark: str, workers: int, blows: Sequence[Blow], result: Result
    ) -> tuple[int, str]:
        """Give the command, strike, and return its exit code and what it said."""
        words = [sys.executable, "-m", "curate", "run", str(ROOT / self.kind.pipeline)]
        for parameter in self.kind.parameters:
            words += ["-p", parameter]
        with (self.folder / f"{mark}.log").open("w+b") as log:
            process = subprocess.Popen(
                [*words, "--out", "out", "--workers", str(workers), "--json"],
                cwd=place,
                env={
                    **os.environ,
                    **self.environment,
                    MARK: mark,
                    "PYTHONPATH": str(ROOT),
                    "TMPDIR": str(place / "tmp"),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=before_start(list(blows)),
            )
            started = time.monotonic()
            for blow in blows:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, started + blow.after_s - time.monotonic()))
                if process.poll() is None and strike(blow, mark, self.disk.folder):
                    result.story.append(f"  {blow}")
                    result.blows += 1
            try:
                code = process.wait(_HANGS_S)
            except subprocess.TimeoutExpired:
                raise Broken(f"hangs for {_HANGS_S:.0f} s") from None
            log.seek(0)
            output = log.read().decode(errors="replace")
        Path(log.name).unlink()
        return code, output

    def _place(self, name: str, names: Sequence[str]) -> Path:
        place = self.disk.folder / name
        (place / "in").mkdir(parents=True)
        (place / "tmp").mkdir()
        self._lay(place, names)
        return place

    def _lay(self, place: Path, names: Sequence[str]) -> None:
        """Make these files, and no others, the inputs."""
        there = {path.name for path in (place / "in").iterdir()}
        for name in there - set(names):
            (place / "in" / name).unlink()
        for name in set(names) - there:
            source = name.removeprefix("more-")
            (place / "in" / name).symlink_to(self.folder / "inputs" / source)

    def _choose_inputs(self, random_: random.Random) -> list[str]:
        """Return all inputs; now and then some of them, or one that is gone later."""
        dice = random_.random()
        if dice < 0.15:
            return random_.sample(self.names, random_.randint(1, len(self.names) - 1))
        if dice < 0.3:
            return [*self.names, f"more-{random_.choice(self.names)}"]
        return self.names

    def _check_quiet(self, mark: str) -> None:
        """No process of a command outlives it."""
        deadline = time.monotonic() + 30
        while left := processes(mark):
            if time.monotonic() > deadline:
                raise Broken(f"still running: {left}")
            time.sleep(0.02)

    def _check_whole(self, out: Path) -> None:
        """What is done is whole at any moment, and the ledger balances."""
        if not (out / "run.json").exists():
            return
        findings = verify(str(out))
        if findings.faults:
            raise Broken(f"verify: {findings.faults}")


def contents(out: Path) -> dict[str, str]:
    """Return the SHA-256 of the published files and of all that the stages wrote."""
    paths = [*(out / "dataset/data").rglob("*"), *(out / "stages").rglob("*")]
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and path.suffix != ".json" and not path.name.startswith(".")
    }


def manifest_times(out: Path) -> dict[str, int]:
    """Return when each unit was finished, but for the dataset's, which are replaced."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in (out / "stages").glob("*/*.json")
        if not path.parent.name.startswith("dataset-")
    }
