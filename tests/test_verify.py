"""A page is removed only for one that it is truly similar to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.dedup.buckets import pairs
from curate.dedup.clusters import connected_components
from curate.dedup.minhash import MinHashParams, bucket_keys, evidence
from curate.dedup.verify import Assignment, assign_leaders, jaccard
from curate.errors import DefinitionError

PARAMS = MinHashParams()
WORDS = [f"{first}{second}{third}" for first in "bdfg" for second in "aeiou" for third in "lmnrst"]


def shingle_set(values: set[int]) -> NDArray[np.uint64]:
    return np.array(sorted(values), dtype=np.uint64)


def naive_jaccard(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second) if first | second else 0.0


def naive_leaders(sets: Sequence[set[int]], threshold: float) -> list[int]:
    leaders: list[int] = []
    assigned = []
    for index, values in enumerate(sets):
        similar = [lead for lead in leaders if naive_jaccard(sets[lead], values) >= threshold]
        assigned.append(similar[0] if similar else index)
        if not similar:
            leaders.append(index)
    return assigned


def check_against_naive(sets: Sequence[set[int]], threshold: float) -> Assignment:
    found = assign_leaders(map(shingle_set, sets), threshold)
    assert found.leaders.tolist() == naive_leaders(sets, threshold)
    assert found.refused == max(len(set(found.leaders.tolist())) - 1, 0)
    for index, (leader, similarity) in enumerate(
        zip(found.leaders.tolist(), found.similarities.tolist(), strict=True)
    ):
        assert similarity == (1 if leader == index else naive_jaccard(sets[leader], sets[index]))
    return found


SETS = st.sets(st.integers(0, 9) | st.integers((1 << 64) - 5, (1 << 64) - 1))


@settings(max_examples=200, deadline=None)
@given(SETS, SETS | st.sets(st.integers(0, 200), min_size=40))
def test_jaccard_is_the_shared_part_of_the_union(first: set[int], second: set[int]) -> None:
    """In either order; of two empty sets it is 0, for they prove nothing."""
    expected = naive_jaccard(first, second)
    assert jaccard(shingle_set(first), shingle_set(second)) == expected
    assert jaccard(shingle_set(second), shingle_set(first)) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(SETS, max_size=20), st.sampled_from([0.1, 0.5, 0.6, 2 / 3, 0.75, 0.8, 1.0]))
def test_leaders_are_those_of_a_naive_search(sets: list[set[int]], threshold: float) -> None:
    """Each document joins the first leader that reaches the threshold, exactly at it included."""
    check_against_naive(sets, threshold)


@pytest.mark.parametrize(("template", "threshold"), [(0, 0.8), (60, 0.8), (60, 0.5), (20, 0.9)])
def test_clusters_with_many_leaders_are_those_of_a_naive_search(
    template: int, threshold: float
) -> None:
    """Families of revisions of articles that share a template, in one bucket cluster."""
    random = np.random.default_rng(template)
    articles = [set(random.integers(1_000, 1 << 40, 100 - template).tolist()) for _ in range(120)]
    sets = []
    for number in random.integers(0, len(articles), 600).tolist():
        whole = [*range(template), *articles[number]]
        removed = random.choice(len(whole), int(random.integers(0, 25)), replace=False)
        new = random.integers(1_000, 1 << 40, int(random.integers(0, 10)))
        sets.append({*np.delete(whole, removed).tolist(), *new.tolist()})
    found = check_against_naive(sets, threshold)
    assert found.refused >= 1


def test_ten_thousand_near_identical_pages_have_one_leader() -> None:
    """Each is compared with the first only."""
    random = np.random.default_rng(0)
    page = random.integers(0, 1 << 64, 500, dtype=np.uint64)
    kept = random.random((10_000, 500)) < 0.95
    kept[0] = True
    found = assign_leaders((np.unique(page[row]) for row in kept), 0.8)
    assert found.refused == 0
    assert found.similarities[1:] == pytest.approx(kept[1:].mean(axis=1))


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.01])
def test_a_threshold_that_proves_nothing_is_refused(threshold: float) -> None:
    """It lies above 0 and is at most 1."""
    with pytest.raises(DefinitionError, match="must be above 0 and at most 1"):
        assign_leaders([], threshold)


def article(seed: int, num_words: int = 300) -> list[str]:
    words: list[str] = np.random.default_rng(seed).choice(WORDS, num_words).tolist()
    return words


def removed(texts: Sequence[str], verify: float | None = None) -> dict[int, int]:
    """Return the pages removed of these, and the page each is removed for."""
    keys = [bucket_keys(text, PARAMS) for text in texts]
    owners = np.repeat(np.arange(len(texts)), [len(one) for one in keys])
    nodes, labels = connected_components(pairs(np.concatenate(keys), owners))
    found: dict[int, int] = {}
    for label in np.unique(labels):
        members = nodes[labels == label]
        sets = [evidence(texts[member], PARAMS) for member in members]
        leaders = assign_leaders(sets, verify).leaders if verify else np.zeros_like(members)
        found.update(zip(members.tolist(), members[leaders].tolist(), strict=True))
    return {page: kept for page, kept in found.items() if page != kept}


def test_pages_of_one_template_with_different_articles_are_kept() -> None:
    """Buckets catch some of them by chance or through others; the proof keeps them all."""
    template = article(0, 700)
    pages = [" ".join(template + article(seed, 140)) for seed in range(1, 31)]
    assert len(removed(pages)) > 20
    assert removed(pages, verify=0.8) == {}


def test_pages_that_differ_only_in_numbers_are_kept() -> None:
    """To the buckets all numbers are one."""
    pages = [
        " ".join(
            f"{word} {seed + place * 31}" if place % 5 == 0 else word
            for place, word in enumerate(article(1))
        )
        for seed in range(10)
    ]
    assert len(removed(pages)) == 9
    assert removed(pages, verify=0.8) == {}


def test_a_changed_date_or_counter_does_not_save_a_copy() -> None:
    """A few numbers in a long page are a small part of its shingles."""
    words = article(2)
    pages = [" ".join([f"Seen {views} times on {views % 28}.05.", *words]) for views in range(5)]
    assert removed(pages, verify=0.8) == dict.fromkeys(range(1, 5), 0)


def test_families_fall_together() -> None:
    """One article as three extractors see it, in capitals, and in a revision."""
    words = article(3, 400)
    text = " ".join(words)
    family = [
        text,
        "Home News Contact " + text,
        "\n".join(" ".join(words[start : start + 9]) for start in range(0, 400, 9)) + "\n© 2024.",
        text.upper().replace(" ", ", "),
        " ".join([*words[:200], "as", "of", "today", *words[203:]]),
    ]
    assert removed([*family, " ".join(article(4, 400))], verify=0.8) == dict.fromkeys(
        range(1, 5), 0
    )


def test_a_refused_page_leads_its_own_copies() -> None:
    """Copies of a page that is no duplicate of the first are removed for that page."""
    first, second = set(range(100)), set(range(60, 200))
    found = check_against_naive([first, second, second | {500}, first | {500}, second], 0.8)
    assert found.leaders.tolist() == [0, 1, 1, 0, 1]
    assert found.refused == 1


def test_short_texts_are_proved_by_their_whole() -> None:
    """Equal but for case and punctuation, or kept."""
    texts = ["Page not found", "page not found!", "Page 2", "Page 3", "page 3", ""]
    assert removed(texts, verify=0.8) == {1: 0, 4: 3}
