"""Signatures are datatrove's; keys catch pairs as often as the mathematics of MinHash says."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import pytest
import xxhash
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import simplify_text
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.dedup.minhash import (
    MinHashParams,
    band_keys,
    bucket_keys,
    evidence,
    normalise,
    shingles,
    signature,
)
from curate.errors import DefinitionError

PRIME = (1 << 61) - 1
SHA1, XXHASH = MinHashParams(hash="sha1"), MinHashParams(hash="xxhash")

TEXTS = [
    "It's what they'd've said: \"I can't, Mr. O'Neil -- not at 10a.m.\" She left at 5km/h, gonna",
    "1,234.56 and 1.2.3.4, 3,14 or 1|2|3; ٣٫١٤ is pi, １２ twelve, ½ a half, x² and No. 7.",
    "“Don’t” ‘quote’ — naïve café, Übergröße, İstanbul; crème brûlée… the end of it all.",
    "日本語の文章です。テスト、一二三。 한국어 문장 하나 둘 셋 넷 다섯 여섯",
    "यह हिन्दी का एक वाक्य है जो पाँच शब्दों से लंबा है। Tiếng Việt có rất nhiều dấu phụ đấy",
    "\u0301 a\u0301b \u0344 c \u037e d \u226e e \u1fef f zero\u200bwidth \u00a0 g\x1fh\x85i \u0301",
    "buy now " * 40 + "at the shop dont cannot im :) :-D \U0001f600\U0001f44d\U0001f3fd C++ a.k.a.",
    "THE SAME WORDS IN CAPITALS\tWITH TABS\r\nAND    SPACES\n\n",
]

FRAGMENTS = st.sampled_from(
    ["don't ", "the ", "of 1,000.5 ", "12", "٣٫", "é", "e\u0301", "İ", "‘", "’", "„x” ", "can not "]
)
ANY_TEXT = st.lists(
    FRAGMENTS
    | st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=8)
    | st.sampled_from(" \n\t\u3000"),
    max_size=30,
).map("".join)


@cache
def reference(hash_name: str) -> MinhashDedupSignature:
    config = MinhashConfig(hash_config=HashConfig(hash_fc=hash_name))
    made = MinhashDedupSignature("memory://unused", config)
    if hash_name == "xxhash":
        # datatrove 0.10 hashes strings, which xxhash takes no more since its version 4.
        made._hash_func = lambda ngram: xxhash.xxh64_intdigest(ngram.encode())
    return made


def check_against_reference(text: str, params: MinHashParams) -> None:
    expected = reference(params.hash).get_shingles(text)
    found = shingles(text, params)
    assert found.tolist() == sorted(set(expected.ravel().tolist()))
    if len(found):
        bands = reference(params.hash).get_signature(expected)
        assert signature(found, params).reshape(14, 8).tolist() == bands


@pytest.mark.parametrize("params", [SHA1, XXHASH], ids=["sha1", "xxhash"])
@pytest.mark.parametrize("text", TEXTS)
def test_signatures_are_those_of_datatrove(text: str, params: MinHashParams) -> None:
    """Decisions can be compared one by one with a run of datatrove."""
    check_against_reference(text, params)


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT, st.sampled_from([SHA1, XXHASH]))
def test_signatures_of_any_text_are_those_of_datatrove(text: str, params: MinHashParams) -> None:
    """Equal shingles and equal signatures, whatever the characters."""
    check_against_reference(text, params)


@settings(max_examples=500, deadline=None)
@given(ANY_TEXT)
@example("\u0301 a")
@example("".join(chr(code) for code in range(0x300, 0x36F)) + "x" + chr(0x591))
def test_normalised_text_is_that_of_datatrove(text: str) -> None:
    """Case, numbers, punctuation, white space and diacritics go the same way."""
    assert normalise(text) == simplify_text(text)


def test_each_character_is_normalised_as_in_datatrove() -> None:
    """Every character that this Python's Unicode knows."""
    chars = map(chr, range(sys.maxunicode + 1))
    known = [char for char in chars if unicodedata.category(char) not in {"Cn", "Cs", "Co"}]
    text = "|".join(f"a{char}1.{char}2" for char in known)
    assert normalise(text) == simplify_text(text)


