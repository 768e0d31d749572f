"""Every regular expression of ours, and texts made to have each of them search for long.

`python -m tests.regex_attacks SIZE LIMIT_S` prints those whose search takes longer, as JSON.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

# The parser of regular expressions; a module of its own before Python 3.11.
parser: Any = importlib.import_module("sre_parse" if sys.version_info < (3, 11) else "re._parser")
compiler: Any = importlib.import_module(
    "sre_compile" if sys.version_info < (3, 11) else "re._compiler"
)

_MANY = 64  # a repeat that is allowed more often than this can be pumped
_METHODS = ("search", "match", "fullmatch", "sub", "finditer", "findall", "split")
_BREAKS = ("", "\0", "!", "\n", "a", "\u00e9")


def collect() -> dict[tuple[str | bytes, int], str]:
    """Import all of curate and return each pattern that its code compiles, and where it does."""
    import curate

    found: dict[tuple[str | bytes, int], str] = {}
    here = str(Path(curate.__file__).parent)
    compile_ = re._compile  # type: ignore[attr-defined]

    def noted(pattern: Any, flags: Any) -> Any:
        frame: FrameType | None = sys._getframe(2)
        if frame and frame.f_code.co_filename.startswith(here) and not hasattr(pattern, "flags"):
            place = f"{frame.f_code.co_filename[len(here) + 1 :]}:{frame.f_lineno}"
            found.setdefault((pattern, int(flags)), place)
        return compile_(pattern, flags)

    re._compile = noted  # type: ignore[attr-defined]
    names = [name for _, name, _ in pkgutil.walk_packages(curate.__path__, "curate.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    from curate.tokens import rules  # compiles on first use

    rules()
    re._compile = compile_  # type: ignore[attr-defined]
    return found


def methods(place: str) -> set[str]:
    """Return how the code uses the pattern that is compiled at a place: "match", "sub", ..."""
    import curate

    package = Path(curate.__file__).parent
    file, line = place.rsplit(":", 1)
    tree = ast.parse((package / file).read_text())
    bound = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Call)
        and node.lineno <= int(line) <= (node.end_lineno or 0)
    }
    if bound & set(_METHODS):
        return bound & set(_METHODS)
    names = {
        name.id if isinstance(name, ast.Name) else name.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.lineno <= int(line) <= (node.end_lineno or 0)
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name | ast.Attribute)
    }
    code = "\n".join(path.read_text() for path in package.rglob("*.py"))
    found = set()
    for name in names:
        found.update(re.findall(rf"\b{name}\.(\w+)\b(?=\(|\)|,)", code))
    return found & set(_METHODS) or set(_METHODS)


def attacks(pattern: str | bytes, flags: int, size: int) -> Iterator[str]:
    """Yield texts of about `size` characters that pump each repeat of a pattern."""
    tree = parser.parse(pattern, flags)
    seen = set()
    for prefix, pumps in _repeats(list(tree), ""):
        for pump in pumps:
            for lead in dict.fromkeys((prefix, "")):
                for text in (lead + pump * size, (lead + pump) * size, (lead + pump * 3) * size):
                    for end in _BREAKS:
                        attack = text[:size] + end
                        if attack not in seen:
                            seen.add(attack)
                            yield attack


def _repeats(items: list[Any], prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Yield for each repeat what comes before it and some texts that it takes."""
    for kind, value in items:
        name = str(kind)
        if "REPEAT" in name:
            _, most, body = value
            if int(most) > _MANY:
                yield prefix, list(_texts(list(body)))
            yield from _repeats(list(body), prefix)
        elif name == "SUBPATTERN":
            yield from _repeats(list(value[-1]), prefix)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _repeats(list(branch), prefix)
        elif name == "ATOMIC_GROUP":
            yield from _repeats(list(value), prefix)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from _repeats(list(value[1]), prefix)
        prefix += next(_texts([(kind, value)]), "")


def _texts(items: list[Any]) -> Iterator[str]:
    """Yield a few texts that these items match, the shortest first."""
    variants = [""]
    for kind, value in items:
        name = str(kind)
        options = [""]
        if name == "LITERAL":
            options = [chr(value)]
        elif name in ("IN", "NOT_LITERAL", "ANY"):
            options = _characters(kind, value)
        elif "REPEAT" in name:
            least, most, body = value
            inner = list(_texts(list(body)))[:3]
            options = [one * max(int(least), 1) for one in inner] if int(most) else [""]
            if not int(least):
                options.append("")
        elif name == "SUBPATTERN":
            options = list(_texts(list(value[-1])))[:4]
        elif name == "ATOMIC_GROUP":
            options = list(_texts(list(value)))[:4]
        elif name == "BRANCH":
            options = [text for branch in value[1] for text in list(_texts(list(branch)))[:2]][:6]
        variants = [left + right for left in variants[:6] for right in options[:6]]
    yield from dict.fromkeys(variants)


def _characters(kind: Any, value: Any) -> list[str]:
    candidates = " a1A.\n\t-/@:_<&\"'\r;,0zé一!"
    one = parser.SubPattern(parser.State())
    one.append((kind, value))
    matcher = _compile_tree(one)
    found = [char for char in candidates if matcher(char)]
    if str(kind) == "IN":
        found += [chr(item) for name, item in value if str(name) == "LITERAL"]
    return found[:6] or ["a"]


def _compile_tree(tree: Any) -> Any:
    tree.state.str = ""
    return compiler.compile(tree).fullmatch


class _TooLong(Exception):
    pass


def _alarm(*_: Any) -> None:
    raise _TooLong


def search_all(pattern: re.Pattern[Any], text: Any, used: set[str], limit_s: float) -> float:
    """Return the CPU seconds of searching so; infinite when it took longer than allowed."""
    signal.signal(signal.SIGVTALRM, _alarm)
    started = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        for method in used & {"match", "fullmatch", "search"}:
            getattr(pattern, method)(text)
        if used - {"match", "fullmatch", "search"}:
            for _ in pattern.finditer(text):
                pass
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TooLong:
        return float("inf")
    return time.process_time() - started


def main(size: int, limit_s: float) -> dict[str, Any]:
    """Attack every pattern; return how many there are and those that took too long."""
    slow: dict[str, Any] = {}
    found = collect()
    tried = 0
    worst = (0.0, "")
    for (pattern, flags), place in sorted(found.items(), key=lambda item: item[1]):
        compiled, used = re.compile(pattern, flags), methods(place)
        for text in attacks(pattern, flags, size):
            tried += 1
            given = text.encode("latin-1", "replace") if isinstance(pattern, bytes) else text
            taken = search_all(compiled, given, used, limit_s)
            if taken == float("inf"):
                slow.setdefault(
                    place, {"pattern": str(pattern)[:200], "used": sorted(used), "texts": []}
                )
                slow[place]["texts"].append(repr(text[:40]) + "..." + repr(text[-5:]))
                if len(slow[place]["texts"]) > 2:
                    break
            elif taken > worst[0]:
                worst = (taken, place)
    return {"patterns": len(found), "texts": tried, "worst": worst, "slow": slow}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2])), indent=1))
