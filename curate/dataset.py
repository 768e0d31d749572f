"""The last stage: the published dataset, in files of even size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .document import DocumentWriter, read_documents, schema
from .manifest import Manifest, StepCounts
from .pipeline import Pipeline, Resources, StageKind, Unit, WholeStage
from .steps import Reader
from .storage import join, names, open_input, remove

if TYPE_CHECKING:
    from .task import Work

_TARGET_BYTES = 512 << 20


@dataclass(frozen=True)
class DatasetStage(WholeStage):
    """Write the documents of the output stage to `dataset/data/*.parquet`.

    Documents keep the order of the inputs, so the bytes do not depend on how they were processed.

    Args:
        source: the pipeline's output.
        published: published columns, name to type, in order.
        target_bytes: size that files stay under, as the sum of what their units take on disk.
    """

    source: StageKind
    published: tuple[tuple[str, str], ...]
    target_bytes: int = _TARGET_BYTES
    name: str = "dataset"
    resources: Resources = Resources()

    @staticmethod
    def of(pipeline: Pipeline) -> DatasetStage:
        """Return the dataset stage of a pipeline."""
        types = {"text": "string", "id": "string", **pipeline.output.columns}
        columns = pipeline.columns or tuple(types)
        return DatasetStage(pipeline.output, tuple((name, types[name]) for name in columns))

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The pipeline's output."""
        return (self.source,)

    @property
    def columns(self) -> Mapping[str, str]:
        """The published columns."""
        return dict(self.published)

    def identity(self) -> Mapping[str, Any]:
        """Columns and file size."""
        return {"published": self.published, "target_bytes": self.target_bytes}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the rows evenly over as few files as the target size allows."""
        files = [manifest.files["documents"] for manifest in sources[0]]
        total_rows = sum(file.rows for file in files)
        total_bytes = sum(file.bytes for file in files)
        count = max(1, -(-total_bytes // self.target_bytes))
        digest = hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()[:10]
        units = []
        for index in range(count):
            first, last = total_rows * index // count, total_rows * (index + 1) // count
            name = f"train-{index:05d}-of-{count:05d}"
            parts, start = [], 0
            for file in files:
                begin, end = max(first, start), min(last, start + file.rows)
                if begin < end:
                    parts.append([file.name, begin - start, end - start])
                start += file.rows
            spec = {"file": f"dataset/data/{name}.parquet", "parts": parts}
            units.append(Unit(f"{name}-{digest}", total_bytes // count, spec))
        return units

    def process(self, unit: Unit, work: Work) -> None:
        """Copy the unit's rows to its file."""
        counts = StepCounts("dataset")
        published = self.columns
        rows = sum(last - first for _, first, last in unit.spec["parts"])
        with work.create("documents", unit.spec["file"]) as output:
            writer = DocumentWriter(output, schema(self.columns, self.file_metadata()))
            for file, first, last in unit.spec["parts"]:
                with open_input(join(work.out, file)) as stream:
                    for doc in read_documents(stream, first, last):
                        doc.metadata = {k: v for k, v in doc.metadata.items() if k in published}
                        writer.add(doc)
                        counts.entered += 1
                        work.manifest.kept += 1
                        work.manifest.text_chars += len(doc.text)
                        work.progress(counts.entered, lambda: counts.entered / max(rows, 1))
            writer.close()
            work.rows["documents"] = writer.rows
        work.manifest.steps = [counts]
        work.manifest.entered = counts.entered


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
    there = set(names(join(out, "dataset", "data")))
    for unit in units:
        if unit.spec["file"].rsplit("/", 1)[-1] not in there:
            remove(join(folder, f"{unit.name}.json"))
    done = set(names(folder))
    finished = {unit.spec["file"] for unit in units if f"{unit.name}.json" in done}
    if stale or len(finished) < len(units):
        remove(join(out, "dataset", "README.md"))
    for name in sorted(there):
        if f"dataset/data/{name}" not in finished and not name.startswith("."):
            remove(join(out, "dataset", "data", name))
