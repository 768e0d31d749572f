"""What a run is asked to keep for later questions, beside its output: `<out>/options.json`.

Workers read it there, on whatever machine. None of it changes what is published.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..storage import exists, join, read_json, remove, write_json
from .measure import EVERY

SAMPLES = 50


@dataclass(frozen=True, slots=True)
class Options:
    """What is kept.

    Attributes:
        annotate: measure every document with every filter of its stage, not one in a few.
        keep_dropped_text: keep the text of every dropped document, not of a few per reason.
    """

    annotate: bool = False
    keep_dropped_text: bool = False

    @property
    def every(self) -> int:
        """Of how many documents one is measured."""
        return 1 if self.annotate else EVERY


def write_options(out: str, options: Options) -> None:
    """Tell the workers of a run; units that are done stay as they are."""
    path = join(out, "options.json")
    if options != Options():
        write_json(path, asdict(options))
    elif exists(path):
        remove(path)


def read_options(out: str) -> Options:
    """Read what a run was asked to keep."""
    path = join(out, "options.json")
    return Options(**read_json(path)) if exists(path) else Options()
