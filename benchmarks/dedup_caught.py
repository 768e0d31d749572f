"""How often pairs of known similarity share a bucket, for `dedup.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any

import numpy as np
from dedup_peers import shingle_strings, signing
from dedup_scale import BANDS
from dedup_sides import PARAMS
from dedup_texts import edit, jaccard

from curate.dedup.minhash import bucket_keys, shingles

SIMILARITIES = (0.6, 0.7, 0.75, 0.8, 0.9)

_TOLERANCE = 0.02
_PAIRS = 1000  # of each similarity
_CONFIDENCE = 0.999


def caught(texts: Sequence[str], random: Random) -> dict[str, Any]:
    """Measure the share of pairs of known similarity that share a bucket."""
    long = [text for text in texts if len(text.split()) >= 150]
    peers = {name: signing(name)[0] for name in ("datasketch", "rensa") if find_spec(name)}
    result = {}
    for similarity in SIMILARITIES:
        expected = 0.0
        pairs = 0
        hits = dict.fromkeys(("curate", *peers), 0)
        for text in random.sample(long, min(_PAIRS, len(long))):
            edited = edit(text, similarity, long, random)
            exact = jaccard(shingles(text, PARAMS), shingles(edited, PARAMS))
            if abs(exact - similarity) > _TOLERANCE:
                continue
            pairs += 1
            expected += PARAMS.caught(exact)
            keys = (bucket_keys(side, PARAMS) for side in (text, edited))
            hits["curate"] += bool(np.equal(*keys).all(axis=1).any())
            for name, sign in peers.items():
                hits[name] += _share_a_band(sign, text, edited)
        low, high = binomial_bounds(pairs, expected / max(1, pairs))
        shares = {name: round(count / max(1, pairs), 4) for name, count in hits.items()}
        result[f"{similarity}"] = {
            "pairs": pairs,
            "measured": shares.pop("curate"),
            "expected": round(expected / max(1, pairs), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            **shares,
        }
    return result


def _share_a_band(sign: Callable[[Any], Any], *texts: str) -> bool:
    bands = (np.asarray(sign(shingle_strings(text))).reshape(BANDS, -1) for text in texts)
    return bool(np.equal(*bands).all(axis=1).any())


def binomial_bounds(count: int, probability: float) -> tuple[float, float]:
    """Return between which shares the successes of `count` trials lie, at _CONFIDENCE."""
    outside = (1 - _CONFIDENCE) / 2
    odds = (math.log(probability), math.log1p(-probability)) if 0 < probability < 1 else (0.0, 0.0)
    below, low, high = 0.0, 0, count
    for successes in range(count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(successes + 1)
        ways -= math.lgamma(count - successes + 1)
        below += math.exp(ways + successes * odds[0] + (count - successes) * odds[1])
        if below < outside:
            low = successes + 1
        if below >= 1 - outside:
            high = successes
            break
    return low / max(1, count), high / max(1, count)
