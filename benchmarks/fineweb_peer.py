"""FineWeb as datatrove's own example runs it, for `fineweb.py`: JSON options in, files out.

Runs in an environment with datatrove 0.10.1; the blocks and their order are those of
examples/fineweb.py there. Nothing is downloaded: the language model is a path, and the tokenizer.
"""

import json
import os
import sys

OPTIONS = json.loads(sys.argv[1])
OUT = OPTIONS["out"]
os.environ["HF_HOME"] = os.environ["HF_ASSETS_CACHE"] = f"{OUT}/assets"

from datatrove.executor import LocalPipelineExecutor  # noqa: E402 - after its environment is set
from datatrove.pipeline.dedup import (  # noqa: E402
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig  # noqa: E402
from datatrove.pipeline.extractors import Trafilatura  # noqa: E402
from datatrove.pipeline.filters import (  # noqa: E402
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.formatters import PIIFormatter  # noqa: E402
from datatrove.pipeline.readers import JsonlReader, WarcReader  # noqa: E402
from datatrove.pipeline.tokens import TokensCounter  # noqa: E402
from datatrove.pipeline.writers.jsonl import JsonlWriter  # noqa: E402
from datatrove.utils.hashing import HashConfig  # noqa: E402
from datatrove.utils.lid import FT176LID  # noqa: E402

FT176LID.MODEL_URL = OPTIONS["lid_model"]


def removed(step: str) -> JsonlWriter:
    return JsonlWriter(f"{OUT}/removed/{step}", compression=None)


def run(stage: str, pipeline: list[object], tasks: int = OPTIONS["tasks"]) -> None:
    LocalPipelineExecutor(
        pipeline=pipeline,
        tasks=tasks,
        workers=OPTIONS["workers"],  # else as many as tasks
        logging_dir=f"{OUT}/logs/{stage}",
        skip_completed=False,
    ).run()


def main() -> None:
    folder, _, name = OPTIONS["warc"].rpartition("/")
    # datatrove's time limit of one second loses pages where trafilatura is slow to import.
    fair = {} if OPTIONS["as_it_comes"] else {"timeout": 60, "deduplicate": False}
    run(
        "filter",
        [
            WarcReader(folder, glob_pattern=name, default_metadata={"dump": "bench"}),
            URLFilter(exclusion_writer=removed("url")),
            Trafilatura(favour_precision=True, **fair),
            LanguageFilter("en", exclusion_writer=removed("language")),
            GopherRepetitionFilter(exclusion_writer=removed("gopher_repetition")),
            GopherQualityFilter(exclusion_writer=removed("gopher_quality")),
            C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=removed("c4_quality")),
            FineWebQualityFilter(exclusion_writer=removed("fineweb_quality")),
            JsonlWriter(f"{OUT}/filtered"),
        ],
    )
    config = MinhashConfig(
        hash_config=HashConfig(hash_fc="sha1", precision=64),
        num_buckets=14,
        hashes_per_bucket=8,
        n_grams=5,
    )
    run(
        "signatures",
        [
            JsonlReader(f"{OUT}/filtered"),
            MinhashDedupSignature(f"{OUT}/signatures", config=config, language="eng"),
        ],
    )
    buckets = [MinhashDedupBuckets(f"{OUT}/signatures", f"{OUT}/buckets", config=config)]
    run("buckets", buckets, tasks=config.num_buckets)
    clusters = [MinhashDedupCluster(f"{OUT}/buckets", f"{OUT}/remove", config=config)]
    run("clusters", clusters, tasks=1)
    run(
        "publish",
        [
            JsonlReader(f"{OUT}/filtered"),
            TokensCounter(OPTIONS["tokenizer"]),
            MinhashDedupFilter(f"{OUT}/remove", exclusion_writer=removed("minhash_dedup")),
            PIIFormatter(),
            JsonlWriter(f"{OUT}/published", compression=None),
        ],
    )


if __name__ == "__main__":
    main()
