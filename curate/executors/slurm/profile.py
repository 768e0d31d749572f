"""Facts of a cluster, from a TOML file: never from a pipeline."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import DefinitionError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Where the driver itself, submitted with --detach, gets its values from.
DRIVER = "driver"


@dataclass(frozen=True)
class Profile:
    """What jobs ask of the cluster; curate/data/slurm.toml explains each key.

    Attributes:
        options: further options for sbatch, such as "--constraint=skylake".
        memory_gb: of each worker; what the stage asks for when 0.
        max_array_size: the cluster's own when 0.
        silence_minutes: a task that gives no sign of life for so long is cancelled and replaced.
        stages: values for one stage, or for the "driver".
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    options: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    setup: str = ""
    python: str = ""
    scratch: str = ""
    log_folder: str = ""
    tasks: int = 50
    workers: int = 1
    hours: float = 4.0
    memory_gb: float = 0.0
    max_array_size: int = 0
    silence_minutes: float = 10.0
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, stage: str) -> Profile:
        """Return the values for a stage."""
        return dataclasses.replace(self, **self.stages.get(stage, {}))


_RUN_ONLY = {"stages", "log_folder", "max_array_size", "silence_minutes"}
_KINDS = {field.name: field.type for field in dataclasses.fields(Profile)}


def load_profile(path: str, stages: Sequence[str]) -> Profile:
    """Read a profile file.

    Args:
        path: the file; `profiles/<path>.toml` when there is no such file; defaults when empty.
        stages: the pipeline's stages, which a profile may name.

    Raises:
        DefinitionError: it cannot be read, or holds what it may not.
    """
    if not path:
        return Profile()
    file = next((f for f in (Path(path), Path("profiles", f"{path}.toml")) if f.is_file()), None)
    if file is None:
        example = Path(__file__).parents[2] / "data" / "slurm.toml"
        raise DefinitionError(
            f"--profile {path}: there is no such file (looked from {Path.cwd()})."
            f"\nAn example to copy: {example}"
        )
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{file}: is not valid TOML: {error}.") from error
    tables = values.pop("stages", {})
    if not isinstance(tables, Mapping):
        raise DefinitionError(f"{file}: stages must be tables: [stages.NAME].")
    checked = _checked(str(file), values, [name for name in _KINDS if name != "stages"])
    known = [*stages, DRIVER]
    stage_values = {}
    for name, table in tables.items():
        if name not in known:
            raise DefinitionError(f"{file}: no stage {name!r}.{_guess(name, known)}")
        if not isinstance(table, Mapping):
            raise DefinitionError(f"{file}: stages.{name} must be a table: [stages.{name}].")
        allowed = [key for key in _KINDS if key not in _RUN_ONLY]
        stage_values[name] = _checked(f"{file}: [stages.{name}]", table, allowed)
    return Profile(**checked, stages=stage_values)


def _checked(where: str, values: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in allowed:
            raise DefinitionError(f"{where}: no key {key!r}.{_guess(key, allowed)}")
        kind = _KINDS[key]
        if kind == "tuple[str, ...]":
            fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
            what = "a list of strings"
        elif kind == "str":
            fits, what = isinstance(value, str), "a string"
        else:
            number = int if kind == "int" else int | float
            fits = isinstance(value, number) and not isinstance(value, bool) and value >= 0
            fits = fits and math.isfinite(value)
            what = "a whole number" if kind == "int" else "a number"
            if key in {"tasks", "workers", "hours"}:
                fits = fits and value > 0
                what += " above 0"
        if not fits:
            raise DefinitionError(f"{where}: {key} must be {what}, not {value!r}.")
        checked[key] = tuple(value) if isinstance(value, list) else value
    return checked


def _guess(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess}\nThere are: {', '.join(known)}."
