"""Measure the judge of which pages need OCR, class by class, beside simpler rules.

    python benchmarks/router_pages.py PDF_FOLDER GOLD_FOLDER PAGES
    python benchmarks/router.py PAGES [--json]

All figures are on documents that trained nothing. Sides:

curate    `judge_pages` as it is by default: the trained judge, and every layer under a scan
judge     the trained judge alone, which keeps a layer that reads well (hidden_layers="judge")
rule      the written rule of four clauses, and every layer under a scan (rule="rule")
finepdfs  FinePDFs' rule, a page as a document of one page: any U+FFFD in the text, or a probability
          of at least 0.2. Their weights cannot be had; the probability is a STAND-IN: boosted trees
          of their settings (200 trees, rate 0.1, depth 5, child weight 3), trained on the same
          training pages and labels as ours (but those whose marks say nothing: broken fonts and
          lost text), on the seven of their features that are known here (fonts, visible and hidden
          characters, text area, bitmap area, largest bitmap, drawings). Left out: number and size
          of text boxes, junk images, form and scanner flags.
garbled   the part of FinePDFs' rule that needs no stand-in: any U+FFFD

Whether a good layer under a scan needs OCR is a matter of policy: the figures are given for both.
Pages whose text the extractor lost, which FinePDFs' rule was not made for, are not in the totals.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, get_args

from router_measure import Measured, measure
from sklearn.ensemble import GradientBoostingClassifier

from curate.extract.routing import HiddenLayers, clause, is_hidden_layer, needs_ocr

THEIR_FEATURES = (
    "num_fonts",
    "visible_chars",
    "hidden_chars",
    "text_area_ratio",
    "image_area_ratio",
    "largest_image_ratio",
    "num_drawings",
)
THEIR_THRESHOLD = 0.2
Side = Callable[[Measured], bool]


def sides(train: Sequence[Measured]) -> dict[str, Side]:
    """Return name to judge."""
    stand_in = GradientBoostingClassifier(
        n_estimators=200, learning_rate=0.1, max_depth=5, min_samples_leaf=3, random_state=0
    )
    taught = [page for page in train if not page.kind.startswith(("garbled", "lost"))]
    stand_in.fit([_theirs(page) for page in taught], [page.label for page in taught])

    def finepdfs(page: Measured) -> bool:
        if page.has_replacement:
            return True
        return float(stand_in.predict_proba([_theirs(page)])[0, 1]) >= THEIR_THRESHOLD

    return {
        "curate": lambda page: is_hidden_layer(page.features) or needs_ocr(page.features),
        "judge": lambda page: needs_ocr(page.features),
        "rule": lambda page: is_hidden_layer(page.features) or clause(page.features) is not None,
        "finepdfs": finepdfs,
        "garbled": lambda page: page.has_replacement,
    }


def _theirs(page: Measured) -> list[float]:
    return [page.features[name] for name in THEIR_FEATURES]


def class_of(page: Measured) -> str:
    """Return the row of the table that a page belongs to."""
    return f"digital {page.category}" if page.kind == "digital" else page.kind


def report(pages: Sequence[Measured]) -> dict[str, Any]:
    """Return per side its precision and recall, and per class the share of pages sent to OCR."""
    test = [page for page in pages if page.split == "test"]
    judges = sides([page for page in pages if page.split == "train"])
    sent = {name: [judge(page) for page in test] for name, judge in judges.items()}
    classes: dict[tuple[int, str], list[int]] = {}
    for index, page in enumerate(test):
        classes.setdefault((page.label, class_of(page)), []).append(index)
    rows = [
        {
            "class": kind,
            "needs_ocr": bool(label),
            "pages": len(places),
            "documents": len({test[i].document for i in places}),
            "sent": {name: round(mean(sent[name][i] for i in places), 4) for name in judges},
        }
        for (label, kind), places in sorted(
            classes.items(), key=lambda item: (-item[0][0], item[0])
        )
    ]
    times = {
        backend: {
            "median_ms": round(median(ms), 1),
            "mean_ms": round(mean(ms), 1),
        }
        for backend in ("pymupdf", "pdfium")
        if (ms := [p.ms for p in test if p.backend == backend and p.kind == "digital"])
    }
    return {
        "test_pages": len(test),
        "test_documents": len({page.document for page in test}),
        "overall": {
            policy: {name: _scores(test, sent[name], policy) for name in judges}
            for policy in get_args(HiddenLayers)
        },
        "per_input": {
            f"{backend} page, {engine} text": _scores(
                [page for page in test if (page.backend, page.engine) == (backend, engine)],
                [
                    chosen
                    for page, chosen in zip(test, sent["curate"], strict=True)
                    if (page.backend, page.engine) == (backend, engine)
                ],
                "ocr",
            )
            for backend, engine in sorted({(page.backend, page.engine) for page in test})
        },
        "classes": rows,
        "features_ms_per_digital_page": times,
    }


def _scores(
    pages: Sequence[Measured], chosen: Sequence[bool], policy: HiddenLayers
) -> dict[str, float]:
    counted = [
        (page.needs_ocr(policy), is_sent)
        for page, is_sent in zip(pages, chosen, strict=True)
        if page.kind != "lost_text"
    ]
    hits = sum(label for label, is_sent in counted if is_sent)
    precision = hits / max(sum(is_sent for _, is_sent in counted), 1)
    recall = hits / max(sum(label for label, _ in counted), 1)
    return {"precision": round(precision, 4), "recall": round(recall, 4)}


def show(found: dict[str, Any]) -> None:
    """Print the report as tables."""
    names = list(found["overall"]["ocr"])
    print(f"{found['test_pages']:,} pages of {found['test_documents']} test documents\n")
    print(f"{'':32}" + "".join(f"{name:>10}" for name in names))
    for policy, title in (("ocr", "every layer needs OCR"), ("judge", "a good layer does not")):
        for measure_name in ("precision", "recall"):
            scores = (found["overall"][policy][name][measure_name] for name in names)
            print(f"{f'{measure_name}, {title}':32}" + "".join(f"{n:10.3f}" for n in scores))
    for needs, title in (
        (True, "sent to OCR of pages that need it"),
        (False, "... that do not, or may keep the good layer under their scan"),
    ):
        print(f"\n{title} (pages, documents)")
        for row in found["classes"]:
            if row["needs_ocr"] == needs:
                head = f"  {row['class']} ({row['pages']}, {row['documents']})"
                print(f"{head:32}" + "".join(f"{row['sent'][name]:10.3f}" for name in names))
    print("\ncurate, by what it is given")
    for name, values in found["per_input"].items():
        print(f"  {name:30} precision {values['precision']:.3f} recall {values['recall']:.3f}")
    for name, values in found["features_ms_per_digital_page"].items():
        print(f"  {name}: median {values['median_ms']} ms, mean {values['mean_ms']} ms a page")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", type=Path, help="folder written by router_pages.py")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    found = report(measure(args.pages))
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
