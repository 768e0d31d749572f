"""Train the model of curate/extract/html.py on the gold sets.

    python benchmarks/extraction_train.py DATA [--trees 150] [--write] [--texts FILE] [--leave-out]

DATA is the folder with html-gold.jsonl and real-3000.warc. Pages are split by registrable domain
into five parts. Tables of names and words, and the first round of trees, always come from the other
parts than the page, for the scores and for what the second round learns from. --write trains on all
and writes curate/data/html_model.npz with the scores of the cross-validation and the hash of what
it was trained on. --leave-out trains without one source of gold at a time and scores on it.

Needs catboost (pip install catboost), for training only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from extraction_gold import GoldPage, label_full, label_snippets, load, score, words
from extraction_tables import Tables, contribution, tables_of
from numpy.typing import NDArray

from curate.extract.html_blocks import read_page
from curate.extract.html_features import FEATURES, Floats, features
from curate.extract.html_model import (
    CONTEXT,
    MODEL_FILE,
    SCALE,
    Trees,
    context,
    final_chances,
    keep,
)
from curate.extract.html_write import write

FOLDS = 5
_CUT_AT = 50_000  # characters; longer gold texts of WCXB's documentation end there
SEED = 7
_LEAST_PAGES = 30  # of a source that is left out once
Bools = NDArray[np.bool_]


class Corpus:
    """All pages as rows: their features by tables that have not seen them, and their labels."""

    def __init__(self, pages: list[GoldPage]) -> None:
        self.pages = pages
        self.folds = np.asarray([page.fold(FOLDS) for page in pages])
        self.is_full = np.asarray([bool(page.text) for page in pages])
        self.walked = [read_page(page.html, {}, keep_names=True) for page in pages]
        labels = [
            _label(walked.texts, page) for page, walked in zip(pages, self.walked, strict=True)
        ]
        self.usable = np.asarray(
            [_is_usable(page, *label) for page, label in zip(pages, labels, strict=True)]
        )
        self.contributions = {
            i: contribution(self.walked[i], *labels[i])
            for i in range(len(pages))
            if self.usable[i] and self.is_full[i]
        }
        self.page_of = np.repeat(np.arange(len(pages)), [len(w.texts) for w in self.walked])
        self.starts = np.searchsorted(self.page_of, np.arange(len(pages) + 1))
        shares = np.concatenate([np.asarray(share) for share, _ in labels])
        sizes = np.concatenate([np.asarray(size) for _, size in labels])
        self.is_content = (shares >= 0.5).astype(int)
        known = (shares >= 0) & (sizes > 0) & self.usable[self.page_of]
        weights = np.where(known, np.minimum(sizes, 80.0) ** 0.7, 0.0)
        per_page = np.bincount(self.page_of, weights, len(pages))
        weights = 100 * weights / np.maximum(per_page[self.page_of], 1)
        weights = np.where(self.is_full[self.page_of], weights, 0.25 * weights)
        domains = Counter(page.group for page in pages)
        by_page = np.asarray([domains[page.group] ** -0.4 for page in pages])
        self.weights = weights * by_page[self.page_of]
        # Two of three short pieces of menus and the like say nothing new.
        dull = (sizes <= 4) & (shares < 0.5) & (np.arange(len(sizes)) % 3 != 0)
        self.known = known & ~dull
        self.weights = np.where((sizes <= 4) & (shares < 0.5), 3 * self.weights, self.weights)

    def tables(self, without: Bools) -> Tables:
        """Learn the scores of names and words from the pages that are not left out."""
        return tables_of(
            (self.pages[i].group, value)
            for i, value in self.contributions.items()
            if not without[i]
        )

    def rows(self, tables: Tables, which: Bools) -> dict[int, Floats]:
        """Compute the features of some pages."""
        found = {}
        for i in np.flatnonzero(which):
            page = read_page(self.pages[i].html, tables.names)
            if page.texts:
                found[int(i)] = features(page, tables.words)
        return found

    def table(self, out: Bools | None = None) -> Floats:
        """Compute the features of all pages by tables that know neither their domain nor `out`."""
        held = np.zeros(len(self.pages), bool) if out is None else out
        rows = self.rows(self.tables(held), held)
        for fold in range(FOLDS):
            part = (self.folds == fold) & ~held
            rows |= self.rows(self.tables(held | part), part)
        return np.concatenate([rows[i] for i in sorted(rows)])

    def digest(self) -> str:
        """Return the hash of what is trained on."""
        total = hashlib.sha256()
        for page in self.pages:
            total.update(json.dumps([page.sha1, page.text, page.must, page.must_not]).encode())
        return total.hexdigest()


def _label(texts: list[str], page: GoldPage) -> tuple[list[float], list[int]]:
    if not page.text:
        return label_snippets(texts, page.must, page.must_not)
    shares, sizes = label_full(texts, page.text)
    if _CUT_AT - 100 <= len(page.text) <= _CUT_AT:
        # What comes after is unknown.
        last = max((i for i, share in enumerate(shares) if share >= 0.5), default=-1)
        shares[last + 1 :] = [-1.0] * (len(shares) - last - 1)
    return shares, sizes


def _is_usable(page: GoldPage, shares: list[float], sizes: list[int]) -> bool:
    """Tell whether the gold is on the page: some of it is of another version of the page."""
    if not page.text or not sizes:
        return bool(sizes)
    found = sum(max(share, 0) * size for share, size in zip(shares, sizes, strict=True))
    return found > 0.7 * len(words(page.text))


def fit(table: Floats, corpus: Corpus, rows: Bools, trees: int, depth: int = 6) -> Trees:
    """Train one round and return it as tables."""
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        iterations=trees,
        depth=depth,
        learning_rate=15 / trees,
        random_seed=SEED,
        thread_count=2,
        verbose=0,
        allow_writing_files=False,
        border_count=64,
        l2_leaf_reg=5,
        rsm=0.3,
        bootstrap_type="Bernoulli",
        subsample=0.5,
    )
    model.fit(table[rows], corpus.is_content[rows], sample_weight=corpus.weights[rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        data = json.loads(path.read_text())
    count = len(data["oblivious_trees"])
    columns = np.zeros((count, depth), np.int64)
    borders = np.full((count, depth), np.inf, np.float32)
    leaves = np.zeros((count, 1 << depth), np.int64)
    for number, tree in enumerate(data["oblivious_trees"]):
        for place, split in enumerate(tree["splits"]):
            columns[number, place] = split["float_feature_index"]
            borders[number, place] = split["border"]
        values = np.round(np.asarray(tree["leaf_values"]) * SCALE)
        leaves[number, : len(values)] = values
    scale, bias = data["scale_and_bias"]
    assert scale == 1
    return Trees(columns, borders, leaves, round(float(np.ravel(bias)[0]) * SCALE))


def cross_fit(
    corpus: Corpus, table: Floats, trees: int, out: Bools | None = None
) -> NDArray[np.int64]:
    """Return the score of each row by trees that know neither its domain nor the pages of `out`."""
    scores = np.zeros(len(table), np.int64)
    held = np.zeros(len(table), bool) if out is None else out[corpus.page_of]
    parts = [(corpus.folds[corpus.page_of] == fold) & ~held for fold in range(FOLDS)]
    for rows in (*parts, held):
        if rows.any():
            seen = corpus.known & ~rows & ~held
            scores[rows] = fit(table, corpus, seen, trees).scores(table[rows])
    return scores


def with_context(corpus: Corpus, table: Floats, scores: NDArray[np.int64]) -> Floats:
    """Add what the first round says of the blocks around."""
    parts = [
        context(page, table[start:end], scores[start:end])
        for page, start, end in zip(
            corpus.walked, corpus.starts[:-1], corpus.starts[1:], strict=True
        )
        if page.texts
    ]
    return np.concatenate((table, np.concatenate(parts)), axis=1)


def page_texts(
    corpus: Corpus, table: Floats, scores: NDArray[np.int64], which: Bools | None = None
) -> list[str]:
    """Return the text of every page, "" of one that is not asked for."""
    likely = final_chances(scores)
    found = []
    for i, page in enumerate(corpus.walked):
        if which is not None and not which[i]:
            found.append("")
            continue
        here = slice(corpus.starts[i], corpus.starts[i + 1])
        kept = keep(page, table[here], likely[here], None, False) if page.texts else []
        found.append(write(page, kept))
    return found


def page_scores(corpus: Corpus, texts: list[str]) -> dict[int, float]:
    """Return the F1 of every page with a full text."""
    found = np.flatnonzero(corpus.is_full)
    return {int(i): score(texts[i], corpus.pages[i].text)[2] for i in found}


def by_group(corpus: Corpus, f1: dict[int, float]) -> dict[str, float]:
    """Average by source and by page type."""
    groups: dict[str, list[float]] = defaultdict(list)
    for i, value in f1.items():
        page = corpus.pages[i]
        groups[page.source].append(value)
        if page.page_type:
            groups[f"type {page.page_type}"].append(value)
        groups[f"language {page.language}"].append(value)
    return {
        name: round(sum(values) / len(values), 4)
        for name, values in sorted(groups.items())
        if len(values) >= 10
    }


def leave_out(corpus: Corpus, trees: int, texts: Path | None = None) -> dict[str, float]:
    """Train without each source, and without its domains, and score on it."""
    result = {}
    sources = np.asarray([page.source for page in corpus.pages])
    sizes = Counter(sources[corpus.is_full].tolist())
    lines = []
    for source, size in sizes.most_common():
        held = sources == source
        if size < _LEAST_PAGES:
            continue
        groups = {corpus.pages[i].group for i in np.flatnonzero(held)}
        out = np.asarray([page.group in groups for page in corpus.pages])
        table = corpus.table(out)
        table = with_context(corpus, table, cross_fit(corpus, table, trees, out))
        seen = corpus.known & ~out[corpus.page_of]
        written = page_texts(corpus, table, fit(table, corpus, seen, trees).scores(table), held)
        f1 = page_scores(corpus, written)
        values = [value for i, value in f1.items() if held[i]]
        lines += [
            json.dumps({"sha1": corpus.pages[i].sha1, "text": written[i]})
            for i in np.flatnonzero(held)
        ]
        result[source] = round(sum(values) / len(values), 4)
        print(f"without {source}: F1 {result[source]:.4f}", flush=True)
    if texts:
        texts.write_text("\n".join(lines) + "\n")
    return result


def save(
    tables: Tables, first: Trees, second: Trees, about: dict[str, Any], path: Path = MODEL_FILE
) -> None:
    """Write the model's file."""
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
    }
    for name, table in (("names", tables.names), ("words", tables.words)):
        arrays[name] = np.frombuffer("\n".join(table).encode(), np.uint8)
        arrays[f"{name}_scores"] = np.asarray([round(v * 10) for v in table.values()], np.int8)
    for name, trees in (("first", first), ("second", second)):
        arrays[f"{name}_features"] = trees.features.astype(np.uint8)
        arrays[f"{name}_borders"] = trees.borders
        arrays[f"{name}_leaves"] = trees.leaves.astype(np.int16)
        arrays[f"{name}_bias"] = np.int64(trees.bias)
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--leave-out", action="store_true")
    parser.add_argument("--texts", type=Path, help="write what was extracted")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    corpus = Corpus(load(options.data))
    if options.leave_out:
        print(json.dumps(leave_out(corpus, options.trees, options.texts)))
        return
    about = train(corpus, options.trees, options.write, options.texts)
    del about["columns"]
    print(json.dumps(about) if options.json else _table(about))


