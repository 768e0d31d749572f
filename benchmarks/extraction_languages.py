"""What `extraction_pipeline.py` runs for all languages: extraction and language, no filters."""

from typing import Literal

from curate import Pipeline, Stage
from curate.extract.html import HtmlExtractor, ResiliparseExtractor, TrafilaturaExtractor
from curate.filters.language import LanguageFilter
from curate.filters.url import UrlFilter
from curate.readers.warc import WarcReader
from curate.steps import Extractor
from curate.token_counter import TokenCounter


def pipeline(
    warcs: str, extractor: Literal["trafilatura", "curate", "resiliparse"] = "trafilatura"
) -> Pipeline:
    """Keep what is surely in some language."""
    extractors: dict[str, Extractor] = {
        "trafilatura": TrafilaturaExtractor(favor_precision=True),
        "curate": HtmlExtractor(),
        "resiliparse": ResiliparseExtractor(),
    }
    extracted = Stage(
        "extract",
        source=WarcReader(warcs, dump="sample"),
        steps=(
            UrlFilter(soft_word_threshold=2),
            extractors[extractor],
            LanguageFilter((), min_score=0.65),
            TokenCounter("gpt2"),
        ),
    )
    return Pipeline(
        "languages", output=extracted, columns=("text", "id", "url", "language", "token_count")
    )
