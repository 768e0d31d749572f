"""Which documents may lie wholly inside a larger one: candidates for `measure="containment"`.

A document inside a larger one shares few buckets with it: their Jaccard similarity is small. So
one in `SAMPLE` of each document's shingles is kept, chosen by hash, the same ones in every document
(Broder 1997, section 4; FracMinHash: Irber et al. 2022). A document asks by the `ASKS` smallest of
them for the largest documents that have these too; one that answers as often as a document would
that contains the asked share of it, is a candidate. The proof is left to `verify`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Reader
from .signatures import SignatureStage, digest_of, range_units, same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..task import Work

SAMPLE = 16  # a page of 100 words has 6 sampled shingles, one of 30 words none once in seven times
ASKS = 16
ANSWERS = 4  # documents that a shingle names: the largest that have it
_DEVIATIONS = 2  # answers fewer than expected, in standard deviations, that still make a candidate
_BYTES_PER_PART = 80  # peak memory of `claims`, its arguments included, if half of them are shared
_BYTES_PER_CLAIM = 64  # and of `candidates`


def sampled(shingles: NDArray[np.uint64], group: int = 0) -> NDArray[np.uint64]:
    """Return the sampled shingles of a document, sorted; the lowest bit is set where it asks.

    Args:
        shingles: sorted and distinct hashes.
        group: hash of what the document is compared within; others share no sampled shingle.
    """
    import numpy as np

    # The finaliser of splitmix64 makes of any 64-bit hash a uniform one, and is reversible.
    mixed = shingles ^ np.uint64(group)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    found = np.sort(mixed[mixed % np.uint64(SAMPLE) == 0])
    found[:ASKS] |= np.uint64(1)
    return found


def claims(parts: NDArray[Any], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which larger documents answer whom: int64 of shape (m, 2), the asking one first.

    Args:
        parts: rows of arrays.PARTS, in any order.
        documents: the ordinal of each row's document.
    """
    import numpy as np

    keys = parts["key"] >> np.uint64(1)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    alike = np.zeros(len(keys), dtype=bool)
    np.equal(keys[1:], keys[:-1], out=alike[1:])
    alike[:-1] |= alike[1:]
    # Nearly all shingles are in one document only.
    order, keys = order[alike], keys[alike]
    among = parts[order]
    size = among["size"].astype(np.uint64) << np.uint64(32) | among["tie"]
    by_size = np.lexsort((~size, keys))
    order, keys, size, among = order[by_size], keys[by_size], size[by_size], among[by_size]
    places = np.arange(len(order))
    new_key = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    new_size = np.append(True, size[1:] != size[:-1])[: len(keys)] | new_key
    start = np.maximum.accumulate(np.where(new_key, places, 0))
    # Documents of equal size and tie have one rank: no order among them counts.
    rank = np.maximum.accumulate(np.where(new_size, places, 0)) - start
    ordinals = documents[order]
    asking = np.flatnonzero(among["key"] & np.uint64(1))
    found = [np.empty((0, 2), np.int64)]
    at = 0
    while len(asking := asking[rank[asking] > at]):
        answering = start[asking] + at
        asking, answering = (one[rank[answering] < ANSWERS] for one in (asking, answering))
        found.append(np.column_stack((ordinals[asking], ordinals[answering])))
        at += 1
    return np.concatenate(found)


def least_answers(asked: int, share: float) -> int:
    """Return how many of `asked` shingles a document that contains `share` of another answers."""
    expected = asked * share
    return max(1, ceil(expected - _DEVIATIONS * sqrt(expected * (1 - share)) - 1e-9))


def candidates(
    claims: NDArray[np.int64], asked: NDArray[np.uint8], share: float
) -> NDArray[np.int64]:
    """Return the claims that are made often enough, each once and sorted.

    Args:
        claims: rows as from `claims`, the asking document counted from 0.
        asked: by how many shingles each document asks.
        share: of the asking document, that the other must contain.
    """
    import numpy as np

    ordered = claims[np.lexsort((claims[:, 1], claims[:, 0]))]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1)))
    starts = starts[: len(ordered)]
    counts = np.diff(starts, append=len(ordered))
    least = np.array([least_answers(number, share) for number in range(ASKS + 1)])
    found = ordered[starts]
    return found[counts >= least[asked[found[:, 0]]]]


