"""Token counts: GPT-2's, those of other tokenizers, and texts too long for one piece."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curate.document import Document
from curate.errors import DefinitionError
from curate.token_counter import TokenCounter

GPT2 = TokenCounter()


def count(text: str, step: TokenCounter = GPT2) -> int:
    doc = Document(id="x", text=text)
    assert step.apply(doc) is None
    value = doc.metadata["token_count"]
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello world", 2),
        ("Hello world ", 3),
        (" Hello", 1),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("don't", 2),
        ("1234567890", 4),
        ("   x", 3),
        ("a\n\nb", 4),
        ("naïve café", 3),
        ("🙂", 2),
        ("博物馆", 7),
        ("<|endoftext|>", 1),
        ("a<|endoftext|>b", 3),
        ("\0", 1),
        ("\udc80", 1),
    ],
)
def test_a_text_has_as_many_tokens_as_gpt2_makes_of_it(text: str, tokens: int) -> None:
    assert count(text) == tokens


PIECES = [
    *("word", "Ünï", "汉字", "、", "’s", "'s", "don't", "12", ".", ",-", "<|endoftext|>", "_", "+"),
    *(" ", " ", "  ", "\n", "\t", "\r\n", "\x1c", "\x85", "\xa0", "\u200b", "\u3000", "\ufeff"),
]


@cache
def gpt2() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE.from_file(*GPT2.assets()))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>")])
    return tokenizer


@settings(max_examples=40, deadline=None)
@given(st.integers(), st.integers(min_value=1, max_value=len(PIECES)))
def test_a_text_counted_in_pieces_has_the_tokens_of_the_whole(seed: int, kinds: int) -> None:
    chosen = random.Random(seed)
    pieces = chosen.sample(PIECES, kinds)
    text = "".join(chosen.choice(pieces) for _ in range(chosen.choice((9, 900, 18_000))))
    assert count(text) == len(gpt2().encode(text, add_special_tokens=False))


def test_words_are_counted_the_same_when_more_come_than_are_remembered() -> None:
    parts = [
        "".join(f" word{n}" for n in range(start, start + 10_000))
        for start in range(0, 300_000, 10_000)
    ]
    step = TokenCounter()
    one_by_one = [len(encoding) for encoding in gpt2().encode_batch_fast(parts)]
    assert count("".join(parts), step) == sum(one_by_one)
    assert [count(part, step) for part in parts[:2]] == one_by_one[:2]


@pytest.mark.parametrize(
    "text",
    [
        '" ".join(map(str, range(10_000_000, 10_300_000)))',
        '"a\\u0301" * 500_000',
        '"\u4e2d" * 900_000',
    ],
)
def test_a_long_text_of_distinct_words_or_of_one_takes_little_memory(text: str) -> None:
    """A document may be all numbers, or a word without end, and workers have 2 GiB."""
    code = f"""
from pathlib import Path
from curate.document import Document
from curate.token_counter import TokenCounter

def peak() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10

step = TokenCounter()
step.apply(Document("1", "to load it"))
before = peak()
step.apply(Document("2", {text}))
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 192 << 20


def test_megabytes_without_a_space_are_counted() -> None:
    assert count("汉字处理" * 300_000 + "x" * 300_000) > 1_000_000


def test_no_threads_are_started() -> None:
    before = set(Path("/proc/self/task").iterdir())
    step = TokenCounter()
    step.setup()
    count("Hello world. " * 10_000, step)
    assert set(Path("/proc/self/task").iterdir()) <= before


def write_tokenizer(path: Path, **values: Any) -> TokenCounter:
    """Write a tokenizer.json that knows two words."""
    vocabulary = {"[UNK]": 0, "hello": 1, "world": 2, "[BOS]": 3}
    bos = {"SpecialToken": {"id": "[BOS]", "type_id": 0}}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"[BOS]": {"id": "[BOS]", "ids": [3], "tokens": ["[BOS]"]}},
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
        **values,
    }
    path.write_text(json.dumps(content))
    return TokenCounter(str(path))


def test_another_tokenizer_is_a_file_and_its_marks_are_not_counted(tmp_path: Path) -> None:
    step = write_tokenizer(tmp_path / "tokenizer.json")
    assert count("hello, world", step) == 3


def test_a_tokenizer_that_cuts_texts_short_counts_all_of_them(tmp_path: Path) -> None:
    truncation = {"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    step = write_tokenizer(tmp_path / "tokenizer.json", truncation=truncation)
    assert count("hello " * 100, step) == 100


def test_the_file_says_whose_tokens_were_counted(tmp_path: Path) -> None:
    assert GPT2.file_metadata()["curate.tokenizer"].startswith("gpt2: encoder.json sha256:19613966")
    step = write_tokenizer(tmp_path / "tokenizer.json")
    assert step.file_metadata()["curate.tokenizer"].startswith("tokenizer.json sha256:")


def test_a_missing_tokenizer_is_reported_and_nothing_is_downloaded() -> None:
    with pytest.raises(DefinitionError, match=r"there is no tokenizer 'meta/llama'\nAllowed are"):
        TokenCounter("meta/llama").assets()


def test_a_file_that_is_no_tokenizer_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(DefinitionError, match=r"tokenizer\.json is not a tokenizer\.json"):
        TokenCounter(str(tmp_path / "tokenizer.json")).setup()
