"""What an engine is, which are installed here, and what it costs to lack one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from ..errors import DefinitionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["auto", "rapidocr", "tesseract", "endpoint"]
ENGINES: tuple[str, ...] = get_args(EngineName)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a local engine read on a page.

    Attributes:
        text: in reading order.
        confidence: mean of what the engine gave for each line or word, weighted by its length, what
            it was too unsure of to give as text included; 0 to 1.
    """

    text: str
    confidence: float


class Engine(Protocol):
    """Reads page images; made in the process that uses it."""

    def warm_up(self) -> None:
        """Load what pages need, so that no page pays for it."""
        ...

    def read(self, image: NDArray[np.uint8], dpi: float) -> Reading:
        """Return the text of a page.

        Args:
            image: (height, width, 3) RGB.
            dpi: resolution of the image.
        """
        ...


def is_installed(name: str) -> bool:
    """Tell whether a local engine can be used here, without loading it."""
    if name == "rapidocr":
        return all(find_spec(package) is not None for package in ("rapidocr", "onnxruntime"))
    return name == "tesseract" and shutil.which("tesseract") is not None


def resolve(name: str) -> str:
    """Return the engine that a name stands for here; "none" for "auto" where none is installed.

    Raises:
        DefinitionError: an engine asked for by name is not known or not installed.
    """
    if name not in ENGINES:
        raise DefinitionError(f"ocr: engine={name!r} is not known. Allowed: {', '.join(ENGINES)}.")
    if name == "auto":
        return next((local for local in ("rapidocr", "tesseract") if is_installed(local)), "none")
    if name == "rapidocr" and not is_installed(name):
        raise DefinitionError(
            "ocr: engine='rapidocr' is not installed.\nRun: pip install 'curate[ocr]'"
        )
    if name == "tesseract" and not is_installed(name):
        raise DefinitionError(
            "ocr: engine='tesseract': there is no program tesseract on PATH.\n"
            "On Debian and Ubuntu run: apt-get install tesseract-ocr"
        )
    return name
