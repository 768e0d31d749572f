"""Tags and texts of an HTML page, cut at each "<" and read once.

No tree is built in native code, so that no page can crash it. Comments and raw text (scripts,
styles) are read as the HTML standard says (13.2.5), raw text without its escaped states. No
expression goes back and no piece is read twice: the time is linear in the size of the page.
"""

from __future__ import annotations

import html
import re
from operator import length_hint

# A repeat keeps about a kilobyte for each round: the counted ones bound that, and what follows the
# first takes the rest of a monstrous tag in the same time without.
_TAG = re.compile(
    rb"""(/?[a-zA-Z][^\s/>]*[^>=]*(?:=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))?[^>=]*){0,1000}[^>]*)"""
    rb"(?:>|\Z)"
)
# Attributes that end at their first ">": no quote is open there.
_COMPLETE = re.compile(rb"""[^=]*(?:=\s*(?:"[^"]*"|'[^']*'|(?![\s"']))[^=]*){0,1000}""")
_NAME = re.compile(rb"/?[a-zA-Z][^\s/>]*")
_ATTRIBUTE = re.compile(
    r"""(?<![^\s/"'])([a-zA-Z][^\s=>/"']{0,60})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
)
# A number of many digits: int() refuses one of 4,300, and takes a square of their time.
_LONG_NUMBER = re.compile(r"&#(?=[0-9]{9})0*([0-9]{1,8})[0-9]*")


class Cuts:
    """A page in pieces, of which all but the first come after a "<".

    Attributes:
        rest: the pieces that are not read yet.
    """

    def __init__(self, page: bytes) -> None:
        self._page = page
        self._pieces = page.split(b"<")
        self.rest = iter(self._pieces)
        self._number = self._start = 0

    def read(self, piece: bytes) -> tuple[bytes, int, bytes]:
        """Read what a piece begins with, which may end in a later one.

        Returns:
            A tag without its brackets, and the length of its name, with the "/" of an end; and the
            text after it. Instead of the tag b"" for a comment and the like, b"<" for a "<" that
            begins nothing.
        """
        name = _NAME.match(piece)
        if name:
            tag, closed, text = piece.partition(b">")
            if not closed or not _COMPLETE.fullmatch(tag, name.end()):
                tag, text = self._whole_tag(piece)
            return tag, name.end(), text
        if piece.startswith(b"!--"):
            if piece.startswith((b">", b"->"), 3):
                return b"", 0, piece.partition(b">")[2]
            return b"", 0, self.after(b"-->", piece[3:])
        if piece.startswith((b"!", b"?", b"/")):
            return b"", 0, self.after(b">", piece)
        return b"<", 0, piece

    def after(self, mark: bytes, piece: bytes) -> bytes:
        """Return what comes after a mark without "<", in this piece or a later one."""
        while True:
            _, found, text = piece.partition(mark)
            if found:
                return text
            try:
                piece = next(self.rest)
            except StopIteration:
                return b""

    def raw(self, name: bytes, text: bytes) -> tuple[list[bytes], bytes]:
        """Return the pieces of a raw element that begins with a text, and what comes after it."""
        size = len(name) + 1
        inside = [text]
        for piece in self.rest:
            if piece[:1] == b"/" and piece[1:size].lower() == name:
                after = piece[size : size + 1]
                if after == b">":
                    return inside, piece[size + 1 :]
                if after == b"/" or after.isspace():
                    return inside, self.after(b">", piece)
            inside.append(piece)
        return inside, b""

    def _whole_tag(self, piece: bytes) -> tuple[bytes, bytes]:
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


def text_of(source: bytes) -> str:
    """Return UTF-8 as text."""
    return source.decode("utf-8", "replace")


def unescape(text: str) -> str:
    """Do as html.unescape, in linear time and for numbers of any length.

    Eight digits that do not begin with 0 are too large for a character, as are more.
    """
    if "&#" in text:
        text = _LONG_NUMBER.sub(r"&#\1", text)
    return html.unescape(text)


def attributes(source: str) -> dict[str, str]:
    """Read the attributes of one tag; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(source):
        found.setdefault(name.lower(), double or single or bare)
    return found
