"""FineWeb: English text from a Common Crawl dump (arXiv:2406.17557, datatrove's fineweb example).

curate run pipelines/fineweb.py -p warcs='s3://commoncrawl/crawl-data/CC-MAIN-2024-10/segments/*/warc/*.warc.gz' -p dump=CC-MAIN-2024-10
"""  # noqa: E501

from typing import Literal

from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.stages import exact_dedup, minhash_dedup
from curate.extract.html import HtmlExtractor, ResiliparseExtractor, TrafilaturaExtractor
from curate.filters.c4 import C4QualityFilter
from curate.filters.fineweb import FineWebQualityFilter
from curate.filters.gopher import GopherQualityFilter, GopherRepetitionFilter
from curate.filters.language import LanguageFilter
from curate.filters.language_gate import LanguageGate
from curate.filters.url import UrlFilter
from curate.formatters.pii import PiiFormatter
from curate.pipeline import StageKind
from curate.readers.warc import WarcReader
from curate.steps import Extractor
from curate.token_counter import TokenCounter

COLUMNS = (
    "text",
    "id",
    "dump",
    "url",
    "date",
    "file_path",
    "language",
    "language_score",
    "token_count",
)


def pipeline(
    warcs: str = "sample_data/warc/*.warc.gz",
    dump: str = "sample",
    preset: Literal["current", "v1"] = "current",
    lid_model: str = "",
    language_gate: float = 0.0,
    extractor: Literal["trafilatura", "curate", "resiliparse"] = "trafilatura",
    dedup: Literal["minhash", "exact", "none"] = "minhash",
    keep: Literal["first", "longest"] = "first",
    verify: float = 0.0,
) -> Pipeline:
    """Build FineWeb.

    Args:
        warcs: WARC or ARC files: a path, a glob or several separated by commas; also s3://.
        dump: name of the crawl, published as a column.
        preset: the rules of today's released code, or "v1": those of FineWeb's launch.
        lid_model: path of a fastText language model; the packaged lid.176.ftz when empty.
        language_gate: least score for English, such as 0.03, of the raw text of a page that shall
            be extracted; 0 extracts every page, as FineWeb did.
        extractor: what makes text of a page: trafilatura as in FineWeb, our own model of blocks
            ("curate"), or resiliparse's rules.
        dedup: how duplicates within the dump are found.
        keep: which document of a cluster is kept: the earliest, or the longest.
        verify: least Jaccard similarity that a removal must prove, such as 0.8; 0 asks for no
            proof, as FineWeb did.
    """
    gate = (LanguageGate(("en",), language_gate, lid_model),) if language_gate else ()
    extractors: dict[str, Extractor] = {
        "trafilatura": TrafilaturaExtractor(favor_precision=True),
        "curate": HtmlExtractor(),
        "resiliparse": ResiliparseExtractor(),
    }
    extracted = Stage(
        "extract",
        source=WarcReader(warcs, dump=dump),
        steps=(
            UrlFilter(soft_word_threshold=2),
            *gate,
            extractors[extractor],
            LanguageFilter(("en",), min_score=0.65, model=lid_model, rules=preset),
        ),
    )
    filtered: StageKind = Stage(
        "filter",
        source=extracted,
        steps=(
            GopherRepetitionFilter(rules=preset),
            GopherQualityFilter(rules=preset),
            C4QualityFilter(require_terminal_punctuation=False, rules=preset),
            FineWebQualityFilter(rules=preset),
        ),
    )
    if dedup == "minhash":
        # sha1 as in FineWeb: candidates are its pairs; "xxhash" saves a quarter of the time.
        params = MinHashParams(ngram_size=5, num_buckets=14, hashes_per_bucket=8, hash="sha1")
        filtered = minhash_dedup(filtered, params, keep=keep, verify=verify or None)
    elif dedup == "exact":
        filtered = exact_dedup(filtered, by="text", keep=keep)
    published = Stage("publish", source=filtered, steps=(PiiFormatter(), TokenCounter("gpt2")))
    return Pipeline("fineweb", output=published, columns=COLUMNS)
