"""The table of hostile inputs: what they cost and what becomes of them.

`python -m tests.hostile_table [KIND...]`; kinds are warc, html, jsonl, parquet, url, name, text,
regex. A row that goes beyond its bound is marked, and the command then ends with exit code 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from curate.dataset import folder_of
from curate.document import Document
from curate.errors import DocumentError
from curate.extract.html import HtmlExtractor, TrafilaturaExtractor
from curate.filters.url import UrlFilter

from .hostile_files import (
    ARCHIVE,
    NAME,
    PAGE,
    PAGE_IN_PROCESS,
    RECORDS,
    TEXT,
    URL,
    Bound,
    Outcome,
    apart,
    measure,
    name_of,
)
from .hostile_texts import TEXTS, Fate, load, slowest, text_of
from .test_hostile_html import PAGES, extract
from .test_hostile_names import NAMES
from .test_hostile_records import JSONL, LARGEST, LINES, PARQUET, REFUSED, TABLES
from .test_hostile_urls import URLS
from .test_hostile_warc import FILES, READER

Rows = Iterator[tuple[str, int, Outcome]]
_CHILD_BYTES = 8 << 30  # the address space of the extractor's process counts, which has its limit


def _warc() -> Rows:
    for name, (make, _) in FILES.items():
        data = make()
        yield name, len(data), measure(READER, data, ARCHIVE)


def _jsonl() -> Rows:
    for name, (make, _) in {**LINES, **LARGEST}.items():
        data = make()
        yield name, len(data), measure(JSONL, data, RECORDS)


def _parquet() -> Rows:
    makers: dict[str, Callable[[], bytes]] = {name: make for name, (make, _) in TABLES.items()}
    makers |= {name: make for name, (make, _) in REFUSED.items()}
    for name, make in makers.items():
        data = make()
        yield name, len(data), measure(PARQUET, data, RECORDS)


def _html() -> Rows:
    for name, (make, _) in PAGES.items():
        data = make()
        outcome = apart(partial(extract, TrafilaturaExtractor(), data), PAGE, _CHILD_BYTES)
        yield f"{name} (TrafilaturaExtractor)", len(data), outcome
        outcome = apart(partial(extract, HtmlExtractor(), data), PAGE_IN_PROCESS)
        yield f"{name} (HtmlExtractor)", len(data), outcome


def _url() -> Rows:
    step = UrlFilter()
    step.setup()
    for name, url in URLS.items():
        yield name, len(url), apart(partial(_filter, step, url), URL)


def _filter(step: UrlFilter, url: str) -> dict[str, int]:
    try:
        fate = step.apply(Document("x", metadata={"url": url}))
    except DocumentError as error:
        return {error.reason: 1}
    return {fate.reason if fate else "kept": 1}


def _name() -> Rows:
    for name in NAMES:
        yield repr(name[:30]), len(name), apart(partial(_folder, name), NAME)


def _folder(name: str) -> dict[str, int]:
    return {f"folder {folder_of(name or 'unknown')}": 1}


def _text() -> Rows:
    fates = load()
    for name in TEXTS:
        text = text_of(name, 1_000_000)
        whole = apart(partial(_slowest, fates, text), Bound(600, TEXT.megabytes))
        seconds = whole.found.pop("ms", 0) / 1000
        yield name, len(text.encode()), replace(whole, seconds=seconds, bound=TEXT)


def _slowest(fates: Mapping[str, Fate], text: str) -> dict[str, int]:
    seconds, step, kept = slowest(fates, text)
    return {
        f"kept by {kept} of {len(fates)} steps": 1,
        f"slowest {step}": 1,
        "ms": int(seconds * 1000),
    }


def _regex() -> Rows:
    done = subprocess.run(
        [sys.executable, "-m", "tests.regex_attacks"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    size, (seconds, place) = found["characters"], found["worst"]
    name = f"{found['patterns']} patterns, {found['texts']:,} texts of {size:,} characters"
    grown = {f"grows faster than the text: {where}": 1 for where in found["growing"]}
    linear = {f"linear but for what follows, the slowest {place}": 1}
    yield name, size, Outcome({**linear, **grown}, seconds, 0.0, 0)
    for where, one in found["bounded"].items():
        took = f"{one['seconds'] * 1000:.1f} ms; more is never given: {one['why']}"
        yield where, one["size"], Outcome({took: 1}, one["seconds"], 0.0, 0)


KINDS: dict[str, Callable[[], Rows]] = {
    "warc": _warc,
    "html": _html,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "url": _url,
    "name": _name,
    "text": _text,
    "regex": _regex,
}


def main() -> int:
    """Print it in Markdown; return 1 if a row goes beyond its bound."""
    print("| input | bytes | CPU s | MB | bound | outcome |\n|---|---:|---:|---:|---|---|")
    beyond = 0
    for kind in sys.argv[1:] or KINDS:
        for name, size, outcome in KINDS[kind]():
            became = ", ".join(
                f"{what} {count:,}" if count > 1 else what for what, count in outcome.found.items()
            )
            what = name_of(outcome.status) or became or "nothing in it"
            beyond += not outcome.is_within
            print(
                f"| {kind}: {name} | {size:,} | {outcome.seconds:.2f} | {outcome.megabytes:.0f}"
                f" | {outcome.bound or ''} | {'' if outcome.is_within else '**beyond** '}{what} |",
                flush=True,
            )
    if beyond:
        print(f"{beyond} rows go beyond their bounds.", file=sys.stderr)
    return int(beyond > 0)


if __name__ == "__main__":
    sys.exit(main())
