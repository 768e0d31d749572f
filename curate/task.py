"""Work through units: the only code that a worker executes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import BinaryIO

from . import storage
from .decisions import DecisionWriter
from .document import Document, DocumentWriter, read_documents, schema
from .errors import CurateError, DefinitionError, DocumentError
from .manifest import FileInfo, Manifest, StepCounts
from .pipeline import Stage, Unit, WholeStage
from .plan import Plan, PlannedStage
from .steps import Drop, Failure, Reader

_REPORT_EVERY_S = 0.5

Report = Callable[[Manifest, float], None]
Entry = tuple[Document, Drop | Failure | None]


class Work:
    """The files and counts of one unit while it is worked on.

    Attributes:
        manifest: the counts so far.
        rows: rows in each file, by role; set before the file is closed.
        out: the run's output folder.
    """

    def __init__(self, plan: Plan, planned: PlannedStage, unit: Unit, report: Report) -> None:
        self.out = plan.out
        self.planned = planned
        self.unit = unit
        self.manifest = Manifest(planned.name, planned.fingerprint, unit.name, unit.spec)
        self.rows: dict[str, int] = {}
        self._report = report
        self._reported = time.monotonic()
        self._outputs: list[tuple[str, str, storage.Output]] = []

    @contextmanager
    def create(self, role: str, name: str) -> Iterator[storage.Output]:
        """Open a file of the unit; it appears under its name when the unit is finished.

        Args:
            role: what it holds, such as "documents".
            name: its path relative to the output folder.
        """
        with storage.writing(self.out):
            output = storage.Output(storage.join(self.out, name))
            self._outputs.append((role, name, output))
            yield output

    def progress(self, entered: int, fraction: float) -> None:
        """Report how far the unit is, now and then."""
        now = time.monotonic()
        if now - self._reported >= _REPORT_EVERY_S:
            self._reported = now
            self.manifest.entered = entered
            self._report(self.manifest, fraction)

    def finish(self) -> None:
        """Check the ledger, make the files visible and, last of all, the manifest.

        A unit that another worker has finished meanwhile is left as it is.
        """
        self.manifest.check_ledger()
        path = storage.join(self.planned.folder, f"{self.unit.name}.json")
        if storage.exists(path):
            return
        with storage.writing(self.out):
            for role, name, output in self._outputs:
                output.commit()
                info = FileInfo(name, output.bytes, self.rows[role], output.sha256)
                self.manifest.files[role] = info
            storage.write_json(path, self.manifest.as_json(), replace=False)

    def discard(self) -> None:
        """Remove what was not finished."""
        for _, _, output in self._outputs:
            output.discard()


class Worker:
    """Works through units of a plan, one after the other; loads each stage's steps once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._loaded: PlannedStage | None = None
        self._exit = ExitStack()

    def run(self, planned: PlannedStage, unit: Unit, report: Report) -> Manifest:
        """Do one unit and return its manifest; nothing is left behind when it fails.

        Raises:
            CurateError: for the user to see; other exceptions are told with their type.
        """
        work = Work(self.plan, planned, unit, report)
        started = time.monotonic()
        try:
            self._load(planned)
            if isinstance(planned.stage, WholeStage):
                planned.stage.process(unit, work)
            else:
                assert isinstance(planned.stage, Stage)
                _process(self.plan, planned.stage, unit, work)
            work.manifest.seconds = time.monotonic() - started
            work.finish()
        finally:
            work.discard()
        return work.manifest

    def _load(self, planned: PlannedStage) -> None:
        if self._loaded is planned:
            return
        self.close()
        for step in planned.stage.steps:
            self._exit.callback(step.close)
            step.setup()
        self._loaded = planned

    def close(self) -> None:
        """Release what the steps hold."""
        self._exit.close()
        self._loaded = None


