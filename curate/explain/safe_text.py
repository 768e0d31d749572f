"""Crawled text for a terminal or a page: nothing in it acts, everything in it can be seen."""

from __future__ import annotations

import re

# Control characters, and those that turn the direction of text or hide in it.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSAFE = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\u2028\u2029\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_NAMES = {
    0x061C: "ALM", 0x200E: "LRM", 0x200F: "RLM", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF",
    0x202D: "LRO", 0x202E: "RLO", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI",
}  # fmt: skip


def visible(text: str, max_chars: int = 0) -> str:
    """Return text whose control and direction characters are spelled out.

    Args:
        text: anything; line feeds and tabs stay.
        max_chars: cut what is longer, and say how much; 0 for all.
    """
    left_out = len(text) - max_chars if max_chars else 0
    if left_out > 0:
        text = text[:max_chars]
    text = _UNSAFE.sub(_spelled, text)
    return f"{text}… [{left_out:,} more characters]" if left_out > 0 else text


def shown_blank(line: str) -> str:
    """Return a line of nothing but space so that it can be seen: filters count such lines too."""
    return line if line.strip() else line.replace("\t", "⇥").replace(" ", "·") or "¶"


def one_line(text: str, max_chars: int = 300) -> str:
    """Return text as one visible line."""
    return visible(" ".join(text[: 4 * max_chars].split()), max_chars)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # the picture of a control character
    return f"[{_NAMES.get(code) or f'U+{code:04X}'}]"
