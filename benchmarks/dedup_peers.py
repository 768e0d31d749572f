"""One side of `dedup.py`, alone in its process: it prints what it took as a line of JSON.

python benchmarks/dedup_peers.py signatures datatrove-xxhash texts.jsonl
python benchmarks/dedup_peers.py long-text curate
python benchmarks/dedup_peers.py datatrove DIR       deduplicates DIR/in/*.parquet
python benchmarks/dedup_peers.py clusters curate DIR the pairs in DIR/dups; so for datatrove
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import xxhash

NUM_HASHES = 112
LONG_TEXT_WORDS = 1_000_000
_WARM_UP = 10  # one text in so many is only for warming up

Signing = Callable[[str], object]


def signing(side: str) -> tuple[Signing, bool]:
    """Return what makes a signature of a text, or of its shingles: then the second value is true.

    datasketch and rensa make no shingles: they get them as strings, in time that is not theirs.
    """
    name, _, hash_name = side.partition("-")
    if name == "curate":
        from curate.dedup.minhash import MinHashParams, bucket_keys

        params = MinHashParams(hash="sha1" if hash_name == "sha1" else "xxhash")
        return lambda text: bucket_keys(text, params), False
    if name == "datatrove":
        step = _datatrove_signature(hash_name)

        def sign(text: str) -> object:
            found = step.get_shingles(text)
            return step.get_signature(found) if found.size else None

        return sign, False
    peer = import_module(name)
    if name == "datasketch":

        def sketch(shingles: Any) -> object:
            signature = peer.MinHash(num_perm=NUM_HASHES)
            signature.update_batch([shingle.encode() for shingle in shingles])
            return signature.digest()

        return sketch, True

    def digest(shingles: Any) -> object:
        signature = peer.RMinHash(num_perm=NUM_HASHES, seed=1)
        signature.update(shingles)
        return signature.digest()

    return digest, True


def _datatrove_signature(hash_name: str) -> Any:
    _let_datatrove_hash_strings()
    from datatrove.pipeline.dedup import MinhashDedupSignature

    return MinhashDedupSignature("/tmp/unused", _datatrove_config(hash_name))


def _let_datatrove_hash_strings() -> None:
    """Encode for it: datatrove 0.10 hashes strings, which xxhash takes no more since version 4."""
    hashes: Any = import_module("datatrove.utils.hashes.xxhash")
    hashes.xxhash64 = lambda data: xxhash.xxh64_intdigest(data.encode())


def _datatrove_config(hash_name: str) -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    hashing = HashConfig(precision=64, hash_fc=hash_name)
    return MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=hashing)


def shingle_strings(text: str) -> list[str]:
    """Return the shingles that curate and datatrove hash, as strings."""
    from curate import tokens
    from curate.dedup.minhash import normalise

    words = [token for chunk in tokens.chunks(normalise(text)) for token in chunk.tokens]
    return [" ".join(words[at : at + 5]) for at in range(len(words) - 4)]


def time_signatures(side: str, path: str) -> dict[str, float]:
    """Return CPU milliseconds per text, after a few texts that fill caches."""
    with Path(path).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    sign, of_shingles = signing(side)
    warm_up = max(1, len(texts) // _WARM_UP)
    shingling = 0.0
    spent = 0.0
    for number, text in enumerate(texts):
        start = time.process_time()
        entry = shingle_strings(text) if of_shingles else text
        ready = time.process_time()
        sign(entry)  # type: ignore[arg-type]  # a text or a list, as `of_shingles` says
        if number >= warm_up:
            shingling += ready - start
            spent += time.process_time() - ready
    per_text = 1000 / (len(texts) - warm_up)
    return {"ms": spent * per_text, "ms_shingles": shingling * per_text}


def measure_long_text(side: str) -> dict[str, float]:
    """Return peak memory before and after the signature of a text of 1,000,000 words."""
    random = Random(1)
    words = ["".join(random.choices("abcdefghijklmnopqrst", k=6)) for _ in range(50_000)]
    text = " ".join(random.choices(words, k=LONG_TEXT_WORDS))
    sign, _ = signing(side)
    sign(text[:10_000])
    before = peak_mb()
    start = time.process_time()
    sign(text)
    return {
        "seconds": time.process_time() - start,
        "before_mb": before,
        "peak_mb": peak_mb(),
    }


def peak_mb(pid: int | str = "self") -> float:
    """Return the peak memory of a process; unlike ru_maxrss it knows nothing of its parent."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run_datatrove(folder: str) -> None:
    """Deduplicate with datatrove's four blocks, one task and one worker each."""
    _let_datatrove_hash_strings()
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    config = _datatrove_config("xxhash")
    signatures, buckets, clusters = (f"{folder}/{name}" for name in ("sigs", "dups", "clusters"))
    steps: list[tuple[list[Any], int]] = [
        ([ParquetReader(f"{folder}/in"), MinhashDedupSignature(signatures, config)], 1),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], 14),
        (
            [
                MinhashDedupCluster(
                    buckets, clusters, config, save_cluster_id=True, save_cluster_size=True
                )
            ],
            1,
        ),
        (
            [
                ParquetReader(f"{folder}/in"),
                MinhashDedupFilter(clusters, load_cluster_sizes=False),
                ParquetWriter(f"{folder}/out"),
            ],
            1,
        ),
    ]
    for number, (step, tasks) in enumerate(steps):
        logs = f"{folder}/logs/{number}"
        LocalPipelineExecutor(step, tasks=tasks, workers=1, logging_dir=logs).run()


