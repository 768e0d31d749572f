"""Gold pages that may be in the repository, and the floors that the extractor is held to.

    python -m tests.html_gold            the scores and the floors
    python -m tests.html_gold --raise    pin what is better than its floor
    python -m tests.html_gold --lower    pin all as it is now: say why in the commit

Two kinds: the documentation in sample_data/, whose gold is the element that its project's templates
put the text in, and pages written for this test in tests/gold/html, one for a page type.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curate.readers.charset import decode
from curate.readers.warc import WarcReader

HERE = Path(__file__).parent
FLOORS = HERE / "gold" / "html_floors.json"
WRITTEN = HERE / "gold" / "html"
WARCS = HERE.parent / "sample_data" / "warc"
PAGES_OF_A_KIND = 3
# By host: the element that holds the text, and the elements in it that are not part of it.
TEMPLATES = {
    "httpd.apache.org": ("//*[@id='page-content']", "//*[@class='toplang' or @class='bottomlang']"),
    "debian-handbook.info": ("//body", "//*[contains(@class,'docnav')] | //p[@id='title']"),
    "help.libreoffice.org": ("//*[@id='DisplayArea']", "//*[@class='embedded-none']"),
    "sqlite.org": ("//body", "/html/body/div[@class='nosearch']"),
    "www.postgresql.org": ("//*[@id='docContent']", "//*[starts-with(@class,'nav')]"),
    "docs.python.org": ("//*[@role='main']", "//*[@class='headerlink']"),
}
_LANGUAGE = re.compile(r"/(?:docs/[\d.]+|browse|\d\.\d)/([a-z]{2})\b")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff_]+")


def gold_pages() -> Iterator[tuple[str, bytes, str, str]]:
    """Yield kind, payload, charset and gold text, a few pages of a kind, always the same."""
    for path in sorted(WRITTEN.glob("*.html")):
        yield (
            f"written {path.stem}",
            path.read_bytes(),
            "utf-8",
            path.with_suffix(".txt").read_text(),
        )
    seen: Counter[str] = Counter()
    for path in sorted(WARCS.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for doc, fate in WarcReader(str(path)).read(str(path), stream):
                url = str(doc.metadata.get("url") or "")
                host = urlsplit(url).hostname or ""
                if fate is not None or host not in TEMPLATES or not doc.payload:
                    continue
                language = found[1] if (found := _LANGUAGE.search(url)) else "en"
                kind = f"{host} {language}"
                seen[kind] += 1
                if seen[kind] > PAGES_OF_A_KIND:
                    continue
                charset = str(doc.metadata["charset"])
                yield kind, doc.payload, charset, _gold(doc.payload, charset, *TEMPLATES[host])


def _gold(payload: bytes, charset: str, wanted: str, unwanted: str) -> str:
    from lxml import html

    tree: Any = html.document_fromstring(
        decode(payload, charset).encode(), parser=html.HTMLParser(encoding="utf-8")
    )
    for element in tree.xpath(f"{unwanted} | //script | //style"):
        element.drop_tree()
    return " ".join(text for element in tree.xpath(wanted) for text in element.itertext())


def f1(text: str, gold: str) -> float:
    """Return the F1 of the words of a text, as a multiset."""
    found, wanted = (Counter(_WORD.findall(part.lower())) for part in (text, gold))
    total = found.total() + wanted.total()
    return 2 * (found & wanted).total() / total if total else 1.0


def scores() -> dict[str, float]:
    """Return the mean F1 of each kind of page."""
    from curate.extract.html import HtmlExtractor

    extractor = HtmlExtractor()
    by_kind: dict[str, list[float]] = defaultdict(list)
    for kind, payload, charset, gold in gold_pages():
        by_kind[kind].append(f1(extractor.extract(payload, "", charset).text, gold))
    return {kind: sum(values) / len(values) for kind, values in sorted(by_kind.items())}


def main(arguments: list[str]) -> None:
    floors = json.loads(FLOORS.read_text()) if FLOORS.exists() else {}
    found = scores()
    for kind, value in found.items():
        print(f"{kind:<32} {value:.4f}  floor {floors.get(kind, 0):.3f}")
        # Three digits, rounded down: what is pinned holds.
        pinned = int(1000 * value) / 1000
        if "--lower" in arguments or ("--raise" in arguments and pinned > floors.get(kind, 0)):
            floors[kind] = pinned
    if "--lower" in arguments:
        floors = {kind: floors[kind] for kind in found}
    if arguments:
        FLOORS.write_text(json.dumps(floors, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
