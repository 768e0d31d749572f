"""The sides of `dedup.py`, run as a user runs them, what they found and what it took."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dedup_peers import peak_mb
from dedup_texts import Set, jaccard
from numpy.typing import NDArray

from curate.dedup.minhash import MinHashParams, bucket_keys

HERE = Path(__file__).parent
PARAMS = MinHashParams()
VERIFY = 0.8
_SAMPLE_S = 0.05
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Used:
    """What a command and all processes that it started took.

    Attributes:
        seconds: from start to end.
        cpu_seconds: of all processes.
        peak_mb: memory of all processes together: proportional shares, sampled; or of the largest
            alone, by its own high-water mark, if that is more.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measured(command: Sequence[str], log: Path) -> Used:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; the message ends with the last lines of its output.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    threads = dict.fromkeys(names, "1")
    # Children that outlive their parent become ours, and so are counted too.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **threads}
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        process.wait()
    seconds = time.perf_counter() - start
    with suppress(ChildProcessError):
        while True:
            os.wait()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    sampler.ended.set()
    sampler.join()
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"dedup: {' '.join(command)} failed:\n{tail}")
    return Used(seconds, cpu, sampler.peak_mb)


class _Sampler(threading.Thread):
    """Watches the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.peak_mb = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(_SAMPLE_S):
            together = 0.0
            for pid in _tree(self._pid):
                try:
                    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                    self.peak_mb = max(self.peak_mb, peak_mb(pid))
                except OSError:  # it has ended
                    continue
                together += int(rollup.partition("\nPss:")[2].split()[0] if rollup else 0) / 1024
            self.peak_mb = max(self.peak_mb, together)


def _tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                continue
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of each document.

    Attributes:
        leaders: for each document the one that is kept in its place; itself if it is kept.
        pairs: documents that share a bucket; None where they were not asked for.
    """

    leaders: NDArray[np.int64]
    pairs: set[tuple[int, int]] | None = None

    def clusters(self, among: NDArray[np.bool_] | None = None) -> list[tuple[int, ...]]:
        """Return the clusters of two and more, sorted; of the documents `among` only."""
        members: dict[int, list[int]] = defaultdict(list)
        for number, leader in enumerate(self.leaders.tolist()):
            if among is None or among[number]:
                members[leader].append(number)
        return sorted(tuple(cluster) for cluster in members.values() if len(cluster) > 1)

    @property
    def removed(self) -> NDArray[np.int64]:
        """The documents that are not kept."""
        return np.flatnonzero(self.leaders != np.arange(len(self.leaders)))


def write_input(folder: Path, texts: Sequence[str]) -> None:
    """Write the input of both sides: texts with ids that are their numbers, and dates."""
    (folder / "in").mkdir(parents=True)
    numbers = range(len(texts))
    dates = [f"2024-03-{1 + (n * 7) % 28:02d}T{n % 24:02d}:00:00Z" for n in numbers]
    table = pa.table({"text": texts, "id": [f"{n}" for n in numbers], "date": dates})
    pq.write_table(table, folder / "in" / "texts.parquet", row_group_size=1000)


def run_curate(
    folder: Path, name: str, count: int, verify: float = 0.0, measure: str = "jaccard"
) -> tuple[Outcome, Used, dict[str, float]]:
    """Deduplicate folder/in with `curate run`; also return the seconds of each stage."""
    out = folder / name
    used = measured(
        [
            *(sys.executable, "-m", "curate", "run", str(HERE / "dedup_pipeline.py")),
            *("-p", f"paths={folder}/in/*.parquet", "-p", f"verify={verify}"),
            *("-p", f"measure={measure}"),
            *("--out", str(out), "--workers", "1"),
        ],
        folder / f"{name}.log",
    )
    leaders = np.arange(count)
    for path in out.glob("stages/minhash_deduped-*/*.decisions.parquet"):
        for row in pq.read_table(path, columns=["id", "duplicate_of"]).to_pylist():
            if row["duplicate_of"] is not None:
                leaders[int(row["id"])] = int(row["duplicate_of"])
    return Outcome(leaders), used, stage_seconds(out)


