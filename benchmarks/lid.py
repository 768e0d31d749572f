"""Fit the thresholds of `LanguageRouter` on text of known language, and measure them on the rest.

    python benchmarks/lid.py GOLD.jsonl [--model PATH] [--write]

Each line of GOLD has `lang` (ISO 639-1 or -3), `src` and `text`, a sentence or a paragraph. Texts
of one language and source are put together to pages of 150, 500 and 1,500 characters in turns. Each
page is also looked at in a bad state, as tables and references leave it: every third word, between
numbers; and those of the large languages garbled, other letters in the place of each, as a font
with a wrong table of characters gives it. These have no language, and are one in five hundred. One
half of the pages fits, the other measures, in turns.

As FinePDFs did, for each language the threshold is taken, over the pages that have it as their
first label, that gives the highest F-beta with beta 0.1, with recall of 0.1 or more, precision of
0.9 or more, and itself 0.2 or more (there 0.1). There a language model said which pages are in the
language; here the gold does. FinePDFs fitted on PDFs as they come, so pages are weighted here: a
language has its share of the web, as surveys see it (SHARES), whatever the gold has of it. And of
thresholds whose F-beta is within 0.02 of the highest the lowest is taken: on some hundred clean
pages less is chance, and the pages of PDFs score lower than these.

Prints languages with thresholds, and what is filed right, wrong and dropped with and without them.
--write puts the table into curate/data/language_thresholds.csv, beside the rows of other models.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from curate.filters.language_router import THRESHOLDS_FILE
from curate.filters.languages import code_of, codes
from curate.filters.page_language import PageLanguages

PAGE_CHARS = (150, 500, 1_500)
BETA = 0.1
TOLERANCE = 0.02
MIN_RECALL, MIN_PRECISION = 0.1, 0.9
# FinePDFs has 0.1, for GlotLID. Of 331 real PDFs eleven had a first average of lid.176 between 0.1
# and 0.2, and it was wrong for six of them.
MIN_SCORE = 0.2
MIN_RIGHT = 10  # pages of the language above the threshold; one with fewer has the default
DEFAULT = 0.5
COLUMNS = ("model", "language", "threshold", "precision", "recall", "num_samples", "origin")

# Per cent of web pages, rounded; what surveys of web sites agree on. The others: see OTHER_SHARE.
# fmt: off
SHARES = {
    "zxx": 0.2,  # garbled
    "eng": 50.0, "spa": 6.0, "deu": 5.5, "jpn": 5.0, "fra": 4.4, "rus": 4.0, "por": 3.8,
    "ita": 2.7, "nld": 2.2, "pol": 1.8, "tur": 1.7, "cmn": 1.5, "fas": 1.2, "vie": 1.1,
    "ind": 1.1, "ces": 1.0, "kor": 0.8, "ukr": 0.6, "hun": 0.6, "arb": 0.6, "swe": 0.5,
    "ron": 0.5, "ell": 0.5, "tha": 0.5, "dan": 0.4, "fin": 0.4, "heb": 0.4, "slk": 0.4,
    "bul": 0.3, "hrv": 0.2, "srp": 0.2, "nob": 0.2, "lit": 0.2, "slv": 0.1, "cat": 0.1,
    "ekk": 0.1, "lvs": 0.1, "hin": 0.3, "bos": 0.1, "zsm": 0.1, "ben": 0.05, "kat": 0.05,
    "mar": 0.05, "tam": 0.05, "tel": 0.05, "urd": 0.05, "npi": 0.03, "azj": 0.05, "kaz": 0.05,
    "bho": 0.002, "mai": 0.002,
}
# fmt: on
ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя")
OTHER_SHARE = 0.01  # a language that the packaged model knows
RARE_SHARE = 0.0002  # and one that it does not

# ISO 639-3 of the gold that names another member, or the whole, of what the labels name.
_SAME = """
ara:arb aze:azj est:ekk lav:lvs nor:nob msa:zsm sqi:als swa:swh pes:fas prs:fas mon:khk yid:ydd
tgl:fil kur:kmr uzb:uzn nep:npi ori:ory mlg:plt grn:gug que:quy pus:pbt zho:cmn kom:kpv src:srd
bih:bho
"""
SAME: dict[str, str] = {pair[:3]: pair[4:] for pair in _SAME.split()}


class Page(NamedTuple):
    """A page, and what the model says of it.

    Attributes:
        gold: its language in ISO 639-3.
        label: its first label, such as "deu_Latn"; "" for none.
        score: that of the label.
        weight: how much it counts.
    """

    gold: str
    label: str
    score: float
    weight: float

    @property
    def is_right(self) -> bool:
        """Whether the label names the gold's language."""
        return self.label.partition("_")[0] == self.gold


class Fit(NamedTuple):
    """A threshold and how it fits."""

    threshold: float
    precision: float
    recall: float


def gold_language(name: str) -> str:
    """Return a gold's name of a language as ISO 639-3, as in the labels."""
    name = "nob" if name == "nb" else name
    if len(name) == 2:
        name = code_of(name).partition("_")[0]
    return SAME.get(name, name)


