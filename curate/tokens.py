"""English tokens of one whitespace-delimited chunk, as spaCy's English tokenizer makes them.

The rules are data (`data/words_en.json`); spaCy itself is only needed to test this module. A chunk
is split without regard to the text around it, with one exception that `chunks` takes care of, so
what the filters need to know of a chunk is worked out once and remembered.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate, chain, pairwise, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

RULES_FILE = Path(__file__).parent / "data" / "words_en.json"

# Bounds of the two memories of chunks: some 40 MB each. Longer chunks are rare and worked out each
# time.
MAX_REMEMBERED = 131_072
MAX_REMEMBERED_CHARS = 64

# DIFFERS: spaCy's rules take time quadratic in the length of a chunk, so that 1 MB without a space
# hangs it. Ours are linear, and a chunk longer than this is one token. No prose comes near.
MAX_CHUNK_CHARS = 200_000

_FULL_STOPS = r"\.\.+"  # the only suffix of any length; found by hand, the pattern is quadratic
_SUFFIX_WINDOW = 12  # longer than every other suffix with what it looks back at
_JOINING = "\n"  # no token holds one: what stands for a chunk that its neighbours may change
_BEFORE_LETTERS = re.compile(r"[0-9'’]").search  # units follow a digit, s a quote
_GAP = re.compile(r"\s+")
_WIDE_GAP = re.compile(r"\s\s|[^\S ]")
_SINGLE_SPACED = re.compile(r"\S+(?: \S+)*")


class Chunk(NamedTuple):
    """What the filters need to know of one chunk.

    Attributes:
        tokens: the words; joined they are the chunk.
        parts: the tokens before exceptions such as ":)" were put together again; the same object
            where there are none.
        starts: sentences that begin in the chunk, where the chunk before did not end one [0] and
            where it did [1].
        ends: whether the chunk ends a sentence, in the same two cases.
        joined: whether exceptions were put together again, so `tokens` are not `parts`.
    """

    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    starts: tuple[int, int]
    ends: tuple[int, int]
    joined: bool


_JOINED = itemgetter(Chunk._fields.index("joined"))


class Rules:
    """The rules, compiled."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._prefix = re.compile("|".join(f"(?:{piece})" for piece in data["prefixes"])).match
        suffixes = [f"(?:{piece})$" for piece in data["suffixes"] if piece != _FULL_STOPS]
        self._suffix = re.compile("|".join(suffixes)).search
        # No longer suffix ends with one of these.
        self._suffix_marks = {one[-1] for one in data["suffixes"] if len(one.lstrip("\\")) == 1}
        self._suffix_marks.discard("…")
        self._infixes = re.compile("|".join(data["infixes"])).finditer
        self._scheme = re.compile(r"[\w+\-.]{2,}://").match
        self._url_host = re.compile(data["url_host"]).match
        self._exceptions = {text: tuple(tokens) for text, tokens in data["exceptions"].items()}
        self._longest_exception = max(map(len, self._exceptions))
        self._patterns: dict[str, list[tuple[str, ...]]] = {}
        for pattern in sorted({tuple(tokens) for tokens in data["multiword"].values()}):
            self._patterns.setdefault(pattern[0], []).append(pattern)
        self._pairs = {
            pair
            for patterns in self._patterns.values()
            for one in patterns
            for pair in pairwise(one)
        }
        self._sentence_end = frozenset(data["sentence_end"])
        self.terminal_punctuation = frozenset(data["terminal_punctuation"])
        self.punctuation = frozenset(data["punctuation"])
        self.symbols = self.punctuation | self.terminal_punctuation

    def chunk(self, text: str) -> Chunk:
        """Work out a chunk."""
        if self.is_word(text):
            word = (text,)
            return Chunk(word, word, (0, 1), (0, 0), False)
        return self._describe(*self.tokens(text))

    def tokens(self, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the tokens and the parts of a chunk; the same object where these are the same."""
        parts = self._marked_word(text) or self._split(text)
        return self._merge(parts, (0, len(parts))), parts

    def is_word(self, text: str) -> bool:
        """Tell that a chunk is one token: every affix rule wants a mark or a digit."""
        return text.isalpha() and text not in self._exceptions

    def _marked_word(self, text: str) -> tuple[str, ...]:
        """Split what is most frequent after words themselves without a look at all affixes.

        Only after a small letter is each of these marks a suffix, whatever the word.
        """
        word, mark = text[:-1], text[-1]
        if mark not in ',.;:!?)"' or not "a" <= word[-1:] <= "z" or len(text) > MAX_CHUNK_CHARS:
            return ()
        known = text in self._exceptions or word in self._patterns
        return (word, mark) if self.is_word(word) and not known else ()

    def _split(self, text: str) -> tuple[str, ...]:
        if text in self._exceptions:
            return self._exceptions[text]
        if len(text) > MAX_CHUNK_CHARS:
            return (text,)
        start, end, prefixes, suffixes = self._strip(text)
        core = text[start:end]
        if core in self._exceptions:
            middle: Sequence[str] = self._exceptions[core]
        elif core.isalnum() or not core or self._is_url(core):
            middle = (core,) if core else ()
        else:
            middle = self._split_infixes(core)
        return (*prefixes, *middle, *reversed(suffixes))

    def _strip(self, text: str) -> tuple[int, int, list[str], list[str]]:
        """Take prefixes and suffixes off in turns until an exception or nothing more is found."""
        start, end = 0, len(text)
        prefixes: list[str] = []
        suffixes: list[str] = []
        while start < end and not self._is_exception(text, start, end):
            prefix = self._prefix(text, start, end)
            after_prefix = prefix.end() if prefix else start
            if prefix and self._is_exception(text, after_prefix, end):
                prefixes.append(prefix.group())
                return after_prefix, end, prefixes, suffixes
            before_suffix = self._suffix_start(text, after_prefix, end)
            if before_suffix < end and self._is_exception(text, start, before_suffix):
                suffixes.append(text[before_suffix:end])
                return start, before_suffix, prefixes, suffixes
            if prefix:
                prefixes.append(prefix.group())
            if before_suffix < end:
                suffixes.append(text[before_suffix:end])
            if (after_prefix, before_suffix) == (start, end):
                break
            start, end = after_prefix, before_suffix
        return start, end, prefixes, suffixes

    def _is_exception(self, text: str, start: int, end: int) -> bool:
        return end - start <= self._longest_exception and text[start:end] in self._exceptions

    def _suffix_start(self, text: str, start: int, end: int) -> int:
        """Return where the suffix of text[start:end] begins; `end` if it has none."""
        last = text[end - 1 : end] if end > start else ""
        if last in self._suffix_marks:
            return end - 1
        if text.endswith("..", start, end):
            end -= 2
            while end > start and text[end - 1] == ".":
                end -= 1
            return end
        low = max(start, end - _SUFFIX_WINDOW)
        if last.isalpha() and not _BEFORE_LETTERS(text, low, end):
            return end
        match = self._suffix(text[low:end])
        return low + match.start() if match else end

    def _is_url(self, text: str) -> bool:
        """Match spaCy's URL pattern, looking for the "@" after the user by hand."""
        if "." not in text:
            return False
        scheme = self._scheme(text)
        first = scheme.end() if scheme else 0
        if self._url_host(text, first) or self._url_host(text):
            return True
        return any(
            self._url_host(text, at.end()) for at in re.finditer("@", text) if at.start() > 0
        )

    def _split_infixes(self, text: str) -> list[str]:
        tokens = []
        start = 0
        for match in self._infixes(text):
            if match.start() == 0:
                continue
            if match.start() > start:
                tokens.append(text[start : match.start()])
            tokens.append(match.group())
            start = match.end()
        if start < len(text):
            tokens.append(text[start:])
        return tokens

    def _merge(self, parts: tuple[str, ...], bounds: Sequence[int]) -> tuple[str, ...]:
        """Put together again the exceptions that the affix rules took apart, the longest first.

        Args:
            parts: tokens of neighbouring chunks.
            bounds: where chunks begin, and the end. A find that crosses a bound changes nothing,
                but it shadows those it overlaps.
        """
        if self._patterns.keys().isdisjoint(parts):
            return parts
        finds = []
        for start, part in enumerate(parts):
            for pattern in self._patterns.get(part, ()):
                if parts[start : start + len(pattern)] == pattern:
                    finds.append((-len(pattern), start))
        if not finds:
            return parts
        inner = set(bounds[1:-1])
        taken: set[int] = set()
        merged: dict[int, int] = {}
        for negative_length, start in sorted(finds):
            end = start - negative_length
            if (
                start not in taken
                and end - 1 not in taken
                and inner.isdisjoint(range(start + 1, end))
            ):
                merged[start] = end
            taken.update(range(start, end))
        tokens: list[str] = []
        position = 0
        while position < len(parts):
            end = merged.get(position, position + 1)
            joined = "".join(parts[position:end])
            tokens.extend(self._exceptions[joined] if position in merged else (joined,))
            position = end
        return parts if tuple(tokens) == parts else tuple(tokens)

    def may_join(self, left: Chunk, right: Chunk) -> bool:
        """Tell whether an exception could reach from one chunk into the next."""
        return (left.parts[-1], right.parts[0]) in self._pairs

    def in_context(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Work out again chunks that stand a single space apart."""
        parts = tuple(chain.from_iterable(chunk.parts for chunk in chunks))
        bounds = (0, *accumulate(len(chunk.parts) for chunk in chunks))
        tokens = iter(self._merge(parts, bounds))
        described = []
        for chunk in chunks:
            own: list[str] = []
            missing = sum(map(len, chunk.parts))
            while missing:
                own.append(next(tokens))
                missing -= len(own[-1])
            same = tuple(own) == chunk.tokens
            described.append(chunk if same else self._describe(tuple(own), chunk.parts))
        return described

    def _describe(self, tokens: tuple[str, ...], parts: tuple[str, ...]) -> Chunk:
        fresh = fresh_starts = ended_starts = 0
        ended = 1
        for token in tokens:
            if token in self._sentence_end:
                fresh = ended = 1
            elif token.isalpha() or not _is_punctuation(token):
                fresh_starts += fresh
                ended_starts += ended
                fresh = ended = 0
        starts, ends = (fresh_starts, ended_starts), (fresh, ended)
        return Chunk(tokens, parts, starts, ends, tokens is not parts)


def _is_punctuation(token: str) -> bool:
    return all(map(_is_mark, token))


@lru_cache(maxsize=4096)
def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "P"


@cache
def rules() -> Rules:
    """Return the rules of English, read once."""
    return Rules(json.loads(RULES_FILE.read_text(encoding="ascii")))


class _Memory(dict[str, Chunk]):
    """Chunks worked out so far. Emptied when full: what a chunk is depends on nothing else."""

    def __missing__(self, text: str) -> Chunk:
        chunk = rules().chunk(text)
        if len(text) <= MAX_REMEMBERED_CHARS:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[text] = chunk
        return chunk


class _Spaced(dict[str, str]):
    """The tokens of chunks worked out so far, with a space between them; bounded in the same way.

    Most chunks are one token, or one and a mark, and have no part in what is joined.
    """

    def __missing__(self, text: str) -> str:
        found = text
        if not rules().is_word(text):
            tokens, parts = rules().tokens(text)
            found = " ".join(tokens) if tokens is parts else _JOINING
        if len(text) <= MAX_REMEMBERED_CHARS:
            if len(self) >= 2 * MAX_REMEMBERED:
                self.clear()
            self[text] = found
        return found


_memory = _Memory()
_spaced = _Spaced()


def chunks(text: str) -> list[Chunk]:
    """Return the chunks of `text`, in order."""
    pieces = text.split()
    found = list(map(_memory.__getitem__, pieces))
    if any(map(_JOINED, found)) and _may_join(
        pieces, [position for position, chunk in enumerate(found) if chunk.joined]
    ):
        return _chunks_in_context(text)
    return found


def words(text: str) -> list[str]:
    """Return the tokens of `text`, in order."""
    found = spaced(text)
    return found.split(" ") if found else []


def spaced(text: str) -> str:
    """Return the tokens of `text` with one space between them."""
    pieces = text.split()
    found = " ".join(map(_spaced.__getitem__, pieces))
    if _JOINING not in found:
        return found
    joined = {position for position, piece in enumerate(pieces) if _spaced[piece] == _JOINING}
    if _may_join(pieces, sorted(joined)):
        return " ".join(chain.from_iterable(chunk.tokens for chunk in _chunks_in_context(text)))
    return " ".join(
        [
            " ".join(_memory[piece].tokens) if position in joined else _spaced[piece]
            for position, piece in enumerate(pieces)
        ]
    )


def count_sentences(text: str) -> int:
    """Return the number of sentences, at least 1.

    A row of white space other than one space is a token to spaCy: after the end of a sentence it
    begins the next one.
    """
    gaps = _GAP.findall(text.lstrip()) if _WIDE_GAP.search(text) else ()
    count, ended = 1, 0
    for chunk, gap in zip(chunks(text), chain(gaps, repeat(" ")), strict=False):
        count += chunk.starts[ended]
        ended = chunk.ends[ended]
        if gap != " " and ended:
            count += 1
            ended = 0
    return count


def _may_join(pieces: Sequence[str], joined: Sequence[int]) -> bool:
    """Tell whether an exception could reach from a chunk with joined tokens into a neighbour.

    Args:
        pieces: the chunks of a text.
        joined: the places of those with joined tokens.
    """
    for position in joined:
        near = [_memory[piece] for piece in pieces[max(position - 1, 0) : position + 2]]
        if any(rules().may_join(left, right) for left, right in pairwise(near)):
            return True
    return False


def _chunks_in_context(text: str) -> list[Chunk]:
    """As `chunks`, where an exception across a space may keep one inside a chunk from being found.

    In "so:) )" the longer ":))" is seen, spoilt by the space, and shadows the ":)".
    """
    found = []
    for run in _SINGLE_SPACED.findall(text):
        found += rules().in_context([_memory[piece] for piece in run.split(" ")])
    return found
