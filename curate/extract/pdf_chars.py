"""Characters of PDF text: ligatures, accents that stand alone, line ends, directions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# Latin ligatures and the shapes of Arabic letters, which stand for the letters themselves.
_SHAPES = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdfb\ufe70-\ufefc]+")
# PDFium writes U+0002 or U+FFFE for a hyphen at the end of a line; the rest says nothing.
_CONTROLS: dict[int, str | None] = dict.fromkeys((*range(32), *range(127, 160), 0xFEFF, 0xFFFF))
_CONTROLS.update({9: " ", 10: "\n", 11: " ", 12: "\n", 13: "\n", 2: "-", 0xFFFE: "-"})
_CONTROLS.update({0x2028: "\n", 0x2029: "\n"})
# What TeX's fonts (T1) have at these places; of fonts that do not say so the places are left.
_QUOTES = "\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014"
_CONTROLS.update(zip(range(0x10, 0x17), _QUOTES, strict=True))
_CONTROLS.update(zip(range(0x1B, 0x20), ("ff", "fi", "fl", "ffi", "ffl"), strict=True))
# The same of its older fonts (OT1), whose other ligature is a line end elsewhere.
_OLD_LIGATURES = {"\x0b": "ff", "\x0c": "fi", "\x0e": "ffi", "\x0f": "ffl"}
_OLD_LIGATURE = re.compile(f"(?<=[a-z])[{''.join(_OLD_LIGATURES)}](?=[a-z])")

_ACCENTS = {
    "\u00b4": "\u0301",
    "\u00a8": "\u0308",
    "\u00b8": "\u0327",
    "\u02c6": "\u0302",
    "\u02c7": "\u030c",
    "\u02d8": "\u0306",
    "\u02da": "\u030a",
    "\u02dc": "\u0303",
    "\u02dd": "\u030b",
}
# An accent that TeX draws before its letter; text layers have a space after it or none.
_ALONE = re.compile(f"(?<=[^\\W\\d_])([{''.join(_ACCENTS)}]) ?([^\\W\\d_])")
_ALONE_FIRST = re.compile(f"(?<![^\\s(])([{''.join(_ACCENTS)}])([^\\W\\d_])")

_CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
_NO_SPACE = re.compile(f"[{_CJK}]")
_BETWEEN = re.compile(f"(?<=[{_CJK}]) (?=[{_CJK}])")
_HYPHENATED = re.compile(r"(?<![^\W\d_])([^\W\d_]+)[-\u2010\u00ad]$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_COMPOUND = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+|[^\W\d_]+")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_MARK = re.compile("[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]")
_LETTER = re.compile(r"[^\W\d_]")
_RTL_SHARE = 0.3


def clean(text: str) -> str:
    """Return the text with characters in their plain form; U+FFFD and private use are kept."""
    text = _OLD_LIGATURE.sub(lambda found: _OLD_LIGATURES[found[0]], text).translate(_CONTROLS)
    if text.isascii():
        return text
    text = _SHAPES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _ALONE.sub(_composed, _ALONE_FIRST.sub(_composed, text))


def is_right_to_left(text: str) -> bool:
    """Tell whether a good part of the letters is Hebrew, Arabic or of their kind."""
    if text.isascii():
        return False
    rtl = len(_RTL.findall(text)) - len(_MARK.findall(text))
    return rtl > _RTL_SHARE * max(len(_LETTER.findall(text)), 1)


def share_of_marks(text: str) -> float:
    """Return vowel marks per letter of right-to-left text."""
    marks = len(_MARK.findall(text))
    return marks / max(len(_RTL.findall(text)) - marks, 1)


def joined_ideographs(text: str) -> str:
    """Return text without the spaces that stand where lines of ideographs were joined."""
    return text if text.isascii() else _BETWEEN.sub("", text)


def word_counts(texts: Iterable[str]) -> dict[str, int]:
    """Count words and hyphenated compounds, by which a hyphen at a line's end is judged."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in _COMPOUND.findall(text.casefold()):
            counts[word] = counts.get(word, 0) + 1
    return counts


def join(before: str, after: str, counts: Mapping[str, int]) -> str:
    """Join two lines of a paragraph.

    A hyphen at the end goes when the next line begins in lower case, unless the document writes the
    compound with it more often than the word without, or it is the second hyphen of a compound. No
    space is put between ideographs.
    """
    if not before or not after:
        return before + after
    hyphen = _HYPHENATED.search(before)
    if hyphen and after[0].islower():
        return _join_hyphen(before, after, hyphen, counts)
    if hyphen and after[0].isalnum() and before[-1] != "\u00ad":
        return before + after
    if before[-1] == "\u00ad":
        return before[:-1] + after
    if _NO_SPACE.match(before[-1]) and _NO_SPACE.match(after[0]):
        return before + after
    return f"{before} {after}"


def _join_hyphen(before: str, after: str, hyphen: re.Match[str], counts: Mapping[str, int]) -> str:
    head = hyphen[1].casefold()
    rest = _FIRST_WORD.match(after)
    tail = rest[0].casefold() if rest else ""
    start = hyphen.start()
    of_compound = start > 0 and before[start - 1] in "-\u2010"
    if of_compound or counts.get(f"{head}-{tail}", 0) > counts.get(head + tail, 0):
        return before[:-1] + "-" + after
    return before[:-1] + after


def _composed(found: re.Match[str]) -> str:
    letter = unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]])
    return letter if len(letter) == 1 else found[0]
