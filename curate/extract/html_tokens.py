"""Tags and texts of an HTML page, cut at each "<" and read once.

No tree is built in native code, so that no page can crash it. Comments and raw text (scripts,
styles) are read as the HTML standard says (13.2.5), raw text without its escaped states. No
expression goes back and no piece is read twice: the time is linear in the size of the page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import length_hint

# A repeat keeps about a kilobyte for each round: the counted ones bound that, and what follows the
# first takes the rest of a monstrous tag in the same time without.
_TAG = re.compile(
    r"""(/?[a-zA-Z][^\s/>]*[^>=]*(?:=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))?[^>=]*){0,1000}[^>]*)"""
    r"(?:>|\Z)"
)
# Attributes that end at their first ">": no quote is open there.
_COMPLETE = re.compile(r"""[^=]*(?:=\s*(?:"[^"]*"|'[^']*'|(?![\s"']))[^=]*){0,1000}""")
_PARTS = re.compile(r"(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(
    r"""(?<![^\s/"'])([a-zA-Z][^\s=>/"']{0,60})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
)
_WANTED = frozenset(
    (*("class", "id", "role", "itemprop", "data-testid", "style", "aria-hidden", "lang"),)
)
_KEY = re.compile(r"""(?:[^="']*[\s/])?([a-zA-Z][^\s=>/"']{0,60})=""")


class Cuts:
    """A page in pieces, of which all but the first come after a "<".

    Attributes:
        rest: the pieces that are not read yet.
    """

    def __init__(self, page: str) -> None:
        self._page = page
        self._pieces = page.split("<")
        self.rest = iter(self._pieces)
        self._number = self._start = 0

    def read(self, piece: str) -> tuple[str, str, str]:
        """Read what a piece begins with, which may end in a later one.

        Returns:
            The name of a tag, with the "/" of an end, and its attributes, and the text after it.
            Of a comment and the like the name is "", of a "<" that begins nothing "<".
        """
        found = _PARTS.match(piece)
        if found:
            tag, closed, text = piece.partition(">")
            if not closed or not _COMPLETE.fullmatch(tag, found.end()):
                tag, text = self._whole_tag(piece)
            return found[0], tag[found.end() :], text
        if piece.startswith("!--"):
            if piece.startswith((">", "->"), 3):
                return "", "", piece.partition(">")[2]
            return "", "", self.after("-->", piece[3:])
        if piece.startswith(("!", "?", "/")):
            return "", "", self.after(">", piece)
        return "<", "", piece

    def after(self, mark: str, piece: str) -> str:
        """Return what comes after a mark without "<", in this piece or a later one."""
        while True:
            _, found, text = piece.partition(mark)
            if found:
                return text
            try:
                piece = next(self.rest)
            except StopIteration:
                return ""

    def raw(self, name: str, text: str) -> tuple[list[str], str]:
        """Return the pieces of a raw element that begins with a text, and what comes after it."""
        size = len(name) + 1
        inside = [text]
        for piece in self.rest:
            if piece[:1] == "/" and piece[1:size].lower() == name:
                after = piece[size : size + 1]
                if after == ">":
                    return inside, piece[size + 1 :]
                if after == "/" or after.isspace():
                    return inside, self.after(">", piece)
            inside.append(piece)
        return inside, ""

    def _whole_tag(self, piece: str) -> tuple[str, str]:
        """Read a tag with a ">" or a "<" in it."""
        number = len(self._pieces) - length_hint(self.rest) - 1
        passed = self._pieces[self._number : number]
        self._start += sum(map(len, passed)) + len(passed)
        self._number = number
        found = _TAG.match(self._page, self._start)
        assert found
        end = self._start + len(piece)
        while end < found.end():
            end += 1 + len(next(self.rest))
        return found[1], self._page[found.end() : end]


def attributes(source: str) -> dict[str, str]:
    """Read the attributes of one tag; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(source):
        found.setdefault(name.lower(), double or single or bare)
    return found


@lru_cache(maxsize=1 << 14)
def values_in(shape: str) -> tuple[tuple[str, int], ...] | None:
    """Find the attributes that matter in a tag whose attributes are written name="value".

    Args:
        shape: every second part of the tag's split at the double quotes: what is not a value.

    Returns:
        Names, and the numbers of the parts that are their values; None for another way of writing.
    """
    *keys, end = shape.split('"')
    found: dict[str, int] = {}
    for number, key in enumerate(keys):
        name = _KEY.fullmatch(key)
        if not name:
            return None
        found.setdefault(name[1].lower(), 2 * number + 1)
    if "=" in end or "'" in end:
        return None
    return tuple((name, at) for name, at in found.items() if name in _WANTED)
