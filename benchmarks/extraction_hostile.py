"""Pages made to break an extractor, at one, two and four times the size: is it linear?

    python benchmarks/extraction_hostile.py [--megabytes 1]

Prints CPU seconds for each megabyte of HTML, and the peak memory of the process. Where the last
column, the time of the largest page by that of the smallest for each byte, is near 1, the time is
linear. The limits of the extractor are lifted.
"""

from __future__ import annotations

import argparse
import resource
import time

from curate.extract.html import HtmlExtractor

PATTERNS = {
    "nested elements": ("", "<div>", "x"),
    "nested elements with text": ("", "<div>x", ""),
    "a text": ("<p>", "word ", "</p>"),
    "one word": ("<p>", "x", "</p>"),
    "attributes of one tag": ("<div ", 'a="b" ', ">x"),
    "classes of one element": ('<div class="', "x-y ", '">x'),
    "one attribute's name": ("<div ", "y", ">x"),
    "items": ("<ul>", "<li>x", "</ul>"),
    "cells of one row": ("<table><tr>", "<td>x", "</table>"),
    "tables in tables": ("", "<table><tr><td>x", ""),
    "ends of nothing, deep down": ("<div>" * 390, "</table></ul>x<p>", ""),
    "items in no list, deep down": ("<div>" * 390, "<dd>x", ""),
    "open formatting": ("", "<b id=a><p>x", ""),
    "line breaks": ("<p>", "x<br>", ""),
    "links": ("<p>", "<a href=x>y</a> ", ""),
    "entities": ("<p>", "&amp;", ""),
    "bare less-than signs": ("<p>", "< ", ""),
    "open quotes": ("<p>", '<a href="', ""),
    "open scripts": ("<p>x", "<script", ""),
    "open comments": ("<p>x", "<!--", ""),
    "a script of less-than signs": ("<p>x<script>", "<", "</script>"),
    "a comment of dashes": ("<p>x<!--", "- -", "-->"),
    "brackets of linked data": ('<p>x<script type="application/ld+json">', "[", "</script>"),
    "a description": ('<p>x<meta name=description content="', "y", '">'),
}


def measure(page: bytes) -> float:
    """Return CPU seconds for each megabyte."""
    extractor = HtmlExtractor(max_tags=10**9, max_payload_bytes=10**10)
    extractor.setup()
    started = time.process_time()
    extractor.extract(page, "")
    return (time.process_time() - started) / (len(page) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1.0)
    options = parser.parse_args()
    print(f"{'page':<32}{'CPU s/MB, 1x':>14}{'2x':>8}{'4x':>8}{'4x : 1x':>9}{'peak MB':>9}")
    for name, (before, piece, after) in PATTERNS.items():
        times = int(options.megabytes * 1e6 / len(piece))
        rates = [
            measure(f"{before}{piece * (times * factor)}{after}".encode()) for factor in (1, 2, 4)
        ]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = "".join(f"{rate:>8.2f}" for rate in rates[1:])
        growth = rates[2] / max(rates[0], 0.01)
        print(f"{name:<32}{rates[0]:>14.2f}{figures}{growth:>9.2f}{peak:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
