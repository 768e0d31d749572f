"""Features and labels of the pages that router_pages.py made, for training and for the benchmark.

Every page is measured as both backends see it, with the text that the engine of the same name or
liteparse gives for it in PdfExtractor.
What a page with a layer or a broken font needs is settled by the text that came out: by how much of
the page's own text, as its untouched version gives it, is in there. In between nobody can say, and
it is left out.
"""

from __future__ import annotations

import json
import time
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from curate.errors import DocumentError
from curate.extract.pdf_backend import Backend, PdfPage, open_pdf
from curate.extract.pdf_engines import read_pages
from curate.extract.routing import HiddenLayers
from curate.extract.routing_features import page_features

COMBINATIONS: tuple[tuple[Backend, str], ...] = (
    ("pymupdf", "pymupdf"),
    ("pdfium", "pdfium"),
    ("pymupdf", "liteparse"),
    ("pdfium", "liteparse"),
)
# Classes whose label depends on the text that came out, and what they are called when that says
# otherwise than they were meant.
SETTLED = ("hidden_good", "hidden_bad", "under_good", "under_bad", "garbled")
WHOLE, BROKEN = 0.93, 0.75
# Scans with so little of the original's contrast left (its standard deviation) are no print.
SCANNED = ("scan", "stamped_scan", "half_scan", "hidden_bad", "under_bad")
UNREADABLE = 0.25
# An engine that gives so small a part of the words that the page has in the file lost its text.
LOST = 0.5


@dataclass(frozen=True)
class Measured:
    """A page as one backend and one engine give it."""

    file: str
    kind: str
    label: int
    category: str
    document: str
    split: str
    backend: str
    engine: str
    has_replacement: bool
    ms: float
    features: dict[str, float]

    def needs_ocr(self, policy: HiddenLayers) -> int:
        """Return the label, by which a good layer under a scan needs OCR or does not."""
        return 1 if policy == "ocr" and self.kind in ("hidden_good", "under_good") else self.label


def measure(folder: Path, workers: int = 2) -> list[Measured]:
    """Return all pages measured; kept in features.jsonl beside them."""
    cache = folder / "features.jsonl"
    if not cache.exists():
        pages: dict[str, list[dict[str, Any]]] = {}
        for listing in sorted(folder.glob("pages-*.jsonl")):
            for line in listing.read_text().splitlines():
                row = json.loads(line)
                pages.setdefault(f"{row['document']}-{row['page']}", []).append(row)
        groups = [pages[name] for name in sorted(pages)]
        with ProcessPoolExecutor(workers) as pool, cache.with_suffix(".tmp").open("w") as out:
            for found in pool.map(partial(_measure_group, folder), groups, chunksize=4):
                out.writelines(json.dumps(asdict(item)) + "\n" for item in found)
        cache.with_suffix(".tmp").rename(cache)
    return [Measured(**json.loads(line)) for line in cache.read_text().splitlines()]


def _measure_group(folder: Path, rows: list[dict[str, Any]]) -> list[Measured]:
    """Measure the versions of one page; the untouched one comes first."""
    originals: dict[str, str] = {}
    spread = 0.0
    found = []
    for row in rows:
        payload = (folder / row["file"]).read_bytes()
        texts: dict[str, str] = {}
        for backend, engine in COMBINATIONS:
            if row is not rows[0] and (backend == engine) != (_is_even(row["file"], backend)):
                continue
            with suppress(DocumentError), open_pdf(payload, backend) as pdf:
                page = pdf.page(0)
                if engine not in texts:
                    texts[engine] = engine_text(engine, payload)
                text = texts[engine]
                if row is rows[0]:
                    originals[engine] = text
                kind, label = _settled(row, kept(originals.get(engine, ""), text))
                if row is rows[0]:
                    spread = float(page.render(50).std())
                    if label == 0 and len(text.split()) < LOST * len(page.text().split()):
                        kind, label = "lost_text", 1
                elif row["class"] in SCANNED and page.render(50).std() < UNREADABLE * spread:
                    continue
                if label is not None:
                    found.append(_measured(row, kind, label, page, text, (backend, engine)))
                if row is rows[0] and len(rows) > 1:
                    part = text[: len(text) * (len(row["file"]) % 3) // 10]
                    found.append(_measured(row, "lost_text", 1, page, part, (backend, engine)))
    return found


def _is_even(name: str, backend: str) -> bool:
    """Choose two of the four combinations for a page, by its name."""
    return (zlib.crc32(name.encode()) % 2 == 0) == (backend == "pymupdf")


def _measured(
    row: dict[str, Any], kind: str, label: int, page: PdfPage, text: str, given: tuple[str, str]
) -> Measured:
    start = time.process_time()
    features = page_features(page, text)
    return Measured(
        **{name: row[name] for name in ("file", "category", "document", "split")},
        kind=kind,
        label=label,
        backend=given[0],
        engine=given[1],
        has_replacement="\ufffd" in text,
        ms=1000 * (time.process_time() - start),
        features={name: round(value, 7) for name, value in features.items()},
    )


def _settled(row: dict[str, Any], share: float) -> tuple[str, int | None]:
    kind = str(row["class"])
    if not kind.startswith(SETTLED):
        return kind, row["label"]
    name = kind.split("_")[0]
    if share >= WHOLE:
        return ("garbled_harmless" if name == "garbled" else f"{name}_good"), 0
    if share > BROKEN:
        return kind, None
    return (kind if name == "garbled" else f"{name}_bad"), 1


def kept(original: str, text: str) -> float:
    """Return the share of the pairs of characters of a text that another one has as well."""
    wanted = Counter(_pairs(original))
    return (wanted & Counter(_pairs(text))).total() / max(wanted.total(), 1)


def _pairs(text: str) -> Iterator[str]:
    chars = [char for char in unicodedata.normalize("NFKC", text).lower() if char.isalnum()]
    return (left + right for left, right in pairwise(chars))


def engine_text(engine: str, payload: bytes) -> str:
    """Return what the judge is given for a page; none where the engine fails."""
    try:
        (text,) = read_pages(engine, payload, 1)
    except Exception:
        return ""
    return text or ""
