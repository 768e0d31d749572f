"""Work through units: the only code that a worker executes."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from . import storage, stored
from .dataset import part_of
from .decisions import DecisionWriter
from .document import Document, DocumentWriter, schema
from .errors import CurateError, DefinitionError, DocumentError, StorageError, is_of_machine
from .explain.measure import Measures
from .explain.options import read_options
from .explain.samples import DroppedTexts
from .inputs import open_unchanged, printable
from .manifest import FileInfo, Manifest, StepCounts
from .pipeline import StageKind, Unit
from .plan import Plan, PlannedStage
from .steps import Drop, Failure, Reader, Step

_REPORT_EVERY_S = 0.5

Report = Callable[[Manifest, float], None]


@dataclass(slots=True)
class Entries:
    """The documents of a unit.

    Attributes:
        reader: name of the reader that makes them; empty for documents of another stage.
        records: each document with its fate so far.
        fraction: tells the share of the input that is read.
    """

    reader: str
    records: Iterator[tuple[Document, Drop | Failure | None]]
    fraction: Callable[[], float]


class Work:
    """The files and counts of one unit while it is worked on.

    Attributes:
        manifest: the counts so far.
        rows: rows in each file, by role; set before the file is closed.
        out: the run's output folder.
    """

    def __init__(
        self,
        plan: Plan,
        planned: PlannedStage,
        unit: Unit,
        report: Report,
        sources: dict[str, list[Manifest]],
    ) -> None:
        self.plan = plan
        self.out = plan.out
        self.planned = planned
        self.unit = unit
        self.manifest = Manifest(planned.name, planned.fingerprint, unit.name, unit.spec)
        self.rows: dict[str, int] = {}
        self._sources = sources  # of the stage, shared by the units a worker does
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
        output = storage.Output(storage.join(self.out, name))
        self._outputs.append((role, name, output))
        yield output

    @contextmanager
    def open(self, source: Reader | StageKind, unit: Unit) -> Iterator[Entries]:
        """Open the documents of a unit: of its input file, or what another stage kept of it."""
        if isinstance(source, Reader):
            path = str(unit.spec["path"])
            with open_unchanged(path, unit.size, str(unit.spec.get("tag", ""))) as stream:
                size = max(unit.size, 1)
                records = source.read(printable(path), stream)
                yield Entries(source.name, records, lambda: stream.tell() / size)
        else:
            info = self.plan.stage(source.name).manifest(unit.name).files["documents"]
            with closing(stored.read_documents(self.out, info)) as documents:
                yield _stored(documents, info.rows)

    def flow(self, entries: Entries, steps: Sequence[Step]) -> None:
        """Take documents through steps; write those kept, and a decision for each that entered."""
        stage = self.planned.stage
        manifest = self.manifest
        partition = getattr(stage, "partition", "")
        partitions: dict[str, list[int]] = {}
        tracebacks: dict[str, str] = {}
        reading, writing = StepCounts(entries.reader), StepCounts("write")
        counted = [(step, StepCounts(step.name)) for step in steps]
        manifest.steps = [counts for _, counts in counted]
        if entries.reader:
            manifest.steps.insert(0, reading)
        options = read_options(self.out)
        measuring = Measures(steps, options.every)
        texts = DroppedTexts(self, bool(entries.reader), options)
        with (
            self.create("documents", self.path("parquet")) as documents,
            self.create("decisions", self.path("decisions.parquet")) as decisions,
        ):
            document_writer = DocumentWriter(
                documents, schema(stage.columns, stage.file_metadata())
            )
            decision_writer = DecisionWriter(decisions)
            clock = time.perf_counter()
            for doc, fate in entries.records:
                clock = reading.spend(clock)
                reading.entered += 1
                counts = reading
                measures = measuring.row()
                if fate is None:
                    for step, counts in counted:
                        counts.entered += 1
                        measuring.take(measures, step, doc)
                        fate = _apply(step.apply, doc, tracebacks, step.name)
                        clock = counts.spend(clock)
                        if fate is not None:
                            break
                    else:
                        fate = _apply(document_writer.add, doc, tracebacks, "write")
                        if fate is None:
                            manifest.text_chars += len(doc.text)
                            if partition:
                                counted_there = partitions.setdefault(
                                    part_of(doc, partition), [0, 0]
                                )
                                counted_there[0] += 1
                                counted_there[1] += len(doc.text)
                        else:
                            counts = writing
                            writing.entered += 1
                if isinstance(fate, Drop):
                    measuring.rest(measures, counts.name, doc)
                    texts.add(doc, counts.name, fate)
                outcome = decision_writer.add(doc, counts.name, fate, measures)
                if fate is None:
                    manifest.kept += 1
                elif outcome == "dropped":
                    manifest.dropped += 1
                    counts.dropped[fate.reason] += 1
                else:
                    manifest.failed += 1
                    counts.failed[fate.reason] += 1
                self.progress(reading.entered, entries.fraction)
                clock = time.perf_counter()
            document_writer.close()
            decision_writer.close(measuring.described())
            texts.close()
        self.rows |= {"documents": document_writer.rows, "decisions": decision_writer.rows}
        if partition:
            manifest.details["partitions"] = dict(sorted(partitions.items()))
        if tracebacks:
            manifest.details["tracebacks"] = tracebacks
        manifest.entered = reading.entered
        if writing.entered:
            manifest.steps.append(writing)
        if manifest.kept != document_writer.rows or manifest.entered != decision_writer.rows:
            raise AssertionError(
                f"{manifest.stage}/{self.unit.name}: {manifest.kept} kept,"
                f" {document_writer.rows} written, {manifest.entered} in,"
                f" {decision_writer.rows} decisions"
            )

    def path(self, name: str) -> str:
        """Return the path of a file of the unit in its stage's folder, relative to `out`."""
        return f"{self.planned.folder[len(self.out) + 1 :]}/{self.unit.name}.{name}"

    def manifests(self, source: StageKind) -> list[Manifest]:
        """Return the manifests of another stage's units, in the order of their inputs."""
        found = self._sources.get(source.name)
        if found is None:
            above = self.plan.stage(source.name)
            done = above.done()
            units = self.plan.units(above, partial=True) or []
            found = [above.manifest(unit.name) for unit in units if unit.name in done]
            self._sources[source.name] = found
        return found

    def table(
        self,
        manifest: Manifest,
        columns: Sequence[str] = (),
        role: str = "documents",
        group: int | None = None,
    ) -> Any:
        """Read columns (all when none are named) of a Parquet file, or of one row group of it."""
        with stored.open_table(self.out, manifest.files[role]) as file:
            groups = range(file.num_row_groups) if group is None else [group]
            return file.read_row_groups(list(groups), list(columns) or None, use_threads=False)

    def progress(self, entered: int, fraction: Callable[[], float]) -> None:
        """Report how far the unit is, now and then."""
        now = time.monotonic()
        if now - self._reported >= _REPORT_EVERY_S:
            self._reported = now
            self.manifest.entered = entered
            self._report(self.manifest, fraction())

    def finish(self) -> None:
        """Check the ledger, make the files visible and, last of all, the manifest.

        A unit that another worker has finished meanwhile is left as it is.

        Raises:
            DefinitionError: a later command has changed what the run publishes.
        """
        self.manifest.check_ledger()
        path = storage.join(self.planned.folder, f"{self.unit.name}.json")
        if storage.exists(path):
            return
        if any(name.startswith("dataset/") for _, name, _ in self._outputs):
            self._check_wanted()
        try:
            self._publish(path)
        except StorageError as error:
            # Another run that has done the unit takes what we still write for left over.
            if not (isinstance(error.__cause__, FileNotFoundError) and storage.exists(path)):
                raise

    def _publish(self, path: str) -> None:
        for role, name, output in self._outputs:
            footer = ""
            if name.endswith(".parquet"):
                with output.reopen() as written:
                    footer = stored.footer_digest(written)
            output.commit()
            info = FileInfo(name, output.bytes, self.rows[role], output.sha256, footer)
            self.manifest.files[role] = info
        storage.write_json(path, self.manifest.stored(), replace=False)

    def _check_wanted(self) -> None:
        """Refuse to publish for a definition that is not the run's any more.

        Published names are the same for each version of a dataset: a worker that was held up, as on
        a node that was given up, would put its file among those of a later one.
        """
        record = storage.join(self.out, "run.json")
        if not storage.exists(record):
            return
        for stage in storage.read_json(record)["stages"]:
            same = stage["fingerprint"] == self.planned.fingerprint
            if same and (stage["units"] is None or self.unit.name in stage["units"]):
                return
        raise DefinitionError(
            f"{self.out}: a later command has changed this run.\nGive the one you want again."
        )

    def discard(self) -> None:
        """Remove what was not finished."""
        for _, _, output in self._outputs:
            output.discard()


