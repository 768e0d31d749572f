"""Make pages whose need of OCR is known, from born-digital PDFs.

    python benchmarks/router_pages.py PDF_FOLDER GOLD_FOLDER OUT [--part 0/2]

PDF_FOLDER holds manifest.jsonl ("file", "sha1", "url", "category") and category folders. OUT gets
one-page PDFs and pages-0.jsonl: file, class, label (1: OCR), category, document, page, split.
Labels are by construction. Pages as they come were sampled (up to seven a file); those that could
be anything but clean text (images, hardly any text, odd characters) were labelled by eye, in
router_real_pages.json, or left out. A group (a document, or the documents of one folder of a source
package) is either for training or for tests, by its digest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image
from router_damage import (
    GARBLINGS,
    Word,
    as_scan,
    badly_wrong,
    garble_fonts,
    image_page,
    jpeg,
    outlined,
    photo,
    slightly_wrong,
    words_of,
)

LABELLED = Path(__file__).with_name("router_real_pages.json")
TEST_SHARE = 0.4
MIN_CHARS = 300
MADE_PER_DOCUMENT = 2

Made = tuple[str, "int | None", bytes]


@dataclass(frozen=True)
class Source:
    """A file that pages are taken from."""

    path: Path
    category: str
    group: str

    @property
    def split(self) -> str:
        """Whether its pages train or test."""
        digest = hashlib.sha256(self.group.encode()).digest()
        return "test" if digest[0] < 256 * TEST_SHARE else "train"


def sources(folder: Path, gold: Path) -> list[Source]:
    """Return the files, with a group that holds translations and companions together."""
    found = []
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["category"] != "unopenable":
            path = folder.parent / row["file"]
            found.append(Source(path, row["category"], _group(row["url"], path.stem)))
    for line in (gold / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.append(Source(gold / row["pdf"], "gold", _group(row["source"], row["pdf"])))
    return found


def _group(url: str, name: str) -> str:
    """Return what a file belongs to: a folder of Debian's sources, its guides, or itself."""
    if "sources.debian.org" in url:
        return url.rpartition("/")[0]
    return "debian-guides" if "debian" in url else name


