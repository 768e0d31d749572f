"""A page whose text lies wholly inside a larger page is found, proven and removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.dedup import arrays
from curate.dedup.containment import (
    ANSWERS,
    ASKS,
    SAMPLE,
    candidates,
    claims,
    least_answers,
    sampled,
)
from curate.dedup.verify import assign_leaders, containment

from .dedup_runs import Dedup, article, page, revised

RULE: dict[str, Any] = {"measure": "containment", "verify": 0.8}


@pytest.fixture
def dedup(tmp_path: Path) -> Dedup:
    """A folder with a pipeline that removes duplicates from pages/*.jsonl."""
    return Dedup(tmp_path)


def quoting(words: list[str], seed: int, around: int = 600) -> list[str]:
    """A text that quotes another one in its middle."""
    return [*article(seed, around), *words, *article(seed + 1, around)]


def test_a_quoted_page_is_removed_for_the_larger_one(dedup: Dedup) -> None:
    """Though it is the earlier one; the decision says how much of it the larger one has."""
    words = article(1)
    dedup.write("a", [page("quoted", words, 1), page("other", article(9), 1)])
    dedup.write("b", [page("quoting", quoting(words, 20), 5)])
    assert dedup("jaccard", verify=0.8) == ["quoted", "other", "quoting"]
    assert dedup(**RULE) == ["other", "quoting"]
    row = dedup.removed()["quoted"]
    assert (row["duplicate_of"], row["cluster_size"]) == ("quoting", 2)
    assert row["value"] == 1.0
    assert row["threshold"] == pytest.approx(0.8)
    sizes = {row["id"]: row["minhash_cluster_size"] for row in dedup.published()}
    assert sizes == {"other": 1, "quoting": 2}


def test_families_fall_together(dedup: Dedup) -> None:
    """One article as extractors see it, a revision, and quotations, one of them edited."""
    words = article(1, 400)
    menu, comments = article(30, 200), article(31, 500)
    family = [
        page("precise", words),
        page("with-menu", [*menu, *words], 2),
        page("everything", [*menu, *words, *comments], 3),
        page("revision", [*words[:200], "as", "of", "today", *words[203:]], 4),
        page("edited", revised(words, 12), 5),
        page("excerpt", words[100:190], 6),
    ]
    dedup.write("a", [*family, page("other", article(2, 400))])
    assert dedup(**RULE) == ["everything", "other"]
    rows = dedup.removed()
    assert {row["duplicate_of"] for row in rows.values()} == {"everything"}
    assert rows["excerpt"]["value"] == 1.0
    assert 0.8 <= rows["edited"]["value"] < 0.9


def test_pages_that_only_share_a_part_are_kept(dedup: Dedup) -> None:
    """One template with other articles, texts that differ only in numbers, half a quotation."""
    template, words = article(1, 400), article(5, 300)
    numbers = [[f"{n * place} {word}" for place, word in enumerate(words)] for n in (31, 47)]
    pages = [
        *(page(f"template-{n}", [*template, *article(40 + n, 150)], n) for n in (1, 2, 3)),
        *(page(f"numbers-{n}", texts, n) for n, texts in enumerate(numbers, start=1)),
        page("half", [*words[:150], *article(60, 150)], 1),
        page("whole", quoting(words, 61), 2),
    ]
    dedup.write("a", pages)
    assert dedup(**RULE) == [one["id"] for one in pages]


def test_the_larger_page_is_kept_and_the_rule_decides_between_equals(dedup: Dedup) -> None:
    """Whatever `keep` says; among equally large ones the earliest."""
    words = article(1)
    dedup.write("a", [page("b", words, 2), page("a", words, 1), page("c", [*words, "more"], 3)])
    assert dedup(**RULE) == ["c"]
    dedup.write("a", [page("b", words, 2), page("a", words, 1), page("c", words[:-9], 0)])
    assert dedup(**RULE) == ["a"]


def test_a_page_is_proven_by_one_that_is_kept(dedup: Dedup) -> None:
    """Contained in a page that is removed itself, it stays if the one that is kept has less."""
    small = article(1, 100)
    middle = [*small[:85], *article(2, 200), *small[85:]]
    large = [*middle[20:], *article(3, 300)]
    dedup.write("a", [page("small", small), page("middle", middle, 2), page("large", large, 3)])
    assert dedup(**RULE) == ["small", "large"]
    assert dedup(measure="containment", verify=0.7) == ["large"]


def test_containment_is_asked_within_a_value_only(dedup: Dedup) -> None:
    """A quotation in a page of another language stays."""
    words = article(1)
    pages = [page("en", words, language="en"), page("de", quoting(words, 8), language="de")]
    dedup.write("a", pages)
    assert dedup("all", **RULE) == ["de"]
    assert dedup("within", within="language", **RULE) == ["en", "de"]


def test_a_quotation_in_an_earlier_run_is_removed_when_a_bucket_finds_it(dedup: Dedup) -> None:
    """The earlier page is the larger; a page that contains an earlier one stays."""
    words = article(1)
    dedup.write("old", [page("old", [*words, "end"])])
    dedup("old", paths="pages/old.jsonl", **RULE)
    dedup.write("new", [page("inside", words, 5), page("around", [*words, *article(2, 100)], 6)])
    new = {"paths": "pages/new.jsonl", "against": "old", **RULE}
    assert dedup(**new) == ["around"]
    assert dedup.removed()["inside"]["duplicate_of"] == "old"


def parts_of(documents: list[tuple[int, set[int]]]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the parts of documents of these sizes, which ask by all their shingles."""
    rows = [
        (key << 1 | 1, row, size, row * 7919 % 1000)
        for row, (size, keys) in enumerate(documents)
        for key in sorted(keys)
    ]
    return np.array(rows, arrays.PARTS), np.array([row[1] for row in rows], np.int64)


def naive_claims(documents: list[tuple[int, set[int]]]) -> list[tuple[int, int]]:
    """Return who answers whom: of each shingle's documents the largest, if they are larger."""
    found = []
    for key in set().union(*(keys for _, keys in documents)) if documents else ():
        having = [row for row, (_, keys) in enumerate(documents) if key in keys]
        having.sort(key=lambda row: (documents[row][0], row * 7919 % 1000), reverse=True)
        for place, row in enumerate(having):
            found += [(row, larger) for larger in having[: min(place, ANSWERS)]]
    return sorted(found)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.sets(st.integers(0, 6))), max_size=12))
def test_a_document_is_answered_by_the_largest_that_have_its_shingles(
    documents: list[tuple[int, set[int]]],
) -> None:
    """As in a naive search, and in any order of the rows."""
    parts, ordinals = parts_of(documents)
    found = sorted(map(tuple, claims(parts, ordinals).tolist()))
    assert found == naive_claims(documents)
    again = claims(parts[::-1], ordinals[::-1])
    assert sorted(map(tuple, again.tolist())) == found


def test_documents_of_equal_size_and_tie_answer_alike() -> None:
    """Which of them comes first in the files does not matter."""
    rows = [(3, row, 10, 5) for row in range(ANSWERS + 3)] + [(3, 90, 2, 1)]
    parts = np.array(rows, arrays.PARTS)
    for order in (slice(None), slice(None, None, -1)):
        found = claims(parts[order], parts["row"][order].astype(np.int64))
        assert sorted(found[:, 1].tolist()) == list(range(ANSWERS + 3))
        assert set(found[:, 0].tolist()) == {90}


@pytest.mark.parametrize(
    ("asked", "share", "least"),
    [(0, 0.8, 1), (1, 0.8, 1), (3, 0.8, 2), (16, 0.8, 10), (16, 1.0, 16), (16, 0.5, 4)],
)
def test_a_candidate_answers_almost_as_often_as_expected(
    asked: int, share: float, least: int
) -> None:
    """Two standard deviations fewer are enough, and one answer is the least."""
    assert least_answers(asked, share) == least


def test_candidates_are_those_with_enough_answers() -> None:
    """Each once, and none for documents that others answer too seldom."""
    made = np.array([(0, 9)] * 10 + [(0, 8)] * 9 + [(1, 9)] * 2 + [(2, 7)], np.int64)
    found = candidates(made[::-1], np.array([16, 3, 3], np.uint8), 0.8)
    assert found.tolist() == [[0, 9], [1, 9]]
    assert candidates(made[:0], np.array([], np.uint8), 0.8).tolist() == []


def test_the_sample_is_the_same_in_every_document() -> None:
    """One shingle in so many, whatever else the document holds; its smallest ones ask."""
    random = np.random.default_rng(1)
    whole = np.unique(random.integers(0, 1 << 64, 20_000, dtype=np.uint64))
    part = whole[np.sort(random.permutation(len(whole))[:5_000])]
    in_whole, in_part = sampled(whole), sampled(part)
    assert abs(len(in_part) / len(part) * SAMPLE - 1) < 0.15
    assert int((in_whole & np.uint64(1)).sum()) == ASKS
    assert (in_part[:ASKS] & np.uint64(1)).all()
    assert np.isin(in_part >> np.uint64(1), in_whole >> np.uint64(1)).all()
    other = sampled(whole, group=7)
    assert not np.isin(other >> np.uint64(1), in_whole >> np.uint64(1)).any()


SETS = st.sets(st.integers(0, 30), max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SETS, max_size=50), st.lists(SETS, max_size=4), st.sampled_from([0.3, 0.5, 0.8, 1.0])
)
def test_leaders_contain_what_they_lead(
    sets: list[set[int]], given_sets: list[set[int]], threshold: float
) -> None:
    """Each document joins the first leader that has enough of it, the given ones first."""
    ordered = sorted(sets, key=len, reverse=True)
    shingles = [np.array(sorted(one), np.uint64) for one in ordered]
    given_shingles = [np.array(sorted(one), np.uint64) for one in given_sets]
    found = assign_leaders(shingles, threshold, "containment", given_shingles)
    leaders = [(-1 - number, one) for number, one in enumerate(given_sets)]
    own = 0
    for place, one in enumerate(ordered):
        fits = [
            name for name, leader in leaders if one and len(one & leader) / len(one) >= threshold
        ]
        if not fits:
            leaders.append((place, one))
            own += 1
        assert found.leaders[place] == (fits[0] if fits else place)
        leader = dict(leaders)[int(found.leaders[place])]
        expected = len(one & leader) / len(one) if fits else 1.0
        assert found.similarities[place] == expected
    assert found.refused == (own if given_sets else max(own - 1, 0))


def test_many_leaders_are_searched_by_their_rare_shingles() -> None:
    """Pages of one template, each quoted in part by a smaller page."""
    random = np.random.default_rng(3)
    template = random.integers(0, 1 << 60, 60, dtype=np.uint64)
    pages = [
        np.unique(np.concatenate((template, random.integers(0, 1 << 60, 200, dtype=np.uint64))))
        for _ in range(120)
    ]
    quotes = [np.sort(random.permutation(one)[:100]) for one in pages]
    found = assign_leaders([*pages, *quotes], 0.9, "containment")
    assert found.leaders.tolist() == [*range(120), *range(120)]
    assert found.refused == 119


def test_an_empty_text_is_contained_in_nothing() -> None:
    """It proves nothing."""
    assert containment(np.empty(0, np.uint64), np.arange(9, dtype=np.uint64)) == 0.0
