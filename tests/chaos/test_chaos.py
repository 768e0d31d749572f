"""Some rounds of chaos, the same ones every time: all that ever failed, and a few more."""

from __future__ import annotations

from pathlib import Path

import pytest

from .rounds import Chaos

# Kind, seed, number. Others are tried by hand: python -m tests.chaos.
ROUNDS = [line.split() for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()]


@pytest.mark.chaos
@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in ROUNDS}))
def test_a_disturbed_run_ends_as_an_undisturbed_one(kind: str, tmp_path: Path) -> None:
    """Whatever was killed, stopped or full, or failed in the store: the same bytes."""
    with Chaos(kind, tmp_path) as chaos:
        for of, seed, number in ROUNDS:
            if of == kind:
                result = chaos.round(int(seed), int(number))
                story = "\n".join(result.story)
                assert not result.broken, f"{result.name}\n{story}\n{result.broken}"
