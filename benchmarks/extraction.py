"""Extractors side by side on annotated pages: F1 by source, page type and language, and speed.

    python benchmarks/extraction_train.py DATA --texts OURS       texts by models that have not seen
                                                                  the page's domain
    python benchmarks/extraction.py DATA --ours OURS [--sample N] [--peer-python PYTHON]
        [--pages OUT.html] [--json]

DATA is the folder with html-gold.jsonl and real-3000.warc. Each extractor runs in a process of its
own over the same pages, already decoded, in a fixed order. Words are counted as multisets; scripts
without spaces count by the character. `must` is the share of wanted snippets that are found,
`must not` that of unwanted ones. Precision, recall and F1 are means over
pages whose whole text is annotated. Our scores are those of --ours; our speed is that of the model
as it is installed. --peer-python is where readability-lxml and jusText are installed
(python -m venv peers && peers/bin/pip install -U pip && peers/bin/pip install readability-lxml
lxml_html_clean jusText; an old pip fails on their extras).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from extraction_gold import GoldPage, load, score, share_found
from extraction_pages import choose, side_by_side

HERE = Path(__file__).parent
ELSEWHERE = ("readability", "justext")
NAMES = (
    *("curate", "trafilatura-fineweb", "curate-trafilatura", "trafilatura-default"),
    *("trafilatura-fast", "resiliparse", *ELSEWHERE),
)
SAME_LIBRARY = ("curate-trafilatura", "trafilatura-fineweb")  # one version, the same settings
LEAST_PAGES = 8


def run(name: str, pages: Path, python: str, folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Run one extractor; return its texts by page, and what it used."""
    out = folder / f"{name}.jsonl"
    subprocess.run(
        [python, str(HERE / "extraction_peers.py"), name, str(pages), str(out)], check=True
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    return {row["sha1"]: row["text"] for row in rows[:-1]}, rows[-1]


def groups_of(page: GoldPage) -> list[str]:
    """Name the rows of the table that a page counts in."""
    groups = ["all", f"source {page.source}", f"language {page.language}"]
    return [*groups, f"type {page.page_type}"] if page.page_type else groups


def measure(pages: list[GoldPage], texts: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return the mean scores of an extractor by group."""
    full: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    must: dict[str, list[float]] = defaultdict(list)
    must_not: dict[str, list[float]] = defaultdict(list)
    for page in pages:
        text = texts.get(page.sha1, "")
        for group in groups_of(page):
            if page.text:
                full[group].append(score(text, page.text))
            for table, snippets in ((must, page.must), (must_not, page.must_not)):
                share = share_found(text, snippets)
                if share is not None:
                    table[group].append(share)
    result: dict[str, dict[str, float]] = {}
    for group in sorted({*full, *must, *must_not}):
        counts = {"f1": len(full[group]), "must": len(must[group])}
        counts["must_not"] = len(must_not[group])
        row: dict[str, float] = {"pages": max(counts["f1"], counts["must"])}
        row |= {f"{figure}_pages": count for figure, count in counts.items()}
        if full[group]:
            for place, name in enumerate(("precision", "recall", "f1")):
                row[name] = sum(values[place] for values in full[group]) / len(full[group])
        for name, table in (("must", must), ("must_not", must_not)):
            if table[group]:
                row[name] = sum(table[group]) / len(table[group])
        if row["pages"] >= LEAST_PAGES:
            result[group] = row
    return result


def equal_texts(all_texts: dict[str, dict[str, str]]) -> dict[str, int] | None:
    """Count pages of the same text from our trafilatura extractor and the library, if both ran."""
    ours, theirs = (all_texts.get(name) for name in SAME_LIBRARY)
    if ours is None or theirs is None:
        return None
    return {"pages": len(ours), "same": sum(text == theirs.get(p) for p, text in ours.items())}


def table(results: dict[str, Any], names: list[str]) -> str:
    """Write the figures as Markdown."""
    lines = ["| | pages | " + " | ".join(names) + " |", "|---|--:|" + "--:|" * len(names)]
    groups = list(results[names[0]]["scores"])
    for figure, title in (
        ("f1", "F1"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("must", "must"),
        ("must_not", "must not"),
    ):
        for group in groups:
            rows = [results[name]["scores"][group] for name in names]
            if figure not in rows[0] or (
                figure != "f1" and not group.startswith(("all", "source"))
            ):
                continue
            values = [f"{row[figure]:.3f}" for row in rows]
            best = min(values) if figure == "must_not" else max(values)
            cells = [f"**{value}**" if value == best else value for value in values]
            count = rows[0]["f1_pages" if figure in ("precision", "recall") else f"{figure}_pages"]
            lines.append(f"| {title}, {group} | {count} | " + " | ".join(cells) + " |")
    for key, title in (("ms_per_page", "CPU ms a page"), ("peak_mb", "peak MB")):
        cells = [f"{results[name][key]:.1f}" for name in names]
        lines.append(f"| {title} | | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="only so many pages, spread evenly")
    parser.add_argument("--only", default=",".join(NAMES), help="extractors, by commas")
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--pages", type=Path, help="write 20 pages side by side, as HTML")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"--only: no extractor {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if not options.peer_python:
        if options.only != parser.get_default("only") and set(names) & set(ELSEWHERE):
            parser.error(f"--only: {' and '.join(ELSEWHERE)} need --peer-python")
        names = [name for name in names if name not in ELSEWHERE]
    pages = load(options.data)
    if options.sample:
        pages = pages[:: max(len(pages) // options.sample, 1)]
    results: dict[str, Any] = {}
    all_texts: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pages.jsonl")
        with path.open("w") as output:
            for page in pages:
                output.write(json.dumps({"sha1": page.sha1, "html": page.html}) + "\n")
        for name in names:
            python = options.peer_python if name in ELSEWHERE else sys.executable
            texts, used = run(name, path, python, Path(folder))
            if name == "curate" and options.ours:
                rows = map(json.loads, options.ours.read_text().splitlines())
                texts = {row["sha1"]: row["text"] for row in rows}
            all_texts[name] = texts
            results[name] = {
                "ms_per_page": 1000 * used["seconds"] / len(pages),
                "peak_mb": used["peak_mb"],
                "failed": used["failed"],
                "scores": measure(pages, texts),
            }
            print(f"{name}: {results[name]['ms_per_page']:.1f} ms a page", file=sys.stderr)
    if options.pages:
        options.pages.write_text(side_by_side(choose(pages), all_texts))
    same = equal_texts(all_texts)
    if options.json:
        print(json.dumps(results if same is None else {**results, "equal_texts": same}))
        return
    print(table(results, names))
    if same:
        print(f"\n{' and '.join(SAME_LIBRARY)}: {same['same']} of {same['pages']} texts are equal")


if __name__ == "__main__":
    main()
