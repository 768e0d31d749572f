"""Which lines of a text made a filter drop it, for people to see."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

_SHORT_LINE = 30  # FineWebQualityFilter's short_line_length
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use cookies")
_WORD = re.compile(r"\w+", re.UNICODE)

Marker = Callable[[list[str]], Iterable[int]]


def marked_lines(reason: str, text: str) -> set[int]:
    """Return the numbers of the lines that a reason is about; none where it is about all.

    Args:
        reason: `<step>/<code>` or the code alone.
        text: what the filter saw; lines end at line feeds.
    """
    code = reason.rpartition("/")[2]
    lines = text.split("\n")
    gram = re.fullmatch(r"(top|duplicate)_(\d+)_gram", code)
    if gram:
        return set(_grams(lines, int(gram[2]), only_top=gram[1] == "top"))
    marker = _MARKERS.get(code)
    return set(marker(lines)) if marker else set()


def _repeated(lines: list[str]) -> Iterable[int]:
    seen: set[str] = set()
    for number, line in enumerate(lines):
        if line and line in seen:
            yield number
        seen.add(line)


def _where(test: Callable[[str], bool]) -> Marker:
    return lambda lines: [n for n, line in enumerate(lines) if line.strip() and test(line)]


def _grams(lines: list[str], size: int, only_top: bool) -> Iterable[int]:
    """Yield the lines that begin in an n-gram which the text repeats."""
    words: list[tuple[str, int]] = [
        (word.lower(), number) for number, line in enumerate(lines) for word in _WORD.findall(line)
    ]
    grams = [
        tuple(word for word, _ in words[at : at + size]) for at in range(len(words) - size + 1)
    ]
    counts = Counter(grams)
    if only_top:
        top = [gram for gram, count in counts.most_common(1) if count > 1]
        wanted = set(top)
    else:
        wanted = {gram for gram, count in counts.items() if count > 1}
    for at, gram in enumerate(grams):
        if gram in wanted:
            yield words[at][1]


def _unalphabetic(line: str) -> bool:
    words = line.split()
    return sum(any(char.isalpha() for char in word) for word in words) < 0.8 * len(words)


_MARKERS: dict[str, Marker] = {
    "duplicate_line_ratio": _repeated,
    "duplicate_line_char_ratio": _repeated,
    "duplicate_paragraph_ratio": _repeated,
    "duplicate_paragraph_char_ratio": _repeated,
    "too_many_bullet_lines": _where(lambda line: line.lstrip().startswith(("•", "-"))),
    "too_many_ellipsis_lines": _where(lambda line: line.rstrip().endswith(("...", "…"))),
    "too_many_ellipses": _where(lambda line: "..." in line or "…" in line),
    "too_many_hashes": _where(lambda line: "#" in line),
    "too_few_alphabetic_words": _where(_unalphabetic),
    "too_many_short_lines": _where(lambda line: len(line) <= _SHORT_LINE),
    "too_few_punctuated_lines": _where(lambda line: line.rstrip()[-1:] not in ".!?。！？…\"'”"),
    "curly_bracket": _where(lambda line: "{" in line),
    "lorem_ipsum": _where(lambda line: "lorem ipsum" in line.lower()),
    "too_few_sentences": _where(
        lambda line: len(line.split()) < 3 or any(phrase in line.lower() for phrase in _POLICY)
    ),
}
