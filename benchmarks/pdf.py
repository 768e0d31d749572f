"""Compare the text that curate makes of PDFs with what other tools make of them.

    python benchmarks/pdf.py                                    on PDFs made of known text
    python benchmarks/pdf.py --gold DIR --pdfs DIR [--json]     and on real ones
    python benchmarks/pdf.py --peers "curate pymupdf,liteparse"

DIR of --gold holds PDFs, each with its text in a file of the same name that ends in .txt; DIR of
--pdfs any PDFs, in folders or not: on these is counted what becomes of each file. Every tool runs
in a child process with limits, so that a crash is counted and costs one file.

words     F1 of the words, whatever their order
pairs     F1 of pairs of neighbouring words: wrong joins and spliced columns cost
order     share of the common text that is in order
tables    F1 of neighbouring cells (ICDAR 2013), on the PDFs that are made here
pages/s   pages per CPU second

A document without an answer scores 0; why there was none is at the end of its row.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pdf_scores as scores
from pdf_documents import Made, documents
from pdf_peers import PEERS, Peer, num_pages

from curate.errors import DefinitionError, DocumentError
from curate.extract.isolation import IsolatedExtractor, Limits
from curate.extract.pdf import PdfExtractor

Row = dict[str, Any]


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gold", type=Path, help="folder of PDFs with their texts")
    parser.add_argument("--pdfs", type=Path, help="folder of PDFs")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, separated by commas")
    parser.add_argument("--copies", type=int, default=5, help="made PDFs of each kind")
    parser.add_argument("--timeout", type=float, default=120, help="CPU seconds for a file")
    parser.add_argument("--memory", type=float, default=4, help="GB for a file")
    parser.add_argument(
        "--no-step", dest="step", action="store_false", help="leave out curate as a step"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    limits = Limits(arguments.timeout, arguments.memory, 1 << 30)
    made = list(documents(arguments.copies))
    gold = list(_gold(arguments.gold)) if arguments.gold else []
    files = sorted(arguments.pdfs.rglob("*.pdf")) if arguments.pdfs else []
    results: list[Row] = []  # each is also said when it is there: all may take an hour
    for name in arguments.peers.split(","):
        _say(f"{name} ...")
        isolated = IsolatedExtractor(Peer(name), limits)
        try:
            isolated.start()
        except DefinitionError as error:
            results.append({"peer": name, "missing": str(error).splitlines()[0]})
            continue
        row: Row = {"peer": name, "made": _quality(isolated, made)}
        if gold:
            row["gold"] = _quality(isolated, gold)
        if files:
            row["files"] = _outcomes(isolated, files)
        isolated.close()
        results.append(row)
        _say(json.dumps(row))
    if files and arguments.step:
        results.append({"peer": "curate as a step", "files": _as_a_step(files)})
    print(json.dumps(results) if arguments.json else "\n".join(_report(results)))


def _gold(folder: Path) -> Iterable[Made]:
    for path in sorted(folder.glob("*.pdf")):
        text = path.with_suffix(".txt").read_text(encoding="utf-8")
        yield Made("gold", path.read_bytes(), text)


def _quality(isolated: IsolatedExtractor, items: Sequence[Made]) -> dict[str, Row]:
    """Return the mean scores of each kind of document; a document without an answer scores 0."""
    kinds: dict[str, Row] = {}
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        sums = kinds.setdefault(item.name, Counter())
        sums["documents"] += 1
        try:
            extracted = isolated.extract(item.payload, "")
        except DocumentError as error:
            reasons[item.name][error.reason] += 1
            _say(f"  {item.name}: {error.reason}: {error.message}")
            continue
        sums["words"] += scores.word_f1(extracted.text, item.text)
        sums["pairs"] += scores.bigram_f1(extracted.text, item.text)
        sums["order"] += scores.order(extracted.text, item.text)
        tables = scores.markdown_tables(extracted.text)
        sums["tables"] += scores.table_f1(tables, item.tables) if item.tables else 0.0
        sums["cpu_s"] += extracted.metadata["cpu_s"]
        sums["pages"] += num_pages(item.payload)
    return {name: {**_means(sums), "failed": reasons[name]} for name, sums in kinds.items()}


def _means(sums: Row) -> Row:
    count = sums["documents"]
    means = {name: sums[name] / count for name in ("words", "pairs", "order", "tables")}
    # The clock of a process may tick in hundredths of a second: few pages have no speed.
    speed = sums["pages"] / sums["cpu_s"] if sums["cpu_s"] >= 1 else None
    return {**means, "pages_per_s": speed, "documents": count}


def _outcomes(isolated: IsolatedExtractor, files: Sequence[Path]) -> Row:
    """Count what became of each file."""
    counts: Counter[str] = Counter()
    pages, seconds = 0, 0.0
    for path in files:
        payload = path.read_bytes()
        try:
            extracted = isolated.extract(payload, "")
        except DocumentError as error:
            counts[error.reason] += 1
            if error.reason in {"crashed", "timeout", "out_of_memory"}:
                _say(f"  {path}: {error.reason}: {error.message}")
            continue
        counts["text" if extracted.text.strip() else "no text"] += 1
        pages += num_pages(payload)
        seconds += extracted.metadata.get("cpu_s", 0.0)
    return {"counts": dict(counts), "pages_per_s": pages / seconds if seconds else None}


def _as_a_step(files: Sequence[Path]) -> Row:
    """Count what becomes of each file in the step of a pipeline, with its judge and fallback."""
    extractor = PdfExtractor()
    extractor.setup()
    counts: Counter[str] = Counter()
    for path in files:
        try:
            found = extractor.extract(path.read_bytes(), "")
        except DocumentError as error:
            counts[error.reason] += 1
            continue
        counts["text" if found.text.strip() else "no text"] += 1
        counts["pages"] += found.metadata["num_pages"]
        counts["failed pages"] += len(found.metadata["failed_pages"])
        counts["pages for OCR"] += len(found.metadata["ocr_pages"])
        counts["by the fallback"] += found.metadata["extractor"] != extractor.engine
    extractor.close()
    return {"counts": dict(counts), "pages_per_s": None}


def _report(results: Sequence[Row]) -> Iterable[str]:
    header = f"{'':<20}{'words':>8}{'pairs':>8}{'order':>8}{'tables':>8}{'pages/s':>9}"
    kinds = {kind for row in results for kind in (*row.get("made", ()), *row.get("gold", ()))}
    for kind in sorted(kinds):
        yield f"\n{kind}\n{header}"
        for row in results:
            found = {**row.get("made", {}), **row.get("gold", {})}.get(kind)
            if found:
                tables = f"{found['tables']:>8.3f}" if kind != "gold" else f"{'':>8}"
                line = "".join(f"{found[name]:>8.3f}" for name in ("words", "pairs", "order"))
                speed = f"{found['pages_per_s']:.1f}" if found["pages_per_s"] else ""
                failed = "".join(f"  {n} {reason}" for reason, n in found["failed"].items())
                yield f"{row['peer']:<20}{line}{tables}{speed:>9}{failed}"
    yield "\nfiles by what became of them"
    for row in results:
        if "files" in row:
            counts = ", ".join(f"{name} {n}" for name, n in sorted(row["files"]["counts"].items()))
            speed = row["files"]["pages_per_s"]
            yield f"{row['peer']:<20}{counts}" + (f"; {speed:.1f} pages/s" if speed else "")
        elif "missing" in row:
            yield f"{row['peer']:<20}not run: {row['missing']}"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
