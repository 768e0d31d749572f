"""The whole FineWeb pipeline with each extractor: what it keeps, its speed and its memory.

    python benchmarks/extraction_pipeline.py WARC [--extractors curate,trafilatura] [--json]

Each runs pipelines/fineweb.py from the WARC file to the published dataset with one worker, in a
process of its own. FineWeb keeps English alone; what the extractors give the filters of other
languages is counted by a second pipeline of extraction and language identification
(extraction_languages.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from dedup_sides import Used, measured

HERE = Path(__file__).parent
FINEWEB = HERE.parent / "pipelines" / "fineweb.py"
LANGUAGES = HERE / "extraction_languages.py"
LEAST_DOCUMENTS = 20


def run(pipeline: Path, warc: Path, extractor: str, out: Path) -> Used:
    """Run one pipeline with one extractor."""
    command = [sys.executable, "-m", "curate", "run", str(pipeline), "-p", f"warcs={warc}"]
    command += ["-p", f"extractor={extractor}", "--workers", "1", "--out", str(out), "--json"]
    return measured(command, out.parent / "log")


def steps(out: Path) -> dict[str, int]:
    """Return how many documents each step of the filters left."""
    kept: dict[str, int] = {}
    for path in sorted(out.glob("stages/*/*.json")):
        for step in json.loads(path.read_text())["steps"]:
            if step["name"] not in ("minhash_buckets", "minhash_clusters"):
                kept[step["name"]] = kept.get(step["name"], 0) + step["kept"]
    return kept


def published(out: Path) -> dict[str, dict[str, int]]:
    """Return documents, characters and tokens of the dataset by language."""
    table = ds.dataset(sorted(map(str, out.glob("dataset/data/**/*.parquet")))).to_table(
        columns=["text", "language", "token_count"]
    )
    found: dict[str, dict[str, int]] = {}
    for language in sorted(pc.unique(table["language"]).to_pylist()):
        rows = table.filter(pc.equal(table["language"], language))
        found[language] = {
            "documents": rows.num_rows,
            "characters": pc.sum(pc.utf8_length(rows["text"])).as_py(),
            "tokens": pc.sum(rows["token_count"]).as_py(),
        }
    return found


def records(out: Path) -> int:
    """Return how many records were read."""
    return sum(
        pq.read_metadata(path).num_rows for path in out.glob("stages/extract-*/*.decisions.parquet")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warc", type=Path)
    parser.add_argument("--extractors", default="trafilatura,curate,resiliparse")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name in options.extractors.split(","):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "fineweb")
            used = run(FINEWEB, options.warc.resolve(), name, out)
            pages = records(out)
            every = Path(folder, "languages")
            run(LANGUAGES, options.warc.resolve(), name, every)
            results[name] = {
                "pages": pages,
                "pages_per_cpu_second": round(pages / used.cpu_seconds, 1),
                "pages_per_second": round(pages / used.seconds, 1),
                "peak_mb": round(used.peak_mb),
                "steps": steps(out),
                "published": published(out),
                "languages": published(every),
            }
            shutil.rmtree(out)
        print(f"{name}: done", file=sys.stderr)
    print(json.dumps(results) if options.json else tables(results))


def tables(results: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    names = list(results)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]

    def row(title: str, values: list[Any]) -> None:
        cells = [f"{v:,}" if v is not None else "-" for v in values]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    for title in ("pages", "pages_per_cpu_second", "pages_per_second", "peak_mb"):
        row(title.replace("_", " "), [results[name][title] for name in names])
    for step in results[names[0]]["steps"]:
        row(f"kept by {step}", [results[name]["steps"].get(step) for name in names])
    for figure in ("documents", "characters", "tokens"):
        values = [results[name]["published"].get("en", {}).get(figure) for name in names]
        row(f"published {figure}", values)
    every = results[names[0]]["languages"]
    for language, first in sorted(every.items(), key=lambda item: -item[1]["documents"]):
        if first["documents"] >= LEAST_DOCUMENTS:
            for figure in ("documents", "tokens"):
                values = [
                    results[name]["languages"].get(language, {}).get(figure) for name in names
                ]
                row(f"extracted {figure}, {language}", values)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
