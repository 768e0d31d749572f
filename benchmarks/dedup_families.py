"""What should fall together and what should not, for `dedup.py`: families and hard negatives.

Families: an article through three extractors, revisions of a text, a text that another quotes
whole. Hard negatives: other articles in one template, pages that differ only in their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from dedup_sides import PARAMS, VERIFY, Outcome, run_curate, write_input
from dedup_texts import edit

from curate.dedup.minhash import evidence
from curate.dedup.verify import containment, jaccard

# What a bucket alone removes, and the two measures of proof.
MODES = {
    "lsh": (0.0, "jaccard"),
    "jaccard": (VERIFY, "jaccard"),
    "containment": (VERIFY, "containment"),
}
_GROUPS = 200
_PAGES = 60
_LEAST_WORDS = 100  # of an article, by each extractor, and of a quoted text
_EVERY = 30  # one word in so many is another in an edited quotation: 0.84 of its 5-grams are left


@dataclass
class Corpus:
    """Texts, and which of them belong to what.

    Attributes:
        groups: by kind, the numbers of the texts of each family or set of hard negatives.
    """

    texts: list[str] = field(default_factory=list)
    groups: dict[str, list[list[int]]] = field(default_factory=dict)

    def add(self, kind: str, *members: str) -> None:
        """Add the texts of a group."""
        numbers = range(len(self.texts), len(self.texts) + len(members))
        self.texts += members
        self.groups.setdefault(kind, []).append(list(numbers))


def families(texts: Sequence[str], pages: Path | None, folder: Path) -> dict[str, Any]:
    """Deduplicate the families, among other texts, by a bucket alone and with each proof."""
    corpus = _corpus(texts, pages, Random(1))
    write_input(folder, corpus.texts)
    sets = [evidence(text, PARAMS) for text in corpus.texts]
    result: dict[str, Any] = {"documents": len(corpus.texts), "modes": {}}
    for mode, (verify, measure) in MODES.items():
        outcome, used, stages = run_curate(folder, mode, len(corpus.texts), verify, measure)
        pairs = [(sets[n], sets[outcome.leaders[n]]) for n in outcome.removed.tolist()]
        result["modes"][mode] = {
            "cpu_seconds": round(used.cpu_seconds, 2),
            "peak_mb": round(used.peak_mb),
            "removed": len(pairs),
            "jaccard_proven": sum(jaccard(*pair) >= VERIFY for pair in pairs),
            "containment_proven": sum(containment(*pair) >= VERIFY for pair in pairs),
            "groups": {
                kind: _judge(kind, groups, outcome) for kind, groups in corpus.groups.items()
            },
            "stage_seconds": stages,
        }
    result["expected"] = {
        kind: sum(_should(kind, group, sets) for group in groups)
        for kind, groups in corpus.groups.items()
    }
    return result


def _should(kind: str, group: Sequence[int], sets: Sequence[Any]) -> bool:
    """Return whether a group ought to fall together, by the containment of its texts."""
    larger = max(group, key=lambda number: len(sets[number]))
    return all(containment(sets[number], sets[larger]) >= VERIFY for number in group)


def _judge(kind: str, groups: Sequence[Sequence[int]], outcome: Outcome) -> dict[str, int]:
    """Count the groups of which one text is left, and the texts removed."""
    gone = set(outcome.removed.tolist())
    removed = [sum(number in gone for number in group) for group in groups]
    return {
        "groups": len(groups),
        "texts": sum(map(len, groups)),
        "together": sum(
            count >= len(group) - 1 for count, group in zip(removed, groups, strict=True)
        ),
        "removed": sum(removed),
    }


def _corpus(texts: Sequence[str], pages: Path | None, random: Random) -> Corpus:
    """Make groups of texts, each text used in one of them only, and add those that are left."""
    corpus = Corpus()
    for extracted in _extracted(pages) if pages else ():
        corpus.add("extractors", *extracted)
    known = {_words(text, 20) for text in corpus.texts}
    own = [
        text
        for text in dict.fromkeys(texts)
        if len(text.split()) >= _LEAST_WORDS and _words(text, 20) not in known
    ]
    random.shuffle(own)
    groups = min(_GROUPS, len(own) // 14)
    take = iter(own)
    for _ in range(groups):
        text = next(take)
        corpus.add("revisions", text, edit(text, 0.9, own, random))
        quoted = next(take)
        corpus.add("quotations", quoted, _around(quoted, take))
        quoted = next(take)
        words = quoted.split()
        words[::_EVERY] = [f"edited{random.random():.6f}" for _ in words[::_EVERY]]
        corpus.add("edited quotations", " ".join(words), _around(quoted, take))
    template = " ".join(next(take).split()[:400])
    for _ in range(groups // 10):
        corpus.add("templates", *(f"{template}\n{_words(next(take), 150)}" for _ in range(2)))
    for _ in range(groups // 10):
        text = " ".join(f"{word} {n}" for n, word in enumerate(next(take).split()[:300]))
        corpus.add("numbers", *(_renumbered(text, random) for _ in range(2)))
    corpus.texts += take  # others, between which nothing is known
    return corpus


def _around(quoted: str, take: Iterator[str]) -> str:
    """Return a text that holds another one, of at least twice its length."""
    parts = [next(take), next(take)]
    while sum(map(len, parts)) < len(quoted):
        parts.append(next(take))
    return "\n".join([parts[0], quoted, *parts[1:]])


def _words(text: str, count: int) -> str:
    return " ".join(text.split()[:count])


def _renumbered(text: str, random: Random) -> str:
    return re.sub(r"\d+", lambda _: str(random.randrange(10**6)), text)


def _extracted(pages: Path) -> Iterator[list[str]]:
    """Yield the text of English articles as trafilatura, Resiliparse and jusText see it."""
    import justext
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    from curate.readers.warc import WarcReader

    stop_words = justext.get_stoplist("English")
    found = 0
    with pages.open("rb") as stream:
        for doc, fate in WarcReader(str(pages), dump="").read(str(pages), stream):
            if fate is not None or found == _PAGES:
                continue
            html = (doc.payload or b"").decode(doc.metadata.get("charset") or "utf-8", "replace")
            first = trafilatura.extract(html, favor_precision=True) or ""
            if len(re.findall(r"\b(?:the|and)\b", first)) < len(first.split()) / 30:
                continue
            paragraphs = justext.justext(html.encode(), stop_words, encoding="utf-8")
            texts = [
                first,
                extract_plain_text(html, main_content=True, alt_texts=False),
                "\n".join(one.text for one in paragraphs if not one.is_boilerplate),
            ]
            if min(len(text.split()) for text in texts) >= _LEAST_WORDS:
                found += 1
                yield texts
