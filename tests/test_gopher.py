"""Gopher's filters: both sides of every boundary, for every drop reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.gopher import NGRAM_SIZES, GopherQualityFilter, GopherRepetitionFilter
from curate.steps import Drop, Filter
from curate.words import analyse

from .test_words import naive_duplicates, naive_top


def reason(step: Filter, text: str) -> str:
    drop = step.apply(Document(id="x", text=text))
    return drop.reason if drop else ""


def prose(num_words: int, rest: str = "word") -> list[str]:
    """Return words with two stop words."""
    return ["the", "of", *[rest] * (num_words - 2)]


def lines(count: int, marked: int, start: str = "", end: str = "") -> str:
    plain = "the word of many words here"
    return "\n".join([f"{start}{plain}{end}"] * marked + [plain] * (count - marked))


QUALITY = [
    ("too_few_words", " ".join(prose(50)), " ".join(prose(49))),
    ("too_few_words", " ".join([*prose(50), "!"]), " ".join([*prose(49), "!"])),
    ("too_many_words", " ".join(prose(100_000)), " ".join(prose(100_001))),
    ("mean_word_too_short", " ".join(["the", "and"] * 25), " ".join(["the", "and"] * 25 + ["be"])),
    (
        "mean_word_too_long",
        " ".join([*prose(49, "x" * 10), "x" * 25]),
        " ".join([*prose(49, "x" * 10), "x" * 26]),
    ),
    (
        "too_many_hashes",
        " ".join(prose(45) + ["wo#rd"] * 5),
        " ".join(prose(44) + ["wo#rd"] * 6),
    ),
    (
        "too_many_ellipses",
        " ".join(["word...", "word…"] * 3 + prose(48)),
        " ".join(["word...", "word…"] * 3 + prose(47)),
    ),
    ("too_many_bullet_lines", lines(10, 9, "- "), lines(11, 10, "- ")),
    ("too_many_bullet_lines", lines(10, 9, " • "), lines(11, 10, " • ")),
    ("too_many_ellipsis_lines", lines(10, 3, end="... "), lines(13, 4, end="... ")),
    ("too_many_ellipsis_lines", lines(10, 3, end="…"), lines(13, 4, end="…")),
    (
        "too_few_alphabetic_words",
        " ".join(prose(40) + ["1234"] * 10),
        " ".join(prose(40) + ["1234"] * 11),
    ),
    (
        "too_few_stop_words",
        " ".join(["the", "of", *["word"] * 50]),
        " ".join(["the", "The", "Of", *["word"] * 50]),
    ),
    ("too_few_stop_words", " ".join(prose(52)), " ".join(["the"] * 10 + ["word"] * 50)),
]


@pytest.mark.parametrize(("expected", "kept", "dropped"), QUALITY)
def test_quality_keeps_at_the_threshold_and_drops_beyond(
    expected: str, kept: str, dropped: str
) -> None:
    """Each rule keeps a text at its threshold and drops the nearest one beyond."""
    step = GopherQualityFilter()
    assert reason(step, kept) == ""
    assert reason(step, dropped) == expected


def test_quality_has_a_case_for_every_reason() -> None:
    """Nobody adds a reason without showing what it drops."""
    assert {case[0] for case in QUALITY} == set(GopherQualityFilter.reasons)


def test_quality_says_what_it_measured() -> None:
    """A decision shows the measured value and the threshold."""
    drop = GopherQualityFilter().reject(Document(id="x", text=" ".join(prose(49))))
    assert drop == Drop("too_few_words", 49, 50)


def test_v1_quality_counts_every_occurrence_of_a_stop_word() -> None:
    """FineWeb's launch took the same stop word twice; today's code wants two different ones."""
    text = " ".join(["the", "the", *["word"] * 50])
    assert reason(GopherQualityFilter(rules="v1"), text) == ""
    assert reason(GopherQualityFilter(), text) == "too_few_stop_words"
    assert reason(GopherQualityFilter(rules="v1"), text[4:]) == "too_few_stop_words"


def test_quality_without_rules_keeps_any_text_that_has_a_word() -> None:
    """None switches a rule off."""
    step = GopherQualityFilter(
        min_words=None,
        max_words=None,
        min_mean_word_length=None,
        max_mean_word_length=None,
        max_hash_ratio=None,
        max_ellipsis_ratio=None,
        max_bullet_line_ratio=None,
        max_ellipsis_line_ratio=None,
        min_alphabetic_word_ratio=None,
        min_stop_words=None,
    )
    assert reason(step, "- 1#...") == ""
    assert reason(step, "...") == "too_few_words"


def filler(length: int) -> str:
    """Return text of that many characters in which no word occurs twice."""
    words = (f"word{number}" for number in range(length))
    return " ".join(words)[: length - 1] + "x"


def parts(separator: str, repeated: str, times: int, others: Sequence[str]) -> str:
    return separator.join([repeated, *others, *[repeated] * (times - 1)])


def unlike(count: int) -> list[str]:
    return [f"start{number} {filler(60)} end{number}" for number in range(count)]


LONG = "x" * 200  # one word, so that no n-gram rule sees the repeated part
REPETITION: list[tuple[str, str, str]] = [
    ("empty", "one", ""),
    (
        "duplicate_paragraph_ratio",
        parts("\n\n", "a", 4, unlike(6)),
        parts("\n\n", "a", 5, unlike(8)),
    ),
    (
        "duplicate_paragraph_char_ratio",
        parts("\n\n", LONG, 2, [filler(593), "b"]),
        parts("\n\n", LONG, 2, [filler(592), "b"]),
    ),
    ("duplicate_line_ratio", parts("\n", "a", 4, unlike(6)), parts("\n", "a", 5, unlike(8))),
    (
        "duplicate_line_char_ratio",
        parts("\n", LONG, 2, [filler(596), "b"]),
        parts("\n", LONG, 2, [filler(595), "b"]),
    ),
]


@pytest.mark.parametrize(("expected", "kept", "dropped"), REPETITION)
def test_repetition_keeps_at_the_threshold_and_drops_beyond(
    expected: str, kept: str, dropped: str
) -> None:
    """Each rule keeps a text at its threshold and drops the nearest one beyond."""
    step = GopherRepetitionFilter(max_top_ngram_char_ratio=(), max_duplicate_ngram_char_ratio=())
    assert reason(step, kept) == ""
    assert reason(step, dropped) == expected


@pytest.mark.parametrize("n", NGRAM_SIZES)
@pytest.mark.parametrize("kind", ["top", "duplicate"])
def test_repetition_drops_ngrams_beyond_the_threshold(kind: str, n: int) -> None:
    """A text is kept at the ratio it has and dropped at any lower one."""
    text = " ".join(f"word{number % 13}" for number in range(60))
    measure = naive_top if kind == "top" else naive_duplicates
    ratio = measure(analyse(text).words, n) / len(text)
    assert ratio > 0
    for threshold, expected in ((ratio, ""), (ratio - 1e-9, f"{kind}_{n}_gram")):
        top, duplicate = ((n, threshold),), ((n, threshold),)
        step = GopherRepetitionFilter(
            max_top_ngram_char_ratio=top if kind == "top" else (),
            max_duplicate_ngram_char_ratio=duplicate if kind == "duplicate" else (),
        )
        assert reason(step, text) == expected


def test_repetition_has_a_case_for_every_reason() -> None:
    """Nobody adds a reason without showing what it drops."""
    ngrams = {f"{kind}_{n}_gram" for kind in ("top", "duplicate") for n in NGRAM_SIZES}
    assert {case[0] for case in REPETITION} | ngrams == set(GopherRepetitionFilter.reasons)


def test_repetition_has_the_thresholds_of_the_paper() -> None:
    """Table A1 of the Gopher paper."""
    step = GopherRepetitionFilter()
    assert dict(step.max_top_ngram_char_ratio) == {2: 0.20, 3: 0.18, 4: 0.16}
    assert dict(step.max_duplicate_ngram_char_ratio) == {
        5: 0.15,
        6: 0.14,
        7: 0.13,
        8: 0.12,
        9: 0.11,
        10: 0.10,
    }


def test_v1_repetition_counts_blank_lines() -> None:
    """At FineWeb's launch blank lines were each other's duplicates; today they are no lines."""
    text = "\n\n".join(f"{word} is a line" for word in ("one", "two", "three", "four", "five"))
    assert reason(GopherRepetitionFilter(rules="v1"), text) == "duplicate_line_ratio"
    current = GopherRepetitionFilter(max_top_ngram_char_ratio=())
    assert reason(current, text) == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GopherQualityFilter(min_words=-1), "min_words=-1 .*Allowed: 0 to"),
        (
            lambda: GopherQualityFilter(min_alphabetic_word_ratio=1.2),
            "min_alphabetic_word_ratio=1.2 .*Allowed: 0 to 1, or None",
        ),
        (
            lambda: GopherRepetitionFilter(max_duplicate_line_ratio=float("nan")),
            "max_duplicate_line_ratio=nan",
        ),
        (
            lambda: GopherRepetitionFilter(max_top_ngram_char_ratio=((11, 0.1),)),
            r"max_top_ngram_char_ratio has \(11, 0.1\)\. Allowed: pairs",
        ),
    ],
)
def test_values_out_of_range_are_refused(make: Any, message: str) -> None:
    """The message says which value is wrong and what is allowed."""
    with pytest.raises(DefinitionError, match=message):
        make()
