"""The import direction that keeps the parts apart (README, Architecture)."""

from __future__ import annotations

import ast
from pathlib import Path

import curate

PACKAGE = Path(curate.__file__).parent
LAYERS = ["document", "steps", "pipeline", "plan", "task", "executors", "cli"]
STEP_PACKAGES = ["readers", "extract", "filters", "formatters"]
STEPS_MAY_USE = {"document", "steps", "errors", "words", "tokens", "assets", "pages", "storage"}


def _imports(path: Path) -> set[str]:
    """Modules of curate that a file imports when it runs, without those only for type checkers."""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    depth = len(path.relative_to(PACKAGE).parts)
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            own_package = path.relative_to(PACKAGE).parts[: depth - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*own_package, name]) for name in names if name}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("curate."):
            found.add(str(node.module).removeprefix("curate."))
    return found


def test_layers_import_only_what_is_below_them() -> None:
    """document <- steps <- pipeline <- plan <- task <- executors <- cli."""
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if layer in LAYERS:
            above = set(LAYERS[LAYERS.index(layer) + 1 :])
            wrong = {name for name in _imports(path) if name.split(".")[0] in above}
            assert not wrong, f"{path}: imports {wrong}"


def test_step_packages_know_nothing_of_running() -> None:
    """Readers, extractors, filters and formatters import only what a step needs."""
    for package in STEP_PACKAGES:
        for path in (PACKAGE / package).rglob("*.py"):
            allowed = STEPS_MAY_USE | set(STEP_PACKAGES)
            wrong = {name for name in _imports(path) if name.split(".")[0] not in allowed}
            assert not wrong, f"{path}: imports {wrong}"


def test_files_stay_readable() -> None:
    """No file grows beyond 400 lines."""
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
