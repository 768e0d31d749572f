"""Decide under which language a document is filed, and keep the languages that are wanted."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from ..document import Document
from ..errors import DefinitionError
from ..steps import Drop, Filter
from .languages import UNKNOWN, code_of, is_code, known_codes
from .page_language import SCORES_COLUMN

THRESHOLDS_FILE = Path(__file__).parents[1] / "data" / "language_thresholds.csv"

_NO_TEXT_IN_IT = "zxx_"
_DEFAULT = "default"


@dataclass(frozen=True)
class LanguageRouter(Filter):
    """File a document under the first of its languages that it surely holds; needs `PageLanguages`.

    Of its languages, by falling average over the pages, it is the first whose average is above the
    language's threshold: so a document of two languages is filed under one that is certain, and
    `per_page_languages` tells where the other is. A document whose first language is "zxx_...", no
    language, is filed as that; one in which no page has a language is filed as "unknown".

        below_threshold: no language is above its threshold; value and threshold of the first.
        not_wanted: filed under a language that is not among `languages`; value is its average.

    The thresholds come with their origin, precision and recall in data/language_thresholds.csv:
    those for lid.176 are fitted by benchmarks/lid.py in the way that FinePDFs' were.

    DIFFERS: a language without a threshold has a default; FinePDFs files any score under it.

    Args:
        languages: the languages to keep, such as ("eng_Latn", "deu_Latn"); none for all of them.
        model: whose scores these are.
        thresholds: language and threshold, in place of those of the table.
    """

    name = "language"
    reasons = ("below_threshold", "not_wanted")
    columns = {"language": "string"}

    languages: tuple[str, ...] = ()
    model: Literal["lid.176", "glotlid"] = "lid.176"
    thresholds: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.languages, str):
            raise DefinitionError(
                f"LanguageRouter: languages is the string {self.languages!r}, but must be a tuple\n"
                f'Write ("{self.languages}",)'
            )
        for language in (*self.languages, *(language for language, _ in self.thresholds)):
            if language != UNKNOWN and not is_code(language):
                known = code_of(language)
                raise DefinitionError(
                    f"LanguageRouter: {language!r} is no language with its script\n"
                    + (f'Write "{known}"' if known != language else 'Write it as "deu_Latn"')
                )
            if self.model == "lid.176" and language not in known_codes() | {UNKNOWN}:
                near = sorted(code for code in known_codes() if code[:3] == language[:3])
                raise DefinitionError(
                    f"LanguageRouter: lid.176 does not know the language {language!r}.\n"
                    + (f"It knows {', '.join(near)}." if near else "Or give lid=glotlid.")
                )
        for language, threshold in self.thresholds:
            if not 0 <= threshold <= 1:
                raise DefinitionError(
                    f"LanguageRouter: the threshold of {language} is {threshold}, but must be from"
                    " 0 to 1"
                )
        if self.model not in ("lid.176", "glotlid"):
            raise DefinitionError(
                f'LanguageRouter: model is {self.model!r}, but must be "lid.176" or "glotlid"'
            )

    def assets(self) -> tuple[str, ...]:
        return (str(THRESHOLDS_FILE),)

    def setup(self) -> None:
        self._thresholds  # noqa: B018 - reads them

    def reject(self, doc: Document) -> Drop | None:
        scores = doc.metadata.get(SCORES_COLUMN)
        if scores is None:
            raise DefinitionError(
                f"LanguageRouter: no step has set {SCORES_COLUMN}\nPut PageLanguages before it"
            )
        ranked = [(code, float(score)) for code, score in map(str.split, scores)]
        code, score = self._route(ranked)
        doc.metadata["language"] = code
        if not code:
            first, score = ranked[0]
            doc.metadata["language"] = first
            return Drop("below_threshold", score, self.threshold(first))
        if self.languages and code not in self.languages:
            return Drop("not_wanted", score)
        return None

    def threshold(self, language: str) -> float:
        """Return what a language's average must be above."""
        return self._thresholds.get(language, self._thresholds[_DEFAULT])

    def _route(self, ranked: list[tuple[str, float]]) -> tuple[str, float]:
        if not ranked:
            return UNKNOWN, 0.0
        if ranked[0][0].startswith(_NO_TEXT_IN_IT):
            return ranked[0]
        certain = (item for item in ranked if item[1] > self.threshold(item[0]))
        return next(certain, ("", 0.0))

    @cached_property
    def _thresholds(self) -> dict[str, float]:
        return {**_table()[self.model], **dict(self.thresholds)}


@cache
def _table() -> dict[str, dict[str, float]]:
    """Return the thresholds of each model."""
    table: dict[str, dict[str, float]] = {}
    with THRESHOLDS_FILE.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            table.setdefault(row["model"], {})[row["language"]] = float(row["threshold"])
    return table
