"""Keep documents of the wanted languages, as a fastText model sees them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from ..assets import LID176
from ..document import Document
from ..errors import DefinitionError
from ..steps import Drop, Filter
from .fasttext_file import read_labels

_LABEL = "__label__"
_DOWNLOAD = "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.bin"


@dataclass(frozen=True)
class LanguageFilter(Filter):
    """Drop documents that are not in a wanted language, and set their language and its score.

    FineWeb keeps English above 0.65 (arXiv:2406.17557, section 3.3).

        other_language: no wanted language scores above `min_score`, and the best one is another.
        low_score: the best language is wanted, but does not score above `min_score`.

    The value of a drop is the score of the wanted language that came closest.

    DIFFERS: the packaged model is the compressed form of the model that FineWeb used. For that one
    give the path of lid.176.bin as `model`.

    Args:
        languages: labels of the model, such as "en" (lid.176) or "eng_Latn" (GlotLID); none for
            all of them.
        min_score: score to exceed; 0 to 1.
        model: path of a fastText model; "" for the packaged lid.176.ftz.
        rules: "v1" for those at FineWeb's launch, which deleted newlines and so glued words, and
            looked at the best language only; "current" puts a space and looks at all.
    """

    name = "language"
    reasons = ("other_language", "low_score")
    columns = {"language": "string", "language_score": "double"}
    libraries = ("fasttext-predict",)

    languages: tuple[str, ...] = ("en",)
    min_score: float = 0.65
    model: str = field(default="", metadata={"fingerprint": False})  # its SHA-256 is: see assets
    rules: Literal["current", "v1"] = "current"

    def __post_init__(self) -> None:
        if isinstance(self.languages, str):
            raise DefinitionError(
                f"LanguageFilter: languages is the string {self.languages!r}, but must be a tuple\n"
                f'Write ("{self.languages}",)'
            )
        if not 0 <= self.min_score <= 1:
            raise DefinitionError(
                f"LanguageFilter: min_score is {self.min_score}, but must be from 0 to 1"
            )
        if self.rules not in ("current", "v1"):
            raise DefinitionError(
                f'LanguageFilter: rules is {self.rules!r}, but must be "current" or "v1"'
            )

    def assets(self) -> tuple[str, ...]:
        path = Path(self.model) if self.model else LID176.locate()
        try:
            known = read_labels(path)
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            raise DefinitionError(
                f"LanguageFilter: the model {path} cannot be used: {problem}\n"
                f"Leave `model` out for the packaged one, or get {_DOWNLOAD}"
            ) from error
        for language in self.languages:
            if language not in known:
                raise DefinitionError(
                    f"LanguageFilter: {path.name} does not know the language {language!r}\n"
                    f"{_hint(language, known)}"
                )
        return (str(path),)

    def setup(self) -> None:
        self._predictor  # noqa: B018 - loads it

    def reject(self, doc: Document) -> Drop | None:
        scores = self.scores(doc.text)
        language, score = next(iter(scores.items()), ("", 0.0))
        doc.metadata["language"] = language
        doc.metadata["language_score"] = score
        wanted = self.languages or (language,)
        best = max(scores.get(label, 0.0) for label in wanted)
        is_wanted = language in wanted
        if best > self.min_score and (is_wanted or self.rules == "current"):
            return None
        return Drop("low_score" if is_wanted else "other_language", best, self.min_score)

    def scores(self, text: str) -> Mapping[str, float]:
        """Return score by language, the best first; those below 1e-5 are not among them."""
        line = text.replace("\n", "" if self.rules == "v1" else " ")
        # fastText refuses a lone surrogate; "?" is no letter of any language.
        line = line.encode("utf-8", "replace").decode()
        labels, scores = self._predictor.predict(line, k=-1)
        return {
            label.removeprefix(_LABEL): float(score)
            for label, score in zip(labels, scores, strict=True)
        }

    @cached_property
    def _predictor(self) -> Any:
        (path,) = self.assets()
        return load_model(path)


@lru_cache(maxsize=2)
def load_model(path: str) -> Any:
    """Load a fastText model, once for all steps of a worker that use it."""
    import fasttext

    return fasttext.load_model(path)


def _hint(language: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(language, known, n=3, cutoff=0.6)
    near = near or [label for label in known if label[:2] == language[:2].lower()][:3]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"It knows {len(known)}, such as {', '.join(known[:5])}"