def pages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of each page."""
    texts: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    with path.open(encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            # Sorani is written in Arabic letters; in Latin ones it is taken for Kurmanji.
            if row["lang"] != "und" and (row["lang"], row.get("script")) != ("ckb", "Latn"):
                key = (gold_language(row["lang"]), row["src"], row.get("script") or "")
                texts[key].append(row["text"])
    for (language, _, _), its in sorted(texts.items()):
        number, page = 0, ""
        for text in its:
            page = f"{page}\n{text}" if page else text
            if len(page) >= PAGE_CHARS[number % len(PAGE_CHARS)]:
                yield language, page
                number, page = number + 1, ""


def in_bad_state(page: str) -> str:
    """Return every third word of a page, or character of a text without spaces, among numbers."""
    parts = page.split() if page.count(" ") * 20 > len(page) else list(page)
    return " ".join(f"{part} {number * 37 % 991}" for number, part in enumerate(parts[::3]))


def garbled(page: str, shift: int) -> str:
    """Return a page with each letter replaced by one further on in its alphabet."""
    table = {
        ord(letter): alphabet[(index + shift) % len(alphabet)]
        for alphabet in ALPHABETS
        for index, letter in enumerate(alphabet)
    }
    return page.lower().translate(table)


def states(gold: str, page: str, number: int) -> Iterator[tuple[str, str]]:
    """Yield a page in each state it is looked at, with its language."""
    yield gold, page
    yield gold, in_bad_state(page)
    if SHARES.get(gold, 0) >= 1 and any(map(set(page).intersection, ALPHABETS)):
        yield "zxx", garbled(page, 1 + number % 25)


def weighted(seen: list[Page]) -> list[Page]:
    """Give the pages of each language its share of the web together."""
    counts = Counter(page.gold for page in seen)
    known = {code.partition("_")[0] for code in codes().values()}
    shares = {
        gold: SHARES.get(gold, OTHER_SHARE if gold in known else RARE_SHARE) for gold in counts
    }
    return [page._replace(weight=shares[page.gold] / counts[page.gold]) for page in seen]


def fit(its: list[Page]) -> Fit | None:
    """Return the best threshold for one label's pages; None if none is good enough."""
    ordered = sorted(its, key=lambda page: -page.score)
    kept = list(accumulate(page.weight for page in ordered))
    right = list(accumulate(page.weight * page.is_right for page in ordered))
    num_right = list(accumulate(page.is_right for page in ordered))
    found: list[tuple[float, Fit]] = []
    for index, page in enumerate(ordered):
        after = ordered[index + 1].score if index + 1 < len(ordered) else 0.0
        threshold = int(max(after, MIN_SCORE) * 1000 + 0.999) / 1000  # kept: above it
        if page.score <= threshold or num_right[index] < MIN_RIGHT:
            continue
        precision, recall = right[index] / kept[index], right[index] / right[-1]
        f_beta = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
        if precision >= MIN_PRECISION and recall >= MIN_RECALL:
            found.append((f_beta, Fit(threshold, precision, recall)))
    best = max((f_beta for f_beta, _ in found), default=0.0)
    good = [each for f_beta, each in found if f_beta >= best - TOLERANCE]
    return min(good, default=None)


def measure(its: Iterable[Page], threshold: float) -> tuple[float, float, int]:
    """Return precision and recall of a label at a threshold, and how many pages have the label."""
    its = list(its)
    kept = [page for page in its if page.score > threshold]
    right = sum(page.weight for page in kept if page.is_right)
    all_right = sum(page.weight for page in its if page.is_right)
    return (
        right / (sum(page.weight for page in kept) or 1),
        right / (all_right or 1),
        len(its),
    )


def table(fitting: list[Page], measuring: list[Page], model: str, source: str) -> list[list[str]]:
    """Return the rows of the table: a row for each label with enough pages, and the default."""
    by_label: dict[str, list[Page]] = defaultdict(list)
    others: dict[str, list[Page]] = defaultdict(list)
    for page in fitting:
        by_label[page.label].append(page)
    for page in measuring:
        others[page.label].append(page)
    rows = [[model, "default", f"{DEFAULT:.3f}", "", "", "", "chosen: no data for the language"]]
    for label in sorted(filter(None, by_label)):
        if sum(page.is_right and page.score > MIN_SCORE for page in by_label[label]) < MIN_RIGHT:
            continue
        found = fit(by_label[label])
        threshold = found.threshold if found else 1.0
        precision, recall, number = measure(others[label], threshold)
        origin = f"fitted on {source}" if found else f"closed: no threshold is precise on {source}"
        row = [model, label, f"{threshold:.3f}", f"{precision:.3f}", f"{recall:.3f}"]
        rows.append([*row, str(number), origin])
    return rows


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gold", type=Path)
    parser.add_argument("--model", default="", help="path of a fastText model; lid.176 if left out")
    parser.add_argument("--name", default="lid.176", help="the model's name in the table")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()

    step = PageLanguages(model=options.model)
    step.setup()
    seen: list[list[Page]] = [[], []]
    for number, (gold, text) in enumerate(pages(options.gold)):
        for language, state in states(gold, text, number):
            label, score = next(iter(step.scores(state).items()), ("", 0.0))
            seen[number % 2].append(Page(language, label, score, 1.0))
    fitting, measuring = map(weighted, seen)
    rows = table(fitting, measuring, options.name, options.gold.name)

    thresholds = {row[1]: float(row[2]) for row in rows}
    for name, limits in (("with thresholds", thresholds), ("without", {"default": 0.0})):
        right = wrong = dropped = 0.0
        for page in measuring:
            if not page.label:
                continue
            if page.score > limits.get(page.label, limits["default"]):
                right += page.weight * page.is_right
                wrong += page.weight * (not page.is_right)
            else:
                dropped += page.weight
        total = right + wrong + dropped  # of what has letters enough for a language
        print(
            f"{name}: {right / total:.4f} right, {wrong / total:.4f} wrong,"
            f" {dropped / total:.4f} dropped; precision {right / (right + wrong):.4f}"
        )
    for row in rows:
        print("\t".join(row))
    if options.write:
        with THRESHOLDS_FILE.open(newline="", encoding="utf-8") as stream:
            others = [row for row in csv.reader(stream) if row and row[0] != options.name]
        with THRESHOLDS_FILE.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerows([*others, *rows])


if __name__ == "__main__":
    main()
