"""How much the text that came out of a page looks like text of any language.

The measure needs no language: letters are followed by letters that usually follow them in their
script, which a font with a permuted or shifted character map, or a bad text layer, breaks although
every character is valid. The tables are `curate/data/letter_pairs.json`.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LETTER_PAIRS = Path(__file__).parent.parent / "data" / "letter_pairs.json"

TEXT_FEATURES = (
    "chars",
    "lost_ratio",
    "unmapped_ratio",
    "private_ratio",
    "control_ratio",
    "letter_ratio",
    "digit_ratio",
    "symbol_ratio",
    "mark_ratio",
    "plausibility",
    "lowest_plausibility",
    "implausible_ratio",
    "num_pairs",
    "han_ratio",
    "rare_han_ratio",
    "frequent_han_ratio",
    "script_switch_ratio",
    "unknown_script_ratio",
    "word_chars",
    "single_letter_word_ratio",
    "mixed_word_ratio",
    "gap_ratio",
    "repeated_char_ratio",
)

# Pairs per window: about two lines of print, so that one broken font on a page shows.
_WINDOW = 64
_IMPLAUSIBLE_BITS = -1.0
_MAX_CHARS = 40_000

# Classes of characters.
_SPACE, _LETTER, _DIGIT, _SYMBOL, _PRIVATE, _CONTROL, _UNMAPPED, _HAN = range(8)
_IGNORED = 255
# Bullets, boxes, hands and ticks of Symbol and Wingdings, which office programs write as U+F000 and
# the byte: they are meant.
_BULLETS = frozenset(b"\x20\x2d\x6c\x6e\x6f\x71\x73\x76\xa7\xa8\xb7\xd2\xd8\xe0\xe8\xf0\xfc\xfe")
# What Markdown adds and no reader sees.
_MARKUP = re.compile(r"^```\w*$|!\[[^\]\n]{0,200}\]\([^)\n]{0,200}\)", re.MULTILINE)
_CID = re.compile(r"\(cid:\d+\)")
_MIXED = re.compile(
    r"\b(?=\w*[^\W\d_])\w*(?:[^\W\d_]\d[^\W\d_]|[a-z][A-Z][a-z]*[A-Z]|\d[^\W\d_]+\d)"
)
_INSIDE = re.compile(r"[^\W\d_][!-&*+;-@\[-`{-~\u00a1-\u00bf\u00d7\u00f7]+[^\W\d_]")
_GAP = re.compile(r"\S {2,4}(?=\S)")
_WORD = re.compile(r"[^\W_]+")
_REPEATED = re.compile(r"([^\s.\-_=*#|·…/\u2500-\u259f])\1{3,}")

# Ranges of the scripts with a table, and Farsi and Urdu letters under their Arabic twins.
_FOLDED = {0x06CC: 0x064A, 0x0649: 0x064A, 0x06A9: 0x0643, 0x06C1: 0x0647, 0x06BE: 0x0647}
_PASSED_OVER = ((0x300, 0x36F), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F), (0x6D6, 0x6ED))
SCRIPTS = {
    "latin": ((0x41, 0x24F), (0x1E00, 0x1EFF)),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x400, 0x52F),),
    "hebrew": ((0x5D0, 0x5EA),),
    "arabic": ((0x620, 0x64A), (0x66E, 0x6D3), (0x750, 0x77F)),
    "devanagari": ((0x900, 0x963), (0x970, 0x97F)),
    "bengali": ((0x980, 0x9E3),),
    "gurmukhi": ((0xA00, 0xA65), (0xA70, 0xA7F)),
    "gujarati": ((0xA80, 0xAE5),),
    "tamil": ((0xB80, 0xBE5),),
    "telugu": ((0xC00, 0xC65),),
    "kannada": ((0xC80, 0xCE5),),
    "malayalam": ((0xD00, 0xD65),),
    "thai": ((0xE00, 0xE3A), (0xE40, 0xE4E)),
}


@dataclass(frozen=True, slots=True)
class _Tables:
    """Lookup by code point of the Basic Multilingual Plane.

    Attributes:
        kind: class of the character.
        script: 1 + index of the script, 0 for none, 255 for marks that are passed over.
        symbol: index of the letter in its script's table; 0 is the edge of a word, 1 any other.
        bits: per script, log2 P(next | letter), less what is usual for text of that script.
        common, frequent: whether a Han character or Hangul syllable is one of the usual ones.
    """

    kind: NDArray[np.uint8]
    script: NDArray[np.uint8]
    symbol: NDArray[np.uint8]
    bits: NDArray[np.float64]
    common: NDArray[np.bool_]
    frequent: NDArray[np.bool_]


def fold(char: str) -> str:
    """Return the lower-case letter without its marks that stands for a character in the tables."""
    char = chr(_FOLDED.get(ord(char), ord(char)))
    if ord(char) < 0x530 or 0x1E00 <= ord(char) < 0x2000:
        return unicodedata.normalize("NFD", char.lower())[0]
    return char


def text_features(text: str) -> dict[str, float]:
    """Measure a page's text: every name of TEXT_FEATURES to its value."""
    import numpy as np

    sample = _MARKUP.sub("", text[:_MAX_CHARS])
    plain = unicodedata.normalize("NFKC", _CID.sub("\ufffd", sample))
    codes = np.frombuffer(plain.encode("utf-32-le", "replace"), dtype=np.uint32)
    tables = _tables()
    codes = np.where(codes < 0x10000, codes, np.where(codes < 0xF0000, _beyond(codes), 0xE000))
    kinds = np.bincount(tables.kind[codes], minlength=8)
    num_chars = int(kinds.sum() - kinds[_SPACE])
    total = max(num_chars, 1)
    han = codes[tables.kind[codes] == _HAN]
    num_han = max(len(han), 1)
    pairs = _pairs(codes, tables, len(han))
    bare = plain.translate(_marks())
    words = [len(word) for word in _WORD.findall(bare)]
    num_words = max(len(words), 1)
    mixed = len(_MIXED.findall(bare)) + len(_INSIDE.findall(bare))
    lost = float(kinds[_UNMAPPED] + kinds[_PRIVATE] + kinds[_CONTROL])
    letters = int(kinds[_LETTER] + kinds[_HAN])
    return {
        "chars": float(np.log1p(num_chars)),
        "lost_ratio": lost / total,
        "unmapped_ratio": float(kinds[_UNMAPPED]) / total,
        "private_ratio": float(kinds[_PRIVATE]) / total,
        "control_ratio": float(kinds[_CONTROL]) / total,
        "letter_ratio": letters / total,
        "digit_ratio": float(kinds[_DIGIT]) / total,
        "symbol_ratio": float(kinds[_SYMBOL]) / total,
        "mark_ratio": (len(plain) - len(bare)) / total,
        **pairs,
        "han_ratio": len(han) / total,
        "rare_han_ratio": 1 - float(tables.common[han].sum()) / num_han if len(han) else 0.0,
        "frequent_han_ratio": float(tables.frequent[han].sum()) / num_han if len(han) else 0.5,
        "word_chars": sum(words) / num_words,
        "single_letter_word_ratio": sum(size == 1 for size in words) / num_words,
        "mixed_word_ratio": mixed / num_words,
        "gap_ratio": len(_GAP.findall(plain)) / num_words,
        "repeated_char_ratio": sum(len(m[0]) for m in _REPEATED.finditer(plain)) / total,
    }


