"""What `dedup.py` measured, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]


def show(result: Result) -> str:
    """Return the tables of the parts that were measured."""
    tables = {
        "signatures": _signatures,
        "end_to_end": _end_to_end,
        "clusters": _clusters,
        "caught": _caught,
        "families": _families,
        "gold": _gold,
        "scale": _scale,
    }
    parts = ("\n".join(tables[part](result[part])) for part in tables if part in result)
    return "\n\n".join(parts)


def _row(name: str, *cells: object) -> str:
    return f"{name:30}" + "".join(f"{_plain(cell):>12}" for cell in cells)


def _plain(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _spread(value: Result) -> Sequence[float]:
    return value["median"], value["low"], value["high"]


def _signatures(part: Result) -> Iterator[str]:
    yield f"Signatures: CPU ms per document, {part['documents']} documents"
    yield _row("", "median", "lowest", "highest", "+ shingles")
    for side, ms in part["ms_per_document"].items():
        own = ms["shingles"] >= 0.05
        yield _row(side, *_spread(ms), ms["shingles"] if own else "within")
    yield f"datatrove / curate: xxhash {part['ratio_xxhash']}, sha1 {part['ratio_sha1']}"
    for side, taken in part["long_text"].items():
        yield (
            f"a text of 1,000,000 words, {side}: {taken['peak_mb']:.0f} MB at most, "
            f"{taken['before_mb']:.0f} before it, {taken['seconds']:.1f} s"
        )


def _end_to_end(part: Result) -> Iterator[str]:
    yield f"End to end: {part['documents']} documents, one worker, xxhash"
    yield _row("", "docs/core s", "lowest", "highest", "seconds", "peak MB", "removed")
    names = ("curate", "datatrove", "datasketch", "rensa", "curate_verify", "curate_contained")
    for side in names:
        taken = part[side]
        cells = taken["seconds"]["median"], taken["peak_mb"], taken["removed"]
        yield _row(side, *_spread(taken["documents_per_core_second"]), *cells)
    yield (
        f"curate / datatrove: {part['ratio']}, / datasketch: {part['ratio_datasketch']}, / rensa: "
        f"{part['ratio_rensa']}; verify takes {part['verify_costs']} times as long,"
        f" by containment {part['containment_costs']}"
    )
    found = part["found"]
    yield (
        f"clusters: {found['clusters']['curate']} by curate, {found['clusters']['datatrove']} by "
        f"datatrove, {found['clusters']['both']} the same; of texts too short for a shingle: "
        f"{found['clusters_of_short_texts']['curate']} by curate (compared as a whole), "
        f"{found['clusters_of_short_texts']['datatrove']} by datatrove; pairs in buckets "
        + ("and clusters are equal" if found["equal"] else "or clusters DIFFER")
    )
    for measure, sides in part["quality"].items():
        truth = f"exact {measure.replace('_', ' ')} >= 0.8"
        yield f"\nAgainst {truth}: {sides['curate']['true_pairs']} pairs"
        yield from _judged(sides)


def _judged(sides: Result) -> Iterator[str]:
    heads = ("pairs", "precision", "recall", "removed", "of them so", "left")
    found_pairs = {side: found for side, found in sides.items() if "found_pairs" in found}
    if found_pairs:
        yield _row("found: sharing a bucket", *heads[:3])
    for side, found in found_pairs.items():
        yield _row(side, *(found[f"found_{key}"] for key in heads[:3]))
    yield _row("and so in one cluster", *heads)
    for side, found in sides.items():
        keys = ("pairs", "precision", "recall", "removed", "removed_precision")
        yield _row(side, *(found[key] for key in keys), found["similar_pairs_left"])


def _clusters(part: Result) -> Iterator[str]:
    yield f"Clusters alone: {part['documents']:,} documents, {part['pairs']:,} pairs"
    yield _row("", "CPU s", "lowest", "highest", "peak MB", "before", "removed")
    for side in ("curate", "datatrove"):
        taken = part[side]
        cells = taken["peak_mb"], taken["before_mb"], taken["removed"]
        yield _row(side, *_spread(taken["cpu_seconds"]), *cells)
    yield f"datatrove / curate: {part['ratio']}"


def _caught(part: Result) -> Iterator[str]:
    yield "Pairs caught, of known Jaccard; expected: 1 - (1 - s^8)^14"
    first = next(iter(part.values()))
    peers = [name for name in ("datasketch", "rensa") if name in first]
    yield _row("similarity", "pairs", "measured", "expected", "low", "high", "within", *peers)
    for similarity, found in part.items():
        keys = ("pairs", "measured", "expected", "low", "high")
        within = found["low"] <= found["measured"] <= found["high"]
        cells = [found[key] for key in keys] + ["yes" if within else "NO"]
        yield _row(similarity, *cells, *(found[peer] for peer in peers))


def _families(part: Result) -> Iterator[str]:
    yield f"Families, among {part['documents']:,} documents: groups of which one text is left"
    modes = part["modes"]
    yield _row("", "groups", "could be", *modes)
    for kind, expected in part["expected"].items():
        found = [mode["groups"][kind]["together"] for mode in modes.values()]
        groups = next(iter(modes.values()))["groups"][kind]["groups"]
        yield _row(kind, groups, expected, *found)
    for name in ("removed", "jaccard_proven", "containment_proven", "cpu_seconds", "peak_mb"):
        yield _row(name.replace("_", " "), "", "", *(mode[name] for mode in modes.values()))


def _gold(part: Result) -> Iterator[str]:
    for name, found in part.items():
        if name != "clough_stevenson":
            sides = {side: value for side, value in found.items() if isinstance(value, Mapping)}
            true = sides["curate"]["true_pairs"]
            yield f"{name}: {true} true pairs, the least similar {found['lowest_similarity']}"
            yield from _judged(sides)
            yield ""
    yield "clough_stevenson: answers that fall together with the text they copied"
    rows = part["clough_stevenson"]
    heads = list(next(iter(rows.values())))
    yield _row("", *(head.removesuffix("_similarity")[:11] for head in heads))
    for kind, cells in rows.items():
        yield _row(kind, *cells.values())


def _scale(part: Result) -> Iterator[str]:
    yield f"Made signatures of {part['documents']:,} documents, one worker"
    yield _row("", "seconds", "CPU s", "peak MB", "disk MB", "units")
    for size in ("a_tenth", "stages"):
        for stage, taken in part[size].items():
            keys = ("seconds", "cpu_seconds", "peak_mb", "disk_mb", "units")
            name = f"a tenth: {stage}" if size == "a_tenth" else stage
            yield _row(name[:30], *(taken[key] for key in keys))
    far = part["extrapolated"]
    yield (
        f"extrapolated to {far['documents']:,}: buckets {far['buckets_cpu_hours']} core hours, "
        f"{far['buckets_peak_mb']:.0f} MB a worker, clusters {far['clusters_cpu_hours']} core hours"
        f" and {far['clusters_peak_mb'] / 1024:.1f} GB, {far['disk_gb']} GB of disk"
    )
