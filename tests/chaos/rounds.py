"""Rounds: a run is disturbed, given again, and must end as if nothing had happened."""

from __future__ import annotations

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

from .corpus import write_pages, write_pdfs
from .disturb import FULL, Blow, SmallDisk, before_start, choose, make_room, strike
from .places import ROOT, LocalPlace, Place, RemotePlace
from .processes import MARK, processes
from .store import FaultyProxy, Store, environment

_HANGS_S = 900.0
_NO_CARD = "is missing; the run's command writes it anew"
_DISK_MB = 64


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A pipeline as it is run here.

    Attributes:
        remote: inputs and output lie in a store of objects that fails now and then.
    """

    pipeline: str
    write_inputs: Callable[[Path], list[str]]
    parameters: tuple[str, ...] = ()
    remote: bool = False


KINDS = {
    "fineweb": Kind("pipelines/fineweb.py", write_pages),
    "fineweb-s3": Kind("pipelines/fineweb.py", write_pages, remote=True),
    "finepdf": Kind("pipelines/finepdf.py", write_pdfs, ("refetch=no", "ocr=off")),
    "finepdf-s3": Kind("pipelines/finepdf.py", write_pdfs, ("refetch=no", "ocr=off"), remote=True),
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
        names = self.kind.write_inputs(folder / "inputs")
        self.inputs = {name: folder / "inputs" / name for name in names}
        self.disk = SmallDisk(folder / "disk", _DISK_MB)
        self.expected: dict[str, str] = {}
        self.usual_s = 0.0
        self.store: Store | None = None
        self.proxy: FaultyProxy | None = None

    def __enter__(self) -> Chaos:
        """Make the undisturbed run that all others must equal."""
        try:
            if self.kind.remote:
                self.store = Store()
                self.proxy = FaultyProxy(self.store.url)
            self._learn()
        except BaseException:
            self.close()
            raise
        return self

    def _learn(self) -> None:
        place = self._place("undisturbed")
        place.lay(self.inputs)
        started = time.monotonic()
        code, output = self._command(place, "undisturbed", 2, [], Result("undisturbed"))
        if code != 0:
            raise Broken(f"the undisturbed run ended with exit code {code}:\n{output}")
        self.usual_s = time.monotonic() - started
        self.expected = place.contents()
        if not any("dataset/data/" in name for name in self.expected):
            raise Broken("the undisturbed run published nothing")
        place.remove()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take away the disk and end the store."""
        self.disk.close()
        for one in (self.proxy, self.store):
            if one is not None:
                one.close()

    def round(self, seed: int, number: int) -> Result:
        """Do one round; what is chosen depends on the seed and the number alone."""
        random_ = random.Random(f"{seed}/{number}")
        result = Result(f"seed {seed} round {number}")
        mark = f"{os.getpid()}-{seed}-{number}"
        place = self._place(f"round-{seed}-{number}")
        started = time.monotonic()
        try:
            for _ in range(random_.choice((1, 1, 2, 3))):
                inputs = self._choose_inputs(random_)
                place.lay(inputs)
                blows = choose(random_, self.usual_s)
                if not self.disk.small:
                    blows = [blow for blow in blows if blow.kind != FULL]
                changed = sum(self.inputs.get(name) != path for name, path in inputs.items())
                result.story.append(f"{len(inputs)} inputs, {changed} of them others")
                if self.proxy:
                    self.proxy.seed = f"{seed}/{number}"
                    self.proxy.rate = random_.choice((0.01, 0.03, 0.1))
                code = self._attempt(place, mark, random_.randint(1, 3), blows, result)
                if code == 0 and inputs == self.inputs:
                    self._compare(place)
            place.lay(self.inputs)
            if self.proxy:
                self.proxy.rate = 0.0
            self._finish(place, mark, random_.randint(1, 3), result)
            place.remove()
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
        self, place: Place, mark: str, workers: int, blows: Sequence[Blow], result: Result
    ) -> int:
        before = place.done()
        faults = self.proxy.faults.total() if self.proxy else 0
        code, output = self._command(place, mark, workers, blows, result)
        result.story[-1] += f", {workers} workers: exit code {code}"
        if self.proxy:
            faults = self.proxy.faults.total() - faults
            result.blows += faults
            result.story[-1] += f", {faults} requests failed"
        make_room(self.disk.folder)
        # 2: the inputs cannot be listed, which a store that fails brings about.
        if code not in (0, 1, 130, 143, -2, -9, -15, *([2] if self.kind.remote else [])):
            raise Broken(f"exit code {code}:\n{output[-3000:]}")
        if "Traceback (most recent" in output:
            raise Broken(f"a defect is reported, not a failure:\n{output[-6000:]}")
        self._check_quiet(mark)
        # A command that failed may have published all but the card, which `verify` misses then.
        found = [fault for fault in place.faults() if code == 0 or _NO_CARD not in fault]
        if found:
            raise Broken(f"verify: {found}")
        after = place.done()
        again = [name for name, when in before.items() if after.get(name, when) != when]
        if again:
            raise Broken(f"done twice: {again}")
        return code

    def _finish(self, place: Place, mark: str, workers: int, result: Result) -> None:
        result.story.append("undisturbed")
        if self._attempt(place, mark, workers, [], result):
            raise Broken("the last, undisturbed command failed")
        self._compare(place)
        left = place.leftovers()
        if left:
            raise Broken(f"left behind: {left}")

    def _compare(self, place: Place) -> None:
        """A command that ends well has done all that the undisturbed one did, and no more."""
        found = place.contents()
        differing = sorted(name for name in self.expected if found.get(name) != self.expected[name])
        published = {name for name in found if name.startswith("dataset/data/")}
        foreign = sorted(published - self.expected.keys())
        if differing or foreign:
            raise Broken(f"differ: {differing}; do not belong here: {foreign}")

    def _command(
        self, place: Place, mark: str, workers: int, blows: Sequence[Blow], result: Result
    ) -> tuple[int, str]:
        """Give the command, strike, and return its exit code and what it said."""
        words = [sys.executable, "-m", "curate", "run", str(ROOT / self.kind.pipeline)]
        for parameter in (f"warcs={place.inputs}", *self.kind.parameters):
            words += ["-p", parameter]
        with (self.folder / f"{mark}.log").open("w+b") as log:
            process = subprocess.Popen(
                [*words, "--out", place.out, "--workers", str(workers), "--json"],
                cwd=place.folder,
                env={
                    **os.environ,
                    **(environment(self.proxy.url, 2) if self.proxy else {}),
                    **self.environment,
                    MARK: mark,
                    "PYTHONPATH": str(ROOT),
                    "TMPDIR": str(place.folder / "tmp"),
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

    def _place(self, name: str) -> Place:
        folder = self.disk.folder / name
        return RemotePlace(folder, self.store) if self.store else LocalPlace(folder)

    def _choose_inputs(self, random_: random.Random) -> dict[str, Path]:
        """Return all inputs; now and then some, one more, or two that have changed places."""
        names, dice = list(self.inputs), random_.random()
        if dice < 0.15:
            chosen = random_.sample(names, random_.randint(1, len(names) - 1))
            return {name: self.inputs[name] for name in chosen}
        if dice < 0.3:
            name = random_.choice(names)
            return {**self.inputs, f"more-{name}": self._copy(self.inputs[name])}
        if dice > 0.85:
            one, other = random_.sample(names, 2)
            return {**self.inputs, one: self.inputs[other], other: self.inputs[one]}
        return self.inputs

    def _copy(self, path: Path) -> Path:
        copy = path.with_name(f"more-{path.name}")
        if not copy.exists():
            shutil.copy(path, copy)
        return copy

    def _check_quiet(self, mark: str) -> None:
        """No process of a command outlives it."""
        deadline = time.monotonic() + 30
        while left := processes(mark):
            if time.monotonic() > deadline:
                raise Broken(f"still running: {left}")
            time.sleep(0.02)
