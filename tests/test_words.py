"""Words and sentences are those of spaCy's English; n-gram measures are what their names say."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
import spacy
from datatrove.utils.text import PUNCTUATION_SET
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import tokens
from curate.errors import DefinitionError
from curate.tokens import MAX_CHUNK_CHARS, RULES_FILE
from curate.words import Words, analyse, check_rules, count_sentences, duplicates

ROOT = Path(__file__).parent.parent
NLP = spacy.blank("en")
NLP.add_pipe("sentencizer")

PROSE = """It's what they'd've said: "I can't, Mr. O'Neil -- not at 10a.m." She left… at 5km/h.
Visit https://example.com/a?b=c#d, www.example.org. or mail j.doe+x@example.co.uk; costs US$5,000.
(Wait...what?!) It’s well-known/state-of-the-art, e.g. in St.Louis. :) :-D 日本語。テスト!
naïve café №5 ½ x:) )) so:) ) <space> C++ a.k.a. U.S.A. vs. 'em 'Cause\tgonna\u00a0do\x0b\x1f
it 20°C.
\U0001f600\U0001f44d\U0001f3fd"""

FRAGMENTS = st.sampled_from(
    [*NLP.tokenizer.rules, ". ", "! ", "? ", ".\n", "...", "…", "。", "US$", "km", "://", "www.a.b"]
)
TEXTS = st.lists(
    FRAGMENTS | st.sampled_from(" \t\n\u00a0\u3000\x1c\x85\u200b") | st.text(max_size=5),
    max_size=12,
).map("".join)


def spacy_words(text: str) -> list[str]:
    return [token.text for token in NLP(text) if not token.is_space]


def spacy_sentences(text: str) -> int:
    return max(1, len(list(NLP(text).sents))) if text else 1


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example(PROSE)
@example("so:) )")
@example("x''. 'em")
@example("0..1 ......x…… ..")
def test_words_are_those_of_spacy(text: str) -> None:
    """A filter sees the tokens that datatrove's filters see, and MinHash those of its MinHash."""
    assert analyse(text).words == spacy_words(text)
    assert tokens.spaced(text).split() == spacy_words(text)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example(PROSE)
@example("One.  ")
@example("One. ")
@example("One.\tTwo")
@example('One.  " Two')
@example("  ")
def test_sentences_are_those_of_spacy(text: str) -> None:
    """White space other than single spaces begins a sentence, as in spaCy."""
    assert count_sentences(text) == spacy_sentences(text)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example(PROSE)
def test_counts_are_sums_over_the_words(text: str) -> None:
    """Symbols are words of punctuation alone; alphabetic words have a letter."""
    words = spacy_words(text)
    lengths = [len(word) for word in words if not set(word) <= PUNCTUATION_SET]
    alphabetic = sum(any(char.isalpha() for char in word) for word in words)
    assert analyse(text).counts == (len(words), len(lengths), sum(lengths), alphabetic)


def test_the_rules_are_those_of_the_installed_libraries() -> None:
    """The data file is what its generator writes."""
    written = runpy.run_path(str(ROOT / "benchmarks" / "make_words_data.py"))["rules"]()
    found, expected = json.loads(RULES_FILE.read_text(encoding="ascii")), json.loads(written)
    assert found | {"sources": []} == expected | {"sources": []}


def test_a_chunk_of_a_million_characters_is_one_word() -> None:
    """A text without spaces costs no more than its length."""
    assert analyse(")" * 1_000_000).words == [")" * 1_000_000]
    assert len(analyse(")" * MAX_CHUNK_CHARS).words) == MAX_CHUNK_CHARS
    assert len(analyse("a" * MAX_CHUNK_CHARS + ",").words) == 1


def test_words_do_not_depend_on_the_texts_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has seen more words than it remembers goes on splitting the same way."""
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 50)
    before = analyse(PROSE).words
    many = analyse(" ".join(f"x{number}," for number in range(300)))
    assert len(many.words) == 600
    assert analyse(PROSE).words == before


def naive_top(words: list[str], n: int) -> int:
    grams = [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def naive_duplicates(words: list[str], n: int) -> int:
    seen: set[str] = set()
    chars = start = 0
    while start < len(words) - n + 1:
        gram = "".join(words[start : start + n])
        if gram in seen:
            chars += len(gram)
            start += n
        else:
            seen.add(gram)
            start += 1
    return chars


WORD_LISTS = st.lists(
    st.sampled_from(["a", "aa", "b", "ab", "ba", "日", "\U0001f600"]), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(WORD_LISTS, st.integers(2, 10))
@example(["a", "b", "a", "c", "c", "b", "c", "b"], 2)
@example(["ab", "c", "x", "a", "bc"], 2)
def test_ngram_measures_equal_a_naive_count(words: list[str], n: int) -> None:
    """The first of equally frequent n-grams counts; words run together may equal others."""
    analysed: Words = analyse(" ".join(words))
    assert analysed.words == words
    assert analysed.top_ngram_chars(n) == naive_top(words, n)
    assert analysed.duplicate_ngram_chars(n) == naive_duplicates(words, n)


def test_ngram_measures_hold_for_a_large_vocabulary() -> None:
    """More words than fit a packed key are counted all the same."""
    words = [f"w{number * 7919 % 33_000}x" for number in range(36_000)] + ["the", "end"] * 30
    analysed = analyse(" ".join(words))
    for n in (4, 10):
        assert analysed.top_ngram_chars(n) == naive_top(words, n)
        assert analysed.duplicate_ngram_chars(n) == naive_duplicates(words, n)


def test_duplicates_counts_each_repeat() -> None:
    """The first occurrence is no duplicate."""
    assert duplicates(["ab", "c", "ab", "ab", "c"]) == (3, 5)


def test_v1_words_are_those_of_nltk() -> None:
    """The rules of FineWeb's launch split as NLTK does, sentence by sentence."""
    text = 'He said "no". Dr. Smith can\'t come at 5 p.m. on Monday. It is late.'
    assert analyse(text, "v1").words[:6] == ["He", "said", "``", "no", "''", "."]
    assert count_sentences(text, "v1") == 3
    assert count_sentences("", "v1") == 0


def test_unknown_rules_are_refused_with_those_allowed() -> None:
    """The message names the step, the value and what is allowed."""
    with pytest.raises(DefinitionError, match=r"MyFilter: rules='v2' .*Allowed: current, v1"):
        check_rules("v2", "MyFilter")
