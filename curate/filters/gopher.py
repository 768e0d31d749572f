"""The quality and repetition rules of Gopher (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1).

Ratios whose measure is in characters are of all characters of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from ..document import Document
from ..errors import DefinitionError
from ..steps import Drop
from ..words import duplicates
from .english import EnglishFilter

NGRAM_SIZES = range(2, 11)

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")


@dataclass(frozen=True)
class GopherRepetitionFilter(EnglishFilter):
    """Drops a text that repeats itself. Table A1 of the paper; None switches a rule off.

    Attributes:
        max_top_ngram_char_ratio: pairs (n, ratio): the most frequent n-gram.
        max_duplicate_ngram_char_ratio: pairs (n, ratio): all n-grams that occurred before.
    """

    max_duplicate_paragraph_ratio: float | None = 0.30
    max_duplicate_paragraph_char_ratio: float | None = 0.20
    max_duplicate_line_ratio: float | None = 0.30
    max_duplicate_line_char_ratio: float | None = 0.20
    max_top_ngram_char_ratio: tuple[tuple[int, float], ...] = ((2, 0.20), (3, 0.18), (4, 0.16))
    max_duplicate_ngram_char_ratio: tuple[tuple[int, float], ...] = (
        (5, 0.15),
        (6, 0.14),
        (7, 0.13),
        (8, 0.12),
        (9, 0.11),
        (10, 0.10),
    )

    name: ClassVar[str] = "gopher_repetition"
    reasons: ClassVar[tuple[str, ...]] = (
        "empty",
        "duplicate_paragraph_ratio",
        "duplicate_paragraph_char_ratio",
        "duplicate_line_ratio",
        "duplicate_line_char_ratio",
        *(f"top_{n}_gram" for n in NGRAM_SIZES),
        *(f"duplicate_{n}_gram" for n in NGRAM_SIZES),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(
            0,
            1,
            "max_duplicate_paragraph_ratio",
            "max_duplicate_paragraph_char_ratio",
            "max_duplicate_line_ratio",
            "max_duplicate_line_char_ratio",
        )
        self._check_pairs("max_top_ngram_char_ratio", self.max_top_ngram_char_ratio)
        self._check_pairs("max_duplicate_ngram_char_ratio", self.max_duplicate_ngram_char_ratio)

    def _check_pairs(self, name: str, pairs: Any) -> None:
        for pair in pairs:
            if not (len(pair) == 2 and pair[0] in NGRAM_SIZES and 0 <= pair[1] <= 1):
                raise DefinitionError(
                    f"{type(self).__name__}: {name} has {pair!r}. Allowed: pairs (n, ratio), n a "
                    f"whole number from {NGRAM_SIZES[0]} to {NGRAM_SIZES[-1]}, ratio from 0 to 1."
                )

    def reject(self, doc: Document) -> Drop | None:
        # DIFFERS: datatrove 0.2.0 divides by zero on an empty text.
        if not doc.text:
            return Drop("empty")
        return self._reject_parts(doc.text) or self._reject_ngrams(doc)

    def _reject_parts(self, text: str) -> Drop | None:
        # DIFFERS: the paper does not say what ends a line. datatrove 0.2.0 took every line
        # separator of Unicode, so that blank lines are each other's duplicates; 0.10 takes "\n+".
        def lines() -> list[str]:
            return text.splitlines() if self.rules == "v1" else _LINE_BREAK.split(text)

        def paragraphs() -> list[str]:
            return _PARAGRAPH_BREAK.split(text.strip())

        for kind, find, max_ratio, max_char_ratio in (
            (
                "paragraph",
                paragraphs,
                self.max_duplicate_paragraph_ratio,
                self.max_duplicate_paragraph_char_ratio,
            ),
            ("line", lines, self.max_duplicate_line_ratio, self.max_duplicate_line_char_ratio),
        ):
            if max_ratio is None and max_char_ratio is None:
                continue
            parts = find()
            count, chars = duplicates(parts)
            ratio, char_ratio = count / len(parts), chars / len(text)
            if max_ratio is not None and ratio > max_ratio:
                return Drop(f"duplicate_{kind}_ratio", ratio, max_ratio)
            if max_char_ratio is not None and char_ratio > max_char_ratio:
                return Drop(f"duplicate_{kind}_char_ratio", char_ratio, max_char_ratio)
        return None

    def _reject_ngrams(self, doc: Document) -> Drop | None:
        words = self.words_of(doc)
        for n, threshold in self.max_top_ngram_char_ratio:
            if words.bound_of_top_ngram_chars(n) / len(doc.text) <= threshold:
                continue
            ratio = words.top_ngram_chars(n) / len(doc.text)
            if ratio > threshold:
                return Drop(f"top_{n}_gram", ratio, threshold)
        for n, threshold in self.max_duplicate_ngram_char_ratio:
            ratio = words.duplicate_ngram_chars(n) / len(doc.text)
            if ratio > threshold:
                return Drop(f"duplicate_{n}_gram", ratio, threshold)
        return None


@dataclass(frozen=True)
class GopherQualityFilter(EnglishFilter):
    """Drops a text whose words and lines are not those of prose; None switches a rule off.

    Words without a character that is no punctuation mark count neither towards the number of words
    nor their mean length. Stop words are told by their exact spelling.
    """

    min_words: int | None = 50
    max_words: int | None = 100_000
    min_mean_word_length: float | None = 3
    max_mean_word_length: float | None = 10
    max_hash_ratio: float | None = 0.1
    max_ellipsis_ratio: float | None = 0.1
    max_bullet_line_ratio: float | None = 0.9
    max_ellipsis_line_ratio: float | None = 0.3
    min_alphabetic_word_ratio: float | None = 0.8
    min_stop_words: int | None = 2
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    name: ClassVar[str] = "gopher_quality"
    reasons: ClassVar[tuple[str, ...]] = (
        "too_few_words",
        "too_many_words",
        "mean_word_too_short",
        "mean_word_too_long",
        "too_many_hashes",
        "too_many_ellipses",
        "too_many_bullet_lines",
        "too_many_ellipsis_lines",
        "too_few_alphabetic_words",
        "too_few_stop_words",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(0, 1e12, "min_words", "max_words", "min_stop_words")
        self.check_range(0, 1e12, "min_mean_word_length", "max_mean_word_length")
        self.check_range(0, 1e12, "max_hash_ratio", "max_ellipsis_ratio")
        self.check_range(0, 1, "max_bullet_line_ratio", "max_ellipsis_line_ratio")
        self.check_range(0, 1, "min_alphabetic_word_ratio")

    def reject(self, doc: Document) -> Drop | None:
        counts = self.words_of(doc).counts
        # DIFFERS: without a word datatrove divides by zero where `min_words` is off.
        min_words = max(1, self.min_words or 0)
        if counts.non_symbols < min_words:
            return Drop("too_few_words", counts.non_symbols, min_words)
        if self.max_words is not None and counts.non_symbols > self.max_words:
            return Drop("too_many_words", counts.non_symbols, self.max_words)
        mean = counts.non_symbol_chars / counts.non_symbols
        if self.min_mean_word_length is not None and mean < self.min_mean_word_length:
            return Drop("mean_word_too_short", mean, self.min_mean_word_length)
        if self.max_mean_word_length is not None and mean > self.max_mean_word_length:
            return Drop("mean_word_too_long", mean, self.max_mean_word_length)
        return (
            self._reject_marks(doc.text, counts.words)
            or self._reject_lines(doc.text)
            or self._reject_words(doc)
        )

    def _reject_marks(self, text: str, num_words: int) -> Drop | None:
        if self.max_hash_ratio is not None:
            hashes = text.count("#") / num_words
            if hashes > self.max_hash_ratio:
                return Drop("too_many_hashes", hashes, self.max_hash_ratio)
        if self.max_ellipsis_ratio is not None:
            ellipses = (text.count("...") + text.count("…")) / num_words
            if ellipses > self.max_ellipsis_ratio:
                return Drop("too_many_ellipses", ellipses, self.max_ellipsis_ratio)
        return None

    def _reject_lines(self, text: str) -> Drop | None:
        lines = text.splitlines()
        if self.max_bullet_line_ratio is not None:
            bullets = sum([line.lstrip().startswith(("•", "-")) for line in lines]) / len(lines)
            if bullets > self.max_bullet_line_ratio:
                return Drop("too_many_bullet_lines", bullets, self.max_bullet_line_ratio)
        if self.max_ellipsis_line_ratio is not None:
            ellipses = sum([line.rstrip().endswith(("...", "…")) for line in lines]) / len(lines)
            if ellipses > self.max_ellipsis_line_ratio:
                return Drop("too_many_ellipsis_lines", ellipses, self.max_ellipsis_line_ratio)
        return None

    def _reject_words(self, doc: Document) -> Drop | None:
        analysed = self.words_of(doc)
        alphabetic = analysed.counts.alphabetic / analysed.counts.words
        minimum = self.min_alphabetic_word_ratio
        if minimum is not None and alphabetic < minimum:
            return Drop("too_few_alphabetic_words", alphabetic, minimum)
        if self.min_stop_words is None:
            return None
        # DIFFERS: the paper asks for two stop words and does not say whether they may be the same.
        # datatrove 0.2.0 took them so; 0.10 wants two different ones.
        if self.rules == "v1":
            num_stop_words = sum(map(analysed.words.count, set(self.stop_words)))
        else:
            num_stop_words = len(set(self.stop_words).intersection(analysed.words))
        if num_stop_words < self.min_stop_words:
            return Drop("too_few_stop_words", num_stop_words, self.min_stop_words)
        return None
