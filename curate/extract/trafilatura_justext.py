"""The paragraphs of jusText, with the rules of jusText, for trafilatura's last resort.

jusText has the page told to it tag by tag, and works the text of a paragraph out again for each of
its measures. Here one walk over the tree makes the paragraphs, and each keeps its text; what is
content is still judged by jusText's own functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_SPACES = re.compile(r"\s+")
_IN_SELECT = "select"


class UnknownNodeError(Exception):
    """The tree holds something else than elements with plain names."""


class Paragraph:
    """A paragraph as `justext.core.classify_paragraphs` and its revision want it."""

    __slots__ = ("cf_class", "chars_count_in_links", "class_type", "dom_path", "heading", "text")

    def __init__(self, text: str, dom_path: str, chars_in_links: int) -> None:
        self.text = text
        self.dom_path = dom_path
        self.chars_count_in_links = chars_in_links
        self.heading = False
        self.cf_class = self.class_type = ""

    def __len__(self) -> int:
        return len(self.text)

    @property
    def is_boilerplate(self) -> bool:
        """Tell whether the paragraph is not content."""
        return self.class_type != "good"

    def stopwords_density(self, stopwords: frozenset[str]) -> float:
        """Return the share of the words that are stop words."""
        words = self.text.lower().split()
        return sum(map(stopwords.__contains__, words)) / len(words) if words else 0

    def links_density(self) -> float:
        """Return the share of the characters that lie in links."""
        return self.chars_count_in_links / len(self.text) if self.text else 0


class _Maker:
    """`justext.core.ParagraphMaker`; of a path it knows only if "select" is in it."""

    def __init__(self, block_tags: frozenset[str]) -> None:
        self._block_tags = block_tags
        self._selects = 0
        self._is_link = self._is_break = False
        self.paragraphs: list[Paragraph] = []
        self._open()

    def _open(self) -> None:
        self._pieces: list[str] = []
        self._chars_in_links = 0
        self._path = _IN_SELECT if self._selects else ""

    def close(self) -> None:
        """End the paragraph, and begin the next."""
        text = _normalize("".join(self._pieces).strip()) if self._pieces else ""
        if text:
            self.paragraphs.append(Paragraph(text, self._path, self._chars_in_links))
        self._open()

    def add(self, elem: Any) -> None:
        """Add an element with all that is in it and follows it."""
        tag = elem.tag
        if not isinstance(tag, str) or tag[0] == "{":
            raise UnknownNodeError
        self._selects += _IN_SELECT in tag
        if tag in self._block_tags or (tag == "br" and self._is_break):
            self.close()
        elif tag == "br":
            self._is_break = True
            self._pieces.append(" ")
        else:
            self._is_break = False
            if tag == "a":
                self._is_link = True
        self._add_text(elem.text)
        for child in elem:
            self.add(child)
        self._selects -= _IN_SELECT in tag
        if tag in self._block_tags:
            self.close()
        if tag == "a":
            self._is_link = False
        self._add_text(elem.tail)

    def _add_text(self, text: str | None) -> None:
        if not text or text.isspace():
            return
        piece = _normalize(text)
        self._pieces.append(piece)
        if self._is_link:
            self._chars_in_links += len(piece)
        self._is_break = False


def _normalize(text: str) -> str:
    """Make one space, or one line break where there is one, of each run of white space."""
    return _SPACES.sub(_replace, text) if _is_irregular(text) else text


def _is_irregular(text: str) -> bool:
    return " ".join(text.split()) != text


def _replace(found: re.Match[str]) -> str:
    run = found.group()
    return "\n" if "\n" in run or "\r" in run else " "


def make_paragraphs(root: Any, block_tags: frozenset[str]) -> Sequence[Paragraph]:
    """Return the paragraphs of a tree that hold text, as `ParagraphMaker.make_paragraphs` does.

    Raises:
        UnknownNodeError: the tree holds something else than elements with plain names.
    """
    maker = _Maker(block_tags)
    maker.add(root)
    maker.close()
    return maker.paragraphs