def _beyond(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Stand a rare Han character in for the ideographs beyond the plane, a symbol for the rest."""
    import numpy as np

    ideograph = (codes >= 0x20000) & (codes < 0x32000)
    return np.where(ideograph, np.uint32(0x3400), np.uint32(0x25A0))


def _pairs(codes: NDArray[np.uint32], tables: _Tables, num_han: int) -> dict[str, float]:
    """Measure how usual each letter is after the one before it.

    Ideographs count as usual: the few names and abbreviations on a page of them do not decide.
    """
    import numpy as np

    codes = codes[tables.script[codes] != _IGNORED]
    script, symbol = tables.script[codes], tables.symbol[codes]
    script = np.concatenate(([0], script, [0])).astype(np.int64)
    symbol = np.concatenate(([0], symbol, [0])).astype(np.int64)
    left, right = script[:-1], script[1:]
    scored = (left != right) & ((left == 0) | (right == 0)) | (left == right) & (left > 0)
    switched = (left != right) & (left > 0) & (right > 0)
    bits = tables.bits[np.maximum(left, right) - 1, symbol[:-1], symbol[1:]][scored]
    num_letters = int((script > 0).sum())
    is_letter = tables.kind[codes] == _LETTER
    unknown = int((is_letter & (tables.script[codes] == 0)).sum())
    if len(bits) >= _WINDOW:
        sums = np.add.reduceat(bits, range(0, len(bits) - _WINDOW + 1, _WINDOW))
        windows = sums[:-1] / _WINDOW if len(sums) > 1 else np.array([bits.mean()])
    else:
        windows = np.array([bits.mean()]) if len(bits) else np.array([0.0])
    share = len(bits) / max(len(bits) + num_han, 1)
    return {
        "plausibility": share * float(bits.mean()) if len(bits) else 0.0,
        "lowest_plausibility": share * float(np.sort(windows)[len(windows) // 10]),
        "implausible_ratio": share * float((windows < _IMPLAUSIBLE_BITS).mean()),
        "num_pairs": float(np.log1p(len(bits))),
        "script_switch_ratio": float(switched.sum()) / max(num_letters, 1),
        "unknown_script_ratio": unknown / max(int(is_letter.sum()), 1),
    }


@cache
def _marks() -> dict[int, None]:
    """Return a table that deletes the marks that are set on letters: `\\w` knows none of them."""
    return {
        code: None for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M"
    }


@cache
def _tables() -> _Tables:
    import numpy as np

    data = json.loads(LETTER_PAIRS.read_text("utf-8"))
    kind = np.fromiter((_kind(code) for code in range(0x10000)), np.uint8, 0x10000)
    script = np.zeros(0x10000, np.uint8)
    symbol = np.zeros(0x10000, np.uint8)
    size = 2 + max(len(table["letters"]) for table in data["scripts"].values())
    bits = np.zeros((len(SCRIPTS), size, size))
    for index, (name, ranges) in enumerate(SCRIPTS.items()):
        table = data["scripts"][name]
        width = len(table["letters"]) + 2
        packed = zlib.decompress(base64.b64decode(table["pairs"]))
        steps = np.frombuffer(packed, np.uint8).reshape(width, width).astype(np.float64)
        bits[index, :width, :width] = -steps * data["step_bits"] - table["usual_bits"]
        places = {letter: 2 + place for place, letter in enumerate(table["letters"])}
        for first, last in ranges:
            for code in range(first, last + 1):
                if kind[code] == _LETTER:
                    script[code], symbol[code] = index + 1, places.get(fold(chr(code)), 1)
    for first, last in _PASSED_OVER:
        script[first : last + 1] = _IGNORED
    script[[0xAD, 0x640, 0x670, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F]] = _IGNORED
    frequent = np.zeros(0x10000, np.bool_)
    frequent[[ord(char) for char in data["frequent_han"]]] = True
    return _Tables(kind, script, symbol, bits, _common(), frequent)


def _kind(code: int) -> int:
    """Return the class of a code point."""
    if code == 0xFFFD:
        return _UNMAPPED
    if 0x3400 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3 or 0xF900 <= code <= 0xFAFF:
        return _HAN
    category = unicodedata.category(chr(code))
    if category[0] == "Z" or code in (9, 10, 12, 13) or category == "Cf":
        return _SPACE
    if category == "Co":
        return _SYMBOL if code - 0xF000 in _BULLETS else _PRIVATE
    if category[0] == "C":
        return _CONTROL
    if category[0] in "LM":
        return _LETTER
    return _DIGIT if category[0] == "N" else _SYMBOL


def _common() -> NDArray[np.bool_]:
    """Mark the first levels of GB 2312, JIS X 0208 and Big5, and the syllables of KS X 1001."""
    import numpy as np

    common = np.zeros(0x10000, np.bool_)
    for codec, leads, trails in (
        ("gb2312", range(0xB0, 0xD8), range(0xA1, 0xFF)),
        ("euc_jp", range(0xB0, 0xD0), range(0xA1, 0xFF)),
        ("big5", range(0xA4, 0xC7), (*range(0x40, 0x7F), *range(0xA1, 0xFF))),
        ("euc_kr", range(0xB0, 0xC9), range(0xA1, 0xFF)),
    ):
        for lead in leads:
            row = b"".join(bytes((lead, trail)) + b"\n" for trail in trails)
            for char in row.decode(codec, "ignore").split():
                if len(char) == 1:
                    common[ord(char)] = True
    return common
