"""Train curate/data/ocr_router.json, the judge of which pages need OCR.

    pip install 'curate[bench]' liteparse scikit-learn
    python benchmarks/router_pages.py PDF_FOLDER GOLD_FOLDER PAGES
    python benchmarks/router_train.py PAGES

The threshold is chosen on the training documents alone, by cross-validation over groups: the one
with the best F-score if one page in five needed OCR. The scores written into the file are those on
the test documents, for both policies for layers under scans. Raise the `version` of the step that
routes when the file changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from router_measure import Measured, measure
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from curate.extract.routing import (
    MODEL_FILE,
    HiddenLayers,
    Router,
    is_hidden_layer,
    load_router,
    model_sha256,
)
from curate.extract.routing_features import FEATURES

VERSION = 1
# Half of the pages that are made here need OCR. FinePDFs' router (spec 4) sent 28.6 % of a crawl's
# files to OCR with a precision of 0.66 and a recall of about 0.85, so that 22 % needed it.
CRAWL_SHARE = 0.2
# The sign of what more of a feature may do to the probability, where there can be no doubt.
SIGNS = {
    "lost_ratio": 1,
    "unmapped_ratio": 1,
    "private_ratio": 1,
    "control_ratio": 1,
    "plausibility": -1,
    "lowest_plausibility": -1,
    "implausible_ratio": 1,
    "rare_han_ratio": 1,
    "frequent_han_ratio": -1,
    "unread_page_ratio": 1,
}


def table(pages: Sequence[Measured]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features (pages, FEATURES) and labels."""
    rows = [[page.features[name] for name in FEATURES] for page in pages]
    return np.array(rows), np.array([page.label for page in pages])


def weights(pages: Sequence[Measured]) -> NDArray[np.float64]:
    """Return weights by which every class counts as much as the square root of its pages."""
    kinds = [page.kind for page in pages]
    scale = len(pages) ** 0.5
    return np.array([scale * kinds.count(kind) ** -0.5 for kind in kinds], dtype=np.float64)


def classifier() -> HistGradientBoostingClassifier:
    """Return the model before training."""
    return HistGradientBoostingClassifier(
        max_iter=140,
        learning_rate=0.1,
        max_leaf_nodes=10,
        min_samples_leaf=10,
        l2_regularization=1.0,
        monotonic_cst=[SIGNS.get(name, 0) for name in FEATURES],
        early_stopping=False,
        random_state=0,
    )


def trees_of(model: HistGradientBoostingClassifier) -> list[list[list[float]]]:
    """Return the trees as lists: feature (-1 at a leaf), value, left and right of each node."""
    found = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        feature = np.where(leaf, -1, nodes["feature_idx"].astype(int))
        value = np.where(leaf, nodes["value"], nodes["num_threshold"])
        found.append(
            [
                feature.tolist(),
                [float(f"{number:.6g}") for number in value],
                np.where(leaf, 0, nodes["left"]).astype(int).tolist(),
                np.where(leaf, 0, nodes["right"]).astype(int).tolist(),
            ]
        )
    return found


def best_threshold(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the threshold with the best F1, the middle of those that are equally good."""
    steps = np.round(np.arange(0.1, 0.91, 0.01), 2)
    scores = [f1(probabilities >= step, labels) for step in steps]
    best = [step for step, score in zip(steps, scores, strict=True) if score == max(scores)]
    return round(float(np.median(best)), 3)


def f1(chosen: NDArray[np.bool_], labels: NDArray[np.int64]) -> float:
    """Return the harmonic mean of precision and recall in a crawl."""
    needed, spared = labels == 1, labels == 0
    hits = CRAWL_SHARE * float(chosen[needed].mean())
    wrong = (1 - CRAWL_SHARE) * float(chosen[spared].mean())
    return 2 * hits / (hits + wrong + CRAWL_SHARE)


def cross_validated(pages: Sequence[Measured]) -> NDArray[np.float64]:
    """Return for each page the probability by a model that has not seen its document."""
    features, labels = table(pages)
    groups = [page.document for page in pages]
    weight = weights(pages)
    found = np.zeros(len(pages))
    for train, test in GroupKFold(5).split(features, labels, groups):
        model = classifier().fit(features[train], labels[train], weight[train])
        found[test] = model.predict_proba(features[test])[:, 1]
    return found


def scores(model: Router, pages: Sequence[Measured], policy: HiddenLayers) -> dict[str, Any]:
    """Return how the exported model does on pages, with a policy for layers under scans."""
    features, labels = table(pages)
    probabilities = np.array([model.probability(row) for row in features.tolist()])
    chosen = probabilities >= model.threshold
    if policy == "ocr":
        chosen |= np.array([is_hidden_layer(page.features) for page in pages])
        labels = np.array([page.needs_ocr(policy) for page in pages])
    hits = int((chosen & (labels == 1)).sum())
    return {
        "pages": len(pages),
        "documents": len({page.document for page in pages}),
        "precision": round(hits / int(chosen.sum()), 4),
        "recall": round(hits / int((labels == 1).sum()), 4),
    }


def main() -> None:
    """Train, write the file, and print its scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path)
    args = parser.parse_args()
    pages = measure(args.pages)
    train = [page for page in pages if page.split == "train"]
    test = [page for page in pages if page.split == "test"]
    features, labels = table(train)
    threshold = best_threshold(cross_validated(train), labels)
    model = classifier().fit(features, labels, weights(train))
    data: dict[str, Any] = {
        "version": VERSION,
        "trained_by": "benchmarks/router_train.py",
        "training_set_sha256": hashlib.sha256(features.tobytes() + labels.tobytes()).hexdigest(),
        "training_pages": len(train),
        "training_documents": len({page.document for page in train}),
        "features": list(FEATURES),
        "threshold": threshold,
        "start": round(float(model._baseline_prediction.ravel()[0]), 6),
        "trees": trees_of(model),
    }
    data["model_sha256"] = model_sha256(data)
    write(data)
    final = load_router(MODEL_FILE)
    data["scores_on_test_documents"] = {
        policy: scores(final, test, policy) for policy in get_args(HiddenLayers)
    }
    write(data)
    shown = {name: value for name, value in data.items() if name not in ("trees", "features")}
    print(json.dumps(shown, indent=1), f"\n{MODEL_FILE}: {MODEL_FILE.stat().st_size:,} bytes")


def write(data: dict[str, Any]) -> None:
    """Write the model file, one line a key and the trees last."""
    order = sorted(data, key=lambda name: name == "trees")
    lines = [f"{json.dumps(key)}: {json.dumps(data[key], separators=(',', ':'))}" for key in order]
    MODEL_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