def train(
    corpus: Corpus, trees: int, is_written: bool, texts: Path | None = None
) -> dict[str, Any]:
    """Cross-validate, and write the model trained on all."""
    table = corpus.table()
    first_scores = cross_fit(corpus, table, trees)
    both = with_context(corpus, table, first_scores)
    scores = cross_fit(corpus, both, trees)
    written = page_texts(corpus, both, scores)
    if texts:
        with texts.open("w") as output:
            for page, text in zip(corpus.pages, written, strict=True):
                output.write(json.dumps({"sha1": page.sha1, "text": text}) + "\n")
    about = {
        "columns": list(FEATURES + CONTEXT),
        "trees": trees,
        "pages": len(corpus.pages),
        "gold_sha256": corpus.digest(),
        "f1": by_group(corpus, page_scores(corpus, written)),
    }
    np.savez(Path(tempfile.gettempdir(), "extraction-scores.npz"), first=first_scores, last=scores)
    if is_written:
        tables = corpus.tables(np.zeros(len(corpus.pages), bool))
        first = fit(table, corpus, corpus.known, trees)
        second = fit(both, corpus, corpus.known, trees)
        save(tables, first, second, about)
    return about


def _table(about: dict[str, Any]) -> str:
    lines = [f"{about['pages']} pages; F1 on domains not trained on"]
    lines += [f"{name:<28} {value:.4f}" for name, value in about["f1"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