def sampled(num_pages: int) -> list[int]:
    """Return the pages that were looked at."""
    return list(range(0, num_pages, max(1, num_pages // 6)))[:7]


def real_pages(source: Source, labels: dict[str, Any]) -> Iterator[tuple[int, int | None, Any]]:
    """Yield number, label and one-page document of the sampled pages of a file."""
    with pymupdf.open(source.path) as document:
        if document.needs_pass:
            return
        for number in sampled(document.page_count):
            label = labels.get(f"{source.path.name} {number}", 0)
            if source.category in ("scan", "other", "encrypted") and label == 0:
                label = labels.get(f"{source.path.name} {number}")
            single = pymupdf.open()
            single.insert_pdf(document, from_page=number, to_page=number, annots=False)
            yield number, label, single


def made_pages(single: Any, rng: random.Random) -> Iterator[Made]:
    """Yield class, label and PDF of what is made from a page of clean text."""
    page = single[0]
    page.remove_rotation()
    words = words_of(page)
    yield "scan", 1, scan(page, rng, [], 3, text_first=False)
    stamp = Word("Downloaded from the archive of the library, 2019", 60, 20, 300, 32)
    layers = [
        ("hidden_good", 0, 3, slightly_wrong(words, rng, rng.choice((0, 0.003, 0.012)))),
        ("hidden_bad", 1, 3, badly_wrong(words, rng)),
        ("under_good", 0, 0, slightly_wrong(words, rng, rng.choice((0, 0.003, 0.012)))),
        ("under_bad", 1, 0, badly_wrong(words, rng)),
        ("stamped_scan", 1, 0, [stamp] if rng.random() < 0.5 else words[: rng.randint(3, 12)]),
    ]
    for name, label, mode, layer in rng.sample(layers, 4):
        yield name, label, scan(page, rng, layer, mode, text_first=name.startswith("under"))
    for kind in rng.sample(GARBLINGS, 2):
        copy = pymupdf.open(stream=single.tobytes(), filetype="pdf")
        garble_fonts(copy, kind, rng.choice((1, 1, 0.6)), rng)
        name = "garbled_permuted" if kind in ("permuted", "shifted") else "garbled_unmapped"
        yield name, None, copy.tobytes(deflate=True)
    if rng.random() < 0.5:
        yield "outlines", 1, outlined(page)
    if rng.random() < 0.4:
        yield "half_scan", 1, half_scan(single, rng)
    if rng.random() < 0.4:
        yield "on_background", 0, on_background(single, rng)
    yield plain_page(rng.choice(("blank", "blank", "picture", "title", "chart")), words, rng)


def num_chars(page: Any) -> int:
    """Return how many characters the words of a page have."""
    return sum(len(word.text) for word in words_of(page))


def scan(page: Any, rng: random.Random, layer: list[Word], mode: int, *, text_first: bool) -> bytes:
    """Return the page as an image, whole or in strips, with a layer of text."""
    dpi = rng.choice((90, 110, 130, 150, 200))
    rendered = page.get_pixmap(dpi=dpi, alpha=False)
    image = Image.frombytes("RGB", (rendered.width, rendered.height), rendered.samples)
    image = as_scan(image, rng, 0.6 if layer else 2.0)
    width, height = page.rect.width, page.rect.height
    inset = rng.choice((0, 0, 0, 0.03)) * width
    strips = rng.choice((1, 1, 1, 5))
    parts = []
    for i in range(strips):
        top, bottom = (image.height * k // strips for k in (i, i + 1))
        part = image.crop((0, top, image.width, bottom))
        inner = height - 2 * inset
        box = (inset, inset + inner * i / strips, width - inset, inset + inner * (i + 1) / strips)
        parts.append((jpeg(part, rng.randint(25, 88)), part.size, box))
    return image_page(width, height, parts, layer, mode, text_first)


def half_scan(single: Any, rng: random.Random) -> bytes:
    """Return a page whose lower part is only an image of its text."""
    page = single[0]
    width, height = page.rect.width, page.rect.height
    rendered = page.get_pixmap(dpi=150, alpha=False)
    image = Image.frombytes("RGB", (rendered.width, rendered.height), rendered.samples)
    cut = rng.uniform(0.2, 0.45)
    image = image.crop((0, int(image.height * cut), image.width, image.height))
    out = pymupdf.open()
    target = out.new_page(width=width, height=height)
    upper = pymupdf.Rect(0, 0, width, height * cut)
    copy = pymupdf.open(stream=single.tobytes(), filetype="pdf")
    copy[0].add_redact_annot(pymupdf.Rect(0, height * cut, width, height))
    copy[0].apply_redactions()
    target.show_pdf_page(upper, copy, 0, clip=upper)
    box = pymupdf.Rect(0, height * cut, width, height)
    target.insert_image(box, stream=jpeg(as_scan(image, rng, 0.5), 70))
    return bytes(out.tobytes(deflate=True))


def on_background(single: Any, rng: random.Random) -> bytes:
    """Return the page with visible text over an image that fills it."""
    page = single[0]
    width, height = page.rect.width, page.rect.height
    out = pymupdf.open()
    target = out.new_page(width=width, height=height)
    picture = photo(rng, 400, 560)
    pale = Image.blend(picture, Image.new("RGB", picture.size, "white"), rng.uniform(0.6, 0.95))
    target.insert_image(target.rect, stream=jpeg(pale, 75), keep_proportion=False)
    target.show_pdf_page(target.rect, single, 0)
    return bytes(out.tobytes(deflate=True))


def plain_page(kind: str, words: list[Word], rng: random.Random) -> Made:
    """Return a page that has nothing to read, or next to nothing, and all of that as text."""
    out = pymupdf.open()
    page = out.new_page(width=rng.choice((595, 612, 420)), height=rng.choice((842, 792, 595)))
    width, height = int(page.rect.width), int(page.rect.height)
    latin = [word.text for word in words if word.text.isascii()] or ["Report"]
    line = " ".join(rng.choice(latin) for _ in range(rng.randint(1, 6)))
    if kind == "blank" and rng.random() < 0.7:
        image = as_scan(Image.new("RGB", (width, height), "white"), rng, 2.0)
        page.insert_image(page.rect, stream=jpeg(image, rng.randint(25, 85)))
    if kind == "picture":
        box = page.rect if rng.random() < 0.5 else page.rect * pymupdf.Matrix(0.9, 0.6)
        picture = photo(rng, width, height)
        page.insert_image(box, stream=jpeg(picture, rng.randint(40, 90)), keep_proportion=False)
        if rng.random() < 0.5:
            page.insert_text((60, height - 40), "Figure 1. " + line, fontsize=10)
    if kind == "title":
        if rng.random() < 0.4:
            stream = jpeg(photo(rng, width, height), 70)
            page.insert_image(page.rect, stream=stream, keep_proportion=False)
        page.insert_text((60, height / 3), line, fontsize=rng.uniform(14, 36))
        page.draw_line((60, height / 3 + 9), (width - 60, height / 3 + 9))
    if kind == "chart":
        draw_chart(page, rng, latin)
    return kind, 0, bytes(out.tobytes(deflate=True))


def draw_chart(page: Any, rng: random.Random, latin: list[str]) -> None:
    """Draw curves, polygons and a grid, with a few labels as text."""
    width, height = page.rect.width, page.rect.height
    shape = page.new_shape()
    for _ in range(rng.randint(1, 40)):
        x, y = rng.uniform(50, width - 50), rng.uniform(50, height - 50)
        points = [(x, y)]
        for _ in range(rng.choice((3, 12, 60))):
            x += rng.uniform(-25, 25)
            y += rng.uniform(-25, 25)
            points.append((x, y))
        shape.draw_polyline(points)
        colour = [rng.random() for _ in range(3)]
        shape.finish(color=colour, fill=colour if rng.random() < 0.3 else None, width=0.7)
    for i in range(rng.randint(0, 25)):
        shape.draw_line((50, 50 + 28 * i), (width - 50, 50 + 28 * i))
        shape.finish(color=(0.6, 0.6, 0.6), width=0.4)
    shape.commit()
    for _ in range(rng.randint(0, 20)):
        place = (rng.uniform(40, width - 90), rng.uniform(40, height - 40))
        page.insert_text(place, rng.choice(latin), fontsize=8)


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pdfs", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", default="0/1", help="this process does every n-th file: i/n")
    args = parser.parse_args()
    part, parts = map(int, args.part.split("/"))
    labels = {f"{name} {page}": label for name, page, label in json.loads(LABELLED.read_text())}
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / f"pages-{part}.jsonl").open("w") as listing:
        for source in sources(args.pdfs, args.gold)[part::parts]:
            try:
                write_pages(source, labels, args.out, listing)
            except Exception as error:
                print(f"{source.path.name}: {type(error).__name__}: {error}")


def write_pages(source: Source, labels: dict[str, Any], out: Path, listing: Any) -> None:
    """Write the pages of one file and what is made of them."""
    num_made = 0
    for number, label, single in real_pages(source, labels):
        rng = random.Random(f"{source.path.stem} {number}")
        made: list[Made] = []
        if label is not None:
            made.append(
                ("digital" if label == 0 else "real_ocr", label, single.tobytes(deflate=True))
            )
        is_clean = label == 0 and f"{source.path.name} {number}" not in labels
        if is_clean and num_made < MADE_PER_DOCUMENT and num_chars(single[0]) >= MIN_CHARS:
            num_made += 1
            made += made_pages(single, rng)
        for index, (name, kind, payload) in enumerate(made):
            file = f"{source.path.stem}-{number}-{index}.pdf"
            (out / file).write_bytes(payload)
            row = {
                "file": file,
                "class": name,
                "label": kind,
                "category": source.category,
                "document": source.path.stem,
                "page": number,
                "split": source.split,
            }
            listing.write(json.dumps(row) + "\n")
        listing.flush()


if __name__ == "__main__":
    main()
