"""The languages of a document's pages, as a fastText model sees them, and of the whole document."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..assets import LID176
from ..document import Document
from ..errors import DefinitionError
from ..formatters.pdf_lines import is_table_row
from ..pages import pages_of
from ..steps import Annotator
from .fasttext_file import read_labels
from .languages import UNKNOWN, code_of, in_script_of

SCORES_COLUMN = "page_language_scores"
"""Every language of a document and its average over the pages, the highest first, as strings such
as "deu_Latn 0.812345"; for `LanguageRouter`."""

_LABEL = "__label__"
_MARKUP = str.maketrans(dict.fromkeys("|-*#", ""))
_PRESENTATION = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_MIN_LETTER_BYTES = 50
_MIN_LETTER_RATIO = 0.2
_MIN_AVERAGE = 0.01
_FULL_CHARS = 40_000
_PAGE_CHARS = 1_000_000
_DIGITS = 6  # of scores: what fastText adds below varies with the processor


@dataclass(frozen=True)
class PageLanguages(Annotator):
    """Set the language of each page and of the document, as FinePDFs does (its code, language.py).

    Rows of tables and the signs of Markdown are left out. A page with fewer than 50 bytes of
    letters, or fewer letters than a fifth of what is printed, is "unknown" and scores nothing. A
    language's average is the sum of its scores over all pages; those up to 0.01 are forgotten.
    `full_doc_lid` is that of the first 40,000 characters, a page's that of its first million.

    Languages have the names of FinePDFs, such as "deu_Latn" or "cmn_Hani". The labels of lid.176 do
    not tell scripts apart: of a language that is written in several, the page's letters decide.

    DIFFERS: FinePDFs meant to leave out all rows of tables, but does so for the first eight. And
    ligatures and Arabic letters in the form of their place in a word, which only PDFs have and the
    models do not know, count as the letters they stand for.

    Args:
        model: path of a fastText model such as GlotLID's; "" for the packaged lid.176.ftz.
    """

    name = "page_languages"
    version = 2
    columns = {
        "full_doc_lid": "string",
        "full_doc_lid_score": "double",
        "page_average_lid": "string",
        "page_average_lid_score": "double",
        "per_page_languages": "list<string>",
        SCORES_COLUMN: "list<string>",
    }
    libraries = ("fasttext-predict",)

    model: str = field(default="", metadata={"fingerprint": False})  # its SHA-256 is: see assets

    def assets(self) -> tuple[str, ...]:
        path = Path(self.model) if self.model else LID176.locate()
        try:
            read_labels(path)
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            raise DefinitionError(
                f"PageLanguages: the model {path} cannot be used: {problem}\n"
                "Leave `model` out for the packaged one, or give the path of a fastText model"
            ) from error
        return (str(path),)

    def setup(self) -> None:
        self._predictor  # noqa: B018 - loads it

    def annotate(self, doc: Document) -> None:
        texts = pages_of(doc)
        pages = [self.scores(text) for text in texts]
        is_one = len(texts) == 1 and len(doc.text) <= _FULL_CHARS
        full = pages[0] if is_one else self.scores(doc.text[:_FULL_CHARS])
        sums: dict[str, float] = defaultdict(float)
        for page in pages:
            for code, score in page.items():
                sums[code] += score
        averages = {code: round(total / len(pages), _DIGITS) for code, total in sums.items()}
        ranked = sorted(
            ((score, code) for code, score in averages.items() if score > _MIN_AVERAGE),
            key=lambda item: (-item[0], item[1]),
        )
        doc.metadata["full_doc_lid"], doc.metadata["full_doc_lid_score"] = _best(full)
        doc.metadata["page_average_lid"], doc.metadata["page_average_lid_score"] = _best(
            {code: score for score, code in ranked}
        )
        doc.metadata["per_page_languages"] = [_best(page)[0] for page in pages]
        doc.metadata[SCORES_COLUMN] = [f"{code} {score}" for score, code in ranked]

    def scores(self, text: str) -> Mapping[str, float]:
        """Return score by language, the best first; none for a text that is "unknown"."""
        line = _prepared(text[:_PAGE_CHARS])
        letters = len(_NO_LETTERS.sub("", line).encode("utf-8", "replace"))
        printed = len(line.replace(" ", "").encode("utf-8", "replace"))
        if letters < _MIN_LETTER_BYTES or letters < _MIN_LETTER_RATIO * printed:
            return {}
        # fastText refuses a lone surrogate; "?" is no letter of any language.
        labels, scores = self._predictor.predict(line.encode("utf-8", "replace").decode(), k=-1)
        found: dict[str, float] = {}
        for label, score in zip(labels, scores, strict=True):
            name = label.removeprefix(_LABEL)
            code = code_of(name)
            if code != name and score > _MIN_AVERAGE:
                code = in_script_of(code, line)
            found[code] = found.get(code, 0.0) + min(float(score), 1.0)
        return found

    @cached_property
    def _predictor(self) -> Any:
        import fasttext

        (path,) = self.assets()
        return fasttext.load_model(path)


def _prepared(text: str) -> str:
    if _PRESENTATION.search(text):
        text = unicodedata.normalize("NFKC", text)
    lines = text.split("\n")
    if "|" in text:
        lines = [line for line in lines if not is_table_row(line)]
    return " ".join(" ".join(lines).translate(_MARKUP).split())


def _best(scores: Mapping[str, float]) -> tuple[str, float]:
    code, score = next(iter(scores.items()), (UNKNOWN, 0.0))
    return code, round(score, _DIGITS)
