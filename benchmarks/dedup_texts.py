"""Texts for `dedup.py`: made or read, edited to a known similarity, and every similar pair found.

The similarity is Jaccard's, of the sets of 5-grams that MinHash sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

Set = NDArray[np.uint64]

_WORDS_OF_TEXT = (150, 1800)  # about 6,000 characters on average, as a page of FineWeb
_CHUNK = 22  # words; one edit each, with at least 4 words left on both sides
_RUN = 8  # words deleted or inserted at most
_CONTEXT = 4  # shingles that end in or start from the words beside an edit: n - 1


def make_texts(count: int, random: Random) -> list[str]:
    """Return English-looking texts whose words are as unevenly frequent as in English."""
    syllables = [start + middle for start in "bcdfghlmnprstvw" for middle in "aeiou"]
    words = sorted(
        {"".join(random.choices(syllables, k=random.randint(1, 5))) for _ in range(30_000)}
    )
    random.shuffle(words)
    weights = list(accumulate(1 / rank for rank in range(5, len(words) + 5)))
    return [_sentences(random, words, weights) for _ in range(count)]


def _sentences(random: Random, words: Sequence[str], weights: Sequence[float]) -> str:
    left = int(random.triangular(*_WORDS_OF_TEXT))
    sentences = []
    while left > 0:
        chosen = random.choices(words, cum_weights=weights, k=random.randint(6, 24))
        left -= len(chosen)
        sentences.append(" ".join(chosen).capitalize() + random.choice("...,?!"))
    return " ".join(sentences)


def read_texts(path: Path) -> list[str]:
    """Return the texts of JSON lines with a key "text"."""
    with path.open(encoding="utf-8") as lines:
        return [text for text in (json.loads(line)["text"] for line in lines) if text]


def corpus(texts: Sequence[str], count: int, random: Random) -> list[str]:
    """Return `count` texts: no more than 70 % of them given ones, the others edits of those.

    An edit has a similarity between 0.5 and 1 to its text; one in ten is the text itself.
    """
    originals = list(texts[: max(1, count * 7 // 10)])
    edited: list[str] = []
    while len(originals) + len(edited) < count:
        text = random.choice(originals)
        exact = random.random() < 0.1
        edited.append(text if exact else edit(text, random.uniform(0.5, 1), originals, random))
    mixed = originals + edited
    random.shuffle(mixed)
    return mixed


def edit(text: str, similarity: float, donors: Sequence[str], random: Random) -> str:
    """Return the text with words deleted, others inserted and passages swapped.

    Args:
        text: any text; a short one is returned with fewer edits than asked for.
        similarity: about what is left, in Jaccard's measure of the sets of 5-grams.
        donors: texts that insertions are taken from.
        random: what decides.
    """
    words = text.split()
    chunks = [words[at : at + _CHUNK] for at in range(0, len(words), _CHUNK)]
    shingles = max(1, len(words) - _CONTEXT)
    donor = random.choice(donors).split() or ["word"]
    lost = gained = 0
    places = list(range(len(chunks) - 1))
    random.shuffle(places)
    swapped: set[int] = set()
    for place in places:
        if (shingles - lost) / (shingles + gained) <= similarity:
            break
        chunk = chunks[place]
        at, run = random.randint(_CONTEXT, _CHUNK - _CONTEXT - _RUN), random.randint(1, _RUN)
        kind = random.choice(("delete", "insert", "swap"))
        near = {place - 1, place, place + 1, place + 2}
        if kind == "swap" and place + 1 < len(chunks) - 1 and not near & swapped:
            chunks[place], chunks[place + 1] = chunks[place + 1], chunk
            swapped |= {place, place + 1}
            lost, gained = lost + 3 * _CONTEXT, gained + 3 * _CONTEXT
        elif kind == "delete":
            chunks[place] = chunk[:at] + chunk[at + run :]
            lost, gained = lost + run + _CONTEXT, gained + _CONTEXT
        else:
            source = random.randrange(max(1, len(donor) - run))
            chunks[place] = chunk[:at] + donor[source : source + run] + chunk[at:]
            lost, gained = lost + _CONTEXT, gained + run + _CONTEXT
    return " ".join(word for chunk in chunks for word in chunk)


def jaccard(first: Set, second: Set) -> float:
    """Return the similarity of two sets, each without repetition; 0 if both are empty."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


def similar_pairs(sets: Sequence[Set], threshold: float) -> dict[tuple[int, int], float]:
    """Return every pair of sets at least so similar, and how much; exact, by prefix filtering."""
    found = {}
    for left, right in _candidates(sets, threshold):
        few, many = sorted((len(sets[left]), len(sets[right])))
        if few >= threshold * many:
            similarity = jaccard(sets[left], sets[right])
            if similarity >= threshold:
                found[left, right] = similarity
    return found


def _candidates(sets: Sequence[Set], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield the pairs that share one of their n - ceil(t * n) + 1 rarest elements."""
    _, inverse, counts = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    rarity = np.empty(len(counts), np.int64)
    rarity[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    ranked = np.split(rarity[inverse], np.cumsum([len(one) for one in sets])[:-1])
    prefixes = [
        np.sort(ranks)[: len(ranks) - int(np.ceil(threshold * len(ranks) - 1e-9)) + 1]
        for ranks in ranked
    ]
    elements = np.concatenate(prefixes)
    owners = np.repeat(np.arange(len(sets)), [len(prefix) for prefix in prefixes])
    order = np.argsort(elements, kind="stable")
    elements, owners = elements[order], owners[order]
    packed = np.empty(0, np.int64)
    apart = 1
    while (same := elements[apart:] == elements[:-apart]).any():
        pairs = owners[:-apart][same] * len(sets) + owners[apart:][same]
        packed = np.union1d(packed, pairs)
        apart += 1
    yield from (divmod(pair, len(sets)) for pair in packed.tolist())
