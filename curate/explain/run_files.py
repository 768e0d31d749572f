"""The files of a run, for those who read it afterwards: stages, units, rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..decisions import MEASURED
from ..document import open_parquet
from ..errors import InputError
from ..manifest import Manifest
from ..storage import exists, join, names, open_input, read_json


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the decisions of a unit."""

    stage: str
    unit: str
    row: int


class StageFiles:
    """One stage of a run: what its folder holds of the units that run.json lists."""

    def __init__(self, out: str, record: dict[str, Any]) -> None:
        self.out = out
        self.name: str = record["name"]
        self.fingerprint: str = record["fingerprint"]
        self.folder = join(out, record["folder"])
        self.sources: tuple[str, ...] = tuple(record["source"])
        self.units: list[str] = record["units"] or []

    @cached_property
    def decisions(self) -> dict[str, str]:
        """The decisions' file of each unit that is done, in the order of the inputs."""
        listed = names(self.folder)
        done = {name[:-5] for name in listed if name.endswith(".json")}
        files: dict[str, list[str]] = {}
        for name in listed:
            if name.endswith(".decisions.parquet") and not name.startswith("."):
                files.setdefault(name.split(".", 1)[0], []).append(name)
        found = {}
        for unit in self.units:
            there = files.get(unit.split(".", 1)[0], ()) if unit in done else ()
            if len(there) == 1:
                found[unit] = join(self.folder, there[0])
            elif there:  # writers that died left others
                found[unit] = join(self.out, self.manifest(unit).files["decisions"].name)
        return found

    def manifest(self, unit: str) -> Manifest:
        """Read the manifest of a unit that is done."""
        return Manifest.read(join(self.folder, f"{unit}.json"))

    def is_done(self, unit: str) -> bool:
        """Tell whether a unit has its manifest."""
        return exists(join(self.folder, f"{unit}.json"))

    def failure(self, unit: str) -> str | None:
        """Return the last error of a unit that was tried and is not done; None if it was not."""
        failures = self.folder.rpartition("/")[2]
        path = join(self.out, "failures", failures, f"{unit}.json")
        try:
            return str(read_json(path)["error"]) if exists(path) else None
        except (ValueError, KeyError, TypeError):
            return None

    def file(self, unit: str, role: str) -> str | None:
        """Return the path of a file of a unit, if it has one in this role and it is there."""
        info = self.manifest(unit).files.get(role)
        path = join(self.out, info.name) if info else ""
        return path if path and exists(path) else None

    def document_rows(self, unit: str) -> dict[int, int]:
        """Return the row among the documents of each record that a unit kept, by its decision's.

        Of a document that was repeated it is the first copy; copies are next to each other.
        """
        import pyarrow.compute as pc

        outcomes = read_columns(self.decisions[unit], ("outcome",)).column(0)
        kept: list[int] = pc.indices_nonzero(pc.equal(outcomes, "kept")).to_pylist()
        documents = self.file(unit, "documents")
        if documents is None or self.manifest(unit).files["documents"].rows == len(kept):
            return dict(zip(kept, range(len(kept)), strict=True))
        names = read_columns(self.decisions[unit], ("id",)).column(0).to_pylist()
        ids = read_columns(documents, ("id",)).column(0).to_pylist()
        rows, place = {}, 0
        for row, following in zip(kept, [*kept[1:], None], strict=True):
            rows[row] = place
            place += 1
            is_last = following is None or names[following] != names[row]
            while is_last and place < len(ids) and ids[place] == names[row]:
                place += 1
        return rows

    def of_source(self, unit: str) -> str | None:
        """Return the unit that takes the documents of a unit of the source."""
        if unit in self._unit_set:
            return unit
        return self._by_stem.get(unit)

    @cached_property
    def _unit_set(self) -> set[str]:
        return set(self.units)

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        # A unit whose name changes with its duplicates is `<unit of the source>-<10 hex digits>`,
        # or `...-none` where it has none.
        return {re.sub(r"-([0-9a-f]{10}|none)\Z", "", unit): unit for unit in self.units}


class RunFiles:
    """The stages of a run, by name and in order.

    Raises:
        InputError: there is no run in this folder, or its record cannot be read.
    """

    def __init__(self, out: str) -> None:
        self.out = out.removeprefix("file://").rstrip("/")
        path = join(self.out, "run.json")
        if not exists(path):
            raise InputError(
                f"{self.out}: there is no run here (no run.json).\nGive the folder of a run, such"
                " as runs/fineweb."
            )
        try:
            self.run: dict[str, Any] = read_json(path)
            self.stages = {one["name"]: StageFiles(self.out, one) for one in self.run["stages"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: is damaged ({type(error).__name__}).\nGive the run's command again: it"
                " writes the file anew and goes on where it was."
            ) from error

    def stage(self, name: str) -> StageFiles:
        """Return a stage by name.

        Raises:
            InputError: there is none; the message lists those there are.
        """
        if name not in self.stages:
            raise InputError(f"no stage {name!r}. There are: {', '.join(self.stages)}.")
        return self.stages[name]

    @property
    def first(self) -> list[StageFiles]:
        """The stages that read input files: every record is in the decisions of one."""
        return [stage for stage in self.stages.values() if not stage.sources]

    def source_of(self, stage: StageFiles) -> StageFiles | None:
        """Return the stage whose documents a stage takes, if it is not one that reads input."""
        for name in stage.sources:
            source = self.stages.get(name)
            if source and source.decisions:
                return source
        return None

    @property
    def output(self) -> StageFiles:
        """The last stage that decides: its documents are published."""
        deciding = [stage for stage in self.stages.values() if stage.decisions]
        return deciding[-1] if deciding else next(iter(self.stages.values()))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into a message for the user."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as Parquet ({type(error).__name__}).\n`curate verify OUT`"
            " names all that is damaged, and what to remove."
        ) from error


def read_rows(path: str, rows: Sequence[int], columns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read rows of a Parquet file in the order given; only their row groups are unpacked."""
    import pyarrow as pa

    found: dict[int, dict[str, Any]] = {}
    with open_input(path) as stream, _readable(path):
        file = open_parquet(stream)
        wanted = [name for name in columns if name in file.schema_arrow.names] or None
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = sorted({row for row in rows if start <= row < end})
            if here:
                table = file.read_row_group(group, wanted, use_threads=False)
                taken = table.take(pa.array([row - start for row in here]))
                found.update(zip(here, taken.to_pylist(), strict=True))
            start = end
    return [found[row] for row in rows if row in found]


def read_columns(path: str, columns: Sequence[str]) -> Any:
    """Read whole columns of a Parquet file as a table; those it lacks are left out."""

    with open_input(path) as stream, _readable(path):
        file = open_parquet(stream)
        return file.read([c for c in columns if c in file.schema_arrow.names], use_threads=False)


def measured(path: str) -> dict[str, Any] | None:
    """Return what the measures of a decisions' file are, if it holds any."""
    import pyarrow.parquet as pq

    with open_input(path) as stream, _readable(path):
        metadata = pq.read_metadata(stream).metadata or {}
    text = metadata.get(MEASURED.encode())
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found
