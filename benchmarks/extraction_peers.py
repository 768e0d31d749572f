"""Run one extractor over pages, in a process of its own (see extraction.py).

    python benchmarks/extraction_peers.py NAME PAGES OUT

PAGES has a JSON object with `sha1` and `html` in each line; OUT gets the texts, and in its last
line the CPU seconds and the peak memory. Only what the extractor itself needs is imported, so that
it can be run in another environment.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

Extract = Callable[[str], str]
WARM_UP = "<html><body><nav><a href='/'>Home</a></nav><p>A page to load all.</p></body></html>"


def curate() -> Extract:
    from curate.extract.html import HtmlExtractor

    extractor = HtmlExtractor()
    extractor.setup()
    return lambda html: extractor.extract(html.encode(), "").text


def curate_trafilatura() -> Extract:
    from curate.extract.html import TrafilaturaExtractor

    extractor = TrafilaturaExtractor(isolate=False)
    extractor.setup()
    return lambda html: extractor.extract(html.encode(), "").text


def trafilatura_fineweb() -> Extract:
    from trafilatura import extract

    return lambda html: (
        extract(
            html,
            favor_precision=True,
            include_comments=False,
            include_tables=True,
            deduplicate=False,
        )
        or ""
    )


def trafilatura_default() -> Extract:
    from trafilatura import extract

    return lambda html: extract(html, include_comments=False) or ""


def trafilatura_fast() -> Extract:
    from trafilatura import extract

    return lambda html: extract(html, include_comments=False, fast=True) or ""


def resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    return lambda html: extract_plain_text(html, main_content=True, alt_texts=False)


def readability() -> Extract:
    from lxml.html import document_fromstring  # type: ignore[import-untyped,unused-ignore]
    from readability import Document  # type: ignore[import-not-found,unused-ignore]

    def extract(html: str) -> str:
        summary = Document(html).summary(html_partial=True)
        blocks = document_fromstring(summary).xpath("//text()")
        return " ".join(blocks)

    return extract


def justext() -> Extract:
    import justext as library  # type: ignore[import-untyped,unused-ignore]

    stop_words: frozenset[str] = frozenset().union(
        *(library.get_stoplist(name) for name in ("English", "German", "Polish", "Greek"))
    ) | library.get_stoplist("Russian")

    def extract(html: str) -> str:
        paragraphs = library.justext(html.encode(), stop_words, encoding="utf-8")
        return "\n".join(part.text for part in paragraphs if not part.is_boilerplate)

    return extract


EXTRACTORS: dict[str, Callable[[], Extract]] = {
    "curate": curate,
    "curate-trafilatura": curate_trafilatura,
    "trafilatura-fineweb": trafilatura_fineweb,
    "trafilatura-default": trafilatura_default,
    "trafilatura-fast": trafilatura_fast,
    "resiliparse": resiliparse,
    "readability": readability,
    "justext": justext,
}


def main() -> None:
    name, pages, out = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    extract = EXTRACTORS[name]()
    extract(WARM_UP)
    seconds, failed = 0.0, 0
    with Path(pages).open() as lines, Path(out).open("w") as output:
        for line in lines:
            page = json.loads(line)
            started = time.process_time()
            try:
                text = extract(page["html"])
            except Exception:
                text, failed = "", failed + 1
            spent = time.process_time() - started
            seconds += spent
            output.write(json.dumps({"sha1": page["sha1"], "text": text, "seconds": spent}) + "\n")
        # Not getrusage: that of a new program begins with the memory of who started it.
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split(None, 1)[0]) / 1024
        output.write(json.dumps({"seconds": seconds, "peak_mb": peak, "failed": failed}) + "\n")


if __name__ == "__main__":
    main()