def bucket_pairs(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Return the pairs of which curate sees one key; a run links each to the first that has it."""
    keys = [bucket_keys(text, PARAMS) for text in texts]
    documents = np.repeat(np.arange(len(texts)), [len(own) for own in keys])
    return _sharing(np.concatenate(keys), documents)


def _sharing(keys: NDArray[np.uint64], documents: NDArray[Any]) -> set[tuple[int, int]]:
    """Return the pairs of documents that have a row of keys in common."""
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    pairs: set[tuple[int, int]] = set()
    for group in np.split(documents[order], ends):
        if len(group) > 1:
            pairs.update(combinations(sorted(set(group.tolist())), 2))
    return pairs


def stage_seconds(out: Path) -> dict[str, float]:
    """Return the seconds of each stage of a run, by name."""
    seconds: dict[str, float] = defaultdict(float)
    for path in sorted(out.glob("stages/*/*.json"), key=lambda path: path.stat().st_mtime_ns):
        manifest = json.loads(path.read_text())
        seconds[manifest["stage"]] += manifest["seconds"]
    return {stage: round(spent, 2) for stage, spent in seconds.items()}


def run_datatrove(folder: Path, name: str, count: int) -> tuple[Outcome, Used]:
    """Deduplicate folder/in with datatrove's four blocks."""
    home = folder / name
    home.mkdir()
    (home / "in").symlink_to(folder / "in")
    command = [sys.executable, str(HERE / "dedup_peers.py"), "datatrove", str(home)]
    used = measured(command, folder / f"{name}.log")
    removed = {int(n) for path in home.glob("clusters/*.remove") for n in np.fromfile(path, "<u4")}
    members: dict[int, list[int]] = defaultdict(list)
    for path in home.glob("clusters/*.clusters"):
        for number, cluster in np.fromfile(path, "<u4").reshape(-1, 2).tolist():
            members[cluster].append(number)
    leaders = np.arange(count)
    for cluster in members.values():
        (kept,) = set(cluster) - removed
        leaders[cluster] = kept
    bucket = np.dtype([("key", "<u8", (PARAMS.hashes_per_bucket,)), ("document", "<u4")])
    files = (np.fromfile(path, bucket) for path in home.glob("sigs/bucket_*/*.minhash.sig"))
    shared = (_sharing(rows["key"], rows["document"]) for rows in files)
    return Outcome(leaders, {pair for pairs in shared for pair in pairs}), used


def run_library(folder: Path, name: str, library: str) -> tuple[Outcome, Used]:
    """Deduplicate folder/in with datasketch or rensa."""
    home = folder / name
    home.mkdir()
    (home / "in").symlink_to(folder / "in")
    command = [sys.executable, str(HERE / "dedup_libraries.py"), library, str(home)]
    used = measured(command, folder / f"{name}.log")
    pairs = {(low, high) for low, high in np.load(home / "pairs.npy").tolist()}
    return Outcome(np.load(home / "leaders.npy"), pairs), used


def run_peer(*arguments: str) -> dict[str, float]:
    """Run a task of dedup_peers.py in a process of its own."""
    command = [sys.executable, str(HERE / "dedup_peers.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-15:])
        raise SystemExit(f"dedup: {' '.join(command)} failed:\n{tail}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def judge(
    outcome: Outcome, sets: Sequence[Set], truth: Mapping[tuple[int, int], float], threshold: float
) -> dict[str, Any]:
    """Compare clusters with the pairs that are truly similar.

    Returns:
        Precision and recall of the pairs that share a bucket, and of those within clusters; of the
        documents removed, the share that is truly similar to the one kept for it; and the similar
        pairs of which both are kept.
    """
    together = {pair for cluster in outcome.clusters() for pair in combinations(cluster, 2)}
    removed = outcome.removed
    proven = sum(
        jaccard(sets[number], sets[outcome.leaders[number]]) >= threshold
        for number in removed.tolist()
    )
    gone = set(removed.tolist())
    return {
        **(_scored("found_", outcome.pairs, truth) if outcome.pairs is not None else {}),
        **_scored("", together, truth),
        "true_pairs": len(truth),
        "removed": len(removed),
        "removed_precision": round(proven / max(1, len(removed)), 4),
        "similar_pairs_left": sum(not gone & set(pair) for pair in truth),
    }


def _scored(
    prefix: str, pairs: set[tuple[int, int]], truth: Mapping[tuple[int, int], float]
) -> dict[str, Any]:
    right = len(pairs & truth.keys())
    return {
        f"{prefix}pairs": len(pairs),
        f"{prefix}precision": round(right / max(1, len(pairs)), 4),
        f"{prefix}recall": round(right / max(1, len(truth)), 4),
    }
