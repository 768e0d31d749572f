"""What the language gate skips, and what it skips wrongly.

    python benchmarks/language_gate.py WARC... [--json]

Every page is judged twice: by LanguageGate on its raw text, and by LanguageFilter on what
trafilatura extracts, as in pipelines/fineweb.py. A skip is wrong when the filter would keep the
page. Times are CPU milliseconds per page, of this process and of its children.
"""

from __future__ import annotations

import argparse
import json
import time

from curate.extract.html import TrafilaturaExtractor
from curate.filters.language import LanguageFilter
from curate.filters.language_gate import LanguageGate
from curate.readers.warc import WarcReader

THRESHOLDS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)


def judge(paths: list[str]) -> tuple[list[tuple[float, float]], float, float]:
    """Return for each page the gate's best score and the filter's; and the time of both."""
    gate = LanguageGate(min_score=1.0)
    extractor, after = TrafilaturaExtractor(isolate=False), LanguageFilter(("en",), 0.65)
    for step in (gate, extractor, after):
        step.setup()
    pairs, gate_s, extract_s = [], 0.0, 0.0
    for path in paths:
        with open(path, "rb") as stream:  # noqa: PTH123 - as a user gives it
            for doc, fate in WarcReader(path).read(path, stream):
                if fate is not None:
                    continue
                started = time.process_time()
                drop = gate.reject(doc)
                between = time.process_time()
                extractor.apply(doc)
                score = after.scores(doc.text).get("en", 0.0) if doc.text else 0.0
                gate_s += between - started
                extract_s += time.process_time() - between
                pairs.append((1.0 if drop is None else float(drop.value or 0), score))
    return pairs, 1000 * gate_s / len(pairs), 1000 * extract_s / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warcs", nargs="+")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pairs, gate_ms, extract_ms = judge(options.warcs)
    wanted = [gate for gate, score in pairs if score > 0.65]
    others = [gate for gate, score in pairs if score <= 0.65]
    rows = [
        {
            "min_score": least,
            "wrong": sum(gate < least for gate in wanted),
            "skipped": sum(gate < least for gate in others),
        }
        for least in THRESHOLDS
    ]
    result = {"pages": len(pairs), "english": len(wanted), "gate_ms": gate_ms, "rows": rows}
    if options.json:
        print(json.dumps({**result, "extract_ms": extract_ms}))
        return
    print(f"{len(pairs):,} pages, {len(wanted):,} kept by the filter after extraction")
    print(f"gate {gate_ms:.2f} ms a page, extraction {extract_ms:.2f} ms")
    for row in rows:
        wrong, skipped = row["wrong"] / max(len(wanted), 1), row["skipped"] / max(len(others), 1)
        print(
            f"min_score {row['min_score']:<5} wrong {row['wrong']:>3} ({wrong:.2%}),"
            f" skipped {row['skipped']:>5} of the others ({skipped:.1%})"
        )


if __name__ == "__main__":
    main()
