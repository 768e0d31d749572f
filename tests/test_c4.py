"""C4's filter: which texts it drops, which lines it removes, and what it makes of the others."""

from __future__ import annotations

from typing import Any

import pytest

from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.c4 import POLICY_PHRASES, C4QualityFilter
from curate.steps import Drop

SENTENCE = "This line is kept."
FIVE = "\n".join([SENTENCE] * 5)


def apply(text: str, **values: Any) -> tuple[str, str]:
    """Return the drop reason and the text that is left."""
    document = Document(id="x", text=text)
    drop = C4QualityFilter(**values).apply(document)
    return (drop.reason if drop else ""), document.text


CASES = [
    ("too_few_sentences", " ".join([SENTENCE] * 5), " ".join([SENTENCE] * 4)),
    ("too_few_sentences", FIVE, FIVE.removesuffix(SENTENCE) + "use cookies please. Do."),
    ("lorem_ipsum", FIVE + "\nlorem-ipsum as it goes", FIVE + "\nThe Lorem Ipsum goes"),
    ("curly_bracket", FIVE + "\nno } such thing", FIVE + "\na { such thing"),
]


@pytest.mark.parametrize(("expected", "kept", "dropped"), CASES)
def test_texts_are_dropped_for_each_reason(expected: str, kept: str, dropped: str) -> None:
    """Each rule keeps the nearest text on the one side and drops that on the other."""
    assert apply(kept) == ("", kept)
    assert apply(dropped) == (expected, dropped)


def test_there_is_a_case_for_every_reason() -> None:
    """Nobody adds a reason without showing what it drops."""
    assert {case[0] for case in CASES} == set(C4QualityFilter.reasons)


LINES: list[tuple[str, str | None, dict[str, Any]]] = [
    ("has three words", "has three words", {}),
    ("two words", None, {}),
    ("a b " + "x" * 1000, "a b " + "x" * 1000, {}),
    ("a b " + "x" * 1001, None, {}),
    ("you need JavaScript here", None, {}),
    ("you need Java scripts here", "you need Java scripts here", {}),
    ("you need java[1]script here", None, {}),
    *((f"we say {phrase.upper()} here", None, {}) for phrase in POLICY_PHRASES),
    ("a word[12] and[edit] this[citation needed] one[]", "a word and this one", {}),
    ("a word [x12] stays", "a word [x12] stays", {}),
    ("\u00a0 space around it \t", "space around it", {}),
    ("we use javascript { so }", None, {}),
    ("it does not end", "it does not end", {}),
    ("it does not end", None, {"require_terminal_punctuation": True}),
    ("it does end!", "it does end!", {"require_terminal_punctuation": True}),
    ('it does "end"', 'it does "end"', {"require_terminal_punctuation": True}),
    ("it trails off...", None, {"require_terminal_punctuation": True}),
    ("two words", "two words", {"min_words_per_line": None}),
    ("a b " + "x" * 1001, "a b " + "x" * 1001, {"max_word_length": None}),
    ("you need JavaScript here", "you need JavaScript here", {"remove_javascript_lines": False}),
    ("we use cookies here", "we use cookies here", {"remove_policy_lines": False}),
    ("a word[12] stays here", "a word[12] stays here", {"remove_citations": False}),
    ("the lorem ipsum stays", "the lorem ipsum stays", {"drop_lorem_ipsum": False}),
    ("the { stays here", "the { stays here", {"drop_curly_bracket": False}),
]


@pytest.mark.parametrize(("line", "left", "values"), LINES)
def test_lines_are_removed_or_cleaned(line: str, left: str | None, values: dict[str, Any]) -> None:
    """A text that is kept is published without the lines that are not prose."""
    expected = FIVE if left is None else f"{FIVE}\n{left}"
    assert apply(f"{FIVE}\n{line}", **values) == ("", expected)


def test_every_line_separator_becomes_a_line_break() -> None:
    """Lines end where Unicode says so and are joined by line feeds."""
    assert apply("\u2028".join([SENTENCE] * 5)) == ("", FIVE)


def test_a_drop_says_how_many_sentences_were_left() -> None:
    """Sentences of removed lines do not count."""
    text = f"{SENTENCE} {SENTENCE}\nToo short."
    drop = C4QualityFilter().reject(Document(id="x", text=text))
    assert drop == Drop("too_few_sentences", 2, 5)


def test_without_a_minimum_a_text_may_have_no_sentence() -> None:
    """None switches the rule off."""
    assert apply("nothing here", min_sentences=None) == ("", "")


def test_v1_counts_sentences_as_nltk_does() -> None:
    """NLTK knows that "Lt." ends no sentence, which today's words do not."""
    text = "We met Lt. Fox. It was late."
    assert C4QualityFilter(min_sentences=9).reject(Document("x", text)) == Drop(
        "too_few_sentences", 3, 9
    )
    assert C4QualityFilter(min_sentences=9, rules="v1").reject(Document("x", text)) == Drop(
        "too_few_sentences", 2, 9
    )


def test_a_negative_minimum_is_refused() -> None:
    """The message says what switches a rule off."""
    with pytest.raises(DefinitionError, match=r"min_sentences=-1 .*None to switch the rule off"):
        C4QualityFilter(min_sentences=-1)
