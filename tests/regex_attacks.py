"""Texts made to have each regular expression of ours search for long.

`python -m tests.regex_attacks` prints, as JSON, which take more time than their texts' length
warrants: of four times the text a linear search takes 4 times as long, a quadratic one 16 times.
"""

from __future__ import annotations

import importlib
import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from .regex_patterns import BUILT, ONCE, Found, collect

# The parser of regular expressions; a module of its own before Python 3.11.
parser: Any = importlib.import_module("sre_parse" if sys.version_info < (3, 11) else "re._parser")
compiler: Any = importlib.import_module(
    "sre_compile" if sys.version_info < (3, 11) else "re._compiler"
)


class Bound(NamedTuple):
    """How many characters the code gives to a pattern at the most, and why no more."""

    size: int
    why: str


# Patterns, by file and name, whose time may grow faster than the text.
BOUNDED = {
    "filters/language_gate.py _MARKUP": Bound(1_500, "a paragraph as _PARAGRAPH takes it"),
}

SIZE = 4_000  # of the shorter text that is compared; the other has four times as many characters
RATIO = 8
_SCREEN = 1_000  # all texts are tried in this size, and the slowest compared
_FLOOR_S = 0.002  # a quadratic search of the longer text takes ten times this and more
_COMPARED = 3  # texts of each repeat
_LIMIT_S = 1.0  # no search is waited for longer
_MANY = 64  # a repeat that is allowed more often than this can be pumped
_MIXED = 8  # characters of a pattern, each of which is paired with each
_BREAKS = ("", "\0", "!", "\n", "a", "\u00e9")


class Attack(NamedTuple):
    """A text of any size: a start, a piece again and again, an end."""

    start: str
    piece: str
    end: str

    def text(self, size: int) -> str:
        """Return it with so many characters, and the end."""
        return (self.start + self.piece * (size // len(self.piece) + 1))[:size] + self.end


def attacks(pattern: str | bytes, flags: int) -> Iterator[list[Attack]]:
    """Yield for each repeat of a pattern the texts that pump it, and at last mixed ones."""
    seen: set[str] = set()
    repeats = list(_repeats(list(parser.parse(pattern, flags)), ""))
    chars = dict.fromkeys(char for _, pumps in repeats for pump in pumps for char in pump)
    few = list(chars)[:_MIXED]
    mixed = [left + right for left in few for right in few if left != right]
    for prefix, pumps in [*repeats, *(("", mixed[at::_MIXED]) for at in range(_MIXED))]:
        found = []
        for pump in filter(None, pumps):
            for lead in dict.fromkeys((prefix, "")):
                for start, piece in ((lead, pump), ("", lead + pump), ("", lead + pump * 3)):
                    for end in _BREAKS:
                        attack = Attack(start, piece, end)
                        text = attack.text(_SCREEN)
                        if text not in seen:
                            seen.add(text)
                            found.append(attack)
        yield found


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


class Search:
    """A pattern, searched as the code does."""

    def __init__(self, one: Found) -> None:
        self._pattern = re.compile(one.pattern, one.flags)
        self._is_bytes = isinstance(one.pattern, bytes)
        self._once = sorted(one.used & ONCE)
        self._often = bool(one.used - ONCE)

    def seconds(
        self, attack: Attack, size: int, limit_s: float = _LIMIT_S, tries: int = 3
    ) -> float:
        """Return the CPU time of the fastest of some tries; infinite when each took too long.

        Another process on the machine makes some of them longer, and hardly all.
        """
        text: Any = attack.text(size)
        if self._is_bytes:
            text = text.encode("latin-1", "replace")
        return min(self._once_more(text, limit_s) for _ in range(tries))

    def _once_more(self, text: Any, limit_s: float) -> float:
        started = time.thread_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
        try:
            for method in self._once:
                getattr(self._pattern, method)(text)
            if self._often:
                for _ in self._pattern.finditer(text):
                    pass
            taken = time.thread_time() - started
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _TooLong:
            return float("inf")
        return taken

    def growth(self, attack: Attack) -> float:
        """Return the seconds for the longer text; infinite if that takes far more than 4 times."""
        longer = self.seconds(attack, 4 * SIZE, tries=1)
        if longer < _FLOOR_S:
            return longer
        shorter = self.seconds(attack, SIZE)
        return self.seconds(attack, 4 * SIZE, min(RATIO * shorter, _LIMIT_S))


def assault(one: Found) -> tuple[int, float, Attack | None]:
    """Return how many texts were tried, the longest search, and a text that makes it grow."""
    search = Search(one)
    tried, longest, slow_s = 0, 0.0, _FLOOR_S
    for texts in attacks(one.pattern, one.flags):
        tried += len(texts)
        times: list[tuple[float, Attack]] = []
        for text in texts:
            taken = search.seconds(text, _SCREEN, tries=1)
            times.append((taken, text))
            if taken > slow_s:  # it is not waited for others that are as slow
                slow_s = 2 * taken
                if search.growth(text) == float("inf"):
                    return tried, longest, text
        for _, text in sorted(times, reverse=True)[:_COMPARED]:
            longest = max(longest, search.growth(text))
            if longest == float("inf"):
                return tried, 0.0, text
    return tried, longest, None


def at_bound(one: Found, size: int) -> float:
    """Return the longest search of a text of so many characters."""
    search = Search(one)
    texts = [text for texts in attacks(one.pattern, one.flags) for text in texts]
    texts.sort(key=lambda text: search.seconds(text, size, tries=1))
    return max(search.seconds(text, size) for text in texts[-_COMPARED:])


def main() -> dict[str, Any]:
    """Attack every pattern; return how many there are, and those that are not as the lists say."""
    signal.signal(signal.SIGVTALRM, _alarm)
    found, unlisted = collect()
    tried, worst = 0, (0.0, "")
    growing: dict[str, dict[str, Any]] = {}
    bounded: dict[str, dict[str, Any]] = {}
    for one in found:
        count, longest, text = assault(one)
        tried += count
        worst = max(worst, (longest, one.place))
        bound = BOUNDED.get(one.place)
        if text and bound:
            seconds = max(at_bound(one, bound.size), bounded.get(one.place, {}).get("seconds", 0.0))
            bounded[one.place] = {**bound._asdict(), "seconds": seconds}
        elif text:
            growing[one.place] = {"pattern": str(one.pattern)[:200], "used": sorted(one.used)}
            growing[one.place]["text"] = repr(text)
    return {
        "patterns": len(found),
        "texts": tried,
        "characters": 4 * SIZE,
        "worst": worst,
        "growing": growing,
        "bounded": bounded,
        "unlisted": unlisted,
        "stale": sorted((BOUNDED.keys() - bounded) | (BUILT.keys() - {one.place for one in found})),
    }


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))
