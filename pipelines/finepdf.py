"""FinePDFs: text from the PDFs of a Common Crawl dump (huggingface/finepdfs), on CPUs alone.

curate run pipelines/finepdf.py -p warcs='s3://commoncrawl/crawl-data/CC-MAIN-2025-13/segments/*/warc/*.warc.gz' -p dump=CC-MAIN-2025-13 -p contact=you@example.org
"""  # noqa: E501

from typing import Literal

from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.stages import exact_dedup, minhash_dedup
from curate.errors import DefinitionError
from curate.extract.pdf import PdfExtractor
from curate.fetch.params import RefetchParams
from curate.fetch.stages import refetch as refetched
from curate.filters.language_router import LanguageRouter
from curate.filters.page_language import PageLanguages
from curate.formatters.ftfy import FtfyFormatter
from curate.formatters.pdf_boilerplate import PdfBoilerplate
from curate.formatters.pdf_join import PdfPageJoiner
from curate.formatters.pdf_normalize import PdfNormalizer
from curate.formatters.pdf_page_numbers import PdfPageNumbers
from curate.formatters.pdf_tables import PdfTables
from curate.formatters.pii import PiiFormatter
from curate.ocr.endpoint import Endpoint
from curate.ocr.stages import ocr as recognised
from curate.ocr.step import OcrStep
from curate.pages import PerPage
from curate.pipeline import StageKind
from curate.readers.index import IndexReader
from curate.readers.payload import LoadPayload
from curate.readers.pdf import PdfWarcReader
from curate.steps import Reader
from curate.token_counter import TokenCounter

SAMPLE = "sample_data/pdf/crawl-*.warc.gz"
SAMPLE_ANSWERS = "sample_data/pdf/originals.warc.gz"

COLUMNS = (
    "text",
    "id",
    "dump",
    "url",
    "date",
    "file_path",
    "offset",
    "token_count",
    "language",
    "page_average_lid",
    "page_average_lid_score",
    "full_doc_lid",
    "full_doc_lid_score",
    "per_page_languages",
    "is_truncated",
    "extractor",
    "page_ends",
    "minhash_cluster_size",
    "duplicate_count",
)