@dataclass(frozen=True)
class PartsStage(WholeStage):
    """Per range of sampled shingles: which larger documents answer whom."""

    name: str
    signatures: SignatureStage
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures."""
        return (self.signatures,)

    def identity(self) -> Mapping[str, Any]:
        """The version."""
        return {"version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the shingles into as many ranges as half a worker's memory asks for."""
        manifests = list(sources[0])
        total = sum(manifest.files["parts"].rows for manifest in manifests)
        memory = int(self.resources.memory_gb * (1 << 29))
        return range_units(-(-total * _BYTES_PER_PART // memory), total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `claims`, sorted by the asking document, and `index`: where each range begins."""
        import numpy as np

        from . import arrays

        signatures = same(work.manifests(self.signatures), unit)
        bases = arrays.bases(signatures)
        spans = arrays.spans(work.out, signatures, "parts_index", unit)
        total = sum(last - first for first, last in spans)
        parts, documents = np.empty(total, arrays.PARTS), np.empty(total, np.int64)
        filled = 0
        for manifest, base, span in zip(signatures, bases.tolist(), spans, strict=False):
            part = arrays.read(work.out, manifest, "parts", arrays.PARTS, *span)
            place = slice(filled, filled + len(part))
            parts[place] = part
            np.add(part["row"], base, out=documents[place], casting="unsafe")
            filled += len(part)
        found = claims(parts, documents)
        del parts, documents
        found = found[np.argsort(found[:, 0], kind="stable")]
        bounds = arrays.prefix_bounds(int(bases[-1]))
        arrays.write(work, "claims", found)
        arrays.write(work, "index", np.searchsorted(found[:, 0], bounds).astype("<i8"))
        work.manifest.steps = [StepCounts(self.name, total)]
        work.manifest.entered = work.manifest.kept = total


@dataclass(frozen=True)
class ContainedStage(WholeStage):
    """Per range of documents: the larger ones that probably contain each."""

    name: str
    signatures: SignatureStage
    parts: PartsStage
    share: float
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The signatures, for how many shingles each document asks by, and the answers."""
        return (self.signatures, self.parts)

    def identity(self) -> Mapping[str, Any]:
        """The share."""
        return {"share": self.share, "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the documents into as many ranges as half a worker's memory asks for."""
        manifests = [manifest for source in sources for manifest in source]
        total = sum(m.files["claims"].rows for m in manifests if "claims" in m.files)
        memory = int(self.resources.memory_gb * (1 << 29))
        return range_units(-(-total * _BYTES_PER_CLAIM // memory), total, digest_of(manifests))

    def process(self, unit: Unit, work: Work) -> None:
        """Write `pairs`: a document, and a larger one that probably contains it."""
        import numpy as np

        from . import arrays

        signatures, parts = work.manifests(self.signatures), work.manifests(self.parts)
        same([*signatures, *parts], unit)
        bases = arrays.bases(signatures)
        bounds = arrays.prefix_bounds(int(bases[-1]))
        low, high = int(bounds[unit.spec["first"]]), int(bounds[unit.spec["last"]])
        found = [np.empty((0, 2), np.int64)]
        for manifest, span in zip(parts, arrays.spans(work.out, parts, "index", unit), strict=True):
            found.append(arrays.read(work.out, manifest, "claims", arrays.PAIRS, *span))
        asked = [np.empty(0, np.uint8)]
        for manifest, base in zip(signatures, bases.tolist(), strict=False):
            first, last = max(low - base, 0), min(high - base, manifest.files["asked"].rows)
            asked.append(arrays.read(work.out, manifest, "asked", np.dtype("u1"), first, last))
        pairs = np.concatenate(found)
        del found
        pairs[:, 0] -= low
        kept = candidates(pairs, np.concatenate(asked), self.share)
        kept[:, 0] += low
        arrays.write(work, "pairs", kept)
        counts = StepCounts(self.name, high - low)
        work.manifest.steps = [counts]
        work.manifest.entered = work.manifest.kept = high - low
