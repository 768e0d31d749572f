"""The filters decide as datatrove's do, with the same reasons and the same rewritten texts."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "sample_data" / "warc").glob("*.warc.gz"))

LINES = (
    "It was the best of times, and it was the worst of times.",
    'She said that they "have been there" with Mr. Jones at 5p.m... and left!',
    "- a bullet point of the list",
    "• another one",
    "Read more…",
    "Please enable JavaScript to see this page.",
    "By the way, we use cookies and you agree to our privacy policy.",
    "function() { return 1; }",
    "Lorem ipsum dolor sit amet.",
    "See also [1] [2] the history[edit] of it[citation needed].",
    "Top 10 #tags #of #the #day :) :-D x:) )",
    "日本語のテキスト。これは文です！",
    "Visit https://example.com/a?b=1#c, or mail me@example.org.",
    "12 34 56 78 90 1,234.50 5km 10% $3",
    "the cat sat on the mat and the dog sat on the cat that sat on the mat",
    "x" * 1001 + " and more words",
    "Short.",
    "",
    " \t ",
)


def sentence(rng: random.Random) -> str:
    """Return prose that hardly repeats itself, but for its stop words."""
    words = ["".join(rng.choices("aeinorst", k=rng.randint(3, 9))) for _ in range(9)]
    words[rng.randrange(9)] = rng.choice(["the", "of", "and", "with"])
    return " ".join(words).capitalize() + rng.choice([".", ".", "!", "?", '."', ""])


def made_texts(count: int) -> list[str]:
    """Return texts of the lines above, of all lengths and degrees of repetition."""
    rng = random.Random(1)
    texts = []
    for number in range(count):
        if number % 3 == 0:
            texts.append(rng.choice(["\n", " ", "\n\n"]).join(sentence(rng) for _ in range(number)))
            continue
        pool = rng.sample(LINES, rng.randint(1, len(LINES)))
        weights = [rng.random() ** 3 for _ in pool]
        separator = rng.choice(["\n", "\n\n", " ", "\n", "\x0b"])
        chosen = rng.choices(pool, weights, k=rng.randint(1, 40))
        texts.append(
            separator.join(
                f"{line} {rng.getrandbits(40):x}" if rng.random() < 0.7 else line for line in chosen
            )
        )
    return [text for text in texts if text]


def compare(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / "parity.py"), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_decisions_and_texts_are_those_of_datatrove(tmp_path: Path) -> None:
    """No document is decided otherwise, by a filter alone or by the four in a row."""
    made = tmp_path / "made.jsonl"
    made.write_text("".join(json.dumps({"text": text}) + "\n" for text in made_texts(150)))
    result = compare(str(made), *map(str, SAMPLES))
    assert result["differences"] == 0, result["examples"]
    assert result["documents"] >= 140
    for name, row in result["by_filter"].items():
        assert row["kept"] > 5 and row["dropped"] > 5, name


def test_the_matrix_shows_what_the_rules_of_the_launch_change(tmp_path: Path) -> None:
    """A page of dialogue was kept at FineWeb's launch and is dropped today."""
    line = '"It was the word of number {}," he said, "and that is all that we have with us"'
    texts = tmp_path / "dialogue.jsonl"
    text = "\n".join(line.format(" and ".join(str(n * k) for k in (3, 7, 9))) for n in range(9))
    texts.write_text(json.dumps({"text": text}) + "\n")
    changes = compare("--matrix", str(texts))["changes"]
    assert {
        "filter": "fineweb_quality",
        "current": "too_few_punctuated_lines",
        "v1": "keep",
        "documents": 1,
    } in changes
