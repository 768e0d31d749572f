"""FineWeb's own filter: both sides of every boundary, for every drop reason."""

from __future__ import annotations

import pytest

from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.fineweb import FineWebQualityFilter
from curate.steps import Drop
from curate.words import WordRules


def reason(text: str, rules: WordRules = "current") -> str:
    drop = FineWebQualityFilter(rules=rules).apply(Document(id="x", text=text))
    return drop.reason if drop else ""


def lines(count: int, marked: int, end: str = ".") -> str:
    """Return lines of over 30 characters, of which some end in `end`."""
    texts = [f"this is the line of number {number:05} of all" for number in range(count)]
    return "\n".join([line + end if n < marked else line for n, line in enumerate(texts)])


def short(count: int, marked: int, length: int) -> str:
    """Return punctuated lines of which some are of `length` characters."""
    shorts = [
        f"a b c d e f {number:05} g h i j k l m"[: length - 1] + "." for number in range(count)
    ]
    longs = lines(count, count).split("\n")
    return "\n".join(shorts[:marked] + longs[marked:])


def duplicate(chars: int) -> str:
    """Return a text of `chars` characters and line breaks, 10 of them a duplicate line."""
    line = "aa bb cc."
    filler = " ".join(f"w{number}" for number in range(chars))
    return "\n".join([line + ".", filler[: chars - 21] + ".", line + "."])


def newlines(breaks: int, words: int) -> str:
    """Return long, different lines with that many line breaks and words in all."""
    per_line = ["xxxxxxxxxxxxxxxx"] * (words - breaks - 1)
    tails = [f"number{number:030}" for number in range(breaks + 1)]
    return "\n".join([" ".join([*per_line, tails[0]]), *tails[1:]])


CASES = [
    ("empty", "one line of text that is longer than 30 characters.", " \n\t\n"),
    ("too_few_punctuated_lines", lines(25, 3), lines(26, 3)),
    ("too_few_punctuated_lines", lines(25, 3, "。"), lines(25, 25, '"')),
    ("too_many_short_lines", short(100, 67, 30), short(100, 68, 30)),
    ("too_many_short_lines", short(100, 68, 31), short(100, 100, 30)),
    ("duplicate_line_char_ratio", duplicate(1000), duplicate(999)),
]


@pytest.mark.parametrize(("expected", "kept", "dropped"), CASES)
def test_a_text_is_kept_at_the_threshold_and_dropped_beyond(
    expected: str, kept: str, dropped: str
) -> None:
    """Each rule keeps a text at its threshold and drops the nearest one beyond."""
    assert reason(kept) == ""
    assert reason(dropped) == expected


def test_line_breaks_are_counted_by_word() -> None:
    """Three line breaks in ten words are allowed, in nine not."""
    step = FineWebQualityFilter(min_punctuated_line_ratio=None)
    assert step.reject(Document("x", newlines(3, 10))) is None
    assert step.reject(Document("x", newlines(3, 9))) == Drop("too_many_newlines", 3 / 9, 0.3)


def test_there_is_a_case_for_every_reason() -> None:
    """Nobody adds a reason without showing what it drops."""
    assert {case[0] for case in CASES} | {"too_many_newlines"} == set(FineWebQualityFilter.reasons)


def test_blank_lines_do_not_count() -> None:
    """Paragraphs set apart by blank lines are judged as if they were not."""
    assert reason(lines(25, 3).replace("\n", "\n \n")) == ""


@pytest.mark.parametrize(
    ("expected", "kept", "dropped"),
    [
        ("too_few_punctuated_lines", lines(24, 3), lines(25, 3)),
        ("too_few_punctuated_lines", lines(25, 25, '"'), lines(25, 25, "。")),
        ("too_few_punctuated_lines", lines(9, 9), lines(9, 9).replace("\n", "\n" * 10)),
        ("too_many_short_lines", short(100, 66, 30), short(100, 67, 30)),
        ("duplicate_line_char_ratio", duplicate(1001), duplicate(1000)),
    ],
)
def test_v1_drops_at_the_threshold(expected: str, kept: str, dropped: str) -> None:
    """FineWeb's launch dropped at the threshold, took quotes for punctuation, and blank lines."""
    assert reason(kept, "v1") == ""
    assert reason(dropped, "v1") == expected


def test_without_rules_any_text_is_kept() -> None:
    """None switches a rule off."""
    step = FineWebQualityFilter(
        min_punctuated_line_ratio=None,
        max_short_line_ratio=None,
        max_duplicate_line_char_ratio=None,
        max_newlines_per_word=None,
    )
    assert step.reject(Document("x", "a\na\na\n\n\n")) is None


def test_a_ratio_beyond_one_is_refused() -> None:
    """The message says which value is wrong and what is allowed."""
    with pytest.raises(DefinitionError, match=r"max_short_line_ratio=67 .*Allowed: 0 to 1"):
        FineWebQualityFilter(max_short_line_ratio=67)
