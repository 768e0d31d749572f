"""Pages with duplicates among them, and runs that remove these, within the test's process."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curate.plan import Plan
from curate.task import Worker

PIPELINE = """
from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.rehydrate import rehydrate
from curate.dedup.stages import exact_dedup, minhash_dedup
from curate.readers.records import JsonlReader


def pipeline(paths: str = "pages/*.jsonl", kind: str = "minhash", keep: str = "first",
             verify: float = 0.0, against: tuple[str, ...] = (), action: str = "drop",
             buckets: int = 14, weights: str = "", within: str = "", name: str = "",
             measure: str = "jaccard", max_chars: int = 0, spaces: bool = True,
             exact_first: bool = False, memory_gb: float = 2.0) -> Pipeline:
    keys = (("url", "string"), ("date", "string"), ("language", "string"), ("size", "int64"))
    load = kept = Stage("load", source=JsonlReader(paths, keep=keys))
    if exact_first:
        kept = exact_dedup(kept, by="url", name="url")
        kept = exact_dedup(kept)
    if kind == "minhash":
        params = MinHashParams(num_buckets=buckets, max_chars=max_chars)
        kept = minhash_dedup(kept, params, keep=keep, verify=verify or None, against=against,
                             action=action, name=name or "minhash", within=within,
                             measure=measure, memory_gb=memory_gb)
    elif kind != "none" and not exact_first:
        kept = exact_dedup(kept, by=kind, keep=keep, name=name or "exact", within=within,
                           ignore_whitespace=not spaces)
    if weights:
        kept = rehydrate(kept, ((1, 1), (2, 3), (3, 0)), weights)
    columns = [name for name in kept.columns if name not in ("file_path", "offset")]
    return Pipeline("dedup", output=kept, columns=("text", "id", *columns))
"""

Page = dict[str, Any]


class Dedup:
    """A folder with pages/*.jsonl and a pipeline that removes the duplicates among them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "dedup.py").write_text(PIPELINE)
        (folder / "pages").mkdir()

    def write(self, name: str, pages: Sequence[Page]) -> None:
        """Write a file of pages."""
        text = "".join(json.dumps(page) + "\n" for page in pages)
        (self.folder / "pages" / f"{name}.jsonl").write_text(text)

    def __call__(self, out: str = "out", **parameters: object) -> list[str]:
        """Run and return the ids of the documents published, in order."""
        given = {"paths": "pages/*.jsonl"} | {k: str(v) for k, v in parameters.items()}
        given["paths"] = f"{self.folder}/{given['paths']}"
        if "against" in given:
            given["against"] = ",".join(f"{self.folder}/{run}" for run in given["against"].split())
        plan = Plan(str(self.folder / "dedup.py"), given, f"{self.folder}/{out}")
        worker = Worker(plan)
        for planned in plan.stages:
            units, done = plan.units(planned), planned.done()
            assert units is not None
            plan.save(partial=True)
            for unit in units:
                if unit.name not in done:
                    worker.run(planned, unit, lambda *_: None)
        worker.close()
        plan.save()
        return [row["id"] for row in self.published(out)]

    def published(self, out: str = "out") -> list[dict[str, Any]]:
        """Return the rows of the dataset."""
        return [row for path in self._files(out) for row in pq.read_table(path).to_pylist()]

    def bytes(self, out: str = "out") -> list[bytes]:
        """Return the files of the dataset."""
        return [path.read_bytes() for path in self._files(out)]

    def _files(self, out: str) -> list[Path]:
        units = self.stage("dataset", out)
        return [self.folder / out / unit["files"]["documents"]["name"] for unit in units]

    def stage(self, name: str, out: str = "out") -> list[dict[str, Any]]:
        """Return the manifests of a stage of the last run."""
        stages = json.loads((self.folder / out / "run.json").read_text())["stages"]
        (stage,) = (one for one in stages if one["name"] == name)
        folder = self.folder / out / stage["folder"]
        return [json.loads((folder / f"{unit}.json").read_text()) for unit in stage["units"]]

    def removed(self, stage: str = "minhash_deduped", out: str = "out") -> dict[str, Any]:
        """Return the decisions of the documents that a stage of the last run removed, by id."""
        found = {}
        for manifest in self.stage(stage, out):
            path = self.folder / out / manifest["files"]["decisions"]["name"]
            for row in pq.read_table(path).to_pylist():
                if row["outcome"] == "dropped":
                    found[row["id"]] = row
        return found


def article(seed: int, words: int = 300) -> list[str]:
    """A text of random words, as a list."""
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(words)]


def page(name: str, words: Sequence[str], day: int = 1, **values: object) -> Page:
    """A page of these words, of a day of January."""
    url = f"https://example.org/{name}"
    date = f"2024-01-{day:02d}T00:00:00Z"
    return {"id": name, "text": " ".join(words), "url": url, "date": date, **values}


def revised(words: Sequence[str], changes: int, seed: int = 0) -> list[str]:
    """The text with some of its words replaced, evenly spread."""
    revision = list(words)
    for number in range(changes):
        revision[(number * len(words)) // changes] = f"changed{seed}x{number}"
    return revision
