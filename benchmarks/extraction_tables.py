"""How much names of elements and first words of blocks speak for content, learned from gold."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from curate.extract.html_blocks import Page
from curate.extract.html_words import first_words

Shares = tuple[dict[str, float], dict[str, float]]
_PRIOR, _PRIOR_WEIGHT = 0.4, 3.0
_PAGES_OF_A_DOMAIN = 3
_LEAST_DOMAINS = (4, 10)
_MOST = (4_000, 4_000)


@dataclass(frozen=True)
class Tables:
    """Log odds of names and of words."""

    names: dict[str, float]
    words: dict[str, float]


def contribution(page: Page, shares: list[float], sizes: list[int]) -> Shares:
    """Return for one page which share of the words in elements of a name, and of blocks that begin
    with a word, is content."""
    labels = [-1 if share < 0 else int(share >= 0.5) for share in shares]
    content, rest = [0], [0]
    for label, size in zip(labels, sizes, strict=True):
        content.append(content[-1] + (size if label == 1 else 0))
        rest.append(rest[-1] + (size if label == 0 else 0))
    by_name: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for node, path in enumerate(page.path_of):
        names = page.paths.names[path]
        if names and page.tags[node] not in ("html", "body"):
            start, end = page.starts[node], page.ends[node]
            for name in names:
                by_name[name][1] += content[end] - content[start]
                by_name[name][0] += rest[end] - rest[start]
    by_word: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for text, label in zip(page.texts, labels, strict=True):
        for word in set(first_words(text)) if label >= 0 else ():
            by_word[word][label] += 1
    return _share(by_name), _share(by_word)


def _share(counts: dict[str, list[int]]) -> dict[str, float]:
    return {key: many / (few + many) for key, (few, many) in counts.items() if few + many}


def tables_of(contributions: Iterable[tuple[str, Shares]]) -> Tables:
    """Join the pages' shares, in which a domain counts as three pages at most."""
    sums: tuple[dict[str, dict[str, list[float]]], ...] = (defaultdict(dict), defaultdict(dict))
    for domain, shares in contributions:
        for table, share in zip(sums, shares, strict=True):
            for key, value in share.items():
                entry = table[key].setdefault(domain, [0.0, 0])
                entry[0] += value
                entry[1] += 1
    return Tables(*(_log_odds(table, i) for i, table in enumerate(sums)))


def _log_odds(table: dict[str, dict[str, list[float]]], which: int) -> dict[str, float]:
    found = {}
    for key, domains in table.items():
        if len(domains) < _LEAST_DOMAINS[which] or "\n" in key:
            continue
        capped = [(min(n, _PAGES_OF_A_DOMAIN), total / n) for total, n in domains.values()]
        weight = sum(n for n, _ in capped)
        chance = sum(n * share for n, share in capped) + _PRIOR * _PRIOR_WEIGHT
        chance /= weight + _PRIOR_WEIGHT
        odds = math.log(chance / (1 - chance)) - math.log(_PRIOR / (1 - _PRIOR))
        found[key] = (odds, abs(odds) * math.sqrt(weight))
    best = sorted(found, key=lambda key: (-found[key][1], key))[: _MOST[which]]
    return {key: round(found[key][0], 1) for key in sorted(best)}