def time_clusters(side: str, folder: str) -> dict[str, float]:
    """Return what finding clusters takes, from files of pairs to files of what to remove."""
    cluster = {"curate": _curate_clusters, "datatrove": _datatrove_clusters}[side]
    prepared = cluster(folder)
    before = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    prepared()
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "before_mb": before,
        "peak_mb": peak_mb(),
    }


def _datatrove_clusters(folder: str) -> Callable[[], None]:
    from datatrove.pipeline.dedup.minhash import MinhashDedupCluster

    step = MinhashDedupCluster(
        f"{folder}/dups",
        f"{folder}/datatrove",
        _datatrove_config("xxhash"),
        save_cluster_id=True,
        save_cluster_size=True,
    )
    return lambda: step.run()


def _curate_clusters(folder: str) -> Callable[[], None]:
    """Do as ClusterStage does, with pairs and ranks from plain files."""
    from dedup_scale import UNIT

    from curate.dedup import arrays
    from curate.dedup.clusters import Components, canonicals, clustered

    def run() -> None:
        path = Path(folder, "ranks.bin")
        total = path.stat().st_size // arrays.RANKS.itemsize
        components = Components(total)
        for pairs in sorted(Path(folder, "dups").iterdir()):
            rows = np.fromfile(pairs, "<u4").reshape(-1, 2, 2).astype(np.int64)
            components.add(rows[..., 0] * UNIT + rows[..., 1])
        labels = components.labels()
        members = clustered(labels, np.empty(0, np.int64))
        compact = np.searchsorted(members, labels[members])
        bounds = np.searchsorted(members, np.arange(0, total + UNIT, UNIT)).tolist()
        own = np.concatenate(
            [
                np.fromfile(path, arrays.RANKS, UNIT, offset=start * arrays.RANKS.itemsize)[
                    members[low:high] - start
                ]
                for start, (low, high) in zip(range(0, total, UNIT), pairwise(bounds), strict=True)
            ]
        )
        sizes, canonical = canonicals(compact, own["date"], own["chars"], own["id"], "first")
        output = Path(folder, "curate")
        output.mkdir(exist_ok=True)
        for unit, (low, high) in enumerate(pairwise(bounds)):
            table = np.column_stack((members, members[canonical], sizes))[low:high]
            table.tofile(output / f"{unit:06d}.members")

    return run


def main(arguments: Sequence[str]) -> None:
    """Run one side."""
    task, *rest = arguments
    result: dict[str, float] = {}
    if task == "signatures":
        result = time_signatures(*rest)
    elif task == "long-text":
        result = measure_long_text(*rest)
    elif task == "clusters":
        result = time_clusters(*rest)
    else:
        run_datatrove(*rest)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
