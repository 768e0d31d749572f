"""Is curate's deduplication faster, smaller and at least as right as datatrove, datasketch, rensa?

    python benchmarks/dedup.py                                       on text that it makes
    python benchmarks/dedup.py --texts pages.jsonl --documents 20000
    python benchmarks/dedup.py --part families --pages pages.warc    and pages by three extractors
    python benchmarks/dedup.py --part gold --gold DIR                McCormick, Clough-Stevenson
    python benchmarks/dedup.py --part scale --documents 10000000     10 GB of disk in $TMPDIR

All sides get the same input in turn, round after round; figures are medians with the lowest and
the highest. datasketch and rensa have no shingles and no clusters; they are given ours
(`dedup_libraries.py`), at 14 bands of 8 hashes as the others. Times are CPU time, which other load
on the machine changes least. Linux only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
from dedup_caught import caught
from dedup_families import families
from dedup_gold import gold
from dedup_scale import BANDS, UNIT, sources
from dedup_sides import (
    HERE,
    PARAMS,
    VERIFY,
    Outcome,
    Used,
    bucket_pairs,
    judge,
    measured,
    run_curate,
    run_datatrove,
    run_library,
    run_peer,
    stage_seconds,
    write_input,
)
from dedup_tables import show
from dedup_texts import corpus, make_texts, read_texts, similar_pairs

from curate.dedup import arrays
from curate.dedup.minhash import evidence, shingles

_LIBRARIES = ("datasketch", "rensa")
_SIGNATURE_TEXTS = 1000
_DUMP = 200_000_000  # documents of a large dump after filtering
_MODULES = {
    "signatures": ("datatrove", "spacy", "datasketch", "rensa"),
    "end_to_end": ("datatrove", "spacy", "datasketch", "rensa"),
    "clusters": ("datatrove",),
    "gold": ("datatrove", "spacy"),
}


def spread(values: Sequence[float]) -> dict[str, float]:
    rounded = {"median": median(values), "low": min(values), "high": max(values)}
    return {name: round(value, 3) for name, value in rounded.items()}


def signatures(texts: Sequence[str], rounds: int, folder: Path) -> dict[str, Any]:
    """Time the signatures of each side, and the memory for one very long text."""
    path = folder / "signatures.jsonl"
    with path.open("w") as lines:
        lines.writelines(json.dumps({"text": text}) + "\n" for text in texts[:_SIGNATURE_TEXTS])
    sides = [f"{side}-{name}" for name in ("xxhash", "sha1") for side in ("curate", "datatrove")]
    sides += ["datasketch", "rensa"]
    times: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            times[side].append(run_peer("signatures", side, str(path)))
    ms = {
        side: {
            **spread([run["ms"] for run in runs]),
            "shingles": round(median(run["ms_shingles"] for run in runs), 3),
        }
        for side, runs in times.items()
    }
    memory = {side: run_peer("long-text", side) for side in ("curate", "datatrove-xxhash")}
    return {
        "documents": min(len(texts), _SIGNATURE_TEXTS),
        "ms_per_document": ms,
        "ratio_xxhash": _ratio(ms, "xxhash"),
        "ratio_sha1": _ratio(ms, "sha1"),
        "long_text": memory,
    }


def _ratio(ms: Mapping[str, Mapping[str, float]], hash_name: str) -> float:
    ours, peer = ms[f"curate-{hash_name}"]["median"], ms[f"datatrove-{hash_name}"]["median"]
    return round(peer / ours, 2)


def end_to_end(texts: Sequence[str], rounds: int, folder: Path) -> dict[str, Any]:
    """Deduplicate with each side; compare what they took, what they found and what is true.

    What is known after a round is said on stderr: all of them may take an hour.
    """
    write_input(folder, texts)
    modes = {"curate": (0.0, "jaccard"), "curate_verify": (VERIFY, "jaccard")}
    modes["curate_contained"] = (VERIFY, "containment")
    names = ("curate", *_LIBRARIES, "curate_verify", "curate_contained", "datatrove")
    used: dict[str, list[Used]] = {name: [] for name in names}
    outcomes: dict[str, Outcome] = {}
    stages: dict[str, dict[str, float]] = {}
    found: dict[str, Any] = {}
    result: dict[str, Any] = {}
    for turn in range(rounds):
        for name in names:
            run = f"{name}-{turn}"
            if name == "datatrove":
                outcomes[name], taken = run_datatrove(folder, run, len(texts))
            elif name in _LIBRARIES:
                outcomes[name], taken = run_library(folder, run, name)
            else:
                outcomes[name], taken, stages[name] = run_curate(
                    folder, run, len(texts), *modes[name]
                )
            used[name].append(taken)
            print(f"dedup: {run}: {taken}", file=sys.stderr)
            shutil.rmtree(folder / run)
        if not found:  # it is the same in every round
            outcomes["curate"] = replace(outcomes["curate"], pairs=bucket_pairs(texts))
            found["found"] = compare(texts, outcomes["curate"], outcomes["datatrove"])
            found["quality"] = quality(texts, outcomes)
        sides = {name: _side(len(texts), runs, outcomes[name]) for name, runs in used.items()}
        for name, seconds in stages.items():
            sides[name]["stage_seconds"] = seconds
        result = {"documents": len(texts), **sides, **_costs(sides), **found}
        print(json.dumps(result), file=sys.stderr)
    return result


def _side(documents: int, runs: Sequence[Used], outcome: Outcome) -> dict[str, Any]:
    return {
        "documents_per_core_second": spread([documents / run.cpu_seconds for run in runs]),
        "seconds": spread([run.seconds for run in runs]),
        "cpu_seconds": spread([run.cpu_seconds for run in runs]),
        "peak_mb": round(max(run.peak_mb for run in runs)),
        "removed": len(outcome.removed),
    }


def _costs(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return how many times the documents of each other side curate does in a second."""
    per_second = {name: side["documents_per_core_second"]["median"] for name, side in sides.items()}
    names = {
        "ratio": "datatrove",
        **{f"ratio_{name}": name for name in _LIBRARIES},
        "verify_costs": "curate_verify",
        "containment_costs": "curate_contained",
    }
    return {key: round(per_second["curate"] / per_second[name], 2) for key, name in names.items()}


