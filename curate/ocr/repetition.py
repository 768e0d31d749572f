"""When a model that writes has lost the page: it repeats itself, or says what it says of nothing.

The thresholds are those with which FinePDFs stopped RolmOCR; a repeat is one in direct succession.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

_LINES = 3
_TABLE_LINES = 9
_SHORT_LINES = 12
_SHORT_LINE_CHARS = 8
_SENTENCES = 5
_SENTENCE_CHARS = 50
_CHARS = 350

_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_SAME_CHAR = re.compile(rf"(.)\1{{{_CHARS - 1}}}", re.DOTALL)
# What RolmOCR is known to write for pages without text (FinePDFs, postprocessing of failed pages).
_INVENTED = re.compile(
    r"The \d+\s?[-–]\s?\d+ season|"
    r"The following is a list of the most common types of data breaches and how"
)


def repeats(text: str, whole: bool = True) -> bool:
    """Tell whether a text goes round in circles.

    Args:
        text: what the model has written.
        whole: whether it is all; else its last line and sentence may go on and are not counted.
    """
    if _SAME_CHAR.search(text):
        return True
    lines = text.split("\n")
    sentences = _SENTENCE.split(text)
    if not whole:
        lines, sentences = lines[:-1], sentences[:-1]
    written = (line.strip() for line in lines)
    if any(count >= _allowed(line) for line, count in _runs(line for line in written if line)):
        return True
    return any(
        count >= _SENTENCES and len(sentence) >= _SENTENCE_CHARS and sentence[-1] in ".?!"
        for sentence, count in _runs(sentence.strip() for sentence in sentences)
    )


def is_invented(text: str) -> bool:
    """Tell whether a text begins as one that is known to be written for pages without any."""
    return _INVENTED.match(text) is not None


def _allowed(line: str) -> int:
    if "|" in line:
        return _TABLE_LINES
    return _SHORT_LINES if len(line) < _SHORT_LINE_CHARS else _LINES


def _runs(items: Iterable[str]) -> Iterable[tuple[str, int]]:
    return ((item, sum(1 for _ in group)) for item, group in groupby(items))
