"""A page that shows side by side what extractors keep and lose of some pages (extraction.py)."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Mapping, Sequence

from extraction_gold import GoldPage, score, words

_STYLE = """body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse;width:100%;
table-layout:fixed}td,th{border:1px solid #ccc;padding:.5em;vertical-align:top}
td{overflow-wrap:anywhere}
.wrong{background:#fdd}.lost{background:#ffd}div{margin:.2em 0}"""
_MAX_LINES = 60
_MAX_CHARS = 300


def choose(pages: Sequence[GoldPage], number: int = 20) -> list[GoldPage]:
    """Choose pages whose gold is theirs: of all types and languages in turn, always the same."""
    kinds: dict[str, list[GoldPage]] = defaultdict(list)
    for page in pages:
        if page.text:
            kinds[page.page_type or f"~{page.language}"].append(page)
    chosen: list[GoldPage] = []
    while len(chosen) < number and any(kinds.values()):
        for _, found in sorted(kinds.items()):
            while found:
                page = found.pop(0)
                if _has_gold(page):
                    chosen.append(page)
                    break
    return chosen[:number]


def _has_gold(page: GoldPage) -> bool:
    """Tell whether most of the gold is on the page: some of it is of another version of it."""
    here, gold = words(page.html), words(page.text)
    known = set(zip(here, here[1:], here[2:], strict=False))
    found = [three in known for three in zip(gold, gold[1:], gold[2:], strict=False)]
    return sum(found) > 0.7 * len(found)


def side_by_side(pages: Sequence[GoldPage], texts: Mapping[str, Mapping[str, str]]) -> str:
    """Write the page: a column for each extractor, red what the gold has not, yellow what is lost.

    Args:
        pages: the pages to show.
        texts: extractor to page's sha1 to text.
    """
    parts = [
        f"<!DOCTYPE html><meta charset=utf-8><title>Side by side</title><style>{_STYLE}</style>"
    ]
    for page in pages:
        parts.append(f"<h2>{html.escape(page.page_type or page.source)}, {page.language}</h2>")
        parts.append(f"<p>{html.escape(page.url)}</p><table><tr>")
        columns = []
        for name, found in texts.items():
            text = found.get(page.sha1, "")
            f1 = score(text, page.text)[2]
            parts.append(f"<th>{html.escape(name)}: F1 {f1:.3f}</th>")
            columns.append(_marked(text, page.text, "wrong") + _lost(text, page.text))
        parts.append("</tr><tr>" + "".join(f"<td>{column}</td>" for column in columns))
        parts.append("</tr></table>")
    return "\n".join(parts)


def _marked(text: str, other: str, mark: str, only: bool = False) -> str:
    known = " ".join(words(other))
    lines = []
    for line in text.splitlines():
        is_known = " ".join(words(line)) in known
        if line.strip() and not (only and is_known):
            style = "" if is_known else f" class={mark}"
            lines.append(f"<div{style}>{html.escape(line[:_MAX_CHARS])}</div>")
    more = len(lines) - _MAX_LINES
    return "".join(lines[:_MAX_LINES]) + (f"<div>and {more} lines more</div>" if more > 0 else "")


def _lost(text: str, gold: str) -> str:
    lost = _marked(gold, text, "lost", only=True)
    return f"<h4>lost</h4>{lost}" if lost else ""
