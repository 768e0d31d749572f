"""Which pages of a PDF are sent to OCR."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from PIL import Image

from curate.errors import DefinitionError
from curate.extract.pdf_backend import Backend, open_pdf
from curate.extract.plausible_text import TEXT_FEATURES, text_features
from curate.extract.routing import (
    MODEL_FILE,
    HiddenLayers,
    Rule,
    clause,
    judge_pages,
    load_router,
    router,
)
from curate.extract.routing_features import FEATURES, page_features

BACKENDS: tuple[Backend, ...] = ("pymupdf", "pdfium")
A4 = pymupdf.Rect(0, 0, 595, 842)
FRAME = pymupdf.Rect(60, 60, 535, 780)
ENGLISH = (
    "The harbour was quiet when the first boats came home that morning. Nobody on the wall spoke "
    "about the storm, because there was little to say and much to carry. Baskets were filled, nets "
    "were washed and hung over the rails, and the old clerk wrote down what each crew had brought. "
) * 5
CHINESE = "这个问题我们已经说过很多次了,但是大家还没有找到一个好的办法来解决它。" * 12
RUSSIAN = (
    "Утром в гавани было тихо, когда первые лодки вернулись домой. Никто не говорил о буре, потому "
    "что говорить было не о чем, а работы было много. "
) * 8


def text_page(text: str = ENGLISH, font: str = "helv") -> pymupdf.Document:
    """A born-digital page."""
    document = pymupdf.open()
    page = document.new_page()
    assert page.insert_textbox(FRAME, text, fontname=font, fontsize=11) > 0
    return document


def html_page(text: str) -> pymupdf.Document:
    """A born-digital page in a font that has the letters of most scripts."""
    document = pymupdf.open()
    document.new_page().insert_htmlbox(FRAME, text)
    return document


def printed(document: pymupdf.Document, dpi: int = 120) -> bytes:
    """The page as a scanner sees it: gray, with noise, as JPEG."""
    rendered = document[0].get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY, alpha=False)
    pixels = np.frombuffer(rendered.samples, np.uint8).reshape(rendered.height, rendered.width)
    noise = np.random.default_rng(0).normal(0, 6, pixels.shape)
    return as_jpeg(np.clip(pixels * 0.95 + noise, 0, 255))


def as_jpeg(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "JPEG", quality=60)
    return out.getvalue()


def scan(text: str = ENGLISH, layer: str = "", mode: int = 3, under: bool = False) -> bytes:
    """A scanned page with a layer of text, invisible or painted before the image."""
    image = printed(text_page(text))
    document = pymupdf.open()
    page = document.new_page()
    if not under:
        page.insert_image(A4, stream=image)
    if layer:
        page.insert_textbox(FRAME, layer, fontname="helv", fontsize=11, render_mode=mode)
    if under:
        page.insert_image(A4, stream=image)
    return bytes(document.tobytes())


def photograph() -> bytes:
    """A picture without print."""
    small = np.random.default_rng(1).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((400, 560), Image.Resampling.BICUBIC)
    return as_jpeg(np.asarray(image).astype(np.float64))


def with_image(image: bytes, box: pymupdf.Rect, text: str) -> bytes:
    """An image with visible text painted over it, or beside it."""
    document = pymupdf.open()
    page = document.new_page()
    page.insert_image(box, stream=image, keep_proportion=False)
    page.insert_textbox(FRAME, text, fontsize=11)
    return bytes(document.tobytes())


def with_letters_as(table: dict[int, int]) -> bytes:
    """A page whose font says wrongly what its glyphs mean, though it looks as it should."""
    document = text_page()
    font = document[0].get_fonts()[0][0]
    rows = "\n".join(f"<{code:02X}> <{meant:04X}>" for code, meant in table.items())
    cmap = document.get_new_xref()
    document.update_object(cmap, "<<>>")
    document.update_stream(
        cmap,
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        + f"{len(table)} beginbfchar\n{rows}\nendbfchar\nendcmap end end".encode(),
    )
    document.xref_set_key(font, "ToUnicode", f"{cmap} 0 R")
    return bytes(document.tobytes())


def permuted() -> bytes:
    """Small letters that stand for other small letters: no character looks wrong by itself."""
    letters = list(range(ord("a"), ord("z") + 1))
    others = random.Random(3).sample(letters, len(letters))
    return with_letters_as({32: 32, 44: 44, 46: 46, **dict(zip(letters, others, strict=True))})


def outlines() -> bytes:
    """A page whose letters are drawn as paths."""
    page: Any = text_page().load_page(0)
    drawing: Any = pymupdf.open(stream=page.get_svg_image().encode(), filetype="svg")
    return bytes(drawing.convert_to_pdf())


def misread(share: float) -> str:
    """The English text as bad OCR gives it."""
    rng = random.Random(5)
    return "".join(
        rng.choice("1lI|.,;:tfc~rn") if char != " " and rng.random() < share else char
        for char in ENGLISH
    )


def drawing() -> bytes:
    """A chart: curves, and the names of its axes."""
    document = pymupdf.open()
    page = document.new_page()
    for i in range(30):
        points = [(80 + 14 * x, 400 + 90 * math.sin(x / 4 + i)) for x in range(30)]
        page.draw_polyline(points, color=(0.1, 0.2, i / 30))
    page.insert_text((250, 600), "time in days", fontsize=9)
    return bytes(document.tobytes())


NEEDS_OCR: dict[str, Callable[[], bytes]] = {
    "scan": lambda: scan(),
    "scan with a stamp": lambda: scan(layer="Downloaded from the archive in 2019", mode=0),
    "scan with a misread hidden layer": lambda: scan(layer=misread(0.5)),
    "scan over misread visible text": lambda: scan(layer=misread(0.5), mode=0, under=True),
    "font without meaning": lambda: with_letters_as(dict.fromkeys(range(33, 127), 0xFFFD)),
    "font in the private area": lambda: with_letters_as({c: 0xE000 + c for c in range(33, 127)}),
    "font with permuted letters": permuted,
    "text as outlines": outlines,
}
GOOD_LAYER: dict[str, Callable[[], bytes]] = {
    "scan with a good hidden layer": lambda: scan(layer=ENGLISH),
    "scan over good visible text": lambda: scan(layer=ENGLISH, mode=0, under=True),
}
NEEDS_NONE: dict[str, Callable[[], bytes]] = {
    "english": lambda: text_page().tobytes(),
    "chinese": lambda: text_page(CHINESE, "china-s").tobytes(),
    "russian": lambda: html_page(RUSSIAN).tobytes(),
    "title page": lambda: text_page("Annual Report").tobytes(),
    "blank page": lambda: with_image(as_jpeg(np.full((20, 14), 255.0)), A4, ""),
    "blank scan": lambda: with_image(printed(text_page(" ")), A4, ""),
    "photograph": lambda: with_image(photograph(), A4, ""),
    "figure and text": lambda: with_image(photograph(), pymupdf.Rect(60, 500, 535, 780), ENGLISH),
    "chart": drawing,
    "hidden words on a blank page": lambda: scan(" ", layer="Page intentionally left blank"),
}


def judged(
    payload: bytes, backend: Backend, rule: Rule = "model", hidden_layers: HiddenLayers = "ocr"
) -> list[int]:
    with open_pdf(payload, backend) as pdf:
        texts = [pdf.page(i).text() for i in range(pdf.num_pages)]
        return judge_pages(pdf, texts, rule, hidden_layers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NEEDS_OCR)
def test_a_page_whose_print_did_not_come_out_is_sent_to_ocr(name: str, backend: Backend) -> None:
    """What the reader sees is not in the text: the user gets it by OCR."""
    assert judged(NEEDS_OCR[name](), backend) == [0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NEEDS_NONE)
def test_a_page_whose_text_is_good_or_that_has_none_costs_no_ocr(
    name: str, backend: Backend
) -> None:
    """The user pays nothing for text that is there, and gets none invented where there is none."""
    assert judged(NEEDS_NONE[name](), backend) == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GOOD_LAYER)
def test_a_layer_under_a_scan_is_read_again_unless_the_user_trusts_it(
    name: str, backend: Backend
) -> None:
    """Whose OCR is no better than the one that made the layer keeps what reads like language."""
    payload = GOOD_LAYER[name]()
    assert judged(payload, backend) == judged(payload, backend, "rule") == [0]
    assert judged(payload, backend, hidden_layers="judge") == []
    assert judged(payload, backend, "none") == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_pages_are_judged_one_by_one(backend: Backend) -> None:
    """Of a file with two bad pages, these two are sent, by their number from 0."""
    document = pymupdf.open()
    for part in (text_page().tobytes(), scan(), text_page("Annex").tobytes(), permuted()):
        document.insert_pdf(pymupdf.open(stream=part, filetype="pdf"))
    assert judged(document.tobytes(), backend) == [1, 3]
    assert judged(document.tobytes(), backend, "rule") == [1, 3]
    assert judged(document.tobytes(), backend, "none") == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_that_the_extractor_lost_is_fetched_by_ocr(backend: Backend) -> None:
    """The page is fine, and yet the user has no text of it."""
    with open_pdf(text_page().tobytes(), backend) as pdf:
        assert judge_pages(pdf, [""]) == [0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_page_that_cannot_be_read_does_not_cost_the_others(backend: Backend) -> None:
    """What cannot be opened cannot be rendered for OCR either; the scan after it still is."""
    document = pymupdf.open(stream=scan(), filetype="pdf")
    document.insert_pdf(pymupdf.open(stream=scan(), filetype="pdf"))
    document.update_object(document.page_xref(0), "<</Type/Font>>")
    with open_pdf(document.tobytes(), backend) as pdf:
        assert judge_pages(pdf, [""] * pdf.num_pages)[-1:] == [pdf.num_pages - 1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_page_gets_the_same_probability(backend: Backend) -> None:
    """Judging other pages before does not matter, nor does opening the file again."""
    found = []
    for name in ("scan", "text as outlines", "scan"):
        with open_pdf(NEEDS_OCR[name](), backend) as pdf:
            values = page_features(pdf.page(0), pdf.page(0).text())
            found.append(router().probability([values[name] for name in FEATURES]))
    assert found[0] == found[2] != found[1]


GOOD = dict.fromkeys(FEATURES, 0.0) | {"num_pairs": 8.0, "chars": 8.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"lost_ratio": 0.1}, None),
        ({"lost_ratio": 0.101}, "lost_characters"),
        ({"plausibility": -0.9}, None),
        ({"plausibility": -0.91}, "implausible_letters"),
        ({"plausibility": -3.0, "num_pairs": math.log1p(59)}, None),
        ({"plausibility": -3.0, "num_pairs": math.log1p(60)}, "implausible_letters"),
        ({"plausibility": -0.51, "hidden_ratio": 0.5}, None),
        ({"plausibility": -0.5, "hidden_ratio": 0.51}, None),
        ({"plausibility": -0.51, "hidden_ratio": 0.51}, "bad_layer"),
        ({"unread_page_ratio": 0.04, "unread_print_ratio": 1.0}, None),
        ({"unread_page_ratio": 0.05, "unread_print_ratio": 0.5}, None),
        ({"unread_page_ratio": 0.05, "unread_print_ratio": 0.51}, "unread_print"),
    ],
)
def test_the_written_rule_names_its_clause(values: dict[str, float], expected: str | None) -> None:
    """A user who chose rule="rule" can follow every boundary by hand."""
    assert clause(GOOD | values) == expected


def test_letters_that_do_not_follow_each_other_are_seen_in_any_script() -> None:
    """A permuted alphabet is no language, whatever the script; a language it has not seen is."""
    welsh = (
        "Mae'r plant yn chwarae yn yr ardd, ac mae eu mam yn darllen llyfr wrth y ffenestr. " * 4
    )
    for text in (ENGLISH, RUSSIAN, welsh):
        letters = sorted({char for char in text.lower() if char.isalpha()})
        others = random.Random(2).sample(letters, len(letters))
        table = {ord(char): other for char, other in zip(letters, others, strict=True)}
        broken = text.lower().translate(table)
        good, bad = (text_features(each)["plausibility"] for each in (text, broken))
        assert good > -0.35
        assert bad < good - 0.5


@pytest.mark.parametrize(
    "text",
    ["", " \n", "\ufffd" * 50, "\U0001f600" * 9, "\U00020000" * 9, "\ud800", "a", "\x00\x01"],
)
def test_any_text_can_be_measured(text: str) -> None:
    """Odd text gives numbers, never an error."""
    values = text_features(text)
    assert set(values) == set(TEXT_FEATURES)
    assert all(math.isfinite(value) for value in values.values())


def test_glyph_names_in_place_of_text_count_as_lost() -> None:
    """Some engines write (cid:17) for a glyph without a meaning; office bullets are meant."""
    assert text_features("(cid:17)(cid:4)(cid:120)")["unmapped_ratio"] == 1.0
    assert text_features("\uf0b7 one \uf0a7 two")["private_ratio"] == 0.0


def test_a_wrong_rule_or_number_of_texts_is_refused() -> None:
    """The message says what is allowed."""
    with open_pdf(text_page().tobytes()) as pdf:
        with pytest.raises(DefinitionError, match="allowed are model, rule, none"):
            judge_pages(pdf, [""], "finepdfs")  # type: ignore[arg-type]  # the point of the test
        with pytest.raises(DefinitionError, match="2 texts for 1 pages"):
            judge_pages(pdf, ["", ""])
        with pytest.raises(DefinitionError, match="allowed are ocr, judge"):
            judge_pages(pdf, [""], hidden_layers="keep")  # type: ignore[arg-type]  # as above


def test_the_model_file_says_what_it_is_worth_and_is_whole(tmp_path: Path) -> None:
    """The user sees its precision and recall; a changed file is refused, not used."""
    data = json.loads(MODEL_FILE.read_text("utf-8"))
    for policy, precision, recall in (("ocr", 0.97, 0.95), ("judge", 0.95, 0.92)):
        scores = data["scores_on_test_documents"][policy]
        assert scores["precision"] >= precision and scores["recall"] >= recall
    assert MODEL_FILE.stat().st_size < 100_000
    changed = tmp_path / "ocr_router.json"
    changed.write_text(json.dumps(data | {"threshold": 0.01}))
    with pytest.raises(DefinitionError, match="changed after it was trained"):
        load_router(changed)
    changed.write_text("{")
    with pytest.raises(DefinitionError, match="cannot be read"):
        load_router(changed)
