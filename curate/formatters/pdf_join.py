"""Join the pages of a PDF to the text that is published."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..document import Document
from ..pages import pages_of, set_pages
from ..steps import Drop, Step
from .pdf_lines import is_table_row

_BREAK = "\n\n"
_HYPHENS = "-\u2010\u00ad"
_HYPHENATED = re.compile(rf"[^\W\d_]{{2}}[{_HYPHENS}]\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"(?<!\S)[^\W\d_]+(?:['’-][^\W\d_]+)*[,;.]?(?!\S)")
_OPEN_LINE = 30  # characters of a line that a sentence can run out of; headings are shorter
_OPEN_WORDS = 4  # words in it, so that it is prose
_NEXT_WORDS = 3
_WINDOW = 400


@dataclass(frozen=True)
class PdfPageJoiner(Step):
    """Join pages as FinePDFs does: with a blank line, or straight on where a word is divided.

    Pages without text go; `page_numbers` keeps the number in the file, from 0, of each that stays.
    What separates two pages belongs to the later one. A hyphen goes where the next page begins
    with the rest of the word, in small letters.

    DIFFERS: a sentence that is open at the end of a page, and goes on with a small letter, goes on
    after a space. FinePDFs has such a rule, but it never ran; its conditions on the layout are
    not known here, so that only lines of full length count, and no headings, lists or tables.
    """

    name = "pdf_page_joiner"
    columns = {"page_ends": "list<int64>", "page_numbers": "list<int64>"}
    reasons = ("no_text",)

    def apply(self, doc: Document) -> Drop | None:
        pages = [page.strip() for page in pages_of(doc)]
        numbers = [number for number, page in enumerate(pages) if page]
        joined: list[str] = []
        for number in numbers:
            page = pages[number]
            if joined:
                joined[-1], separator = _seam(joined[-1], page)
                page = separator + page
            joined.append(page)
        set_pages(doc, joined)
        doc.metadata["page_numbers"] = numbers
        return None if joined else Drop("no_text")


def _seam(before: str, after: str) -> tuple[str, str]:
    """Return a page as it ends, and what stands between it and the next."""
    line = before[-_WINDOW:].rpartition("\n")[2]
    first = _FIRST_WORD.match(after)
    if not first or is_table_row(line):
        return before, _BREAK
    if _HYPHENATED.search(line):
        # A capital letter begins something else, or belongs to a name such as "Anglo-Saxon".
        return (before[:-1], "") if first.group()[0].islower() else (before, _BREAK)
    if _is_open(line) and _goes_on(after):
        return before, " "
    return before, _BREAK


def _is_open(line: str) -> bool:
    """Say whether a sentence runs out of a line of prose."""
    return (
        len(line) >= _OPEN_LINE
        and (line[-1] == "," or line[-1].islower())
        and line.lstrip()[0] not in "#|>"
        and len(_WORD.findall(line)) >= _OPEN_WORDS
    )


def _goes_on(after: str) -> bool:
    """Say whether a page begins within a sentence: "and so on", but no "a) item" or "x = 1"."""
    line = after[:_WINDOW].partition("\n")[0].rstrip()
    first = _WORD.match(line)
    if not first or not first.group().islower():
        return False
    num_words = len(_WORD.findall(line))
    second = line[first.end() + 1 : first.end() + 2]
    if first.end() == 1 and not second.islower():
        return False
    return num_words >= _NEXT_WORDS or line[-1] in ".!?"
