"""The gold sets of annotated pages: loading, splitting by domain, scoring, labels of blocks."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from curate.readers.charset import decode
from curate.readers.warc import WarcReader

# Scripts written without spaces count by the character; all else by the word.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
    r"|[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff_]+"
)
FULL_TEXT = {"full-text", "tool-approved-text", "markdown", "paragraphs (parser-made, reviewed)"}


@dataclass(frozen=True, slots=True)
class GoldPage:
    """One annotated page.

    Attributes:
        group: registrable domain; pages of one are never on both sides of a split.
        text: all of the main text, "" where only snippets are known.
        must, must_not: snippets.
    """

    sha1: str
    source: str
    url: str
    group: str
    language: str
    page_type: str
    payload: bytes
    charset: str
    text: str
    must: tuple[str, ...]
    must_not: tuple[str, ...]
    title: str
    author: str
    date: str

    @property
    def html(self) -> str:
        return decode(self.payload, self.charset)

    def fold(self, folds: int = 5) -> int:
        """Return which part of a cross-validation this page is in, by its domain."""
        return int(hashlib.sha256(self.group.encode()).hexdigest()[:8], 16) % folds


def load(folder: Path) -> list[GoldPage]:
    """Read every annotated page whose bytes are there, in a fixed order, each page once."""
    import tldextract

    domain = tldextract.TLDExtract(suffix_list_urls=())
    gold: dict[str, dict[str, object]] = {}
    with (folder / "html-gold.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            gold.setdefault(row["sha1"], row)
    pages = []
    path = folder / "real-3000.warc"
    with path.open("rb") as stream:
        for doc, _ in WarcReader(str(path)).read(str(path), stream):
            row = gold.get(hashlib.sha1(doc.payload or b"").hexdigest(), {})
            if not row or row["gold"] == "date-only":
                continue
            is_full = row["gold"] in FULL_TEXT
            url = str(row["url"])
            parts = domain(url)
            pages.append(
                GoldPage(
                    sha1=str(row["sha1"]),
                    source=str(row["source"]),
                    url=url,
                    group=parts.top_domain_under_public_suffix or parts.fqdn or url,
                    language=str(row.get("lid") or ""),
                    page_type=str(row.get("page_type") or ""),
                    payload=doc.payload or b"",
                    charset=str(doc.metadata.get("charset") or "utf-8"),
                    text=str(row.get("text") or "") if is_full else "",
                    must=tuple(row.get("must") or ()),  # type: ignore[arg-type]
                    must_not=tuple(row.get("mustnot") or ()),  # type: ignore[arg-type]
                    title=str(row.get("title") or ""),
                    author=str(row.get("author") or ""),
                    date=str(row.get("date") or ""),
                )
            )
    return sorted(pages, key=lambda page: page.sha1)


def words(text: str) -> list[str]:
    """Split text into what is counted."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def score(text: str, gold: str) -> tuple[float, float, float]:
    """Return precision, recall and F1 over the multisets of words."""
    found, wanted = Counter(words(text)), Counter(words(gold))
    if not found and not wanted:
        return 1.0, 1.0, 1.0
    common = (found & wanted).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / found.total(), common / wanted.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def share_found(text: str, snippets: Iterable[str]) -> float | None:
    """Return the share of the snippets that are in the text, white space apart; None of none."""
    flat = " ".join(words(text))
    found = [" ".join(words(snippet)) in flat for snippet in snippets if words(snippet)]
    return sum(found) / len(found) if found else None


def label_full(texts: Sequence[str], gold: str) -> tuple[list[float], list[int]]:
    """Return the share of each block's words that are the gold's, and its number of words.

    Page and gold are aligned word by word: five words that occur once on both sides are anchors, of
    which the longest ascending row counts; what is between two anchors is aligned by difflib. Long
    blocks that the gold has elsewhere count as well.
    """
    blocks = [words(text) for text in texts]
    page = [word for block in blocks for word in block]
    wanted = words(gold)
    matched = bytearray(len(page))
    _align(page, wanted, matched)
    in_gold = {tuple(wanted[i : i + 4]) for i in range(len(wanted) - 3)}
    seen: set[tuple[str, ...]] = set()
    shares, sizes, start = [], [], 0
    for block in blocks:
        size = len(block)
        share = sum(matched[start : start + size]) / size if size else 0.0
        if size >= 8 and share < 0.5 and tuple(block) not in seen:
            grams = [tuple(block[i : i + 4]) in in_gold for i in range(size - 3)]
            share = max(share, sum(grams) / len(grams))
        if share >= 0.5 and size >= 8:
            seen.add(tuple(block))
        shares.append(share)
        sizes.append(size)
        start += size
    return shares, sizes


def _align(page: list[str], gold: list[str], matched: bytearray) -> None:
    size = 5
    chain: list[tuple[int, int]] = []
    here, there = _unique(page, size), _unique(gold, size)
    pairs = sorted((here[gram], there[gram]) for gram in here.keys() & there.keys())
    chain = _ascending(pairs)
    last_page = last_gold = 0
    for at_page, at_gold in [*chain, (len(page), len(gold))]:
        if at_page < last_page or at_gold < last_gold:
            # Overlaps the anchor before: words already matched.
            for offset in range(size):
                if at_page + offset >= last_page and at_page + offset < len(page):
                    matched[at_page + offset] = 1
            last_page = max(last_page, at_page + size)
            last_gold = max(last_gold, at_gold + size)
            continue
        _gap(page, gold, last_page, at_page, last_gold, at_gold, matched)
        for offset in range(min(size, len(page) - at_page)):
            matched[at_page + offset] = 1
        last_page, last_gold = at_page + size, at_gold + size


def _gap(
    page: list[str], gold: list[str], p0: int, p1: int, g0: int, g1: int, matched: bytearray
) -> None:
    if p1 <= p0 or g1 <= g0:
        return
    if (p1 - p0) * (g1 - g0) > 4_000_000:
        return
    matcher = SequenceMatcher(None, page[p0:p1], gold[g0:g1], autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            matched[p0 + block.a + offset] = 1


def _unique(tokens: list[str], size: int) -> dict[tuple[str, ...], int]:
    grams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    counts = Counter(grams)
    return {gram: i for i, gram in enumerate(grams) if counts[gram] == 1}


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest row of pairs in which both sides ascend."""
    from bisect import bisect_left

    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_, value) in enumerate(pairs):
        place = bisect_left(tails, value)
        before.append(ends[place - 1] if place else -1)
        if place == len(tails):
            tails.append(value)
            ends.append(number)
        else:
            tails[place] = value
            ends[place] = number
    chain = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def label_snippets(
    texts: Sequence[str], must: Sequence[str], must_not: Sequence[str]
) -> tuple[list[float], list[int]]:
    """Return 1 for blocks with a wanted snippet, 0 with an unwanted one, -1 for others."""
    wanted = [" ".join(words(snippet)) for snippet in must]
    unwanted = [" ".join(words(snippet)) for snippet in must_not]
    shares, sizes = [], []
    for text in texts:
        block = words(text)
        flat = " ".join(block)
        share = -1.0
        if any(part and part in flat for part in wanted) or (
            len(block) >= 4 and any(flat in part for part in wanted)
        ):
            share = 1.0
        elif any(part and part in flat for part in unwanted) or (
            len(block) >= 3 and any(flat in part for part in unwanted)
        ):
            share = 0.0
        shares.append(share)
        sizes.append(len(block))
    return shares, sizes
