"""The floors that extraction quality cannot silently fall below."""

from __future__ import annotations

import json

from .html_gold import FLOORS, scores


def test_every_kind_of_page_is_extracted_at_least_as_well_as_pinned() -> None:
    """`python -m tests.html_gold --raise` pins what became better."""
    floors = json.loads(FLOORS.read_text())
    found = scores()
    assert found.keys() == floors.keys()
    fallen = {kind: (value, floors[kind]) for kind, value in found.items() if value < floors[kind]}
    assert not fallen
