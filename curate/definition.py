"""A pipeline file: load it, give its parameters their types, explain what is wrong with it."""

from __future__ import annotations

import difflib
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from .errors import CurateError, DefinitionError, SignalledError
from .input_stream import reading
from .own_code import PIPELINE
from .pipeline import Pipeline


class _Fresh(importlib.machinery.SourceFileLoader):
    """Compiles a file each time: Python takes one of the same size and second for unchanged."""

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load(path: str) -> Callable[..., object]:
    """Import a pipeline file and return its function `pipeline`."""
    with reading(path):
        found = Path(path).is_file()
    if not found:
        raise DefinitionError(
            f"{path}: there is no such pipeline file (looked from {Path.cwd()}).\n"
            "Give a Python file with a function `pipeline`, such as pipelines/fineweb.py."
        )
    spec = importlib.util.spec_from_file_location(PIPELINE, path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path}: a pipeline file is Python and ends in .py.")
    spec.loader = _Fresh(PIPELINE, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name, so that a file may define its own steps; modules
    # that lie beside it can be imported.
    sys.modules[PIPELINE] = module
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    with explaining(path):
        spec.loader.exec_module(module)
    function = getattr(module, "pipeline", None)
    if not callable(function):
        raise DefinitionError(
            f"{path}: has no function `pipeline`. Define `def pipeline(...) -> Pipeline:`."
        )
    return typing.cast(Callable[..., object], function)


def call(path: str, function: Callable[..., object], parameters: Mapping[str, Any]) -> Pipeline:
    """Call the function of a pipeline file and return the pipeline it defines."""
    with explaining(path):
        pipeline = function(**parameters)
    if not isinstance(pipeline, Pipeline):
        raise DefinitionError(f"{path}: pipeline() returned {pipeline!r} and not a Pipeline.")
    return pipeline


@contextmanager
def explaining(path: str) -> Iterator[None]:
    """Turn what goes wrong in a pipeline file into where and what; what it prints is no answer."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except CurateError as error:
        line = _line_in(path, error)
        raise type(error)(f"{path}{line}: {error}") from error
    except (Exception, SystemExit) as error:  # to end Python here would look like all done
        _raise_signal(error)
        line = _line_in(path, error)
        if isinstance(error, SyntaxError) and error.lineno:
            line = f", line {error.lineno}"
        what = " ".join(str(error).split())[:300]
        raise DefinitionError(f"{path}{line}: {type(error).__name__}: {what}") from error


def _raise_signal(error: BaseException | None) -> None:
    """Raise what a signal raised: up to Python 3.11 a class in the making wraps it in another."""
    while error is not None:
        if isinstance(error, SignalledError | KeyboardInterrupt):
            raise error
        error = error.__cause__


def _line_in(path: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(path)]
    return f", line {lines[-1]}" if lines else ""


def convert_all(
    path: str, function: Callable[..., object], given: Mapping[str, str]
) -> dict[str, Any]:
    """Give the user's strings the types that the function's signature names."""
    with explaining(path):
        hints = typing.get_type_hints(function)
    known = inspect.signature(function).parameters
    values = {}
    for name, text in given.items():
        if name not in known:
            raise DefinitionError(
                f"{path}: no parameter {name!r}.{did_you_mean(name, list(known))}"
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


def did_you_mean(name: str, known: list[str]) -> str:
    """Return a guess at what was meant, and all that would have been right."""
    close = difflib.get_close_matches(name, known, 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess}\nThere are: {', '.join(known) or 'none'}."
