"""MinHash: a text's shingles, its signature, and the bucket keys that near-duplicates share.

Signatures equal those of datatrove 0.10 (`pipeline/dedup/minhash.py`) with 64-bit hashes, which
rebuilt FineWeb's (FineWeb paper, arXiv 2406.17557, section 3.4 and appendix E.1). numpy is imported
where it is used, so that a pipeline file can state `MinHashParams` without it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Literal, get_args

import xxhash

from .. import tokens
from ..errors import DefinitionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Hash = Literal["xxhash", "sha1"]

_MERSENNE_PRIME = (1 << 61) - 1

# A block of words and of permuted hashes: what keeps a text of any length in bounded memory, the
# second small enough for a core's own cache (fastest of 64 to 1,024).
_BLOCK_WORDS = 32_768
_BLOCK_SHINGLES = 256
_BLOCK_CHARS = 1 << 22  # of a text whose evidence is wanted

# Seed of the key of a text that is compared as a whole; bands use their number, 0 and up.
_WHOLE_TEXT = (1 << 64) - 1

# A number of any script, with at most one decimal separator.
# DIFFERS: digits are those of Python's Unicode version, in datatrove those of the package `regex`;
# 3.11's lack the 110 digits of scripts added since Unicode 14.
_NUMBER = re.compile(r"\d+(?:[.,،٫⎖⎗⎘]\d+)?")
_ASCII_NUMBER = re.compile(rb"[0-9]+(?:[.,][0-9]+)?")

_ASCII = bytes(range(128))
_MANY_MARKS = 64  # different diacritics, above which one pass for all is faster than one for each


@dataclass(frozen=True, slots=True)
class MinHashParams:
    """How texts are compared; FineWeb's values are the defaults but for its hash, sha1.

    Attributes:
        ngram_size: words of a shingle.
        num_buckets: bands of the signature; a pair is caught when one of them is equal.
        hashes_per_bucket: values of a band.
        hash: 64-bit hash of a shingle. "sha1" gives the signatures of FineWeb, "xxhash" those of
            FineWeb-2 and of datatrove's default, in two thirds of the time.
        seed: seed of the permutations.
        max_chars: of a longer text only so many characters are signed, up to the last white space
            among them; 0 signs all. FinePDFs signs 1,000,000. `verify` always sees the whole text:
            what is removed is proven, not only its beginning.

    Raises:
        DefinitionError: a value is out of its range.
    """

    ngram_size: int = 5
    num_buckets: int = 14
    hashes_per_bucket: int = 8
    hash: Hash = "xxhash"
    seed: int = 1
    max_chars: int = 0

    def __post_init__(self) -> None:
        for name in ("ngram_size", "num_buckets", "hashes_per_bucket"):
            value = getattr(self, name)
            if value < 1:
                raise DefinitionError(f"MinHashParams: {name}={value} must be at least 1.")
        if self.max_chars < 0:
            raise DefinitionError(f"MinHashParams: max_chars={self.max_chars} must be 0 or more.")
        if not 0 <= self.seed < 1 << 32:
            raise DefinitionError(f"MinHashParams: seed={self.seed} must be below 2**32.")
        if self.hash not in get_args(Hash):
            allowed = ", ".join(get_args(Hash))
            raise DefinitionError(f"MinHashParams: hash={self.hash!r}. Allowed: {allowed}.")

    @property
    def num_hashes(self) -> int:
        """Values of a signature."""
        return self.num_buckets * self.hashes_per_bucket

    def caught(self, similarity: float) -> float:
        """Return the probability that two texts of this Jaccard similarity share a bucket."""
        band: float = similarity**self.hashes_per_bucket
        return 1.0 - (1.0 - band) ** self.num_buckets


def shingles_to_sign(text: str, params: MinHashParams) -> NDArray[np.uint64]:
    """Return the shingles of the text, or of its beginning where it is longer than `max_chars`."""
    return shingles(beginning(text, params.max_chars), params)


def bucket_keys(
    text: str, params: MinHashParams, found: NDArray[np.uint64] | None = None
) -> NDArray[np.uint64]:
    """Return the keys that `buckets` compares: near-duplicates probably share one.

    DIFFERS: a text with fewer words than a shingle has no signature and is never a duplicate in
    the reference. Here it is one of those that are the same but for case, punctuation, white space
    and diacritics, numbers included. A text with nothing else duplicates nothing.

    Args:
        text: any text.
        params: how it is compared.
        found: its `shingles_to_sign`, if they are known already.

    Returns:
        uint64 of shape (k, 2); k is the number of bands, 1 for a text that is compared as a whole
        and 0 for an empty one.
    """
    import numpy as np

    found = shingles_to_sign(text, params) if found is None else found
    if len(found):
        return band_keys(signature(found, params), params)
    whole = _whole_key(normalise(text, keep_numbers=True))
    return np.empty((0, 2), dtype=np.uint64) if whole is None else whole


def beginning(text: str, max_chars: int) -> str:
    """Return the text up to the last white space before `max_chars`, or all if that is 0."""
    if not 0 < max_chars < len(text):
        return text
    head = text[:max_chars]
    if head[-1].isspace() or text[max_chars].isspace():
        return head
    return head.rsplit(None, 1)[0]


def evidence(text: str, params: MinHashParams) -> NDArray[np.uint64]:
    """Return the set of hashes by which `verify` proves two texts similar, sorted and distinct.

    They are shingles with the numbers left as they are: pages that differ only in their numbers
    share buckets, and are told apart here. Of a text too short for a shingle it is the hash of its
    whole, of an empty text none.
    """
    blocks = (normalise(block, keep_numbers=True) for block in _blocks(text))
    found = _shingles(blocks, params.ngram_size, "xxhash")
    whole = None if len(found) else _whole_key(normalise(text, keep_numbers=True))
    return found if whole is None else whole[0, :1].copy()


def _blocks(text: str) -> Iterator[str]:
    """Yield the text in pieces of bounded length that end at a space, if it has any."""
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        end = text.rfind(" ", start, start + _BLOCK_CHARS) + 1 or start + _BLOCK_CHARS
        yield text[start:end]
        start = end
    yield text[start:]


def _whole_key(normalised: str) -> NDArray[np.uint64] | None:
    import numpy as np

    if not normalised:
        return None
    digest = xxhash.xxh3_128_digest(_encode(normalised), seed=_WHOLE_TEXT)
    return np.frombuffer(digest, dtype=">u8").astype(np.uint64).reshape(1, 2)


def normalise(text: str, keep_numbers: bool = False) -> str:
    """Return what is compared: no case, punctuation or diacritics, and "0" for any number.

    Equal to datatrove 0.10's `simplify_text` with its defaults. The order matters: numbers become
    "0" before the separators within them become spaces.

    Args:
        text: any text.
        keep_numbers: leave numbers as they are, but for their separators.
    """
    ascii_table, others = _tables()
    if text.isascii():
        raw = text.encode() if keep_numbers else _ASCII_NUMBER.sub(b"0", text.encode())
        return b" ".join(raw.translate(ascii_table).split()).decode()
    lowered = text.lower() if keep_numbers else _NUMBER.sub("0", text.lower())
    # In UTF-8 the bytes of other characters are beyond ASCII's, so one table serves both.
    text = _encode(lowered).translate(ascii_table).decode("utf-8", "surrogatepass")
    for mark in others.intersection(_beyond_ascii(text)):
        text = text.replace(mark, " ")
    text = " ".join(text.split())
    return text if text.isascii() else _without_diacritics(text)


def _without_diacritics(text: str) -> str:
    text = unicodedata.normalize("NFD", text)
    found = set(_beyond_ascii(text))
    marks = [char for char in found if unicodedata.category(char) == "Mn"]
    if len(marks) > _MANY_MARKS:
        text = text.translate(dict.fromkeys(map(ord, marks)))
    else:
        for mark in marks:
            text = text.replace(mark, "")
    return text.strip()


@cache
def _tables() -> tuple[bytes, frozenset[str]]:
    """Return a table that lowers ASCII and makes its marks spaces, and the marks beyond ASCII."""
    marks = tokens.rules().punctuation
    within = "".join(sorted(filter(str.isascii, marks)))
    replaced, by = within + ascii_uppercase, " " * len(within) + ascii_lowercase
    table = bytes.maketrans(replaced.encode(), by.encode())
    return table, frozenset(mark for mark in marks if not mark.isascii())


def _beyond_ascii(text: str) -> str:
    """Return the text without its ASCII characters: far fewer to look at one by one."""
    return _encode(text).translate(None, _ASCII).decode("utf-8", "surrogatepass")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def shingles(text: str, params: MinHashParams) -> NDArray[np.uint64]:
    """Return the hashes of the text's n-grams of words, sorted and distinct.

    Words are datatrove's of the normalised text: spaCy's English tokens. Empty where there are
    fewer words than `params.ngram_size`.
    """
    return _shingles([normalise(text)], params.ngram_size, params.hash)


def _shingles(normalised: Iterable[str], size: int, hash_name: Hash) -> NDArray[np.uint64]:
    """Return the hashes of the n-grams of a text that comes in pieces."""
    import numpy as np

    blocks = [np.empty(0, dtype=np.uint64)]
    words = b""
    for text in normalised:
        words = b" ".join(filter(None, (words, _encode(tokens.spaced(text)))))
        if not words:
            continue
        spaces = np.flatnonzero(np.frombuffer(words, dtype=np.uint8) == ord(" "))
        starts = np.concatenate(([0], spaces + 1))
        ends = np.concatenate((spaces, [len(words)]))[size - 1 :]
        blocks += [
            _hash_pieces(words, starts[first : first + _BLOCK_WORDS], ends[first:], hash_name)
            for first in range(0, len(ends), _BLOCK_WORDS)
        ]
        words = words[starts[len(ends)] :] if len(ends) < len(starts) else b""
    hashes = np.concatenate(blocks)
    hashes.sort()
    return hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))] if len(hashes) else hashes


def _hash_pieces(
    text: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], hash_name: Hash
) -> NDArray[np.uint64]:
    """Hash the pieces of a text, as many as both bounds allow."""
    import numpy as np

    digest = xxhash.xxh64_digest if hash_name == "xxhash" else _sha1
    bounds = zip(starts.tolist(), ends[: len(starts)].tolist(), strict=False)
    digests = b"".join([digest(text[start:end]) for start, end in bounds])
    if hash_name == "xxhash":
        return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
    first_bytes = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 20)[:, :8]
    return np.ascontiguousarray(first_bytes).view("<u8").ravel().astype(np.uint64)


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


@cache
def _permutations(seed: int, num_hashes: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return factors and summands, columns of `num_hashes` rows, drawn as datatrove draws them."""
    import numpy as np

    generator = np.random.RandomState(seed)
    shape = (num_hashes, 1)
    factors = generator.randint(1, _MERSENNE_PRIME, dtype=np.uint64, size=shape)
    return factors, generator.randint(0, _MERSENNE_PRIME, dtype=np.uint64, size=shape)


