"""Skip the extraction of pages whose raw text is surely in another language."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from ..document import Document
from ..errors import DefinitionError
from ..readers.charset import decode
from ..steps import Drop, Filter
from .language import LanguageFilter

# Half of the pages are let through for what their first paragraphs say, and need not be parsed.
_SURE = 0.5
_MIN_PARAGRAPH_CHARS = 40
_PARAGRAPHS_CHARS = 600
_MIN_PARAGRAPHS_CHARS = 200
_MAX_PARAGRAPHS = 200
_PARAGRAPH = re.compile(r"<p[ >](.{1,1500}?)(?=</?p[ >])", re.DOTALL | re.IGNORECASE)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1|<[^>]*>", re.DOTALL | re.IGNORECASE)
_MIN_TEXT_CHARS = 50
# A page's language shows early. In a tag of n attributes the parser compares all with all: within
# this, 20 seconds at the worst.
_MAX_BYTES = 256 << 10


@dataclass(frozen=True)
class LanguageGate(Filter):
    """Drop pages, before extraction, whose whole text is far from the wanted languages.

    The text of the page, menus included, is cheap to have. It is judged in a few places; the best
    score counts. First paragraphs that are surely in a wanted language let a page through before
    that. Set `min_score` far below what the filter after extraction asks for: of 3,000 real pages,
    1,840 of them English by that filter, 0.03 skips 83 % of the others and one of the English
    (`benchmarks/language_gate.py`), a German page whose only extracted text is a calendar.

        other_language: no place scores `min_score` for a wanted language.

    Args:
        languages: labels of the model.
        min_score: least score, 0 to 1, that some place must have.
        model: path of a fastText model; "" for the packaged lid.176.ftz.
        num_windows: how many places of the text, evenly spread, are judged.
        window_chars: characters of each.
    """

    name = "language_gate"
    reasons = ("other_language",)
    version = 3
    libraries = ("fasttext-predict", "resiliparse")

    languages: tuple[str, ...] = ("en",)
    min_score: float = 0.03
    model: str = field(default="", metadata={"fingerprint": False})  # its SHA-256 is: see assets
    num_windows: int = 3
    window_chars: int = 1_000

    def __post_init__(self) -> None:
        if self.num_windows < 1 or self.window_chars < 1:
            raise DefinitionError("LanguageGate: num_windows and window_chars must be 1 or more.")
        if not self.languages:
            raise DefinitionError("LanguageGate: name the wanted languages, such as ('en',).")
        self._filter  # noqa: B018 - checks the other values

    @cached_property
    def _filter(self) -> LanguageFilter:
        return LanguageFilter(self.languages, self.min_score, self.model)

    def assets(self) -> tuple[str, ...]:
        return self._filter.assets()

    def setup(self) -> None:
        self._filter.setup()

    def reject(self, doc: Document) -> Drop | None:
        from resiliparse.extract.html2text import extract_plain_text

        charset = doc.metadata.get("charset") or "utf-8"
        page = decode((doc.payload or b"")[:_MAX_BYTES], charset)
        if self._best(_paragraphs(page)) >= max(self.min_score, _SURE):
            return None
        text = extract_plain_text(
            page, preserve_formatting=False, list_bullets=False, alt_texts=False, noscript=True
        )
        if len(text) < _MIN_TEXT_CHARS:
            return None  # nothing to judge: scripts may hold it, and extraction may find it
        best = 0.0
        for number in range(self.num_windows):
            start = len(text) * number // self.num_windows
            best = max(best, self._best(text[start : start + self.window_chars]))
            if best >= self.min_score:
                return None
        return Drop("other_language", best, self.min_score)

    def _best(self, text: str) -> float:
        scores = self._filter.scores(text) if text else {}
        return max(scores.get(language, 0.0) for language in self.languages)


def _paragraphs(page: str) -> str:
    """Return the text of the first long paragraphs; none where they are few."""
    found: list[str] = []
    num_chars = 0
    for paragraph in islice(_PARAGRAPH.finditer(page), _MAX_PARAGRAPHS):
        text = _MARKUP.sub(" ", paragraph[1])
        if len(text) >= _MIN_PARAGRAPH_CHARS:
            found.append(text)
            num_chars += len(text)
            if num_chars >= _PARAGRAPHS_CHARS:
                break
    return " ".join(found)[:_PARAGRAPHS_CHARS] if num_chars >= _MIN_PARAGRAPHS_CHARS else ""
