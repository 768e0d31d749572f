"""The table of hostile inputs: what they cost and what becomes of them.

`python -m tests.hostile_table [KIND...]`; kinds are warc, html, jsonl, parquet, url, name, regex.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from curate.dataset import folder_of
from curate.document import Document
from curate.errors import DocumentError
from curate.extract.html import HtmlExtractor, TrafilaturaExtractor
from curate.filters.url import UrlFilter
from curate.steps import Extractor

from .hostile_files import Outcome, apart, measure, name_of
from .test_hostile_html import PAGES
from .test_hostile_names import NAMES
from .test_hostile_records import JSONL, LINES, PARQUET, REFUSED, TABLES
from .test_hostile_urls import URLS
from .test_hostile_warc import FILES, READER
from .test_regex_linear import BOUNDED

Rows = Iterator[tuple[str, int, Outcome]]
_CHILD_BYTES = 8 << 30  # the address space of the extractor's process counts, which has its limit


def _warc() -> Rows:
    for name, (make, _) in FILES.items():
        data = make()
        yield name, len(data), measure(READER, data)


def _jsonl() -> Rows:
    for name, (make, _) in LINES.items():
        data = make()
        yield name, len(data), measure(JSONL, data)


def _parquet() -> Rows:
    makers: dict[str, Callable[[], bytes]] = {name: make for name, (make, _) in TABLES.items()}
    makers |= {name: make for name, (make, _) in REFUSED.items()}
    for name, make in makers.items():
        data = make()
        yield name, len(data), measure(PARQUET, data)


def _html() -> Rows:
    for name, (make, _) in PAGES.items():
        data = make()
        for extractor in (TrafilaturaExtractor(), HtmlExtractor()):
            outcome = apart(partial(_extract, extractor, data), _CHILD_BYTES, 300)
            yield f"{name} ({type(extractor).__name__})", len(data), outcome


def _extract(extractor: Extractor, data: bytes) -> dict[str, int]:
    extractor.setup()
    try:
        text = extractor.extract(data, "http://a.example/").text
    except DocumentError as error:
        return {error.reason: 1}
    finally:
        extractor.close()
    return {f"kept, {len(text):,} characters": 1}


def _url() -> Rows:
    step = UrlFilter()
    step.setup()
    for name, url in URLS.items():
        yield name, len(url), apart(partial(_filter, step, url))


def _filter(step: UrlFilter, url: str) -> dict[str, int]:
    try:
        fate = step.apply(Document("x", metadata={"url": url}))
    except DocumentError as error:
        return {error.reason: 1}
    return {fate.reason if fate else "kept": 1}


def _name() -> Rows:
    for name in NAMES:
        folder = folder_of(name or "unknown")
        yield repr(name[:30]), len(name), Outcome({f"folder {folder}": 1}, 0.0, 0.0, 0)


def _regex() -> Rows:
    done = subprocess.run(
        [sys.executable, "-m", "tests.regex_attacks", "20000", "1"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    seconds, place = found["worst"]
    name = f"{found['patterns']} patterns, {found['texts']:,} texts of 20,000 characters"
    slow = {
        f"over 1 s if it were given such a text: {place} ({why})": 1
        for place in found["slow"]
        for known, why in BOUNDED.items()
        if place.startswith(known)
    }
    slow |= {f"over 1 s: {where}": 1 for where in found["slow"] if not _is_bounded(where)}
    yield name, 20_000, Outcome({f"worst {place}": 1, **slow}, seconds, 0.0, 0)


def _is_bounded(place: str) -> bool:
    return any(place.startswith(known) for known in BOUNDED)


KINDS: dict[str, Callable[[], Rows]] = {
    "warc": _warc,
    "html": _html,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "url": _url,
    "name": _name,
    "regex": _regex,
}


def main() -> None:
    """Print it in Markdown."""
    print("| input | bytes | CPU s | MB | outcome |\n|---|---:|---:|---:|---|")
    for kind in sys.argv[1:] or KINDS:
        for name, size, outcome in KINDS[kind]():
            became = ", ".join(
                f"{what} {count:,}" if count > 1 else what for what, count in outcome.found.items()
            )
            what = name_of(outcome.status) or became or "nothing in it"
            print(
                f"| {kind}: {name} | {size:,} | {outcome.seconds:.2f} | {outcome.megabytes:.0f}"
                f" | {what} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