def pipeline(
    warcs: str = SAMPLE,
    index: str = "",
    root: str = "s3://commoncrawl/",
    dump: str = "sample",
    refetch: bool = True,
    refetch_round: int = 0,
    earlier: tuple[str, ...] = (),
    replay: str = "",
    contact: str = "",
    engine: Literal["pymupdf", "pdfium", "liteparse", "docling"] = "pymupdf",
    ocr: Literal["off", "auto", "all"] = "auto",
    ocr_engine: Literal["auto", "rapidocr", "tesseract", "endpoint"] = "auto",
    ocr_endpoint: str = "",
    ocr_model: str = "",
    ocr_languages: str = "",
    ocr_budget_pages: int = -1,
    languages: str = "",
    lid: Literal["lid.176", "glotlid"] = "lid.176",
    lid_model: str = "",
) -> Pipeline:
    """Build FinePDFs.

    Args:
        warcs: WARC files: a path, a glob or several separated by commas; also s3://.
        index: files of Common Crawl's columnar index, to be read in place of `warcs`: of the WARC
            files then only the records that hold PDFs are read.
        root: where the WARC files named in `index` are.
        dump: name of the crawl; says also how many bytes of a file it kept.
        refetch: fetch PDFs that the crawl cut off from where they came from.
        refetch_round: raise it to ask again for what failed for a cause that may have passed, such
            as 503 or a timeout; what was fetched is not asked for again.
        earlier: output folders of earlier runs: what they fetched is sent again only if it has
            changed since.
        replay: WARC files that answer in place of the web, such as those of an earlier refetch.
        contact: URL or mail address that servers are told in the refetch.
        engine: what reads text layers; "pdfium" and "liteparse" need no AGPL software.
        ocr: "auto" for pages whose text layer is missing or wrong, "all", or "off".
        ocr_engine: "auto" for the first of rapidocr and tesseract that is installed.
        ocr_endpoint: URL of an OpenAI-compatible server, for ocr_engine=endpoint.
        ocr_model: the model it serves.
        ocr_languages: for tesseract, such as "eng_Latn,deu_Latn"; English when empty.
        ocr_budget_pages: most pages of the run that are read by OCR; -1 for no limit.
        languages: keep these alone, such as "eng_Latn,deu_Latn"; all when empty.
        lid: the language model, which decides the thresholds; GlotLID's path must be given.
        lid_model: its path; the packaged lid.176.ftz when empty.
    """
    if (lid == "glotlid") != bool(lid_model):
        raise DefinitionError(
            f"finepdf: lid={lid!r} with lid_model={lid_model!r}: the thresholds are of one model.\n"
            "Give both, as in -p lid=glotlid -p lid_model=model.bin, or neither."
        )
    if ocr_endpoint and ocr_engine != "endpoint":
        raise DefinitionError("finepdf: ocr_endpoint is asked only with -p ocr_engine=endpoint.")
    if ocr_languages and ocr_engine != "tesseract":
        raise DefinitionError("finepdf: ocr_languages is for -p ocr_engine=tesseract.")
    if ocr_budget_pages < -1:
        raise DefinitionError(f"finepdf: ocr_budget_pages={ocr_budget_pages} must be -1 or more.")
    if (refetch_round or earlier) and not refetch:
        raise DefinitionError("finepdf: refetch_round and earlier are for -p refetch=true.")
    answers = replay or (SAMPLE_ANSWERS if warcs == SAMPLE and not index else "")
    if refetch and not (answers or contact):
        raise DefinitionError(
            "finepdf: refetch asks other people's servers, which are told whom to write to.\n"
            "Give -p contact=you@example.org (or a URL), or -p refetch=false."
        )
    reader: Reader = (
        IndexReader(index, root, dump, needs_truncated=refetch)
        if index
        else PdfWarcReader(warcs, dump)
    )
    found: StageKind = Stage("find", source=reader)
    if refetch:
        params = RefetchParams(contact=contact, retry_round=refetch_round)
        found = refetched(found, params, answers, earlier)
    # Not before: files that are cut alike may differ in the rest, or one of them may be gone.
    found = exact_dedup(found, by="payload", name="payload")
    # As much as a refetch takes, and the head of its answer.
    load = LoadPayload(max_record_bytes=257 << 20, max_body_bytes=256 << 20)
    backend: Literal["pymupdf", "pdfium"] = "pymupdf" if engine == "pymupdf" else "pdfium"
    read: StageKind = Stage(
        "extract",
        source=found,
        steps=(
            load,
            PdfExtractor(engine, backend=backend, judge="none" if ocr == "off" else "model"),
        ),
    )
    if ocr != "off":
        endpoint = Endpoint(ocr_endpoint, ocr_model) if ocr_engine == "endpoint" else None
        pages: Literal["routed", "all"] = "all" if ocr == "all" else "routed"
        scripts = tuple(filter(None, (name.strip() for name in ocr_languages.split(","))))
        step = OcrStep(load, ocr_engine, pages, backend, languages=scripts, endpoint=endpoint)
        read = recognised(read, step, None if ocr_budget_pages < 0 else ocr_budget_pages)
    wanted = tuple(filter(None, (name.strip() for name in languages.split(","))))
    cleaned = Stage(
        "clean",
        source=read,
        steps=(
            PerPage(FtfyFormatter()),
            PdfPageNumbers(),
            PdfTables(),
            PdfBoilerplate(),
            PdfNormalizer(),
            PdfPageJoiner(),
            PageLanguages(lid_model),
            LanguageRouter(wanted, lid),
            # DIFFERS: FinePDFs' card tells of it, its released code leaves it out.
            PerPage(PiiFormatter()),
        ),
    )
    texts = exact_dedup(cleaned, by="text", ignore_whitespace=True, within="language")
    minhash = MinHashParams(
        ngram_size=5, num_buckets=32, hashes_per_bucket=10, hash="xxhash", max_chars=1_000_000
    )
    deduped = minhash_dedup(texts, minhash, within="language")
    published = Stage(
        # DIFFERS: FinePDFs counts Llama 3.2's tokens, whose files have a licence of their own; its
        # later filter of English by a trained classifier (fw_edu) is not part of this pipeline.
        "publish",
        source=deduped,
        steps=(TokenCounter("gpt2"),),
        partition="language",
    )
    return Pipeline("finepdf", output=published, columns=COLUMNS)
