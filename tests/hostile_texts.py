"""Texts made against the steps that read text, and every such step of both pipelines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from curate.dedup.containment import sampled
from curate.dedup.minhash import MinHashParams, bucket_keys, evidence, shingles_to_sign
from curate.dedup.signatures import ExactParams, _exact_keys
from curate.document import Document
from curate.errors import DocumentError
from curate.filters.c4 import C4QualityFilter
from curate.filters.fineweb import FineWebQualityFilter
from curate.filters.gopher import GopherQualityFilter, GopherRepetitionFilter
from curate.filters.language import LanguageFilter
from curate.filters.language_gate import LanguageGate
from curate.filters.page_language import PageLanguages
from curate.formatters.ftfy import FtfyFormatter
from curate.formatters.pdf_boilerplate import PdfBoilerplate
from curate.formatters.pdf_join import PdfPageJoiner
from curate.formatters.pdf_normalize import PdfNormalizer
from curate.formatters.pdf_page_numbers import PdfPageNumbers
from curate.formatters.pdf_tables import PdfTables
from curate.formatters.pii import PiiFormatter
from curate.pages import PagesStep, PerPage
from curate.steps import Step
from curate.token_counter import TokenCounter

from .hostile_files import TEXT
from .regex_attacks import RATIO

Fate = Callable[[str], str]

# What each is made of: repeated up to the size that is wanted.
PATTERNS = {
    "one word": "a",
    "blanks": " ",
    "line ends": "\n",
    "line ends and blanks": "\n ",
    "carriage returns": "\r",
    "tabs": "\t|\t",
    "blanks that do not break": "\u00a0",
    "one line of words": "the of ",
    "one sentence of a letter": "a. ",
    "capitals with dots": "A. ",
    "dots": ".",
    "dots apart": ". . ",
    "ellipses and quotes": '..."',
    "quotes": "\"'",
    "colons": ":::",
    "dashes": "-",
    "underscores": "_",
    "hyphens at line ends": "a-\n",
    "digits": "1",
    "numbers with dots": "1.",
    "addresses nearly of IPv4": "255.255.255.",
    "addresses nearly of IPv6": "a:b::",
    "at signs": "@",
    "addresses nearly of mail": "a@a.",
    "local parts without end": "a.b+c-",
    "web addresses": "http://",
    "entities": "&#",
    "bullets": "• ",
    "bullets of lines": "* a\n",
    "headings": "#",
    "fences": "```\n",
    "table rows": "|a|b|\n",
    "table rules": "| - ",
    "pipes": "|",
    "brackets that open": "([{<",
    "brackets that close": ")]}>",
    "numbers of pages": "Page 1 of 2\n",
    "pages between dashes": "- 1 -\n",
    "the same line": "The same line is said again.\n",
    "curly brackets": "lorem ipsum {\n",
    "marks on letters": "a\u0301",
    "marks on nothing": "\u0301",
    "emoji joined": "\U0001f468\u200d",
    "Chinese": "\u4e2d",
    "Thai": "\u0e01\u0e33",
    "Hebrew": "\u05d0 ",
    "marks of direction": "\u200f\u202e",
    "ligatures": "\ufb01\ufdfa",
    "mojibake": "\u00e2\u20ac\u2122",
    "mojibake of mojibake": "\u00c3\u0192\u00c2\u00a2",
    "surrogates escaped": "\\ud800",
    "NUL": "\0",
    "signs of control": "\x1b[31m\x07",
}
SIZE = 25_000
_TRIES = 3
_PAGE_CHARS = 1000
# The first text has a step load what it needs, and compile it.
_OTHER = "Words of a text are kept until the next one comes. "
_SIGNED = {
    "fineweb": MinHashParams(5, 14, 8, hash="sha1"),
    "finepdf": MinHashParams(5, 32, 10, hash="xxhash", max_chars=1_000_000),
}


def text_of(name: str, size: int) -> str:
    """Return the text of so many characters."""
    if name == "distinct words":
        return " ".join(map(str, range(10**6, 10**6 + size // 8)))
    if name == "distinct lines":
        return "\n".join(f"line {number}." for number in range(10**6, 10**6 + size // 14))
    pattern = PATTERNS[name]
    return (pattern * (size // len(pattern) + 1))[:size]


TEXTS = (*PATTERNS, "distinct words", "distinct lines")


def _steps() -> Iterator[Step]:
    yield from (GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter())
    yield C4QualityFilter(require_terminal_punctuation=False)
    yield from (FineWebQualityFilter(), LanguageFilter(), LanguageGate(), PageLanguages())
    yield from (FtfyFormatter(), PerPage(FtfyFormatter()), PiiFormatter(), PerPage(PiiFormatter()))
    yield from (PdfPageNumbers(), PdfTables(), PdfBoilerplate(), PdfNormalizer(), PdfPageJoiner())
    yield TokenCounter("gpt2")


def _apply(step: Step, page_chars: int, text: str) -> str:
    ends = [*range(page_chars, len(text), page_chars), len(text)] if page_chars else [len(text)]
    metadata = {"url": "http://a.example/", "page_ends": ends, "num_pages": len(ends)}
    doc = Document("x", text, metadata, text.encode())
    try:
        fate = step.apply(doc)
    except DocumentError as error:
        return error.reason
    return fate.reason if fate else "kept"


def _sign(params: MinHashParams, text: str) -> str:
    found = shingles_to_sign(text, params)
    sampled(found)
    evidence(text, params)
    return "kept" if len(bucket_keys(text, params, found)) else "no_signature"


def _compare(params: ExactParams, text: str) -> str:
    return "kept" if len(_exact_keys(Document("x", text), params)) else "no_signature"


def load() -> dict[str, Fate]:
    """Return each step, ready, as a function from a text to what becomes of it."""
    fates: dict[str, Fate] = {}
    for step in _steps():
        step.setup()
        name = type(step).__name__
        if isinstance(step, PerPage):
            name = f"PerPage({type(step.formatter).__name__})"
        elif name in fates:
            name += ", other rules"
        fates[name] = partial(_apply, step, 0)
        if isinstance(step, PagesStep | PdfPageJoiner | PageLanguages):
            fates[f"{name}, many pages"] = partial(_apply, step, _PAGE_CHARS)
    for name, params in _SIGNED.items():
        fates[f"signatures of {name}"] = partial(_sign, params)
    fates["exact keys"] = partial(_compare, ExactParams(ignore_whitespace=True))
    for fate in fates.values():
        fate(_OTHER)
    return fates


def slowest(fates: Mapping[str, Fate], text: str) -> tuple[float, str, int]:
    """Return the most CPU seconds that a step takes with a text, which, and how many keep it."""
    most, name, kept = 0.0, "", 0
    for step, fate in fates.items():
        seconds, fated = _seconds(fate, text)
        kept += fated == "kept"
        most, name = max((most, name), (seconds, step))
    return most, name, kept


def growing(fates: Mapping[str, Fate], name: str) -> dict[str, str]:
    """Return the steps that take far more than four times as long for four times the text.

    Those are left out that are so quick that, even were they quadratic, a text of a million
    characters would keep to its bound.
    """
    shorter, longer = text_of(name, SIZE), text_of(name, 4 * SIZE)
    quick_s = TEXT.seconds * (4 * SIZE / 1e6) ** 2
    found: dict[str, str] = {}
    for step, fate in fates.items():
        took = _seconds(fate, longer)[0]
        if took <= quick_s:
            continue
        # Others on the machine, or a collection of garbage, make some of them longer, hardly all.
        short = min(_seconds(fate, shorter)[0] for _ in range(_TRIES))
        tries = (_seconds(fate, longer)[0] for _ in range(_TRIES))
        if took > RATIO * short and all(seconds > RATIO * short for seconds in tries):
            found[step] = f"{short:.3f} s for {SIZE:,} characters, {took:.3f} s for {4 * SIZE:,}"
    return found


def _seconds(fate: Fate, text: str) -> tuple[float, str]:
    fate(_OTHER)
    before = time.process_time()
    fated = fate(text)
    return time.process_time() - before, fated
