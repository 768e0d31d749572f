"""Some chaos, and every round that ever failed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .rounds import KINDS, Chaos

SEEDS = [line.split() for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()]
_SECONDS = 30.0
_LEAST_ROUNDS = 2


@pytest.mark.chaos
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_disturbed_run_ends_as_an_undisturbed_one(kind: str, tmp_path: Path) -> None:
    """Whatever was killed, stopped or full: the same bytes, a ledger that balances."""
    seed = int(time.time())
    failed = [(int(seed), int(number)) for name, seed, number in SEEDS if name == kind]
    with Chaos(kind, tmp_path) as chaos:
        deadline = time.monotonic() + _SECONDS
        number = 0
        for was_seed, was_number in failed:
            _check(chaos, was_seed, was_number)
        while time.monotonic() < deadline or number < _LEAST_ROUNDS:
            _check(chaos, seed, number)
            number += 1


def _check(chaos: Chaos, seed: int, number: int) -> None:
    result = chaos.round(seed, number)
    story = "\n".join(result.story)
    assert not result.broken, f"{result.name} (add it to seeds.txt)\n{story}\n{result.broken}"
