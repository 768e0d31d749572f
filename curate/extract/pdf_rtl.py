"""Lines of right-to-left pages, from the places of their letters alone.

Files store such text in the order in which it is read, or from left to right as it is drawn, and
libraries guess which; where the letters stand is the same in either. So letters are taken from
right to left, and what runs from left to right within them is turned (UAX 9 the other way round).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

from .pdf_backend import Ruling, TextLine

_SPACE = 0.15  # of the size: a gap from which on two letters are of two words
_HINT = 0.05  # a gap that is enough where the library sees a blank; the least width of a real one
_WIDTHS = 2.2  # the size in widths of a letter, for fonts that claim more height than they use
_FLATTEST = 0.3  # the size is no less, in heights
_CELL = 0.8  # a gap from which on they are of two cells
_LEVEL = 0.45  # of the size: letters whose feet differ by less stand on one line
_NEAR = 0.15  # of the size: a mark so near to a letter may be its own
_SAME = 0.01
_ALEFS = "\u0622\u0623\u0625\u0627\u0671"
_LAM, _HEH = "\u0644", "\u0647"
_ALLAH = "\u0627\u0644\u0644\u0647"
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
_OPEN, _CLOSE = "([{«", ")]}»"
# Numbers run from left to right in any line, with the signs that are part of them.
# A row of T is tried from its start alone: else one without E takes quadratic time.
_NUMBER = re.compile("(?:(?<!T)T+)?E(?:C?E)*T*")
_RTL_SHARE = 0.3


@dataclass(slots=True)
class Char:
    """A character where it stands.

    Attributes:
        x0, x1: its sides; y0, y1: its top and bottom.
        foot: height of the line it stands on.
        order: its place in the file.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    foot: float
    size: float
    order: int
    font: str = ""
    marks: list[Char] = field(default_factory=list)


def are_turned(chars: Sequence[Char]) -> bool:
    """Tell whether the library turned the lines of a file that has them in the order of reading.

    Then letters that follow each other stand ever further to the right.
    """
    right = left = 0
    letters = (char for char in chars if unicodedata.bidirectional(char.text[0]) in ("R", "AL"))
    for before, char in pairwise(letters):
        if abs(before.foot - char.foot) < _LEVEL * before.size and before.x0 != char.x0:
            right += char.x0 > before.x0
            left += char.x0 < before.x0
    return right > left


def lines_of_chars(chars: Sequence[Char], is_turned: bool) -> list[TextLine]:
    """Return the lines, in the order in which the file draws them; a wide gap ends a line.

    Args:
        chars: of a page.
        is_turned: what `are_turned` says of them.
    """
    letters = [char for char in chars if not _is_mark(char) and not char.text.isspace()]
    blanks = sorted((char for char in chars if char.text.isspace()), key=lambda char: char.foot)
    feet = [char.foot for char in blanks]
    letters += _attach([char for char in chars if _is_mark(char)], letters, is_turned)
    parts = [part for row in _rows(letters) for part in _parts(row, blanks, feet)]
    parts.sort(key=lambda part: min(char.order for word in part for char in word))
    lines = [_line(part) for part in parts]
    # Some files name brackets by the shape that is drawn, which is the other one.
    text = "".join(line.text for line in lines)
    if _num_pairs(text.translate(_MIRRORED)) > _num_pairs(text):
        lines = [replace(line, text=line.text.translate(_MIRRORED)) for line in lines]
    return lines


def _is_mark(char: Char) -> bool:
    return unicodedata.category(char.text[0]) == "Mn"


def _rows(letters: Sequence[Char]) -> list[list[Char]]:
    """Put letters together that stand on one line."""
    rows: list[list[Char]] = []
    feet: list[float] = []
    for char in sorted(letters, key=lambda char: (char.foot, char.order)):
        if rows and char.foot - feet[-1] < _LEVEL * max(char.size, rows[-1][0].size):
            rows[-1].append(char)
        else:
            rows.append([char])
            feet.append(char.foot)
    return rows


def _attach(marks: Sequence[Char], letters: Sequence[Char], is_turned: bool) -> list[Char]:
    """Give each mark to its letter, the one drawn before it or the nearest; return the others."""
    drawn = sorted(letters, key=lambda char: char.order)
    orders = [char.order for char in drawn]
    near = _Grid(letters)
    alone = []
    for mark in marks:
        # In a line that was turned what was drawn before is behind.
        place = bisect_right(orders, mark.order)
        letter = drawn[place] if is_turned and place < len(drawn) else None
        if letter is None or _distance(letter, mark) > _NEAR * letter.size:
            letter = near.best(mark)
        if letter is None:
            alone.append(mark)
        else:
            letter.marks.append(mark)
    return alone


