"""Tesseract, where it is installed: a program called once per page."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DefinitionError, DocumentError
from .engine import Reading
from .layout import join

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Tesseract's names follow ISO 639-2/T, but for these. Both ISO 639-1 codes and those of other
# lists of languages (ISO 639-3 of a member where 639-2 has the group) are understood.
_NAMES = {
    "af": "afr", "ar": "ara", "arb": "ara", "az": "aze", "azj": "aze", "be": "bel", "bg": "bul",
    "bn": "ben", "bs": "bos", "ca": "cat", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu",
    "el": "ell", "en": "eng", "eo": "epo", "es": "spa", "et": "est", "ekk": "est", "eu": "eus",
    "fa": "fas", "pes": "fas", "fi": "fin", "fr": "fra", "ga": "gle", "gl": "glg", "gu": "guj",
    "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "hy": "hye", "id": "ind", "is": "isl",
    "it": "ita", "ja": "jpn", "ka": "kat", "kk": "kaz", "km": "khm", "kn": "kan", "ko": "kor",
    "la": "lat", "lo": "lao", "lt": "lit", "lv": "lav", "lvs": "lav", "mk": "mkd", "ml": "mal",
    "mn": "mon", "khk": "mon", "mr": "mar", "ms": "msa", "zsm": "msa", "mt": "mlt", "my": "mya",
    "nb": "nor", "nob": "nor", "nno": "nor", "no": "nor", "ne": "nep", "npi": "nep", "nl": "nld",
    "or": "ori", "ory": "ori", "pa": "pan", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sa": "san", "si": "sin", "sk": "slk", "sl": "slv", "sq": "sqi", "als": "sqi", "sr": "srp",
    "sv": "swe", "sw": "swa", "swh": "swa", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
    "tr": "tur", "uk": "ukr", "ur": "urd", "uz": "uzb", "uzn": "uzb", "vi": "vie", "yi": "yid",
    "ydd": "yid", "zh": "chi_sim", "zho": "chi_sim", "cmn": "chi_sim",
}  # fmt: skip
_WITH_SCRIPT = {
    ("chi_sim", "Hant"): "chi_tra", ("srp", "Latn"): "srp_latn", ("aze", "Cyrl"): "aze_cyrl",
    ("uzb", "Cyrl"): "uzb_cyrl",
}  # fmt: skip
_OWN = {*_NAMES.values(), *_WITH_SCRIPT.values()}
_DEFAULT = "eng"
# Columns are found, and the resolution is what we say.
_OPTIONS = ("--psm", "3", "--dpi")
_PAGE, _BLOCK, _PARAGRAPH, _LINE = "page_num", "block_num", "par_num", "line_num"


def model_name(language: str) -> str:
    """Return Tesseract's name of a language such as "en", "deu" or "cmn_Hant"; its own stay."""
    if language in _OWN:
        return language
    code, _, script = language.partition("_")
    name = _NAMES.get(code, code)
    return _WITH_SCRIPT.get((name, script), name)


def models_for(languages: Iterable[str]) -> tuple[Path, ...]:
    """Return the files of the models for these languages, in this order; English when none.

    Raises:
        DefinitionError: one is not installed; the message names its package.
    """
    folder, installed = _installed(_program())
    names = list(dict.fromkeys(map(model_name, languages))) or [_DEFAULT]
    for name in names:
        if name not in installed:
            raise DefinitionError(
                f"ocr: tesseract has no model {name!r} in {folder}. There are:"
                f" {', '.join(sorted(installed))}.\nOn Debian and Ubuntu run: apt-get install"
                f" tesseract-ocr-{name.replace('_', '-')}"
            )
    return tuple(folder / f"{name}.traineddata" for name in names)


def version() -> str:
    """Return the version of the program."""
    return _said(_program(), "--version").split()[1]


def _program() -> str:
    return shutil.which("tesseract") or "tesseract"


@cache
def _installed(program: str) -> tuple[Path, frozenset[str]]:
    first, *names = _said(program, "--list-langs").splitlines()
    folder = first[first.index('"') + 1 : first.rindex('"')] if first.count('"') > 1 else ""
    return Path(folder), frozenset(name.strip() for name in names)


@cache
def _said(program: str, option: str) -> str:
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DefinitionError(f"ocr: `{program} {option}` does not work: {error}") from None
    return done.stdout or done.stderr


@dataclass(frozen=True)
class TesseractEngine:
    """Calls the program with one thread, and takes its paragraphs.

    Args:
        languages: as in models_for.
        timeout_s: CPU seconds for one page.
    """

    languages: tuple[str, ...]
    timeout_s: float

    def warm_up(self) -> None:
        """See that the models are there."""
        models_for(self.languages)

    def read(self, image: NDArray[np.uint8], dpi: float) -> Reading:
        """Return the text of a page.

        Raises:
            DocumentError: `engine_failed`.
        """
        names = "+".join(path.stem for path in models_for(self.languages))
        height, width, _ = image.shape
        done = subprocess.run(
            [_program(), "stdin", "stdout", "-l", names, *_OPTIONS, str(round(dpi)), "tsv"],
            input=b"P6\n%d %d\n255\n" % (width, height) + image.tobytes(),
            capture_output=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
            preexec_fn=self._limit,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            message = f"tesseract ended with {done.returncode}: {' '.join(said)}"
            raise DocumentError("engine_failed", message[:500])
        return _reading(done.stdout.decode("utf-8", "replace"))

    def _limit(self) -> None:
        seconds = int(self.timeout_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _reading(tsv: str) -> Reading:
    """Put the words of Tesseract's table into lines and paragraphs."""
    paragraphs: dict[tuple[str, ...], dict[str, list[str]]] = {}
    confidence = chars = 0.0
    for row in csv.DictReader(tsv.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        word = (row["text"] or "").strip()
        if not word:
            continue
        confidence += len(word) * float(row["conf"]) / 100
        chars += len(word)
        lines = paragraphs.setdefault((row[_PAGE], row[_BLOCK], row[_PARAGRAPH]), {})
        lines.setdefault(row[_LINE], []).append(word)
    texts = []
    for lines in paragraphs.values():
        text = ""
        for words in lines.values():
            line = ""
            for word in words:
                line = join(line, word)
            text = join(text, line)
        texts.append(text)
    return Reading("\n\n".join(texts), confidence / chars if chars else 1.0)
