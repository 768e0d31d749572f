"""The gold sets of `dedup.py`: near-duplicates that people marked.

McCormick's news articles (github.com/chrisjmccormick/MinHash) and the short answers of Clough and
Stevenson (A Corpus of Plagiarised Short Answers, 2009), copied at three levels or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from dedup_sides import (
    PARAMS,
    VERIFY,
    Outcome,
    judge,
    run_curate,
    run_datatrove,
    write_input,
)
from dedup_texts import jaccard

from curate.dedup.minhash import shingles


def gold(source: Path, folder: Path) -> dict[str, Any]:
    """Deduplicate the gold sets with and without verify, and with datatrove."""
    result: dict[str, Any] = {}
    for size in (100, 1000, 2500):
        lines = (source / f"articles_{size}.train").read_text(errors="replace").splitlines()
        names, texts = zip(*(line.split(" ", 1) for line in lines if " " in line), strict=True)
        place = {name: number for number, name in enumerate(names)}
        rows = (source / f"articles_{size}.truth").read_text().splitlines()
        pairs = [sorted(place[name] for name in row.split()) for row in rows if row.strip()]
        sets = [shingles(text, PARAMS) for text in texts]
        truth = {(low, high): jaccard(sets[low], sets[high]) for low, high in pairs}
        sides = _run_all(texts, folder / f"articles_{size}")
        result[f"articles_{size}"] = {
            "lowest_similarity": round(min(truth.values()), 3),
            **{name: judge(outcome, sets, truth, VERIFY) for name, outcome in sides.items()},
        }
    result["clough_stevenson"] = _clough_stevenson(source / "clough-stevenson", folder / "clough")
    return result


def _run_all(texts: Sequence[str], folder: Path) -> dict[str, Outcome]:
    write_input(folder, texts)
    return {
        "curate": run_curate(folder, "curate", len(texts))[0],
        "curate_verify": run_curate(folder, "curate_verify", len(texts), VERIFY)[0],
        "datatrove": run_datatrove(folder, "datatrove", len(texts))[0],
    }


def _clough_stevenson(source: Path, folder: Path) -> dict[str, Any]:
    """Count the answers of each kind that fall together with the text they were to copy from."""
    rows = (source / "file_information.csv").read_text().split()[1:]
    answers = [row.split(",") for row in rows]
    tasks = sorted({task for _, task, _ in answers})
    files = [name for name, _, _ in answers] + [f"orig_task{task}.txt" for task in tasks]
    texts = [(source / name).read_text(encoding="utf-8", errors="replace") for name in files]
    original = [len(answers) + tasks.index(task) for _, task, _ in answers]
    sets = [shingles(text, PARAMS) for text in texts]
    outcomes = _run_all(texts, folder)
    result: dict[str, Any] = {}
    for kind in ("cut", "light", "heavy", "non"):
        own = [number for number, (_, _, category) in enumerate(answers) if category == kind]
        similarity = [jaccard(sets[number], sets[original[number]]) for number in own]
        result[kind] = {
            "answers": len(own),
            "median_similarity": round(median(similarity), 3),
            "highest_similarity": round(max(similarity), 3),
            "expected": round(sum(map(PARAMS.caught, similarity)), 2),
            **{
                name: int(sum(leaders[number] == leaders[original[number]] for number in own))
                for name, leaders in ((name, one.leaders) for name, one in outcomes.items())
            },
        }
    return result
