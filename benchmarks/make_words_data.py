"""Write curate/data/words_en.json, the rules by which English text is split into words.

    python benchmarks/make_words_data.py

The rules are facts read off two libraries: spaCy's English tokenizer and sentencizer, and the
character sets of datatrove. Run it again only to follow a new release of either, and raise the
`version` of every step whose decisions change.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import spacy
from datatrove.utils.text import PUNCTUATION, TERMINAL_PUNCTUATION
from spacy.attrs import ORTH

TARGET = Path(__file__).parent.parent / "curate" / "data" / "words_en.json"

# The user part of spaCy's URL pattern, `\S+(?::\S*)?@`, is quadratic. The host part is kept apart
# so that words can look for the "@" itself.
SCHEME = r"(?:(?:[\w\+\-\.]{2,})://)?"
USER = r"(?:\S+(?::\S*)?@)?"


def multiword_patterns(nlp: spacy.language.Language) -> dict[str, list[str]]:
    """Return the exceptions that spaCy also looks for across tokens: exception to its tokens."""
    tokenizer = nlp.tokenizer
    bare = spacy.tokenizer.Tokenizer(
        nlp.vocab,
        prefix_search=tokenizer.prefix_search,
        suffix_search=tokenizer.suffix_search,
        infix_finditer=tokenizer.infix_finditer,
        url_match=tokenizer.url_match,
    )
    patterns = {}
    for text in sorted(tokenizer.rules):
        found = (
            tokenizer.find_prefix(text) or tokenizer.find_suffix(text) or tokenizer.find_infix(text)
        )
        tokens = [token.text for token in bare(text)]
        if found and len(tokens) > 1:
            patterns[text] = tokens
    return patterns


def rules() -> str:
    """Return the text of the file."""
    nlp = spacy.blank("en")
    sentencizer = nlp.add_pipe("sentencizer")
    url = nlp.Defaults.url_match.__self__.pattern
    start = "(?u)^" + SCHEME + USER
    if nlp.tokenizer.token_match is not None or not url.startswith(start):
        raise SystemExit(
            "the tokenizer of this spaCy has another shape: curate/words.py must follow"
        )
    data = {
        "sources": [
            f"spaCy {spacy.__version__} (MIT, Copyright (C) 2016-2024 ExplosionAI GmbH,"
            " 2016 spaCy GmbH, 2015 Matthew Honnibal): prefixes, suffixes, infixes, url_host,"
            " exceptions, multiword, sentence_end",
            f"datatrove {version('datatrove')} (Apache-2.0, Hugging Face): punctuation,"
            " terminal_punctuation",
            "written by benchmarks/make_words_data.py",
        ],
        "prefixes": [piece for piece in nlp.Defaults.prefixes if piece.strip()],
        "suffixes": [piece for piece in nlp.Defaults.suffixes if piece.strip()],
        "infixes": [piece for piece in nlp.Defaults.infixes if piece.strip()],
        "url_host": url.removeprefix(start),
        "exceptions": {
            text: [token[ORTH] for token in tokens]
            for text, tokens in sorted(nlp.tokenizer.rules.items())
        },
        "multiword": multiword_patterns(nlp),
        "sentence_end": "".join(sorted(sentencizer.punct_chars)),
        "punctuation": "".join(sorted(set(PUNCTUATION))),
        "terminal_punctuation": "".join(sorted(TERMINAL_PUNCTUATION)),
    }
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(rules(), encoding="ascii")