def signature(shingles: NDArray[np.uint64], params: MinHashParams) -> NDArray[np.uint64]:
    """Return the smallest value of each permutation over at least one shingle, band after band.

    A permutation is (factor * hash + summand) modulo the Mersenne prime 2**61 - 1, the product and
    the sum modulo 2**64 as in the reference.

    Returns:
        uint64 of shape (params.num_hashes,).
    """
    import numpy as np

    factors, summands = _permutations(params.seed, params.num_hashes)
    prime, bits = np.uint64(_MERSENNE_PRIME), np.uint64(61)
    smallest = np.full(params.num_hashes, _MERSENNE_PRIME, dtype=np.uint64)
    shape = (params.num_hashes, min(_BLOCK_SHINGLES, len(shingles)))
    values, carries = np.empty(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint64)
    for start in range(0, len(shingles), _BLOCK_SHINGLES):
        block = shingles[start : start + _BLOCK_SHINGLES]
        value, carry = values[:, : len(block)], carries[:, : len(block)]
        np.multiply(block, factors, out=value)
        np.add(value, summands, out=value)
        # 2**61 is 1 modulo the prime, so the upper bits count as ones: at most 7 too many.
        np.right_shift(value, bits, out=carry)
        np.bitwise_and(value, prime, out=value)
        np.add(value, carry, out=value)
        if value.max() >= prime:
            np.remainder(value, prime, out=value)
        np.minimum(smallest, value.min(axis=1), out=smallest)
    return smallest


def band_keys(signature: NDArray[np.uint64], params: MinHashParams) -> NDArray[np.uint64]:
    """Return a 128-bit key for each band, of its number and its values.

    Equal bands have equal keys. Of n different bands two have the same key by chance with a
    probability of at most n**2 / 2**129: 1.2e-20 for 200 million documents of 14 bands.

    Returns:
        uint64 of shape (params.num_buckets, 2), the upper half of the key first.
    """
    import numpy as np

    bands = signature.astype("<u8", copy=False).reshape(params.num_buckets, -1)
    digests = [xxhash.xxh3_128_digest(band.tobytes(), seed=i) for i, band in enumerate(bands)]
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64).reshape(-1, 2)
