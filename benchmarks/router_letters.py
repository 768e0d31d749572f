"""Write curate/data/letter_pairs.json, how often letters follow each other in each script.

    pip install langdetect==1.0.9
    python benchmarks/router_letters.py free-pages.warc.gz free-pages.jsonl

Sources: the n-gram counts of langdetect 1.0.9 (Apache-2.0; 55 languages, counted by its authors on
Wikipedia), each language with the same weight; and for Han and Hangul, which langdetect folds, the
characters of the freely licensed documentation pages. Run it again only with better sources, and
then train the router again.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import math
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path

from curate.extract.html import TrafilaturaExtractor
from curate.extract.plausible_text import LETTER_PAIRS, SCRIPTS, fold
from curate.readers.warc import WarcReader

STEP_BITS = 0.08
SMOOTHING = 2e-5
MAX_LETTERS = 62
NUM_FREQUENT = 120


def profiles() -> dict[str, dict[str, int]]:
    """Return langdetect's counts of one to three characters: language to n-gram to count."""
    spec = importlib.util.find_spec("langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("langdetect is not installed; run: pip install langdetect==1.0.9")
    folder = Path(spec.submodule_search_locations[0], "profiles")
    return {path.name: json.loads(path.read_text())["freq"] for path in sorted(folder.iterdir())}


def pair_table(name: str, counts: dict[str, dict[str, int]]) -> dict[str, object]:
    """Return a script's letters, its packed pairs and the bits per pair that are usual for it."""
    inside = {chr(code) for first, last in SCRIPTS[name] for code in range(first, last + 1)}
    joint: defaultdict[tuple[str, str], float] = defaultdict(float)
    for ngrams in counts.values():
        pairs: Counter[tuple[str, str]] = Counter()
        for ngram, count in ngrams.items():
            if len(ngram) == 2 and all(char == " " or char in inside for char in ngram):
                left, right = (char if char == " " else fold(char) for char in ngram)
                pairs[left, right] += count
        total = sum(pairs.values())
        if total >= 20_000 and _is_main(name, ngrams, inside):
            for pair, count in pairs.items():
                joint[pair] += count / total
    single: defaultdict[str, float] = defaultdict(float)
    for (left, _), share in joint.items():
        single[left] += share
    usual = sorted(single, key=lambda char: -single[char])[: MAX_LETTERS + 1]
    letters = "".join(sorted(char for char in usual if char != " "))
    place = {" ": 0, **{letter: 2 + i for i, letter in enumerate(letters)}}
    width = len(letters) + 2
    counted: list[list[float]] = [[SMOOTHING] * width for _ in range(width)]
    for (left, right), share in joint.items():
        counted[place.get(left, 1)][place.get(right, 1)] += share / sum(joint.values())
    bits = [[-math.log2(cell / sum(row)) for cell in row] for row in counted]
    steps = [[min(255, round(cell / STEP_BITS)) for cell in row] for row in bits]
    all_counted = sum(map(sum, counted))
    usual_bits = -sum(
        counted[i][j] / all_counted * steps[i][j] * STEP_BITS
        for i in range(width)
        for j in range(width)
    )
    packed = zlib.compress(bytes(cell for row in steps for cell in row), 9)
    return {
        "letters": letters,
        "usual_bits": round(usual_bits, 4),
        "pairs": base64.b64encode(packed).decode(),
    }


def _is_main(name: str, ngrams: dict[str, int], inside: set[str]) -> bool:
    """Whether most of a language is written in this script: Latin names fill every profile."""
    letters = {gram: count for gram, count in ngrams.items() if len(gram) == 1 and gram.isalpha()}
    return 2 * sum(c for gram, c in letters.items() if gram in inside) > sum(letters.values())


def frequent_han(warc: str, listing: str) -> str:
    """Return the most frequent Han characters and Hangul syllables of Chinese, Japanese, Korean."""
    languages = {}
    for line in Path(listing).read_text().splitlines():
        row = json.loads(line)
        languages[row["url"]] = row["language"].lower()[:2]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    extractor = TrafilaturaExtractor(isolate=False)
    extractor.setup()
    with Path(warc).open("rb") as stream:
        for doc, _ in WarcReader(warc, dump="free").read(warc, stream):
            language = languages.get(doc.metadata["url"])
            if language in ("zh", "ja", "ko") and _is_utf8(doc.payload or b"\xff"):
                text = extractor.extract(doc.payload or b"", doc.metadata["url"]).text
                counts[language].update(
                    char
                    for char in text
                    if 0x3400 <= ord(char) <= 0x9FFF or 0xAC00 <= ord(char) <= 0xD7A3
                )
    return "".join(
        sorted({char for each in counts.values() for char, _ in each.most_common(NUM_FREQUENT)})
    )


def _is_utf8(payload: bytes) -> bool:
    with contextlib.suppress(UnicodeDecodeError):
        return bool(payload.decode())
    return False


def main() -> None:
    """Write the file."""
    warc, listing = sys.argv[1:]
    counts = profiles()
    data = {
        "sources": [
            "langdetect 1.0.9 (Apache-2.0, Nakatani Shuyo 2010, Michal Danilak 2014): pairs",
            "documentation pages under free licences (SQLite, Python, PostgreSQL, Apache, Debian,"
            " git, LibreOffice): frequent_han",
            "written by benchmarks/router_letters.py",
        ],
        "step_bits": STEP_BITS,
        "frequent_han": frequent_han(warc, listing),
        "scripts": {name: pair_table(name, counts) for name in SCRIPTS},
    }
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in data.items()]
    LETTER_PAIRS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{LETTER_PAIRS}: {LETTER_PAIRS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
