"""Texts made to harm: no step of the pipelines takes longer than their length warrants."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .hostile_files import TEXT
from .hostile_texts import TEXTS, Fate, load, slowest, text_of

SIZE = 20_000


@pytest.fixture(scope="module")
def fates() -> Mapping[str, Fate]:
    """Every step that reads text."""
    return load()


@pytest.mark.parametrize("name", TEXTS)
def test_every_step_reads_a_hostile_text_within_its_bound(
    fates: Mapping[str, Fate], name: str
) -> None:
    """CPU time by size: a search that is quadratic takes a hundred times as much."""
    seconds, step, _ = slowest(fates, text_of(name, SIZE))
    assert seconds <= TEXT.seconds * SIZE / 1e6, step
