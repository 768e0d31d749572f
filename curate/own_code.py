"""The code of a user's own steps, so that a change of it is seen; ours has `version`."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

PIPELINE = "curate_pipeline"

_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
_INSTALLED = tuple({Path(sysconfig.get_path(place)).resolve() for place in _PLACES})
_PACKAGES = ("site-packages", "dist-packages")


def code_of(kind: type) -> str:
    """Return what tells the code of a class from what it was before.

    Of what is installed it is the source of the class alone, and of curate's own nothing.
    """
    if kind.__module__.partition(".")[0] == "curate":
        return ""
    if own := own_code(kind):
        return own
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""


def own_code(value: type | Callable[..., Any]) -> str:
    """Return a digest of the code that a user's own class or function needs; else nothing.

    It is of the modules that the class and its bases are defined in, and of those beside them that
    they import: a constant or a helper decides as much as the class. Comments, docstrings and
    layout do not count, nor does the function `pipeline`, whose values are in the fingerprint.
    """
    modules: dict[str, Path] = {}
    folders = []
    for kind in value.__mro__ if isinstance(value, type) else (value,):
        path = _file(kind.__module__)
        if path is not None and _is_own(kind.__module__, path):
            modules[kind.__module__] = path
            depth = kind.__module__.count(".") + (path.name == "__init__.py")
            folders.append(path.parents[depth])
    if value.__module__ not in modules:
        return ""
    found: dict[str, str] = {}
    waiting = list(modules.items())
    while waiting:
        name, path = waiting.pop()
        if name in found:
            continue
        found[name], imported = _read(path.read_bytes(), name, path.name == "__init__.py")
        for other in imported:
            beside = _beside(other, folders)
            if beside is not None:
                waiting.append((other, beside))
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _file(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def _is_own(module: str, path: Path) -> bool:
    if module.partition(".")[0] == "curate" or any(part in _PACKAGES for part in path.parts):
        return False
    return not any(folder in path.parents for folder in _INSTALLED)


def _beside(module: str, folders: Sequence[Path]) -> Path | None:
    """Return the file of a module in one of these folders, whether or not it is loaded yet."""
    path = _file(module)
    if path is not None:
        inside = any(folder in path.parents for folder in folders)
        return path if inside and _is_own(module, path) else None
    for folder in folders:
        place = folder.joinpath(*module.split("."))
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file() and _is_own(module, path):
                return path
    return None


@lru_cache(maxsize=256)
def _read(data: bytes, name: str, is_package: bool) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a module's code, and the names of what it may import."""
    try:
        tree = ast.parse(data)
        if name == PIPELINE:
            _leave_out_pipeline(tree)
        code = _plain(tree).encode("utf-8", "surrogatepass")
        package = name if is_package else name.rpartition(".")[0]
        imported = tuple(sorted(set(_imported(tree, package))))
    except (SyntaxError, ValueError, RecursionError):  # no Python, such as a compiled module
        code, imported = data, ()
    return hashlib.sha256(code).hexdigest(), imported


def _leave_out_pipeline(tree: ast.Module) -> None:
    """Remove the function `pipeline`, and what is imported from curate for it alone."""
    rest = [
        node
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and node.name == "pipeline")
    ]
    used = {node.id for top in rest for node in ast.walk(top) if isinstance(node, ast.Name)}
    if "pipeline" in used:
        return
    tree.body = []
    for node in rest:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "curate":
            node.names = [
                name
                for name in node.names
                if name.name == "*" or (name.asname or name.name) in used
            ]
            if not node.names:
                continue
        tree.body.append(node)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _prefixes(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".") if node.level else []
            above = above[: len(above) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            if start:
                yield from _prefixes(start)
            for alias in node.names:
                yield f"{start}.{alias.name}" if start else alias.name


def _prefixes(name: str) -> Iterator[str]:
    """Yield a module's name and those of the packages that it is in: they are run as well."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _plain(value: Any) -> str:
    """Spell out a syntax tree; unlike ast.dump, the same for each version of Python."""
    if isinstance(value, ast.AST):
        fields = (
            f"{name}={_plain(item)}"
            for name, item in ast.iter_fields(value)
            if item is not None and item != [] and name not in ("ctx", "kind", "type_comment")
        )
        return f"{type(value).__name__}({','.join(fields)})"
    if isinstance(value, list):
        return f"[{','.join(_plain(item) for item in value if not _does_nothing(item))}]"
    return repr(value)


def _does_nothing(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
