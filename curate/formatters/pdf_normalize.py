"""Tidy the lines of PDFs: list markers, letter-spaced words, stray punctuation, blank lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from ..document import Document
from ..pages import PagesStep
from .pdf_lines import is_fence, is_table_row

# DIFFERS: U+F0A7 is the square bullet of Wingdings, no tick as FinePDFs takes it. More of the
# private-use characters that Symbol and Wingdings leave behind are known here.
_DASHES = "‣⁃►▶▸➤➢▪▫●➔\uf0b7\uf0f0\uf0a7\uf0d8\uf076\uf06e\uf071\uf0a8\uf0e8"
_STARS = "•◌∙◦"
_TICKS = "\uf0fc\uf0fe"
# Of use within text and tables, too ("○○会社", a column of ticks): white space must follow; and
# letters after those that are signs in formulas.
_SPACED_MARKERS = {"-": "›○■□◆❖", "[x]": "✓✔✗✘☑"}
_SIGNS = "·°"
_MARKERS = {
    char: marker
    for marker, chars in (
        ("-", _DASHES),
        ("*", _STARS + _SIGNS),
        ("[x]", _TICKS),
        *_SPACED_MARKERS.items(),
    )
    for char in chars
}
_BULLETS = f"[{_DASHES}{_STARS}{_TICKS}]"
_SPACED = f"[{''.join(_SPACED_MARKERS.values())}]"
_MARKED = re.compile(
    rf"([ \t]*)(?:({_BULLETS})(?!{_BULLETS})\ufe0e?|({_SPACED})(?=\s+\S)"
    rf"|([{_SIGNS}])(?=\s+[^\W\d_]{{2}}))\s*"
)
_LONE_MARKER = re.compile(rf"\s*{_BULLETS}\s*")
_LIST_ITEM = re.compile(r"(\s*(?:[-*+]|\[x\]|\d{1,3}[.)]))\s+(?=\S)")

_CHAR = r"\S(?!\S)"
_CHARS = rf"{_CHAR}(?:[ \u00a0\u2009]{_CHAR})+(?:[ \u00a0\u2009][^\W\d_][^\w\s]+(?!\S))?"
_SPACED_CHARS = re.compile(rf"(\s*(?:[#>*-]+ )?)({_CHARS}(?:\s{{2,}}{_CHARS})*)")
_WORD_GAP = re.compile(r"\s{2,}")

# DIFFERS: FinePDFs appends any punctuation; a bracket on a line of its own closes a block of code.
_STRAY = frozenset(".,;:!?…»”’。，、；：！？）】」』》〉،؛؟।॥")
_LONGEST_STRAY = 3

# Dots that lead the eye, as from a title to its page.
_LEADER = re.compile(r"[.…](?: ?[.…]){5,}")

_PRIVATE_OR_LOST = re.compile(
    "[\ue000-\uf8ff\ufffd\U000f0000-\U000ffffd\U00100000-\U0010fffd]",
)


@dataclass(frozen=True)
class PdfNormalizer(PagesStep):
    """Tidy the lines of each page, as FinePDFs does before ftfy.

    In this order: list markers become "-", "*" or "[x]" and stand with their item; "H E A D I N G"
    at the start of a line becomes a word; a line of up to three closing punctuation marks joins the
    line before; private-use characters and U+FFFD go; of blank lines in a row one stays; white
    space at both ends goes. Of code and tables only the private characters change.

    DIFFERS: of six dots and more in a row, as tables of contents are full of, three stay.
    """

    version: ClassVar[int] = 2

    name = "pdf_normalizer"

    def rewrite(self, pages: list[str], doc: Document) -> list[str]:
        return [_normalized(page) for page in pages]


def _normalized(page: str) -> str:
    kept: list[str] = []
    joins = False  # whether the line before is prose, to which a stray mark belongs
    for line, is_prose in _with_markers(page.split("\n")):
        if is_prose or is_table_row(line):
            line = _LEADER.sub("...", line)
        if is_prose:
            line = _spelled(line)
            if joins and _is_stray(line):
                kept[-1] = kept[-1].rstrip() + line.strip()
                continue
        line = _PRIVATE_OR_LOST.sub("", line)
        if not line or line.isspace():
            line = ""
        if line or (kept and kept[-1]):
            kept.append(line)
        joins = is_prose and line != ""
    return "\n".join(kept).strip()


def _with_markers(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the lines with plain list markers, and whether they are prose: no code, no table."""
    is_code = False
    pending = ""  # a marker that waits for its item on the next line
    for line in lines:
        is_fenced = is_fence(line)
        is_code ^= is_fenced
        is_prose = not (is_code or is_fenced or is_table_row(line))
        if not is_prose:
            pending = ""
            yield line, False
        elif _LONE_MARKER.fullmatch(line):
            pending = line
        elif line and not line.isspace():
            if pending and not _MARKED.match(line):
                line = f"{pending.rstrip()} {line.lstrip()}"
            pending = ""
            if match := _MARKED.match(line):
                line = f"{_plain_marker(match)}{line[match.end() :]}"
            if match := _LIST_ITEM.match(line):
                line = f"{match[1]} {line[match.end() :]}"
            yield line, True
        elif not pending:
            yield line, True


def _plain_marker(match: re.Match[str]) -> str:
    return f"{match[1]}{_MARKERS[match[2] or match[3] or match[4]]} "


def _spelled(line: str) -> str:
    """Return a line whose letter-spaced words at the start are written as words."""
    match = _SPACED_CHARS.match(line)
    if not match:
        return line
    words = ["".join(word.split()) for word in _WORD_GAP.split(match[2])]
    chars = "".join(words)
    letters = [char.lower() for char in chars if char.isalpha() and _stands_apart(char)]
    share = len(letters) / len(chars)
    is_long = max(map(len, words)) >= 4 or (len(words) > 1 and len(letters) >= 10)
    is_listing = len(set(letters)) < 3 or all(ord(b) - ord(a) == 1 for a, b in pairwise(letters))
    if not is_long or is_listing or share < (1 if len(chars) <= 8 else 0.65):
        return line
    return f"{match[1]}{' '.join(words)}{line[match.end() :]}"


def _stands_apart(letter: str) -> bool:
    """Say whether a letter is of a script that is printed letter by letter for emphasis."""
    return letter.lower() != letter.upper() or "\u2e80" <= letter <= "\ud7af"


def _is_stray(line: str) -> bool:
    text = line.strip()
    return 0 < len(text) <= _LONGEST_STRAY and _STRAY.issuperset(text)
