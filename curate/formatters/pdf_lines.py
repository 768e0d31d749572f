"""Lines of a page, as the steps on the text of PDFs see them."""

from __future__ import annotations

import re

_FENCE = re.compile(r"\s*(?:```|~~~)")


def is_table_row(line: str) -> bool:
    """Say whether a line is a row of a Markdown pipe table."""
    line = line.strip()
    return len(line) > 1 and line[0] == line[-1] == "|"


def is_fence(line: str) -> bool:
    """Say whether a line opens or closes a block of code."""
    return _FENCE.match(line) is not None


def filled(lines: list[str]) -> list[int]:
    """Return the indices of the lines that are not blank."""
    return [index for index, line in enumerate(lines) if line and not line.isspace()]


def without(lines: list[str], removed: set[int]) -> str:
    """Return a page without some of its lines."""
    return "\n".join(line for index, line in enumerate(lines) if index not in removed)
