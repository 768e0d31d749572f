"""Every regular expression of ours, where it is and how it is used."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

ONCE = {"search", "match", "fullmatch"}
_METHODS = ONCE | {"sub", "subn", "finditer", "findall", "split"}


def _make_rtl() -> None:
    from curate.extract.pdf_rtl import logical

    for line in ("\u05d0\u05d1\u05d2 abc 12", "abc \u05d0\u05d1\u05d2 def 12"):
        logical(line)


def _make_trafilatura() -> None:
    from trafilatura import readability_lxml, settings, xpaths

    from curate.extract import trafilatura_searches

    trafilatura_searches.searches(xpaths, trafilatura_searches.Attributes(xpaths, readability_lxml))
    trafilatura_searches.basic_cleaning(settings)


def _make_letters() -> None:
    from curate.filters import languages

    for script in languages._LETTERS:
        languages._letters_of(script)


# Where a pattern is put together when it is needed: why it is linear, and what makes all of them.
BUILT: dict[str, tuple[str, Callable[[], None]]] = {
    "extract/pdf_rtl.py _turned": (
        "letters of one class, and from the first of another to the last of it",
        _make_rtl,
    ),
    "extract/trafilatura_searches.py _searching": (
        "trafilatura's alternatives, none with a repeat",
        _make_trafilatura,
    ),
    "filters/languages.py _letters_of": ("one letter of a class", _make_letters),
}


class Found(NamedTuple):
    """A pattern, the file and name of where it is, and how it is used: "match", "sub", ..."""

    place: str
    pattern: str | bytes
    flags: int
    used: frozenset[str]


class Code:
    """The source files of curate."""

    def __init__(self) -> None:
        import curate

        self.folder = Path(curate.__file__).parent
        self._nodes = {
            str(path.relative_to(self.folder)): list(ast.walk(ast.parse(path.read_text())))
            for path in sorted(self.folder.rglob("*.py"))
        }
        self._imported = {
            file: {
                one.name for node in nodes if isinstance(node, ast.ImportFrom) for one in node.names
            }
            for file, nodes in self._nodes.items()
        }

    def calls(self) -> Iterator[tuple[str, ast.Call | None, int, int]]:
        """Yield each use of `re` that takes a pattern: its file, the call if it is one, its lines.

        `re` under another name, and other libraries of the kind, are such uses as well.
        """
        for file, nodes in self._nodes.items():
            called = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
            for node in nodes:
                if isinstance(node, ast.Attribute):
                    if ast.unparse(node.value) == "re" and node.attr in _METHODS | {"compile"}:
                        call = called.get(id(node))
                        yield file, call, node.lineno, (call or node).end_lineno or 0
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    modules = {getattr(node, "module", None), *(one.name for one in node.names)}
                    is_plain = ast.unparse(node) == "import re"
                    if modules & {"re", "regex", "re2"} and not is_plain:
                        yield file, None, node.lineno, node.lineno

    def name(self, file: str, line: int) -> str:
        """Return the innermost function around a line, or what is assigned there outside of one."""
        functions = [
            (node.lineno, node.name)
            for node in self._nodes[file]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or 0)
        ]
        if functions and max(functions)[1] != "__init__":
            return max(functions)[1]
        return [*self._assigned(file, line), "module"][0]

    def methods(self, file: str, line: int) -> frozenset[str]:
        """Return how the code uses the pattern that is compiled at a line."""
        bound = {
            node.attr
            for node in self._nodes[file]
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Call)
            and node.lineno <= line <= (node.end_lineno or 0)
        }
        if bound & _METHODS:
            return frozenset(bound & _METHODS)
        names = set(self._assigned(file, line))
        found: set[str] = set()
        for other, nodes in self._nodes.items():
            if other != file and not names & self._imported[other]:
                continue
            uses = [
                node.attr
                for node in nodes
                if isinstance(node, ast.Attribute) and _name_of(node.value) in names
            ]
            reads = [node for node in nodes if _name_of(node) in names and _is_read(node)]
            if len(uses) < len(reads):
                return frozenset(_METHODS)  # it is handed on
            found.update(uses)
        return frozenset(found & _METHODS or _METHODS)

    def _assigned(self, file: str, line: int) -> list[str]:
        """Return the names that are assigned to at a line."""
        statements = [
            node
            for node in self._nodes[file]
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and node.lineno <= line <= (node.end_lineno or 0)
        ]
        targets = [
            target
            for node in statements
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        return [name for target in targets for node in ast.walk(target) if (name := _name_of(node))]


def _is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load)


def _name_of(node: ast.AST) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def collect() -> tuple[list[Found], list[str]]:
    """Return the patterns of curate, and the places of those that are put together when needed.

    Found are those that are compiled when all of curate is imported, and literal ones in functions.
    """
    import curate

    code = Code()
    compiled: dict[tuple[str | bytes, int, str, int], None] = {}
    compile_ = re._compile  # type: ignore[attr-defined]

    def noted(pattern: Any, flags: Any) -> Any:
        frame: FrameType | None = sys._getframe(2)
        path = Path(frame.f_code.co_filename) if frame else Path()
        if frame and path.is_relative_to(code.folder) and not hasattr(pattern, "flags"):
            file = str(path.relative_to(code.folder))
            compiled[pattern, int(flags), file, frame.f_lineno] = None
        return compile_(pattern, flags)

    re._compile = noted  # type: ignore[attr-defined]
    for _, name, _ in pkgutil.walk_packages(curate.__path__, "curate."):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    from curate.tokens import rules  # compiles on first use

    rules()
    for _, make in BUILT.values():
        make()
    re._compile = compile_  # type: ignore[attr-defined]
    found = [
        Found(f"{file} {code.name(file, line)}", pattern, flags, code.methods(file, line))
        for pattern, flags, file, line in compiled
    ]
    built = set()
    for file, call, first, last in code.calls():
        if any(file == other and first <= line <= last for _, _, other, line in compiled):
            continue
        place = f"{file} {code.name(file, first)}"
        given = call.args[0] if call and call.args else None
        if call and isinstance(given, ast.Constant) and isinstance(given.value, str | bytes):
            method = _name_of(call.func)
            used = frozenset({method}) if method in _METHODS else code.methods(file, first)
            found.append(Found(place, given.value, _flags(call), used))
        else:
            built.add(place)
    return sorted(found, key=lambda one: (one.place, str(one.pattern))), sorted(built)


def _flags(call: ast.Call) -> int:
    given = [*call.args[1:], *(word.value for word in call.keywords)]
    names = {_name_of(node) for one in given for node in ast.walk(one)}
    flags = re.RegexFlag(0)
    for flag in (getattr(re, name, None) for name in names):
        if isinstance(flag, re.RegexFlag):
            flags |= flag
    return int(flags)
