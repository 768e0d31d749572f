"""Count the tokens of a document, as a language model would read it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING

from .assets import GPT2_MERGES, GPT2_VOCABULARY, sha256
from .document import Document
from .errors import DefinitionError
from .steps import Annotator

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_END_OF_TEXT = "<|endoftext|>"

# GPT-2's rules split a text at white space first, of which one space goes with the word after it.
# Words recur, so each is counted once; the bound is some 40 MB.
_MOST_REMEMBERED = 1 << 18
_LONGEST_REMEMBERED = 64

# A long text is counted in pieces, which bounds the memory (200 bytes for each of the text). They
# are cut where GPT-2's rules always begin a new word, so that the counts are the same: before white
# space, and after a letter before a digit or a punctuation mark (none of them in _END_OF_TEXT).
_PIECE_CHARS = 1 << 16
# DIFFERS: where a word goes on for so many characters, it is cut as well, and a token may be.
_MOST_PIECE_CHARS = 1 << 18
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORD = re.compile(rf" ?[^{_SPACE}]+|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+")
_CUT = re.compile(
    rf"[^{_SPACE}](?=[{_SPACE}])|[A-Za-z](?=[0-9.,;:/+=_-])|[\u4e00-\u9fa5](?=[、。，！？])"
)


@dataclass(frozen=True)
class TokenCounter(Annotator):
    """Set `token_count`, the number of tokens without those that mark the ends.

    Args:
        tokenizer: "gpt2", as in FineWeb, or the path of a tokenizer.json of Hugging Face.
    """

    name = "tokens"
    columns = {"token_count": "int64"}
    libraries = ("tokenizers",)

    tokenizer: str = "gpt2"

    def assets(self) -> tuple[str, ...]:
        if self.tokenizer == "gpt2":
            return (str(GPT2_VOCABULARY.locate()), str(GPT2_MERGES.locate()))
        if not Path(self.tokenizer).is_file():
            raise DefinitionError(
                f"TokenCounter: there is no tokenizer {self.tokenizer!r}\n"
                'Allowed are "gpt2" and the path of a tokenizer.json (nothing is downloaded)'
            )
        return (self.tokenizer,)

    def file_metadata(self) -> Mapping[str, str]:
        files = [f"{Path(path).name} sha256:{sha256(path)}" for path in self.assets()]
        prefix = "gpt2: " if self.tokenizer == "gpt2" else ""
        return {"curate.tokenizer": prefix + ", ".join(files)}

    def setup(self) -> None:
        self._tokenizer  # noqa: B018 - loads it

    def annotate(self, doc: Document) -> None:
        doc.metadata["token_count"] = self._count(doc.text)

    def _count(self, text: str) -> int:
        if self.tokenizer != "gpt2":
            return sum(self._encode([text]))
        if _END_OF_TEXT in text:  # one token, whatever is around it
            return self._count_pieces(text)
        return sum(map(self._count_words, _pieces(text)))

    def _count_words(self, text: str) -> int:
        times = Counter(_WORD.findall(text))
        known = self._known
        new = [word for word in times if word not in known]
        if len(known) + len(new) > _MOST_REMEMBERED:
            known.clear()
            new = list(times)
        short = [word for word in new if len(word) <= _LONGEST_REMEMBERED]
        known.update(zip(short, self._encode(short), strict=True))
        long = [word for word in new if len(word) > _LONGEST_REMEMBERED]
        total: int = sum([times.pop(one) * self._count_pieces(one) for one in long])
        total += sum(map(mul, map(known.__getitem__, times), times.values()))
        return total

    def _count_pieces(self, text: str) -> int:
        return sum(count for piece in _pieces(text) for count in self._encode([piece]))

    def _encode(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text."""
        # A lone surrogate, which the tokenizer refuses, becomes "?".
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    @cached_property
    def _known(self) -> dict[str, int]:
        return {}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        # Each worker has its core; threads of its own would take those of the others.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

        paths = self.assets()
        if self.tokenizer == "gpt2":
            tokenizer = Tokenizer(models.BPE.from_file(*paths))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.add_special_tokens([AddedToken(_END_OF_TEXT)])
            return tokenizer
        try:
            tokenizer = Tokenizer.from_file(self.tokenizer)
        except Exception as error:  # the library raises nothing more specific
            raise DefinitionError(
                f"TokenCounter: {self.tokenizer} is not a tokenizer.json: {error}"
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def _pieces(text: str) -> Iterator[str]:
    """Yield pieces of a text that GPT-2's tokenizer counts as it counts the whole."""
    start = 0
    while len(text) - start > _PIECE_CHARS:
        most = start + _MOST_PIECE_CHARS
        cut = _CUT.search(text, start + _PIECE_CHARS, most)
        end = cut.end() if cut else min(most, len(text))
        yield text[start:end]
        start = end
    yield text[start:]
