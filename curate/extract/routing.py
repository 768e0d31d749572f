"""Which pages of a PDF need OCR: a judge of the text that came out, page by page."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from ..errors import DefinitionError, DocumentError
from .pdf_backend import Pdf
from .plausible_text import LETTER_PAIRS
from .routing_features import FEATURES, page_features

Rule = Literal["model", "rule", "none"]
HiddenLayers = Literal["ocr", "judge"]

MODEL_FILE = Path(__file__).parent.parent / "data" / "ocr_router.json"
# What decides the judgement besides the code: for the fingerprint of the step that uses it.
JUDGE_FILES = (str(MODEL_FILE), str(LETTER_PAIRS))

# The written rule. Boundaries were set by eye on the pages that train the model.
_MAX_LOST_RATIO = 0.1
_MIN_PLAUSIBILITY = -0.9
_MIN_LAYER_PLAUSIBILITY = -0.5
_MIN_PAIRS = 60
_MAX_UNREAD_PAGE_RATIO = 0.04
_MAX_UNREAD_PRINT_RATIO = 0.5
_HIDDEN_RATIO = 0.5
# A layer under a scan, and not hidden words beside a picture or on a blank page.
_MIN_SCAN_RATIO = 0.5
_MIN_PRINT_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree as parallel lists; `feature` is -1 at a leaf, where `value` is the score."""

    feature: tuple[int, ...]
    value: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Router:
    """The trained judge: boosted trees over FEATURES.

    Attributes:
        threshold: a page whose probability is at least this needs OCR.
        start: log odds before the first tree.
    """

    threshold: float
    start: float
    trees: tuple[Tree, ...]

    def probability(self, values: Sequence[float]) -> float:
        """Return the probability that a page needs OCR, from its features in order."""
        score = self.start
        for tree in self.trees:
            node = 0
            while (feature := tree.feature[node]) >= 0:
                goes_left = values[feature] <= tree.value[node]
                node = tree.left[node] if goes_left else tree.right[node]
            score += tree.value[node]
        return 1 / (1 + math.exp(-score))


def judge_pages(
    pdf: Pdf, texts: Sequence[str], rule: Rule = "model", hidden_layers: HiddenLayers = "ocr"
) -> list[int]:
    """Return the pages, counted from 0, whose text should be replaced by OCR.

    A page needs OCR if what a reader sees in print did not come out, or came out as something else.
    Blank pages, pictures and charts without much print need none, and so a page that cannot be read
    needs none either. Precision and recall, on documents that did not train the model, are in
    `curate/data/ocr_router.json`; benchmarks/router.py measures them.

    Args:
        texts: for each page of the file the text that an extractor gave, plain or Markdown.
        rule: "model", "rule" (four written clauses, see `clause`), or "none".
        hidden_layers: "ocr" for every scan whose text is a layer, invisible or painted over;
            "judge" to keep such a layer where it is whole and reads like language: right where OCR
            costs seconds a page and gives hardly more than the OCR that made the layer.

    Raises:
        DefinitionError: the rule is not known, or texts and pages differ in number.
    """
    if rule not in get_args(Rule):
        raise DefinitionError(f"extract: rule={rule!r}; allowed are {', '.join(get_args(Rule))}.")
    if hidden_layers not in get_args(HiddenLayers):
        raise DefinitionError(f"extract: hidden_layers={hidden_layers!r}; allowed are ocr, judge.")
    if len(texts) != pdf.num_pages:
        raise DefinitionError(
            f"extract: {len(texts)} texts for {pdf.num_pages} pages; give one for each, if empty."
        )
    if rule == "none":
        return []
    found = []
    for number, text in enumerate(texts):
        try:
            values = page_features(pdf.page(number), text)
        except DocumentError:
            continue
        is_sent = hidden_layers == "ocr" and is_hidden_layer(values)
        if is_sent or (needs_ocr(values) if rule == "model" else clause(values)):
            found.append(number)
    return found


def is_hidden_layer(values: Mapping[str, float]) -> bool:
    """Whether the text of a page is a layer that somebody laid under a scan."""
    return (
        values["hidden_ratio"] > _HIDDEN_RATIO
        and values["image_area_ratio"] >= _MIN_SCAN_RATIO
        and values["print_ratio"] >= _MIN_PRINT_RATIO
    )


def needs_ocr(values: Mapping[str, float]) -> bool:
    """Whether the model sends a page with these features to OCR."""
    model = router()
    return model.probability([values[name] for name in FEATURES]) >= model.threshold


def clause(values: Mapping[str, float]) -> str | None:
    """Return the clause of the written rule by which a page needs OCR, or None.

    `lost_characters`: over 10 % of the characters have no meaning (U+FFFD, private, control).
    `implausible_letters`: letters do not follow each other as in any language of their script.
    `bad_layer`: the same, less strict, where most text is hidden under an image.
    `unread_print`: over 4 % of the page looks like print, and half of that has no text.
    """
    if values["lost_ratio"] > _MAX_LOST_RATIO:
        return "lost_characters"
    has_letters = values["num_pairs"] >= math.log1p(_MIN_PAIRS)
    if has_letters and values["plausibility"] < _MIN_PLAUSIBILITY:
        return "implausible_letters"
    is_hidden = values["hidden_ratio"] > _HIDDEN_RATIO
    if has_letters and is_hidden and values["plausibility"] < _MIN_LAYER_PLAUSIBILITY:
        return "bad_layer"
    unread = values["unread_page_ratio"] > _MAX_UNREAD_PAGE_RATIO
    if unread and values["unread_print_ratio"] > _MAX_UNREAD_PRINT_RATIO:
        return "unread_print"
    return None


@cache
def router() -> Router:
    """Return the trained judge.

    Raises:
        DefinitionError: the model file is damaged, or was trained on other features.
    """
    return load_router(MODEL_FILE)


def load_router(path: Path) -> Router:
    """Read a model file; see `router`."""
    try:
        data = json.loads(path.read_text("utf-8"))
        digest, features = data["model_sha256"], data["features"]
        is_whole = model_sha256(data) == digest
    except (OSError, ValueError, KeyError) as error:
        raise DefinitionError(f"{path} cannot be read: {error!r}; install curate again.") from error
    if not is_whole:
        raise DefinitionError(f"{path} was changed after it was trained; install curate again.")
    if tuple(features) != FEATURES:
        raise DefinitionError(
            f"{path} was trained on other features than this version of curate computes;\n"
            "train it again: benchmarks/router_train.py"
        )
    rows = [Tree(*(tuple(column) for column in tree)) for tree in data["trees"]]
    return Router(float(data["threshold"]), float(data["start"]), tuple(rows))


def model_sha256(data: Mapping[str, object]) -> str:
    """Return the SHA-256 of what decides in a model file."""
    decisive = [data[name] for name in ("features", "threshold", "start", "trees")]
    return hashlib.sha256(json.dumps(decisive, separators=(",", ":")).encode()).hexdigest()
