"""How well and how fast the local OCR engines read pages, and what they make of pages without text.

    python benchmarks/ocr.py /tmp/data/pdf-gold /tmp/data/pdf/scan

Pages of born-digital PDFs are rendered to images; the text layer, which for these files agrees with
the text that they were made from (manifest.jsonl, pdfium_word_f1), is what the result is held
against. Prints for each engine: CER (order counts), word F1 (order does not), pages per CPU-second;
for rapidocr on pages in two columns also the text in the library's own order. Then the speed on
real scans, and the characters written for blank pages, noise and photographs.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from curate.errors import DocumentError
from curate.extract.pdf_backend import open_pdf
from curate.ocr.engine import Engine, Reading, is_installed
from curate.ocr.layout import join
from curate.ocr.page_reader import PageReader, page_url
from curate.ocr.rapid import RapidEngine
from curate.ocr.tesseract import TesseractEngine
from tests.scans import empty, noise, pdf, photograph, picture

DPI = 150.0
_LANGUAGE = re.compile(r"\.([a-z]{2})(?:[-_][A-Za-z]{2})?\.pdf")

Page = tuple[str, NDArray[np.uint8], str, str]  # name, image, text, language


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the programs it called."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def folded(text: str) -> str:
    """Return a text with lines joined, hyphens at their ends undone, and plain quotes."""
    whole = ""
    for line in text.split("\n"):
        whole = join(whole, line.strip())
    plain = str.maketrans("‘’“”–—‐ﬁﬂ", "''\"\"---\u0001\u0002")
    whole = whole.translate(plain).replace("\u0001", "fi").replace("\u0002", "fl")
    return " ".join(whole.split())


def distance(first: str, second: str) -> int:
    """Return the Levenshtein distance, a row of the table at a time."""
    a, b = (np.array([ord(char) for char in text], dtype=np.int32) for text in (first, second))
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for i, char in enumerate(a.tolist()):
        best = np.minimum(row[1:] + 1, row[:-1] + (b != char))
        row = np.concatenate([[i + 1], best])
        # What an insertion costs runs along the row.
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])


def cer(read: str, gold: str) -> float:
    """Return the character error rate, white space aside."""
    a, b = ("".join(folded(text).split()) for text in (read, gold))
    return distance(a, b) / max(len(b), 1)


def word_f1(read: str, gold: str) -> float:
    """Return the F1 of the words of two texts as bags; characters where there are no spaces."""
    bags = []
    for text in (read, gold):
        words = re.findall(r"[\u3000-\u9fff\uff00-\uffef]|\w+", folded(text).lower())
        bags.append(Counter(words))
    common = sum((bags[0] & bags[1]).values())
    total = sum(bags[0].values()) + sum(bags[1].values())
    return 2 * common / total if total else 1.0


def gold_pages(folder: Path, per_file: int) -> list[Page]:
    """Return random pages with text of each PDF, the same in every run."""
    pages: list[Page] = []
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found = _LANGUAGE.search(entry["source"])
        language = found[1] if found else "en"
        chosen = random.Random(entry["pdf"])
        with open_pdf((folder / entry["pdf"]).read_bytes()) as document:
            numbers = chosen.sample(range(document.num_pages), document.num_pages)
            taken = 0
            for number in numbers:
                page = document.page(number)
                text = page.text()
                if taken < per_file and len(text) > 800:
                    pages.append((f"{entry['pdf']}:{number}", page.render(DPI), text, language))
                    taken += 1
    return pages


def two_column_pages(folder: Path) -> list[Page]:
    """Return the pages of the gold's article in two columns."""
    with open_pdf((folder / "8c0e9c59c9.pdf").read_bytes()) as document:
        return [
            (f"two columns:{i}", document.page(i).render(DPI), document.page(i).text(), "en")
            for i in range(document.num_pages - 1)
        ]


