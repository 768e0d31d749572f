"""The last stage: the published dataset, in files of even size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .document import Document, DocumentWriter, schema
from .errors import CurateError
from .manifest import FileInfo, Manifest, StepCounts
from .pipeline import Pipeline, Resources, StageKind, Unit, WholeStage
from .steps import Reader
from .storage import join, names, remove
from .stored import read_documents

if TYPE_CHECKING:
    from .task import Work

_TARGET_BYTES = 512 << 20
_FOLDER_BYTES = 100
_OURS = re.compile(r"train-\d{5,}-of-\d{5,}\.parquet\Z")


@dataclass(frozen=True)
class DatasetStage(WholeStage):
    """Write the documents of the output stage to `dataset/data/*.parquet`.

    Documents keep the order of the inputs, so the bytes do not depend on how they were processed.
    With a partition, the files of each of its values are in a folder of that name.

    Args:
        source: the pipeline's output.
        published: published columns, name to type, in order.
        partition: the column that divides the dataset; none when empty.
        target_bytes: size that files stay under, as the sum of what their units take on disk.
    """

    source: StageKind
    published: tuple[tuple[str, str], ...]
    partition: str = ""
    target_bytes: int = _TARGET_BYTES
    name: str = "dataset"
    resources: Resources = Resources()

    @staticmethod
    def of(pipeline: Pipeline) -> DatasetStage:
        """Return the dataset stage of a pipeline."""
        types = {"text": "string", "id": "string", **pipeline.output.columns}
        columns = tuple((name, types[name]) for name in pipeline.columns or tuple(types))
        return DatasetStage(pipeline.output, columns, getattr(pipeline.output, "partition", ""))

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The pipeline's output."""
        return (self.source,)

    @property
    def columns(self) -> Mapping[str, str]:
        """The published columns."""
        return dict(self.published)

    def identity(self) -> Mapping[str, Any]:
        """Columns, partition and file size."""
        values: dict[str, Any] = {"published": self.published, "target_bytes": self.target_bytes}
        return {**values, "partition": self.partition} if self.partition else values

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the rows of each partition evenly over as few files as the target size allows."""
        manifests = list(sources[0])
        hashes = "\n".join(one.files["documents"].sha256 for one in manifests)
        digest = hashlib.sha256(hashes.encode()).hexdigest()[:10]
        # One for all parts of a file: a dataset in many languages has millions of parts.
        stored = {one.unit: one.files["documents"].as_json() for one in manifests}
        partitions = {"": manifests}
        if self.partition:
            partitions = {}
            for manifest in manifests:
                for value in manifest.details["partitions"]:
                    partitions.setdefault(value, []).append(manifest)
        units = []
        for value, there in sorted(partitions.items()):
            files = [(stored[one.unit], *self._share(one, value)) for one in there]
            units += self._units(value, files, digest)
        return units

    def _share(self, manifest: Manifest, value: str) -> tuple[int, int]:
        """Return the rows and bytes of a unit's documents that are of a partition."""
        file = manifest.files["documents"]
        if not self.partition:
            return file.rows, file.bytes
        rows, chars = manifest.details["partitions"][value]
        return rows, file.bytes * chars // max(manifest.text_chars, 1)

    def _units(
        self, value: str, files: list[tuple[dict[str, Any], int, int]], digest: str
    ) -> list[Unit]:
        total_rows = sum(rows for _, rows, _ in files)
        total_bytes = sum(size for _, _, size in files)
        count = max(1, -(-total_bytes // self.target_bytes))
        folder = folder_of(value)
        units = []
        for index in range(count):
            first, last = total_rows * index // count, total_rows * (index + 1) // count
            name = f"train-{index:05d}-of-{count:05d}"
            parts, stored, start = [], [], 0
            for file, rows, _ in files:
                begin, end = max(first, start), min(last, start + rows)
                if begin < end:
                    parts.append([file["name"], begin - start, end - start])
                    stored.append(file)
                start += rows
            path = join("dataset", "data", *filter(None, [folder]), f"{name}.parquet")
            spec = {"file": path, "parts": parts, "stored": stored}
            if self.partition:
                spec["partition"] = value
            unit = "-".join(filter(None, [folder, name, digest]))
            units.append(Unit(unit, total_bytes // count, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Copy the unit's rows to its file."""
        counts = StepCounts("dataset")
        published, partition = self.columns, unit.spec.get("partition")
        rows = sum(last - first for _, first, last in unit.spec["parts"])
        with work.create("documents", unit.spec["file"]) as output:
            writer = DocumentWriter(output, schema(self.columns, self.file_metadata()))
            stored = (FileInfo(**info) for info in unit.spec["stored"])
            for (_, first, last), file in zip(unit.spec["parts"], stored, strict=True):
                for doc in self._rows(work.out, file, first, last, partition):
                    doc.metadata = {k: v for k, v in doc.metadata.items() if k in published}
                    writer.add(doc)
                    counts.entered += 1
                    work.manifest.kept += 1
                    work.manifest.text_chars += len(doc.text)
                    work.progress(counts.entered, lambda: counts.entered / max(rows, 1))
            writer.close()
            if writer.rows != rows:
                raise CurateError(
                    f"{unit.spec['file']}: would hold {writer.rows:,} documents and not {rows:,}."
                    "\n`curate verify OUT` tells what is damaged, and what to remove."
                )
            work.rows["documents"] = writer.rows
        work.manifest.steps = [counts]
        work.manifest.entered = counts.entered

    def _rows(
        self, out: str, file: FileInfo, first: int, last: int, value: str | None
    ) -> Iterator[Document]:
        """Yield rows `first` to `last` of a file, counted among those of the partition."""
        if value is None:
            yield from read_documents(out, file, first, last)
            return
        position = 0
        for doc in read_documents(out, file):
            if part_of(doc, self.partition) == value:
                if first <= position < last:
                    yield doc
                position += 1


def folder_of(value: str) -> str:
    """Return a partition's folder: its value, quoted; the start of a long one, and its hash.

    It is a part of the names of files, which systems limit to 255 bytes. The + is quoted in values.
    """
    folder = quote(value, safe="").replace(".", "%2E")
    if len(folder) <= _FOLDER_BYTES:
        return folder
    start = re.match(r"(?:%..|[^%]){0,20}", folder)
    assert start is not None
    return f"{start[0]}+{hashlib.sha256(value.encode()).hexdigest()[:32]}"


def part_of(doc: Document, partition: str) -> str:
    """Return the folder's name for a document: the column's value."""
    return str(doc.metadata.get(partition) or "unknown")


def remove_stale(out: str, folder: str, units: Sequence[Unit]) -> None:
    """Remove published files that do not belong to `units`, manifests first.

    Called before the dataset is written: a folder that mixes two versions of a dataset is worse
    than one that lacks files.

    Args:
        out: the run's output folder.
        folder: the dataset stage's own folder.
        units: the units of the dataset as it shall be.
    """
    wanted = {f"{unit.name}.json" for unit in units}
    stale = False
    for stage in names(join(out, "stages")):
        if stage.startswith("dataset-"):
            path = join(out, "stages", stage)
            for name in names(path):
                if name.endswith(".json") and (path != folder or name not in wanted):
                    remove(join(path, name))
                    stale = True
    # In this order: another run that writes puts a file there before its manifest.
    done = set(names(folder))
    there = _published(out)
    for unit in units:
        if f"{unit.name}.json" in done and unit.spec["file"] not in there:
            remove(join(folder, f"{unit.name}.json"))
    done = set(names(folder))
    finished = {unit.spec["file"] for unit in units if f"{unit.name}.json" in done}
    if stale or len(finished) < len(units):
        for name in ("README.md", "croissant.json"):
            remove(join(out, "dataset", name))
    for file in sorted(there - finished):
        remove(join(out, file))


def _published(out: str) -> set[str]:
    """Return the dataset's files, and those of its partitions, relative to `out`.

    What a user has put beside them is not ours to remove; `curate verify` names it.
    """
    found = set()
    data = join("dataset", "data")
    for name in names(join(out, data)):
        if _OURS.match(name):
            found.add(join(data, name))
        elif not name.startswith(".") and not name.endswith(".parquet"):
            there = (file for file in names(join(out, data, name)) if _OURS.match(file))
            found |= {join(data, name, file) for file in there}
    return found
