"""Fingerprints, the list of units, and what is left to do of a pipeline."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import __version__
from .dataset import DatasetStage
from .definition import call, convert_all, did_you_mean, explaining, load
from .errors import DefinitionError
from .inputs import InputFile, list_inputs
from .manifest import Manifest
from .own_code import code_of
from .pipeline import StageKind, Unit, WholeStage
from .steps import Component, Reader
from .storage import exists, join, names, read_json, write_json


@dataclass(frozen=True)
class PlannedStage:
    """A stage with its identity and its place in the output folder."""

    stage: StageKind
    fingerprint: str
    folder: str
    # A unit that is done stays as it is, so its manifest is read once.
    _manifests: dict[str, Manifest] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    def done(self) -> set[str]:
        """Name the units that have a manifest."""
        return {name[:-5] for name in names(self.folder) if name.endswith(".json")}

    def manifest(self, unit: str) -> Manifest:
        """Read the manifest of a unit that is done."""
        found = self._manifests.get(unit)
        if found is None:
            found = Manifest.read(join(self.folder, f"{unit}.json"))
            self._manifests[unit] = found
        return found


class Plan:
    """A pipeline with its parameters and an output folder: what there is, and what is left to do.

    Args:
        path: the pipeline file.
        parameters: values given by the user, as strings, by name.
        out: output folder; `runs/<pipeline>` when empty.
    """

    def __init__(self, path: str, parameters: Mapping[str, str], out: str = "") -> None:
        self.path = path = _no_flag(path)
        self.given = dict(parameters)
        function = load(path)
        self.parameters = convert_all(path, function, parameters)
        self.pipeline = call(path, function, self.parameters)
        self.out = _no_flag(out.removeprefix("file://").rstrip("/")) or (
            f"runs/{self.pipeline.name}"
        )
        self.stages: list[PlannedStage] = []
        for stage in [*self.pipeline.stages, DatasetStage.of(self.pipeline)]:
            with explaining(path):
                fingerprint = self._fingerprint(stage)
            folder = join(self.out, "stages", f"{stage.name}-{fingerprint}")
            self.stages.append(PlannedStage(stage, fingerprint, folder))

    @cached_property
    def inputs(self) -> dict[str, list[InputFile]]:
        """The input files of each stage that has a reader, by the stage's name."""
        found = {}
        for planned in self.stages:
            for source in planned.stage.sources:
                if isinstance(source, Reader):
                    found[planned.name] = list_inputs(source.paths)
        return found

    @property
    def inputs_digest(self) -> str:
        """A digest of the list of inputs, for workers to see that they have the same."""
        return _digest(self.inputs_json())

    def read_inputs(self, path: str, digest: str) -> None:
        """Take the fixed list of inputs from a JSON file, such as run.json, instead of listing.

        Raises:
            DefinitionError: it is not the list of that digest: another run has changed it.
        """
        value = read_json(path)["inputs"]
        if _digest(value) != digest:
            raise DefinitionError(
                f"{path}: the list of inputs was changed by another run to the same folder."
                "\nGive the command again."
            )
        self.inputs = {name: [InputFile(**file) for file in files] for name, files in value.items()}

    def inputs_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return the inputs of each stage that has a reader, as run.json holds them."""
        return {
            name: [dataclasses.asdict(file) for file in files]
            for name, files in self.inputs.items()
        }

    def stage(self, name: str) -> PlannedStage:
        """Return a stage by name.

        Raises:
            DefinitionError: there is none; the message lists those there are.
        """
        for planned in self.stages:
            if planned.name == name:
                return planned
        known = [planned.name for planned in self.stages]
        raise DefinitionError(f"no stage {name!r}.{did_you_mean(name, known)}")

    def units(self, planned: PlannedStage, partial: bool = False) -> list[Unit] | None:
        """List the units of a stage in the order of their inputs.

        None for a stage that looks at all documents while one of its sources is not done. With
        `partial`, a source that works file by file may lack some of its units, but not all.
        """
        stage = planned.stage
        if isinstance(stage, WholeStage):
            manifests = []
            for source in stage.sources:
                assert isinstance(source, StageKind)
                above = self.stage(source.name)
                units = self.units(above, partial)
                done = above.done()
                if units is None:
                    return None
                missing = sum(unit.name not in done for unit in units)
                whole = isinstance(source, WholeStage) and not source.per_unit
                if missing and (not partial or whole or missing == len(units)):
                    return None
                manifests.append([above.manifest(u.name) for u in units if u.name in done])
            return stage.units(manifests)
        source = stage.sources[0]
        if isinstance(source, Reader):
            return [_unit(file) for file in self.inputs[stage.name]]
        return self.units(self.stage(source.name), partial)

    def ready(self, planned: PlannedStage, units: list[Unit]) -> list[Unit]:
        """Those of `units` whose source is done; all, when the stage reads input files."""
        source = planned.stage.sources[0]
        if isinstance(source, Reader) or isinstance(planned.stage, WholeStage):
            return units
        done = self.stage(source.name).done()
        return [unit for unit in units if unit.name in done]

    def check_folder(self) -> None:
        """Refuse a folder that holds another pipeline, whose dataset this one would remove.

        Raises:
            DefinitionError: it does.
        """
        path = join(self.out, "run.json")
        if not exists(path):
            return
        with suppress(ValueError, KeyError, TypeError):  # damaged: it is written again
            there = read_json(path)["pipeline"]
            if there != self.pipeline.name:
                raise DefinitionError(
                    f"{self.out}: holds the pipeline {there!r} and not {self.pipeline.name!r},"
                    " whose dataset would take the place of the other.\nGive another folder with"
                    f" --out, or remove {self.out}."
                )

    def save(self, partial: bool = False) -> None:
        """Write run.json: pipeline file, parameters, versions, the fixed list of inputs."""
        write_json(
            join(self.out, "run.json"),
            {
                "pipeline": self.pipeline.name,
                "file": self.path,
                "parameters": {key: _plain(value, key) for key, value in self.parameters.items()},
                "given": self.given,
                "versions": {"curate": __version__, "python": sys.version.split()[0]},
                "inputs": self.inputs_json(),
                "stages": [self._stage_json(planned, partial) for planned in self.stages],
            },
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `curate plan --json` prints."""
        stages = []
        for planned in self.stages:
            units, done = self.units(planned), planned.done()
            stages.append(
                {
                    "name": planned.name,
                    "fingerprint": planned.fingerprint,
                    "steps": [part.name for part in _parts(planned.stage)],
                    "units": None if units is None else len(units),
                    "left": None if units is None else sum(u.name not in done for u in units),
                }
            )
        return {"pipeline": self.pipeline.name, "out": self.out, "stages": stages}

    def settings(self) -> dict[str, Any]:
        """Return every setting of every step, with the versions that decide its output."""
        return {
            planned.name: {
                part.name: {
                    **_plain(part.identity(), part.name),
                    **{f"version of {k}": v for k, v in part.library_versions().items()},
                }
                for part in _parts(planned.stage)
            }
            for planned in self.stages
        }

    def _stage_json(self, planned: PlannedStage, partial: bool) -> dict[str, Any]:
        units = self.units(planned, partial)
        return {
            "name": planned.name,
            "fingerprint": planned.fingerprint,
            "folder": planned.folder[len(self.out) + 1 :],
            "source": [s.name for s in planned.stage.sources if isinstance(s, StageKind)],
            "units": None if units is None else [unit.name for unit in units],
        }

    def _fingerprint(self, stage: StageKind) -> str:
        sources = []
        for source in stage.sources:
            if isinstance(source, Reader):
                sources.append(_identity(source))
            else:
                sources.append({"stage": self.stage(source.name).fingerprint})
        identity = {
            "name": stage.name,
            "kind": _qualname(stage),
            "values": _plain(stage.identity(), stage.name),
            "sources": sources,
            "steps": [_identity(step) for step in stage.steps],
            # Letters, digits and case mapping change with the Unicode tables of the interpreter.
            "unicode": unicodedata.unidata_version,
        }
        if code := code_of(type(stage)):
            identity["source"] = code
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _no_flag(path: str) -> str:
    """Return a path that no command takes for one of its flags: workers and sbatch are given it."""
    return f"./{path}" if path.startswith("-") else path


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)  # ASCII, so that odd file names are no trouble
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unit(file: InputFile) -> Unit:
    # The name is the same in every run, unique by path, and new when the file has changed.
    identity = f"{file.path}\n{file.size}\n{file.tag}".encode("utf-8", "surrogateescape")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(file.path).name.split(".")[0])[:100] or "input"
    name = f"{stem}-{hashlib.sha256(identity).hexdigest()[:10]}"
    return Unit(name, file.size, {"path": file.path, "size": file.size, "tag": file.tag})


def _parts(stage: StageKind) -> list[Component]:
    return [*(s for s in stage.sources if isinstance(s, Reader)), *stage.steps]


def _qualname(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _identity(part: Component) -> dict[str, Any]:
    from .assets import sha256

    return {
        "kind": _qualname(part),
        "version": part.version,
        "values": _plain(part.identity(), part.name),
        "libraries": dict(part.library_versions()),
        "assets": [sha256(path) for path in part.assets()],
        "source": code_of(type(part)),
    }


def _plain(value: Any, where: str) -> Any:
    """Turn a value into JSON types, or refuse it: what has no fixed form has no fingerprint."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, where) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"kind": _qualname(value), **_plain(values, where)}
    raise DefinitionError(
        f"{where}: {value!r} is not a plain value. Use numbers, strings, tuples and dataclasses of"
        " them, so that the stage has a fingerprint."
    )
