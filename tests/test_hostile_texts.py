"""Texts made to harm: no step of the pipelines takes longer than their length warrants."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .hostile_texts import TEXTS, Fate, growing, load


@pytest.fixture(scope="module")
def fates() -> Mapping[str, Fate]:
    """Every step that reads text."""
    return load()


@pytest.mark.parametrize("name", TEXTS)
def test_every_step_reads_a_hostile_text_in_linear_time(
    fates: Mapping[str, Fate], name: str
) -> None:
    """Their bound for a million characters is held by `python -m tests.hostile_table text`."""
    assert not growing(fates, name)