def _process(plan: Plan, stage: Stage, unit: Unit, work: Work) -> None:
    """Take a unit's documents through the steps of a stage and count what becomes of each."""
    folder = work.planned.folder[len(plan.out) + 1 :]
    manifest = work.manifest
    counts = [StepCounts(step.name) for step in stage.steps]
    steps = list(zip(stage.steps, counts, strict=True))
    if isinstance(stage.source, Reader):
        reading = StepCounts(stage.source.name)
        manifest.steps = [reading, *counts]
    else:
        reading = StepCounts("read")
        manifest.steps = counts
    writing = StepCounts("write")

    with (
        _open(plan, stage, unit) as (entries, fraction),
        work.create("documents", f"{folder}/{unit.name}.parquet") as documents,
        work.create("decisions", f"{folder}/{unit.name}.decisions.parquet") as decisions,
    ):
        document_writer = DocumentWriter(documents, schema(stage.columns, stage.file_metadata()))
        decision_writer = DecisionWriter(decisions)
        clock = time.perf_counter()
        for doc, fate in entries:
            now = time.perf_counter()
            reading.seconds += now - clock
            clock = now
            step_counts = reading
            reading.entered += 1
            if fate is None:
                for step, step_counts in steps:
                    step_counts.entered += 1
                    fate = _apply(step.apply, doc)
                    now = time.perf_counter()
                    step_counts.seconds += now - clock
                    clock = now
                    if fate is not None:
                        break
                else:
                    try:
                        document_writer.add(doc)
                        manifest.text_chars += len(doc.text)
                    except DocumentError as error:
                        step_counts = writing
                        writing.entered += 1
                        fate = Failure(error.reason, error.message)
                        if writing not in manifest.steps:
                            manifest.steps.append(writing)
            outcome = decision_writer.add(doc, step_counts.name, fate)
            if fate is None:
                manifest.kept += 1
            elif outcome == "dropped":
                manifest.dropped += 1
                step_counts.dropped[fate.reason] += 1
            else:
                manifest.failed += 1
                step_counts.failed[fate.reason] += 1
            work.progress(reading.entered, fraction())
            clock = time.perf_counter()
        document_writer.close()
        decision_writer.close()
        work.rows = {"documents": document_writer.rows, "decisions": decision_writer.rows}
    manifest.entered = reading.entered
    if manifest.kept != document_writer.rows or manifest.entered != decision_writer.rows:
        raise AssertionError(
            f"{manifest.stage}/{unit.name}: {manifest.kept} kept, {document_writer.rows} written,"
            f" {manifest.entered} in, {decision_writer.rows} decisions"
        )


def _apply(apply: Callable[[Document], Drop | None], doc: Document) -> Drop | Failure | None:
    """Run a step on one document; whatever goes wrong costs that document and no other."""
    try:
        return apply(doc)
    except DocumentError as error:
        return Failure(error.reason, error.message)
    except DefinitionError:
        raise
    except Exception as error:
        return Failure("error", f"{type(error).__name__}: {error}")


def _open(
    plan: Plan, stage: Stage, unit: Unit
) -> AbstractContextManager[tuple[Iterator[Entry], Callable[[], float]]]:
    """Open the documents of a unit, and a function that tells the share of them already read."""
    if isinstance(stage.source, Reader):
        return _open_input(stage.source, str(unit.spec["path"]), unit.size)
    above = plan.stage(stage.source.name)
    return _open_stage(plan.out, above.manifest(unit.name))


@contextmanager
def _open_input(
    reader: Reader, path: str, size: int
) -> Iterator[tuple[Iterator[Entry], Callable[[], float]]]:
    with storage.open_input(path) as stream:
        yield reader.read(path, stream), lambda: stream.tell() / max(size, 1)


@contextmanager
def _open_stage(
    out: str, source: Manifest
) -> Iterator[tuple[Iterator[Entry], Callable[[], float]]]:
    info = source.files["documents"]
    read = 0

    def entries(stream: BinaryIO) -> Iterator[Entry]:
        nonlocal read
        for doc in read_documents(stream):
            read += 1
            yield doc, None
        if read != info.rows:
            raise CurateError(
                f"{storage.join(out, info.name)}: holds {read} documents but its manifest says"
                f" {info.rows}. Delete it and its manifest, and run again."
            )

    with storage.open_input(storage.join(out, info.name)) as stream:
        yield entries(stream), lambda: read / max(info.rows, 1)