def measure(name: str, pages: Sequence[Page], engine_for: Callable[[str], Engine]) -> None:
    """Print an engine's quality and speed."""
    for language in [*sorted({page[3] for page in pages}), ""]:
        of_it = [page for page in pages if language in ("", page[3])]
        started = cpu_seconds()
        read = [engine_for(page[3]).read(page[1], DPI) for page in of_it] if language else []
        seconds = cpu_seconds() - started
        if language:
            _RESULTS[name, language] = list(zip(of_it, read, strict=True)), seconds
        else:
            parts = [part for (who, _), part in _RESULTS.items() if who == name]
            seconds = sum(part[1] for part in parts)
        shown = [
            result
            for (who, lang), part in _RESULTS.items()
            if who == name and language in ("", lang)
            for result in part[0]
        ]
        print(
            f"{name:10} {language or 'all':4} {len(shown):3} pages"
            f"  CER {mean(cer(r.text, page[2]) for page, r in shown):.3f}"
            f"  word F1 {mean(word_f1(r.text, page[2]) for page, r in shown):.3f}"
            f"  least confidence {min(r.confidence for _, r in shown):.3f}"
            f"  {len(shown) / seconds:.2f} pages per CPU-second",
            flush=True,
        )


_RESULTS: dict[tuple[str, str], tuple[list[tuple[Page, Reading]], float]] = {}


def mean(values: Iterable[float]) -> float:
    """Return the mean."""
    found = list(values)
    return sum(found) / max(len(found), 1)


def order(pages: Sequence[Page]) -> None:
    """Print what the order of lines is worth on pages in two columns."""
    engine = RapidEngine()
    before, after = [], []
    for _, image, gold, _ in pages:
        found = engine.found(image)
        before.append(cer("\n".join(text for text, _, _ in found), gold))
        after.append(cer(engine.read(image, DPI).text, gold))
    print(f"two columns, {len(pages)} pages: CER in the library's order {mean(before):.3f},"
          f" in ours {mean(after):.3f}")  # fmt: skip


def scans(folder: Path, engine: Any, files: int) -> None:
    """Print the speed on real scans."""
    reader = PageReader(engine, "pymupdf", DPI, (), 300.0)
    reader.setup()
    pages = chars = failed = 0
    started = cpu_seconds()
    for path in sorted(folder.glob("*.pdf"))[:files]:
        payload = path.read_bytes()
        try:
            with open_pdf(payload) as document:
                count = min(document.num_pages, 2)
            for index in range(count):
                chars += len(reader.extract(payload, page_url(index)).text)
                pages += 1
        except DocumentError:
            failed += 1
    seconds = cpu_seconds() - started
    print(f"scans: {engine}: {pages} pages, {chars} characters, {failed} files failed,"
          f" {pages / seconds:.2f} pages per CPU-second", flush=True)  # fmt: skip


def nothing(engine: Any) -> None:
    """Print how many characters are written for pages without text."""
    draws = [empty, *[picture(noise(seed, share)) for seed, share in
             ((1, 0.005), (2, 0.02), (3, 0.05), (4, 0.2), (5, 1.0))],
             *[picture(photograph(seed)) for seed in range(20)]]  # fmt: skip
    payload = pdf(*draws, scanned=True)
    reader = PageReader(engine, "pymupdf", DPI, (), 300.0)
    reader.setup()
    read = [reader.extract(payload, page_url(i)).text for i in range(len(draws))]
    print(
        f"without text: {engine}: {len(draws)} pages, {sum(map(len, read))} characters", flush=True
    )


def main() -> None:
    """Measure what is installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gold", type=Path, help="folder of PDFs with a manifest.jsonl")
    parser.add_argument("scans", type=Path, help="folder of scanned PDFs")
    parser.add_argument("--pages", type=int, default=2, help="of each PDF of the gold")
    parser.add_argument("--files", type=int, default=8, help="of the scans, two pages of each")
    arguments = parser.parse_args()
    pages = gold_pages(arguments.gold, arguments.pages)
    kinds = [kind for kind in ("tesseract", "rapidocr") if is_installed(kind)]
    for kind in [*kinds, "image"]:
        nothing(kind)
    for kind in kinds:
        scans(arguments.scans, kind, arguments.files)
    if "tesseract" in kinds:
        measure("tesseract", pages, lambda code: TesseractEngine((code,), 300.0))
    if "rapidocr" in kinds:
        order(two_column_pages(arguments.gold))
        engine = RapidEngine()
        measure("rapidocr", pages, lambda code: engine)


if __name__ == "__main__":
    main()