class Worker:
    """Works through units of a plan, one after the other; loads each stage's steps once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._loaded: PlannedStage | None = None
        self._sources: dict[str, list[Manifest]] = {}
        self._exit = ExitStack()

    def run(self, planned: PlannedStage, unit: Unit, report: Report) -> Manifest:
        """Do one unit and return its manifest; nothing is left behind when it fails.

        Raises:
            CurateError: for the user to see; other exceptions are told with their type.
        """
        self._load(planned)
        work = Work(self.plan, planned, unit, report, self._sources)
        started = time.monotonic()
        try:
            planned.stage.process(unit, work)
            report(work.manifest, 1.0)
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
            _set_up(step)
        self._loaded = planned

    def close(self) -> None:
        """Release what the steps hold."""
        self._exit.close()
        self._loaded = None
        self._sources = {}


def _set_up(step: Step) -> None:
    """Load what a step needs; when that fails, the definition or the installation is wrong."""
    try:
        step.setup()
    except (CurateError, MemoryError):
        raise
    except Exception as error:
        traceback.print_exc()
        what = " ".join(str(error).split())[:300]
        raise DefinitionError(
            f"step {step.name!r}: its setup failed: {type(error).__name__}: {what}"
            "\nMend the step, or install what it needs."
        ) from error


def _apply(
    apply: Callable[[Document], Drop | None], doc: Document, tracebacks: dict[str, str], name: str
) -> Drop | Failure | None:
    """Run a step on one document; whatever goes wrong costs that document and no other."""
    try:
        fate = apply(doc)
        if fate is None or isinstance(fate, Drop):
            return fate
        raise DefinitionError(
            f"{apply} returned {fate!r}; a step returns a Drop, or None to keep the document."
        )
    except DocumentError as error:
        return Failure(error.reason, error.message)
    except CurateError:
        raise
    except Exception as error:
        if is_of_machine(error):
            raise  # the unit is tried again: what the machine lacks is not the document's fault
        if name not in tracebacks:  # the first of the unit tells what is wrong with the step
            tracebacks[name] = traceback.format_exc()
            print(f"{name}: {doc.id}: {tracebacks[name]}", file=sys.stderr)
        return Failure("error", f"{type(error).__name__}: {error}")


def _stored(documents: Iterator[Document], rows: int) -> Entries:
    """Take the documents that a stage has stored."""
    read = 0

    def records() -> Iterator[tuple[Document, Drop | Failure | None]]:
        nonlocal read
        for doc in documents:
            read += 1
            yield doc, None

    return Entries("", records(), lambda: read / max(rows, 1))
