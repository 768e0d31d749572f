"""Title, author and date of pages: HtmlExtractor's and trafilatura's against the gold.

    python benchmarks/extraction_metadata.py DATA [--sample N] [--json]

DATA is the folder with html-gold.jsonl and real-3000.warc. A title is right where it has the words
of the gold's, with or without the name of the site; an author where the same names are in it; a
date where the day is the same. `right` is the share of what was given, `found` the share of the
gold's that were given and right.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from extraction_gold import GoldPage, load, words

from curate.extract.html import HtmlExtractor

Metadata = dict[str, str]
NAMES = ("title", "author", "date")
_NOT_NAMES = frozenset(("by", "and", "und", "et", "dr", "von"))
_SITE = re.compile(r"\s+[|\-–—·:»•]\s+")


def curate() -> Callable[[GoldPage], Metadata]:
    extractor = HtmlExtractor()

    def read(page: GoldPage) -> Metadata:
        found = extractor.extract(page.payload, page.url, page.charset).metadata
        return {
            "title": str(found["title"] or ""),
            "author": str(found["author"] or ""),
            "date": str(found["published"] or ""),
        }

    return read


def trafilatura() -> Callable[[GoldPage], Metadata]:
    from trafilatura import extract_metadata

    def read(page: GoldPage) -> Metadata:
        found = extract_metadata(page.html, default_url=page.url)
        if found is None:
            return dict.fromkeys(NAMES, "")
        return {name: str(getattr(found, name) or "") for name in NAMES}

    return read


def is_right(name: str, found: str, gold: str) -> bool:
    """Compare what was found with the gold."""
    if name == "date":
        return found[:10] == gold[:10]
    if name == "author":
        return set(words(found)) - _NOT_NAMES == set(words(gold)) - _NOT_NAMES
    return bool(_titles(found) & _titles(gold))


def _titles(text: str) -> set[str]:
    """Return a title's words, and those without what stands before or after the last separator."""
    cuts = [found.span() for found in _SITE.finditer(text)]
    parts = [text, *(text[:start] for start, _ in cuts[-1:]), *(text[end:] for _, end in cuts[:1])]
    return {" ".join(words(part)) for part in parts if len(words(part)) > 1 or part == text}


def measure(
    pages: list[GoldPage], read: Callable[[GoldPage], Metadata]
) -> dict[str, dict[str, float]]:
    """Return for each kind of fact and source how many pages have it, and how many are right."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for page in pages:
        try:
            found = read(page)
        except Exception:
            found = dict.fromkeys(NAMES, "")
        gold = {"title": page.title, "author": page.author, "date": page.date}
        for name in NAMES:
            if gold[name]:
                count = counts[f"{name}, {page.source}"]
                count["pages"] += 1
                count["given"] += bool(found[name])
                count["right"] += bool(found[name]) and is_right(name, found[name], gold[name])
    return {
        name: {
            "pages": count["pages"],
            "right": count["right"] / max(count["given"], 1),
            "found": count["right"] / count["pages"],
        }
        for name, count in sorted(counts.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="only so many pages, spread evenly")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    pages = [page for page in load(options.data) if page.title or page.author or page.date]
    if options.sample:
        pages = pages[:: max(len(pages) // options.sample, 1)]
    results: dict[str, Any] = {
        make.__name__: measure(pages, make()) for make in (curate, trafilatura)
    }
    if options.json:
        print(json.dumps(results))
        return
    print(
        "| | pages | curate right | found | trafilatura right | found |\n|---|--:|--:|--:|--:|--:|"
    )
    for name, ours in results["curate"].items():
        theirs = results["trafilatura"][name]
        cells = [ours["right"], ours["found"], theirs["right"], theirs["found"]]
        print(f"| {name} | {ours['pages']} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
