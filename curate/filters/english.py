"""What the filters that look at the words of English text have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from .. import words
from ..document import Document
from ..errors import DefinitionError
from ..steps import Filter


@dataclass(frozen=True)
class EnglishFilter(Filter):
    """A filter on the words of English text.

    Attributes:
        rules: "current" decides as datatrove 0.10 does; "v1" as datatrove 0.2.0 did when FineWeb
            was launched, and needs `pip install 'curate[v1]'`.
    """

    rules: words.WordRules = field(default="current", kw_only=True)

    def __post_init__(self) -> None:
        words.check_rules(self.rules, type(self).__name__)

    def assets(self) -> tuple[str, ...]:
        return (str(words.RULES_FILE),)

    def library_versions(self) -> Mapping[str, str]:
        libraries = words.V1_LIBRARIES if self.rules == "v1" else ()
        return {library: metadata.version(library) for library in libraries}

    def setup(self) -> None:
        words.load(self.rules)

    def words_of(self, doc: Document) -> words.Words:
        """Return the words of the document, shared with the filter before."""
        return words.analyse(doc.text, self.rules)

    def check_range(self, lowest: float, highest: float, *names: str) -> None:
        """Raise DefinitionError unless each field named is a number in range, or None."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and lowest <= value <= highest):
                raise DefinitionError(
                    f"{type(self).__name__}: {name}={value!r} is out of range. "
                    f"Allowed: {lowest:g} to {highest:g}, or None to switch the rule off."
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
