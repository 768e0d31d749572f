"""Load a pipeline file; fingerprints; the list of units; what is left to do."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.util
import inspect
import json
import re
import sys
import traceback
import typing
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import __version__
from .dataset import DatasetStage
from .errors import CurateError, DefinitionError
from .manifest import Manifest
from .pipeline import Pipeline, StageKind, Unit, WholeStage
from .steps import Component, Reader
from .storage import InputFile, join, list_inputs, names, read_json, write_json


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
            found = Manifest.from_json(read_json(join(self.folder, f"{unit}.json")))
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
        self.path = path
        self.given = dict(parameters)
        function = _load(path)
        self.parameters = _convert(path, function, parameters)
        self.pipeline = _call(path, function, self.parameters)
        self.out = out.removeprefix("file://").rstrip("/") or f"runs/{self.pipeline.name}"
        self.stages: list[PlannedStage] = []
        for stage in [*self.pipeline.stages, DatasetStage.of(self.pipeline)]:
            with _explaining(path):
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

    def stage(self, name: str) -> PlannedStage:
        """Return a stage by name.

        Raises:
            DefinitionError: there is none; the message lists those there are.
        """
        for planned in self.stages:
            if planned.name == name:
                return planned
        known = [planned.name for planned in self.stages]
        raise DefinitionError(f"no stage {name!r}.{_did_you_mean(name, known)}")

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
                "inputs": {
                    name: [dataclasses.asdict(file) for file in files]
                    for name, files in self.inputs.items()
                },
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
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unit(file: InputFile) -> Unit:
    # The name is the same in every run, unique by path, and new when the file has changed.
    identity = f"{file.path}\n{file.size}\n{file.tag}".encode("utf-8", "surrogateescape")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(file.path).name.split(".")[0])[:100] or "input"
    name = f"{stem}-{hashlib.sha256(identity).hexdigest()[:10]}"
    return Unit(name, file.size, {"path": file.path, "size": file.size})


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
        "source": _source(type(part)),
    }


def _source(kind: type) -> str:
    """Return the code of a user's own step, so that a change of it is seen; ours has `version`."""
    if kind.__module__.partition(".")[0] == "curate":
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""


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


def _load(path: str) -> Callable[..., object]:
    """Import a pipeline file and return its function `pipeline`."""
    if not Path(path).is_file():
        raise DefinitionError(
            f"{path}: there is no such pipeline file (looked from {Path.cwd()}).\n"
            "Give a Python file with a function `pipeline`, such as pipelines/fineweb.py."
        )
    spec = importlib.util.spec_from_file_location("curate_pipeline", path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path}: a pipeline file is Python and ends in .py.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name, so that a file may define its own steps; modules
    # that lie beside it can be imported.
    sys.modules["curate_pipeline"] = module
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    with _explaining(path):
        spec.loader.exec_module(module)
    function = getattr(module, "pipeline", None)
    if not callable(function):
        raise DefinitionError(
            f"{path}: has no function `pipeline`. Define `def pipeline(...) -> Pipeline:`."
        )
    return typing.cast(Callable[..., object], function)


def _call(path: str, function: Callable[..., object], parameters: Mapping[str, Any]) -> Pipeline:
    with _explaining(path):
        pipeline = function(**parameters)
    if not isinstance(pipeline, Pipeline):
        raise DefinitionError(f"{path}: pipeline() returned {pipeline!r} and not a Pipeline.")
    return pipeline


@contextmanager
def _explaining(path: str) -> Iterator[None]:
    """Turn what goes wrong in a pipeline file into where and what."""
    try:
        yield
    except CurateError as error:
        line = _line_in(path, error)
        raise type(error)(f"{path}{line}: {error}") from error
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else _line_in(path, error)
        what = " ".join(str(error).split())[:300]
        raise DefinitionError(f"{path}{line}: {type(error).__name__}: {what}") from error


def _line_in(path: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(path)]
    return f", line {lines[-1]}" if lines else ""


def _convert(
    path: str, function: Callable[..., object], given: Mapping[str, str]
) -> dict[str, Any]:
    """Give the user's strings the types that the function's signature names."""
    with _explaining(path):
        hints = typing.get_type_hints(function)
    known = inspect.signature(function).parameters
    values = {}
    for name, text in given.items():
        if name not in known:
            raise DefinitionError(
                f"{path}: no parameter {name!r}.{_did_you_mean(name, list(known))}"
            )
        values[name] = convert(name, text, hints.get(name, str))
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in values:
            raise DefinitionError(
                f"{path}: the parameter {name!r} has no default: give -p {name}=..."
            )
        values.setdefault(name, parameter.default)
    return values


def convert(name: str, text: str, kind: Any) -> Any:
    """Read the text of a parameter as the type its signature names.

    Raises:
        DefinitionError: it is not of that type; the message says what would be.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if text in [str(choice) for choice in arguments]:
            return next(choice for choice in arguments if str(choice) == text)
        choices = ", ".join(str(choice) for choice in arguments)
        raise DefinitionError(f"parameter {name}: {text!r} is not allowed; choose from: {choices}.")
    if origin is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(convert(name, part, arguments[0]) for part in parts)
    if kind is bool:
        if text.lower() in {"true", "yes", "1", "false", "no", "0"}:
            return text.lower() in {"true", "yes", "1"}
        raise DefinitionError(f"parameter {name}: {text!r} is neither true nor false.")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise DefinitionError(f"parameter {name}: {text!r} is not {what}.") from None
    if kind is str:
        return text
    raise DefinitionError(
        f"parameter {name}: the type {kind} cannot be given with -p; allowed are str, int, float,"
        " bool, Literal and tuple."
    )


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess}\nThere are: {', '.join(known) or 'none'}."