def compare(texts: Sequence[str], ours: Outcome, peer: Outcome) -> dict[str, Any]:
    """Compare pairs and clusters; those of texts too short for a shingle only curate has."""
    has_shingles = np.array([len(shingles(text, PARAMS)) > 0 for text in texts])
    mine, theirs = set(ours.clusters(has_shingles)), set(peer.clusters(has_shingles))
    pairs = {(low, high) for low, high in ours.pairs or () if has_shingles[[low, high]].all()}
    return {
        "equal": mine == theirs and pairs == peer.pairs,
        "pairs": {"curate": len(pairs), "datatrove": len(peer.pairs or ())},
        "clusters": {"curate": len(mine), "datatrove": len(theirs), "both": len(mine & theirs)},
        "only_curate": sorted(mine - theirs)[:5],
        "only_datatrove": sorted(theirs - mine)[:5],
        "clusters_of_short_texts": {
            "curate": len(ours.clusters(~has_shingles)),
            "datatrove": len(peer.clusters(~has_shingles)),
        },
    }


def quality(texts: Sequence[str], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Judge by exact Jaccard: of the shingles that MinHash sees, and of those with numbers left."""
    judged = {}
    with_numbers = [evidence(text, PARAMS) for text in texts]
    seen = [shingles(text, PARAMS) for text in texts]
    normalised = [own if len(own) else whole for own, whole in zip(seen, with_numbers, strict=True)]
    for name, sets in (("jaccard", normalised), ("jaccard_with_numbers", with_numbers)):
        truth = similar_pairs(sets, VERIFY)
        judged[name] = {
            side: judge(outcome, sets, truth, VERIFY) for side, outcome in outcomes.items()
        }
    return judged


def clusters(documents: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Time the cluster step alone, on the same pairs."""
    pairs = _write_pairs(documents, folder)
    runs: dict[str, list[dict[str, float]]] = {"curate": [], "datatrove": []}
    removed = {}
    for _ in range(rounds):
        for side, taken in runs.items():
            taken.append(run_peer("clusters", side, str(folder)))
            removed[side] = _removed(folder / side)
            shutil.rmtree(folder / side)
    sides: dict[str, dict[str, Any]] = {
        side: {
            "cpu_seconds": spread([run["cpu_seconds"] for run in taken]),
            "peak_mb": round(max(run["peak_mb"] for run in taken)),
            "before_mb": round(taken[0]["before_mb"]),
            "removed": removed[side],
        }
        for side, taken in runs.items()
    }
    ours, peer = (sides[side]["cpu_seconds"]["median"] for side in ("curate", "datatrove"))
    return {"documents": documents, "pairs": pairs, **sides, "ratio": round(peer / ours, 2)}


def _write_pairs(documents: int, folder: Path) -> int:
    """Write pairs as datatrove's buckets do, each band's in one file, and ranks."""
    (folder / "dups").mkdir()
    ordinals = np.arange(documents)
    made = sources(ordinals, documents)
    total = 0
    for band in range(BANDS):
        order = np.argsort(made[:, band], kind="stable")
        same = made[order[1:], band] == made[order[:-1], band]
        left, right = order[:-1][same], order[1:][same]
        rows = np.column_stack((left // UNIT, left % UNIT, right // UNIT, right % UNIT))
        rows.astype("<u4").tofile(folder / "dups" / f"{band:05d}_00.dups")
        total += len(rows)
    ranks = np.zeros(documents, arrays.RANKS)
    ranks["id"] = np.random.default_rng(1).integers(1 << 63, size=documents)
    ranks.tofile(folder / "ranks.bin")
    return total


def _removed(folder: Path) -> int:
    """Count the documents of clusters that are not kept, in the files of either side."""
    tables = [np.fromfile(path, "<i8").reshape(-1, 3) for path in folder.glob("*.members")]
    ours = sum(int((table[:, 0] != table[:, 1]).sum()) for table in tables)
    return ours + sum(path.stat().st_size // 4 for path in folder.glob("*.remove"))


def scale(documents: int, folder: Path) -> dict[str, Any]:
    """Bucket and cluster made signatures, of a tenth and of all; extrapolate from the two."""
    small, large = (_scale(total, folder / f"{total}") for total in (documents // 10, documents))
    growth = {
        name: (large[name]["peak_mb"] - small[name]["peak_mb"]) / (documents - documents // 10)
        for name in ("minhash_buckets", "minhash_clusters")
    }
    times = _DUMP / documents
    disk_mb = sum(stage["disk_mb"] for name, stage in large.items() if name != "made_documents")
    return {
        "documents": documents,
        "stages": large,
        "a_tenth": small,
        "extrapolated": {
            "documents": _DUMP,
            "buckets_cpu_hours": round(large["minhash_buckets"]["cpu_seconds"] * times / 3600, 2),
            "clusters_cpu_hours": round(large["minhash_clusters"]["cpu_seconds"] * times / 3600, 2),
            "buckets_peak_mb": large["minhash_buckets"]["peak_mb"],
            "clusters_peak_mb": round(
                large["minhash_clusters"]["peak_mb"]
                + max(0.0, growth["minhash_clusters"]) * (_DUMP - documents)
            ),
            "disk_gb": round(disk_mb * times / 1024),
        },
    }


def _scale(total: int, folder: Path) -> dict[str, dict[str, float]]:
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    for unit in range(-(-total // UNIT)):
        (seeds / f"{unit:06d}.seed").write_text("-\n")
    command = [
        *(sys.executable, "-m", "curate", "run", str(HERE / "dedup_scale.py")),
        *("-p", f"seeds={seeds}/*.seed", "-p", f"total={total}"),
        *("--out", str(folder / "out"), "--workers", "1", "--only"),
    ]
    result = {}
    for stage in ("made_documents", "made_signatures", "minhash_buckets", "minhash_clusters"):
        used = measured([*command, stage], folder / f"{stage}.log")
        files = [path for path in folder.glob(f"out/stages/{stage}-*/*") if path.is_file()]
        result[stage] = {
            **{name: round(value, 1) for name, value in asdict(used).items()},
            "units": sum(path.suffix == ".json" for path in files),
            "unit_seconds": stage_seconds(folder / "out")[stage],
            "disk_mb": round(sum(path.stat().st_size for path in files) / (1 << 20)),
        }
    shutil.rmtree(folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=Path, metavar="FILE.jsonl", help='lines with a key "text"')
    parser.add_argument(
        "--documents",
        type=int,
        metavar="N",
        help="how many [3,000]; of clusters [1,000,000] and scale [10,000,000] if chosen alone",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="[3]")
    parts = ("signatures", "end_to_end", "clusters", "caught", "families", "gold", "scale")
    parser.add_argument("--part", action="append", choices=parts, help="[all but gold and scale]")
    parser.add_argument("--pages", type=Path, metavar="WARC", help="pages to extract three times")
    parser.add_argument("--gold", type=Path, metavar="DIR", help="the folder of the gold sets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    chosen = args.part or list(parts[:5])
    if "gold" in chosen and not args.gold:
        parser.error("--part gold needs --gold DIR")
    needed = sorted({module for part in chosen for module in _MODULES.get(part, ())})
    missing = [module for module in needed if not find_spec(module)]
    if missing:
        names = ", ".join(missing)
        print(f"dedup: not installed: {names}. Run: pip install 'curate[bench]'", file=sys.stderr)
        return 2
    result = _measure(args, chosen)
    print(json.dumps(result, indent=2) if args.json else show(result))
    return 0


def _measure(args: argparse.Namespace, chosen: Sequence[str]) -> dict[str, Any]:
    random = Random(1)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="curate-dedup-") as name:
        home = Path(name)
        texts: list[str] = []
        count = args.documents or 3000
        of_one_part = args.documents if len(chosen) == 1 else None
        if {"signatures", "end_to_end", "caught", "families"} & set(chosen):
            texts = read_texts(args.texts) if args.texts else make_texts(min(count, 3000), random)
        for part in chosen:
            folder = home / part
            folder.mkdir()
            print(f"dedup: {part}", file=sys.stderr)
            if part == "signatures":
                result[part] = signatures(texts, args.rounds, folder)
            elif part == "end_to_end":
                found = end_to_end(corpus(texts, count, random), args.rounds, folder)
                result |= {"ratio_end_to_end": found["ratio"]}
                result |= {"equal_pairs": found["found"]["equal"], part: found}
            elif part == "clusters":
                result[part] = clusters(of_one_part or 1_000_000, args.rounds, folder)
                result["ratio_clusters"] = result[part]["ratio"]
            elif part == "caught":
                result[part] = caught(texts, random)
            elif part == "families":
                result[part] = families(texts, args.pages, folder)
            elif part == "gold":
                result[part] = gold(args.gold, folder)
            else:
                result[part] = scale(of_one_part or 10_000_000, folder)
    return result


if __name__ == "__main__":
    sys.exit(main())