class _Grid:
    """Finds the letter that stands nearest to a mark."""

    def __init__(self, letters: Sequence[Char]) -> None:
        self._side = max((char.size for char in letters), default=1.0) or 1.0
        self._cells: dict[tuple[int, int], list[Char]] = {}
        for char in letters:
            self._cells.setdefault(self._cell(char), []).append(char)

    def _cell(self, char: Char) -> tuple[int, int]:
        return int((char.x0 + char.x1) / 2 // self._side), int(char.foot // self._side)

    def best(self, mark: Char) -> Char | None:
        """Return the letter; None if there is none so near that it could be."""
        column, row = self._cell(mark)
        near = [
            char
            for x in (column - 1, column, column + 1)
            for y in (row - 1, row, row + 1)
            for char in self._cells.get((x, y), ())
        ]
        return min(
            near,
            key=lambda char: (_distance(char, mark), abs(char.order - mark.order)),
            default=None,
        )


def _distance(char: Char, mark: Char) -> float:
    middle = (mark.x0 + mark.x1) / 2
    return max(char.x0 - middle, middle - char.x1, 0.0) + abs(char.foot - mark.foot)


def _parts(
    row: list[Char], blanks: Sequence[Char], feet: Sequence[float]
) -> list[list[list[Char]]]:
    """Return the words of a row from right to left, those that a wide gap parts in lists apart.

    Args:
        row: the letters of a line.
        blanks: of the page, by where they stand.
        feet: where they do.
    """
    # By where the pen was: the width that a file states may be wrong.
    first, *others = sorted(row, key=lambda char: (-char.x0, char.order))
    height, width = max(char.size for char in row), median(char.x1 - char.x0 for char in row)
    size = max(min(height, _WIDTHS * width), _FLATTEST * height)
    reach = _LEVEL * first.size
    low, high = bisect_left(feet, first.foot - reach), bisect_right(feet, first.foot + reach)
    near = [blank for blank in blanks[low:high] if abs(blank.foot - first.foot) < reach]
    spaces = sorted((blank.x0 + blank.x1) / 2 for blank in near)
    wide = sorted((blank.x0 + blank.x1) / 2 for blank in near if blank.x1 - blank.x0 > _HINT * size)
    parts = [[[first]]]
    end = before = first.x0
    for char in others:
        gap = end - char.x1
        if gap > _CELL * size:
            parts.append([[char]])
            end = char.x0
        elif gap > _SPACE * size or (
            _is_between(wide, char.x0, before)
            or (gap > _HINT * size and _is_between(spaces, char.x0, before))
        ):
            parts[-1].append([char])
        else:
            parts[-1][-1].append(char)
        end, before = min(end, char.x0), char.x0
    return parts


def _is_between(places: Sequence[float], low: float, high: float) -> bool:
    return bisect_left(places, low) < bisect_left(places, high)


def _line(words: list[list[Char]]) -> TextLine:
    chars = [char for word in words for char in word]
    visual = " ".join("".join(map(_written, _ligatures(word))) for word in words)
    return TextLine(
        logical(visual),
        min(char.x0 for char in chars),
        min(char.y0 for char in chars),
        max(char.x1 for char in chars),
        max(char.y1 for char in chars),
        size=median(char.size for char in chars),
        font=chars[len(chars) // 2].font,
    )


def _written(char: Char) -> str:
    if not char.marks:
        return char.text
    marks = "".join(mark.text for mark in sorted(char.marks, key=lambda mark: mark.order))
    return unicodedata.normalize("NFC", char.text + marks)


def _ligatures(word: list[Char]) -> list[Char]:
    """Order the letters of a glyph that stands for several, which have the same place."""
    ordered = list(word)
    start = 0
    while start < len(ordered):
        end = start + 1
        while end < len(ordered) and _is_same_glyph(ordered[start], ordered[end]):
            end += 1
        if end - start > 1:
            piece = ordered[start:end]
            text = "".join(char.text for char in piece)
            ltr = unicodedata.bidirectional(text[0]) == "L"  # turned again with its word
            turned = text[-1] == _LAM and text[0] in _ALEFS
            if ltr or turned or (text[0] == _HEH and set(text) == set(_ALLAH)):
                piece.reverse()
            ordered[start:end] = piece
        start = end
    return ordered


def _is_same_glyph(first: Char, second: Char) -> bool:
    return abs(first.x0 - second.x0) < _SAME and abs(first.x1 - second.x1) < _SAME


def logical(visual: str) -> str:
    """Return a line in the order in which it is read.

    Args:
        visual: its characters from right to left, words apart by spaces.
    """
    kinds = "".join(map(_kind, visual))
    rtl, ltr = kinds.count("R"), kinds.count("L")
    if rtl > _RTL_SHARE * (rtl + ltr):
        return _turned(visual, kinds, "R", "L")
    # A line that is read from left to right, with words among it that are not.
    return _turned(visual[::-1], kinds[::-1], "L", "R")


def _turned(line: str, kinds: str, base: str, other: str) -> str:
    """Turn what runs against the line, and in a line from the right numbers that stand alone."""
    text = list(line)
    for segment in re.finditer(f"[^{base}]+", kinds):
        found = re.search(f"[{other}E].*[{other}E]|[{other}E]", segment[0])
        if found and other in segment[0]:
            start, end = segment.start() + found.start(), segment.start() + found.end()
            text[start:end] = reversed(text[start:end])
            if other == "L":
                continue
            inside, offset = kinds[start:end][::-1], start
        elif base == "L":
            continue
        else:
            inside, offset = segment[0], segment.start()
        for number in _NUMBER.finditer(inside):
            start, end = offset + number.start(), offset + number.end()
            text[start:end] = reversed(text[start:end])
    return "".join(text)


def _kind(char: str) -> str:
    kind = unicodedata.bidirectional(char)
    if kind in ("L", "EN", "AN"):
        return "L" if kind == "L" else "E"
    if kind in ("CS", "ES"):
        return "C"
    if kind == "ET":
        return "T"
    if kind in ("R", "AL"):
        return "R"
    return "M" if kind == "NSM" else "S"


def _num_pairs(text: str) -> int:
    """Return how many brackets close one that was opened."""
    pairs = depth = 0
    for char in text:
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE and depth:
            pairs, depth = pairs + 1, depth - 1
    return pairs


def mirrored(
    lines: Sequence[TextLine], rulings: Sequence[Ruling], width: float
) -> tuple[list[TextLine], list[Ruling]]:
    """Return lines and rulings as a mirror shows them, where the page begins at the left."""
    return (
        [replace(line, x0=width - line.x1, x1=width - line.x0) for line in lines],
        [(width - x1, y0, width - x0, y1) for x0, y0, x1, y1 in rulings],
    )
