"""Damage for pages whose right answer is known: print as scans, layers as bad OCR, broken fonts."""

from __future__ import annotations

import io
import random
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymupdf
from PIL import Image, ImageFilter

GARBLINGS = ("stripped", "permuted", "shifted", "private", "control", "renamed")


@dataclass(frozen=True)
class Word:
    """A word and its box, in points from the top left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


def words_of(page: Any) -> list[Word]:
    """Return the words of a PyMuPDF page."""
    return [Word(w[4], *w[:4]) for w in page.get_text("words")]


def as_scan(image: Image.Image, rng: random.Random, max_skew: float) -> Image.Image:
    """Return a page image as a scanner would give it."""
    if rng.random() < 0.6:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0)))
    if rng.random() < 0.7:
        angle = rng.uniform(-max_skew, max_skew)
        image = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
    pixels = np.asarray(image).astype(np.float32)
    noise = np.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.5:
        paper = np.array([rng.uniform(0.75, 1), rng.uniform(0.75, 1), rng.uniform(0.65, 1)])
        pixels = pixels * (paper if rng.random() < 0.4 else paper.mean())
    if rng.random() < 0.3:
        pixels = 255 - (255 - pixels) * rng.uniform(0.35, 0.9)
    if rng.random() < 0.6:
        pixels += noise.normal(0, rng.uniform(1, 14), (*pixels.shape[:2], 1)).astype(np.float32)
    if rng.random() < 0.2:
        for _ in range(rng.randint(1, 4)):
            x = rng.randrange(pixels.shape[1])
            pixels[:, x : x + rng.randint(1, 3)] *= rng.uniform(0.2, 0.9)
    if rng.random() < 0.2:
        side = rng.randint(4, max(5, pixels.shape[1] // 25))
        pixels[:, :side] *= rng.uniform(0, 0.5)
    if rng.random() < 0.2:
        specks = noise.random(pixels.shape[:2]) < rng.uniform(0.0001, 0.002)
        pixels[specks] = rng.choice((0, 60, 255))
    if rng.random() < 0.15:
        pixels = np.where(pixels.mean(axis=2, keepdims=True) > rng.uniform(110, 190), 255, 0)
        pixels = np.repeat(pixels, 3, axis=2)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Return the image as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def photo(rng: random.Random, width: int, height: int) -> Image.Image:
    """Return a picture without text: noise of several sizes in colour, with shapes in it."""
    noise = np.random.default_rng(rng.getrandbits(32))
    pixels = np.zeros((height, width, 3), np.float32)
    fine = rng.choice((12, 24, 60, 150))
    for cells in (2, 5, fine):
        small = (noise.random((cells, cells, 3)) * 255).astype(np.uint8)
        layer = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        pixels += np.asarray(layer).astype(np.float32) * (0.6 if cells == 2 else 0.3)
    image = Image.fromarray(np.clip(pixels * rng.uniform(0.5, 1.1), 0, 255).astype(np.uint8))
    for _ in range(rng.randint(0, 12)):
        left, top = rng.randrange(width), rng.randrange(height)
        box = (left, top, left + rng.randint(5, width // 2), top + rng.randint(5, height // 2))
        image.paste(tuple(rng.randrange(256) for _ in range(3)), box)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))


def slightly_wrong(words: Sequence[Word], rng: random.Random, rate: float) -> list[Word]:
    """Return words with that share of characters read wrong, as OCR does."""
    alphabet = "".join(word.text for word in words) or "x"
    found = []
    for word in words:
        text = "".join(
            char if rng.random() >= rate else rng.choice(("", rng.choice(alphabet), _misread(char)))
            for char in word.text
        )
        found.append(Word(text, word.x0, word.y0, word.x1, word.y1))
    return [word for word in found if word.text]


def badly_wrong(words: Sequence[Word], rng: random.Random) -> list[Word]:
    """Return words of a layer that nobody can use."""
    kind = rng.choice(("noisy", "noisy", "noisy", "partial", "ones", "shifted", "foreign"))
    if kind == "noisy":
        return slightly_wrong(words, rng, rng.uniform(0.15, 0.45))
    if kind == "partial":
        return list(words[: max(1, int(len(words) * rng.uniform(0.01, 0.3)))])
    if kind == "ones":
        mark = rng.choice("1l.-I~")
        return [Word(mark * len(w.text), w.x0, w.y0, w.x1, w.y1) for w in words]
    if kind == "shifted":
        shift = rng.choice((-29, 29, 3, -3, 31, 1))
        texts = ["".join(chr(max(33, ord(char) + shift)) for char in w.text) for w in words]
    else:
        letters = sorted({char for w in words for char in w.text if char.isalpha()})
        target = [rng.choice("abcdefghijklmnopqrstuvwxyzABCDEHKLMNOPTXYVW10|") for _ in letters]
        table = str.maketrans(dict(zip(letters, target, strict=True)))
        texts = [w.text.translate(table) for w in words]
    return [Word(t, w.x0, w.y0, w.x1, w.y1) for t, w in zip(texts, words, strict=True)]


def _misread(char: str) -> str:
    pairs = {"l": "1", "o": "0", "e": "c", "m": "rn", "i": "!", "s": "5", "a": "n", "t": "f"}
    return pairs.get(char, ".")


def image_page(
    width: float,
    height: float,
    images: Sequence[tuple[bytes, tuple[int, int], tuple[float, float, float, float]]],
    words: Sequence[Word],
    mode: int,
    text_first: bool,
) -> bytes:
    """Return a one-page PDF of JPEGs with a layer of text, as OCR programs write it.

    Args:
        images: JPEG, its (width, height) in pixels, its box in points from the top left.
        mode: text rendering mode of the layer; 3 is invisible.
        text_first: paint the text before the images.
    """
    marks = []
    for index, (_, _, (x0, y0, x1, y1)) in enumerate(images):
        place = f"{x1 - x0:.2f} 0 0 {y1 - y0:.2f} {x0:.2f} {height - y1:.2f}"
        marks.append(f"q {place} cm /I{index} Do Q")
    lines = ["BT", f"{mode} Tr"]
    for word in words:
        size = max((word.y1 - word.y0) * 0.8, 1.0)
        units = len(word.text.encode("utf-16-be")) // 2
        stretch = 100 * (word.x1 - word.x0) / max(0.5 * size * units, 0.1)
        baseline = height - word.y1 + 0.25 * (word.y1 - word.y0)
        code = word.text.encode("utf-16-be").hex()
        lines.append(
            f"/F0 {size:.2f} Tf {stretch:.2f} Tz"
            f" 1 0 0 1 {word.x0:.2f} {baseline:.2f} Tm <{code}> Tj"
        )
    lines.append("ET")
    content = "\n".join([*lines, *marks] if text_first else [*marks, *lines]).encode()
    ranges = "".join(f"<{row:02X}00> <{row:02X}FF> <{row:02X}00>\n" for row in range(256))
    blocks = ranges.splitlines()
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def\n"
        "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        + "".join(
            f"{len(part)} beginbfrange\n" + "\n".join(part) + "\nendbfrange\n"
            for part in (blocks[i : i + 100] for i in range(0, 256, 100))
        )
        + "endcmap end end"
    ).encode()
    names = " ".join(f"/I{i} {8 + i} 0 R" for i in range(len(images)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width:.2f} {height:.2f}]/Contents 4 0 R"
        f"/Resources<</Font<</F0 5 0 R>>/XObject<<{names}>>>>>>".encode(),
        _stream(content),
        b"<</Type/Font/Subtype/Type0/BaseFont/GlyphLessFont/Encoding/Identity-H"
        b"/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>",
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/GlyphLessFont/CIDToGIDMap/Identity/DW 500"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        b"/FontDescriptor<</Type/FontDescriptor/FontName/GlyphLessFont/Flags 5/ItalicAngle 0"
        b"/Ascent 1000/Descent -1/CapHeight 1000/StemV 80/FontBBox[0 0 500 1000]>>>>",
        _stream(cmap),
        *(
            _stream(
                data,
                f"/Type/XObject/Subtype/Image/Width {w}/Height {h}/ColorSpace/DeviceRGB"
                "/BitsPerComponent 8/Filter/DCTDecode",
            )
            for data, (w, h), _ in images
        ),
    ]
    out = bytearray(b"%PDF-1.5\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _stream(data: bytes, entries: str = "") -> bytes:
    head = f"<<{entries}/Length {len(data)}>>stream\n".encode()
    return head + data + b"\nendstream"


def garble_fonts(document: Any, kind: str, share: float, rng: random.Random) -> None:
    """Break what the fonts of a one-page PyMuPDF document say about the meaning of their glyphs.

    Args:
        kind: one of GARBLINGS.
        share: how many of the fonts, in the order of the file.
    """
    fonts = [font[0] for font in document[0].get_fonts(full=True) if font[0]]
    for xref in fonts[: max(1, round(len(fonts) * share))]:
        if kind == "stripped":
            document.xref_set_key(xref, "ToUnicode", "null")
            _rename_glyphs(document, xref)
            continue
        if kind == "renamed":
            document.xref_set_key(xref, "ToUnicode", "null")
            _rename_glyphs(document, xref)
            document.xref_set_key(xref, "BaseFont", "/ABCDEF+Unknown")
            continue
        target = document.xref_get_key(xref, "ToUnicode")
        is_stream = target[0] == "xref"
        subtype = document.xref_get_key(xref, "Subtype")[1]
        if is_stream:
            cmap_xref = int(target[1].split()[0])
            mapping = _parse_cmap(document.xref_stream(cmap_xref).decode("latin-1"))
        elif subtype != "/Type0":
            mapping = {code: chr(code) for code in (*range(33, 127), *range(161, 256))}
        else:
            continue
        if not mapping:
            continue
        digits = 4 if subtype == "/Type0" else 2
        cmap = _write_cmap(_moved(mapping, kind, rng), digits)
        cmap_xref = document.get_new_xref()
        document.update_object(cmap_xref, "<<>>")
        document.update_stream(cmap_xref, cmap)
        document.xref_set_key(xref, "ToUnicode", f"{cmap_xref} 0 R")


def _rename_glyphs(document: Any, xref: int) -> None:
    """Call the glyphs of a simple font g1, g2 and so on, as many programs do."""
    if document.xref_get_key(xref, "Subtype")[1] == "/Type0":
        return
    names = " ".join(f"/G{code:03d}" for code in range(256))
    document.xref_set_key(xref, "Encoding", f"<</Type/Encoding/Differences[0 {names}]>>")


def _moved(mapping: dict[int, str], kind: str, rng: random.Random) -> dict[int, str]:
    if kind == "permuted":
        groups: dict[tuple[str, str], list[str]] = {}
        for char in sorted({char for char in mapping.values() if len(char) == 1}):
            script = unicodedata.name(char, "?").split()[0]
            groups.setdefault((unicodedata.category(char), script), []).append(char)
        table: dict[str, str] = {}
        for chars in groups.values():
            others = list(chars)
            rng.shuffle(others)
            table |= dict(zip(chars, others, strict=True))
        return {code: table.get(char, char) for code, char in mapping.items()}
    if kind == "private":
        base = rng.choice((0xE000, 0xF000, 0xF100))
        return {code: chr(base + index) for index, code in enumerate(mapping)}
    if kind == "control":
        return {code: chr(1 + index % 31) for index, code in enumerate(mapping)}
    shift = rng.choice((-29, 29, 3, 1, -1, 31, 100))
    return {code: chr(max(33, ord(char[0]) + shift)) for code, char in mapping.items()}


def _parse_cmap(cmap: str) -> dict[int, str]:
    """Return code to text of a ToUnicode map."""
    found = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", cmap, re.S):
        for code, value in re.findall(r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f ]+)>", block):
            found[int(code, 16)] = _text(value)
    for block in re.findall(r"beginbfrange(.*?)endbfrange", cmap, re.S):
        pattern = r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(<[0-9A-Fa-f ]+>|\[.*?\])"
        for first, last, values in re.findall(pattern, block, re.S):
            codes = range(int(first, 16), min(int(last, 16), int(first, 16) + 65535) + 1)
            if values[0] == "[":
                for code, value in zip(codes, re.findall(r"<(.*?)>", values), strict=False):
                    found[code] = _text(value)
            else:
                start = _text(values[1:-1])
                for code in codes if start else ():
                    point = ord(start[-1]) + code - codes[0]
                    found[code] = start[:-1] + chr(min(point, 0x10FFFF))
    return {code: text for code, text in found.items() if text}


def _text(digits: str) -> str:
    return bytes.fromhex(digits.replace(" ", "").zfill(4)).decode("utf-16-be", "ignore")


def _write_cmap(mapping: dict[int, str], digits: int) -> bytes:
    rows = [
        f"<{code:0{digits}X}> <{text.encode('utf-16-be', 'surrogatepass').hex()}>"
        for code, text in mapping.items()
    ]
    parts = [rows[i : i + 100] for i in range(0, len(rows), 100)]
    chars = "".join(
        f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar\n" for part in parts
    )
    space = f"<{'0' * digits}> <{'F' * digits}>"
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        f"1 begincodespacerange {space} endcodespacerange\n{chars}endcmap end end"
    ).encode()


def outlined(page: Any) -> bytes:
    """Return the page as a PDF in which letters are paths."""
    svg = page.get_svg_image(text_as_path=True)
    with pymupdf.open(stream=svg.encode(), filetype="svg") as drawing:
        return bytes(drawing.convert_to_pdf())
