"""What `dedup.py` runs: MinHash deduplication of Parquet files, as a user would write it."""

from curate import Pipeline, Stage
from curate.dedup.members import Measure
from curate.dedup.minhash import Hash, MinHashParams
from curate.dedup.stages import minhash_dedup
from curate.readers.records import ParquetReader


def pipeline(
    paths: str, hash: Hash = "xxhash", verify: float = 0.0, measure: Measure = "jaccard"
) -> Pipeline:
    """Keep one document of each cluster."""
    loaded = Stage("load", source=ParquetReader(paths, keep=(("date", "string"),)))
    params = MinHashParams(hash=hash)
    deduped = minhash_dedup(loaded, params, verify=verify or None, measure=measure)
    return Pipeline("dedup", output=deduped, columns=("text", "id", "minhash_cluster_size"))
