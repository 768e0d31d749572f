"""Mend text whose bytes were decoded wrongly somewhere on its way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..steps import Formatter

# ASCII without control characters, carriage returns and entities: most pages of English.
_UNCHANGED = re.compile(r"[\n\t -%'-~]*")


@dataclass(frozen=True)
class FtfyFormatter(Formatter):
    """Apply ftfy with the settings of FinePDFs: mojibake, control characters, line ends.

    Ligatures, full-width characters and curly quotes stay, and nothing is normalised (no NFC).
    """

    name = "ftfy"
    libraries = ("ftfy",)

    def setup(self) -> None:
        self._config  # noqa: B018 - imports ftfy

    def format(self, text: str) -> str:
        import ftfy

        if _UNCHANGED.fullmatch(text):
            return text
        return str(ftfy.fix_text(text, self._config))

    @cached_property
    def _config(self) -> Any:
        import ftfy

        return ftfy.TextFixerConfig(
            unescape_html="auto",
            remove_terminal_escapes=True,
            fix_encoding=True,
            restore_byte_a0=True,
            replace_lossy_sequences=True,
            decode_inconsistent_utf8=True,
            fix_c1_controls=True,
            fix_latin_ligatures=False,
            fix_character_width=False,
            uncurl_quotes=False,
            fix_line_breaks=True,
            fix_surrogates=True,
            remove_control_chars=True,
            normalization=None,
        )