@pytest.mark.parametrize("params", [SHA1, XXHASH], ids=["sha1", "xxhash"])
def test_a_long_text_has_the_signature_of_datatrove(params: MinHashParams) -> None:
    """Working in blocks loses no shingle between them."""
    letters = str.maketrans("0123456789", "bcdfghjklm")
    words = [str(number).translate(letters) for number in range(40_000)]
    check_against_reference(" ".join(words), params)


def test_rare_values_are_reduced_exactly() -> None:
    """Values at and beyond the prime, which no text is likely to meet, are right too."""
    made = reference("xxhash")
    factors, summands = (row.ravel().tolist() for row in made.parameters)
    targets = [PRIME, PRIME + 1, PRIME + 3, (1 << 64) - 1, (1 << 62) - 1, 5 * PRIME, 0, 1]
    for target in targets:
        crafted = [
            (target - summand) * pow(factor, -1, 1 << 64) % (1 << 64)
            for factor, summand in zip(factors, summands, strict=True)
            if factor % 2
        ]
        hashes = np.array(crafted, dtype=np.uint64)
        expected = [value for band in made.get_signature(hashes.reshape(-1, 1)) for value in band]
        assert target % PRIME in expected
        assert signature(hashes, XXHASH).tolist() == expected


def test_other_parameters_are_those_of_datatrove_too() -> None:
    """Size of shingles, number and width of bands, and seed."""
    config = MinhashConfig(n_grams=3, num_buckets=9, hashes_per_bucket=13, seed=7)
    config.hash_config = HashConfig(hash_fc="sha1")
    made = MinhashDedupSignature("memory://unused", config)
    params = MinHashParams(3, 9, 13, "sha1", 7)
    expected = made.get_signature(made.get_shingles(TEXTS[0]))
    assert signature(shingles(TEXTS[0], params), params).reshape(9, 13).tolist() == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ngram_size": 0}, "ngram_size=0 must be at least 1"),
        ({"num_buckets": 0}, "num_buckets=0 must be at least 1"),
        ({"hashes_per_bucket": -1}, "hashes_per_bucket=-1 must be at least 1"),
        ({"max_chars": -1}, "max_chars=-1 must be 0 or more"),
        ({"seed": -1}, r"seed=-1 must be below 2\*\*32"),
        ({"seed": 1 << 32}, r"seed=4294967296 must be below 2\*\*32"),
        ({"hash": "md5"}, "hash='md5'. Allowed: xxhash, sha1"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_allowed(
    values: dict[str, Any], message: str
) -> None:
    """The message names the parameter and its range."""
    with pytest.raises(DefinitionError, match=message):
        MinHashParams(**values)


def test_equal_bands_have_equal_keys_and_others_do_not() -> None:
    """The number of the band and each of its values matter."""
    values = np.arange(112, dtype=np.uint64)
    keys = band_keys(values, XXHASH)
    values[9] = 1_000
    changed = band_keys(values, XXHASH)
    assert (keys != changed).any(axis=1).tolist() == [False, True, *[False] * 12]
    same_values = band_keys(np.zeros(112, dtype=np.uint64), XXHASH)
    assert len(np.unique(same_values, axis=0)) == 14


def test_keys_stay_what_they_were() -> None:
    """Signatures of an earlier run can be matched by a later version of curate."""
    keys = bucket_keys("one two three four five six", XXHASH)
    assert keys.shape == (14, 2)
    assert keys[0].tolist() == [13268072648041870270, 16158401782232682056]
    short = bucket_keys("one two", XXHASH)
    assert short.tolist() == [[13280172505152934208, 1831675455759762494]]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Page not found.", "  page   NOT found!", True),
        ("Page not found.", "Page now found.", False),
        ("Price: $5", "Price: $6", False),
        ("café olé", "cafe ole", True),
        ("日本語。", "日本語", True),
        ("one two three four", "one two three four five", False),
    ],
)
def test_texts_too_short_for_a_shingle_are_compared_as_a_whole(
    first: str, second: str, same: bool
) -> None:
    """They duplicate one another where their words and numbers are the same."""
    keys = [{tuple(key) for key in bucket_keys(text, XXHASH).tolist()} for text in (first, second)]
    assert len(keys[0]) == 1
    assert (keys[0] == keys[1]) is same
    assert np.array_equal(evidence(first, XXHASH), evidence(second, XXHASH)) is same


@pytest.mark.parametrize("text", ["", " \n", "...", "\u0301"])
def test_an_empty_text_duplicates_nothing(text: str) -> None:
    """It has no key and no evidence."""
    assert bucket_keys(text, XXHASH).shape == (0, 2)
    assert len(evidence(text, XXHASH)) == 0


def test_numbers_do_not_count_for_buckets_but_as_evidence() -> None:
    """As in the reference pages that differ in numbers share all buckets."""
    first = "on 12 May 1,999 points were won by team 7 in 3 games"
    second = first.replace("1,999", "12").replace("7", "15.5")
    assert np.array_equal(bucket_keys(first, XXHASH), bucket_keys(second, XXHASH))
    assert len(np.intersect1d(evidence(first, XXHASH), evidence(second, XXHASH))) < 4


def test_evidence_of_a_long_text_is_that_of_its_words() -> None:
    """Working in pieces loses no shingle between them."""
    words = [f"wörd{number}" for number in range(500_000)]
    whole = evidence(" ".join(words), XXHASH)
    assert len(whole) == len(words) - 4
    half = evidence(" ".join(words[:300_000]), XXHASH)
    assert len(np.intersect1d(half, whole)) == len(half) == 299_996


@pytest.mark.parametrize(
    ("text", "max_chars", "beginning"),
    [
        ("one two three", 0, "one two three"),
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two"),
        ("one two three", 8, "one two"),
        ("one two three", 7, "one two"),
        ("one two three", 6, "one"),
        ("one two three", 2, "on"),
        ("one\ntwo", 5, "one"),
    ],
)
def test_a_long_text_is_signed_up_to_the_last_white_space(
    text: str, max_chars: int, beginning: str
) -> None:
    """No word is cut, unless it is the first."""
    params = MinHashParams(ngram_size=1, max_chars=max_chars)
    assert np.array_equal(bucket_keys(text, params), bucket_keys(beginning, params))


def pair_of_sets(
    random: np.random.Generator, shared: int, union: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two sets of random hashes with a Jaccard similarity of exactly shared / union."""
    hashes = np.unique(random.integers(0, 1 << 64, union, dtype=np.uint64))
    assert len(hashes) == union
    random.shuffle(hashes)
    half = shared + (union - shared) // 2
    return hashes[:half], np.concatenate((hashes[:shared], hashes[half:]))


@pytest.mark.parametrize("similarity", [0.6, 0.7, 0.75, 0.8, 0.9])
def test_pairs_are_caught_as_often_as_they_should(similarity: float) -> None:
    """The share of caught pairs lies within four standard deviations of 1-(1-s^8)^14."""
    random = np.random.default_rng(int(similarity * 100))
    trials, caught = 1_500, 0
    for _ in range(trials):
        first, second = (
            signature(hashes, XXHASH).reshape(14, 8)
            for hashes in pair_of_sets(random, round(similarity * 400), 400)
        )
        caught += bool((first == second).all(axis=1).any())
    expected = 1 - (1 - similarity**8) ** 14
    assert XXHASH.caught(similarity) == pytest.approx(expected)
    assert abs(caught / trials - expected) <= 4 * (expected * (1 - expected) / trials) ** 0.5


MILLION_WORDS = """
from pathlib import Path
from curate.dedup.minhash import MinHashParams, bucket_keys, evidence

letters = str.maketrans("0123456789", "abcdefghij")
text = " ".join(str(number * 7919 % 120_011).translate(letters) for number in range(1_000_000))
bucket_keys(text, MinHashParams())
print(len(evidence(text, MinHashParams())))
print(next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


def test_a_text_of_a_million_words_takes_bounded_memory() -> None:
    """The whole process, far from the 1.9 GB of the reference."""
    command = [sys.executable, "-c", MILLION_WORDS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    num_shingles, _, kilobytes, _ = done.stdout.split()
    assert int(num_shingles) > 120_000
    assert int(kilobytes) < 500_000
