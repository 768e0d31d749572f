"""Pages without a usable text layer are read from their image, here and within a budget."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from curate.document import Document
from curate.errors import DefinitionError
from curate.ocr import rapid
from curate.ocr.endpoint import Endpoint
from curate.ocr.page_reader import PageReader, page_url
from curate.ocr.step import OcrStep
from curate.ocr.tesseract import model_name
from curate.pages import pages_of
from curate.steps import Drop, Step

from .scans import LINES, Draw, document, empty, noise, pdf, photograph, picture, text_page


@pytest.fixture(scope="module")
def rapidocr() -> Iterator[OcrStep]:
    """The engine whose models come in a wheel, in its child process."""
    step = OcrStep(engine="rapidocr")
    step.setup()
    yield step
    step.close()


def words(text: str) -> str:
    """Return a text without what engines differ in."""
    return " ".join(text.split()).lower()


def test_scanned_pages_are_read_and_the_others_stay(rapidocr: OcrStep) -> None:
    payload = pdf(text_page(*LINES), text_page("not to be read"), text_page(LINES[1]), scanned=True)
    doc = document(payload, ["", "The text layer.\n", "garb\ufffdge"], [0, 2])
    assert rapidocr.apply(doc) is None
    first, second, third = pages_of(doc)
    assert words(first) == words(" ".join(LINES))
    assert second == "The text layer.\n"
    assert words(third) == words(LINES[1])
    assert doc.payload is None
    assert doc.metadata["extractor"] == "liteparse+rapidocr"
    assert (doc.metadata["ocr_done"], doc.metadata["ocr_failed"]) == ([0, 2], [])


def rotated(page: Any) -> None:
    """Draw text that is upright once the page is turned as it says."""
    for i, line in enumerate(LINES):
        page.insert_text((90 + i * 24, 700), line, fontsize=14, rotate=90)
    page.set_rotation(90)


def test_a_rotated_page_is_read_upright(rapidocr: OcrStep) -> None:
    doc = document(pdf(rotated), [""], [0])
    assert rapidocr.apply(doc) is None
    assert words(doc.text) == words(" ".join(LINES))


def test_the_number_of_threads_and_the_pages_before_change_no_letter(
    rapidocr: OcrStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = pdf(text_page(LINES[0], size=17), text_page(LINES[1], size=8), scanned=True)
    whole, alone = document(payload, ["", ""], [0, 1]), document(payload, ["", ""], [1])
    assert rapidocr.apply(whole) is None
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    other = OcrStep(engine="rapidocr")
    assert other.apply(alone) is None
    other.close()
    assert pages_of(whole)[1] == pages_of(alone)[1] != ""


def seen(backend: Literal["pymupdf", "pdfium"]) -> NDArray[np.uint8]:
    """Return the image of the rotated page as a model is shown it."""
    reader = PageReader("image", backend, 150.0, (), 60.0)
    image = pymupdf.Pixmap(base64.b64decode(reader.extract(pdf(rotated), page_url(0)).text))
    return np.frombuffer(image.samples, np.uint8).reshape(image.height, image.width, 3)


def test_either_backend_renders_pages() -> None:
    """Those who must not run AGPL code get the same image, upright."""
    ours, theirs = seen("pymupdf"), seen("pdfium")
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9
    assert "PyMuPDF" not in OcrStep(engine="rapidocr", backend="pdfium").library_versions()


def test_chinese_is_read_without_spaces_between_lines(rapidocr: OcrStep) -> None:
    lines = ("清晨的港口十分安静，第一批渔船刚刚回来，", "鱼市在太阳升起之前就已经开门营业了。")
    doc = document(pdf(text_page(*lines, font="china-s"), scanned=True), [""], [0])
    assert rapidocr.apply(doc) is None
    read = doc.text.replace(",", "，")
    assert read == "".join(lines)


def ruled(page: Any) -> None:
    """Draw the lines of an exercise book."""
    for y in range(60, 800, 24):
        page.draw_line((40, y), (550, y))


NOTHING: dict[str, Draw] = {
    "blank": empty,
    "a speck": lambda page: page.draw_circle((200, 300), 1, fill=(0, 0, 0)),
    "the edges of a scanner": lambda page: page.draw_rect((2, 2, 590, 838), width=6),
    "salt and pepper": picture(noise(1, share=0.02)),
    "more of it": picture(noise(3, share=0.05)),
    "noise": picture(noise(2, share=1.0)),
    "a photograph": picture(photograph(3)),
    "another photograph": picture(photograph(4)),
    "ruled paper": ruled,
}


@pytest.mark.parametrize("page", NOTHING.values(), ids=NOTHING)
def test_no_text_is_invented_for_a_page_without_any(rapidocr: OcrStep, page: Draw) -> None:
    doc = document(pdf(page, scanned=True), ["hidden text of a former use"], [0])
    assert rapidocr.apply(doc) == Drop("no_text")
    assert doc.text == ""


def test_painted_letters_that_cannot_be_seen_stay_as_they_are(rapidocr: OcrStep) -> None:
    """A page is emptied only where the file paints no text either."""
    payload = pdf(text_page(*LINES, size=1), text_page("1", size=9))
    doc = document(payload, ["three tiny lines", "1"], [0, 1])
    assert rapidocr.apply(doc) is None
    assert pages_of(doc) == ["three tiny lines", ""]
    assert (doc.metadata["ocr_failed"], doc.metadata["ocr_failed_why"]) == ([0], ["unread"])


def test_a_page_that_breaks_costs_that_page(rapidocr: OcrStep) -> None:
    """It keeps what its text layer gave, and says why it was not read."""
    good = document(pdf(text_page(LINES[0])), ["", "beyond the end"], [0, 1])
    assert rapidocr.apply(good) is None
    assert pages_of(good)[1] == "beyond the end"
    assert (good.metadata["ocr_failed"], good.metadata["ocr_failed_why"]) == ([1], ["bad_page"])
    broken = document(b"%PDF-1.4 and nothing else", ["layer", "more"], [1])
    assert rapidocr.apply(broken) is None
    assert broken.text == "layermore"
    assert broken.metadata["ocr_failed"] == [1]
    empty_one = document(b"%PDF-1.4 and nothing else", ["", ""], [0, 1])
    assert rapidocr.apply(empty_one) == Drop("pages_failed", 2)


def test_a_script_that_the_engine_does_not_know_is_not_guessed(rapidocr: OcrStep) -> None:
    """PP-OCR's model has no Cyrillic letters: the page keeps its text layer, marked."""
    lines = [f"{number}. Жёлтый шум быстро бежал по цифровой площади" for number in range(3)]
    doc = document(pdf(text_page(*lines, font="china-s"), scanned=True), ["layer"], [0])
    assert rapidocr.apply(doc) is None
    assert doc.text == "layer"
    assert doc.metadata["ocr_failed_why"][0] in ("low_confidence", "unread")


class Loads(Step):
    """Counts what it loads."""

    name = "load_payload"

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.loaded = 0

    def identity(self) -> dict[str, str]:
        """Nothing to tell."""
        return {}

    def apply(self, doc: Document) -> None:
        """Set the payload."""
        self.loaded += 1
        doc.payload = self.payload


def test_only_documents_with_pages_to_read_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tesseract(tmp_path, monkeypatch)
    load = Loads(pdf(text_page(LINES[0])))
    step = OcrStep(engine="tesseract", load=load)
    untouched = document(None, ["all is well"], [])
    before = dict(untouched.metadata)
    assert step.apply(untouched) is None
    assert (untouched.text, untouched.metadata) == ("all is well", before)
    assert load.loaded == 0
    assert step.apply(document(None, [""], [0])) is None
    assert load.loaded == 1
    everything = OcrStep(engine="tesseract", load=load, pages="all")
    doc = document(None, ["all is well"], [])
    assert everything.apply(doc) is None
    assert doc.text == 'The harbour\n\n"quiet'
    assert doc.metadata["ocr_pages"] == [0]
    step.close()
    everything.close()


@pytest.fixture
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any."""
    monkeypatch.setattr("curate.ocr.engine.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.mark.usefixtures("no_engines")
def test_without_an_engine_pages_stay_and_documents_without_text_say_that_they_need_one() -> None:
    step = OcrStep()
    doc = document(None, ["some text", ""], [1])
    assert step.apply(doc) is None
    assert (doc.text, doc.metadata["ocr_skipped"]) == ("some text", [1])
    assert step.apply(document(None, ["", " "], [0, 1])) == Drop("needs_ocr")
    assert "rapidocr" not in step.library_versions()
    step.close()


@pytest.mark.usefixtures("no_engines")
@pytest.mark.parametrize(
    ("engine", "help"),
    [("rapidocr", r"pip install 'curate\[ocr\]'"), ("tesseract", "apt-get install tesseract-ocr")],
)
def test_an_engine_that_is_missing_says_how_to_get_it(engine: str, help: str) -> None:
    step = OcrStep(engine=engine)  # type: ignore[arg-type]  # parametrized
    with pytest.raises(DefinitionError, match=help):
        step.identity()


def test_what_is_installed_is_part_of_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that "auto" finds, its version, and the bytes of its models."""
    auto = OcrStep()
    assert auto.identity() == OcrStep(engine="rapidocr").identity()
    assert {"rapidocr", "onnxruntime", "PyMuPDF"} <= auto.library_versions().keys()
    assert [Path(path).name for path in auto.assets()] == [
        "PP-OCRv6_det_small.onnx",
        "PP-OCRv6_rec_small.onnx",
    ]
    monkeypatch.setattr("curate.ocr.engine.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert OcrStep().identity() != auto.identity()


def test_a_model_that_is_missing_is_not_fetched(tmp_path: Path) -> None:
    """An installation that lost its models says so, and asks nobody for them."""
    source = rapid.MODELS[0].locate().parent.parent
    package = tmp_path / "rapidocr"
    package.mkdir()
    for entry in source.iterdir():
        if entry.name != "models":
            (package / entry.name).symlink_to(entry)
    code = "from curate.ocr.step import OcrStep; print(OcrStep(engine='rapidocr').assets())"
    here = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{here}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "PP-OCRv6_det_small.onnx is not installed" in done.stderr
    assert not (package / "models").exists()


TABLE = """\
level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext
1\t1\t0\t0\t0\t0\t0\t0\t1240\t1754\t-1\t
5\t1\t1\t1\t1\t1\t126\t151\t40\t26\t96.1\tThe
5\t1\t1\t1\t1\t2\t126\t151\t40\t26\t95.2\thar-
5\t1\t1\t1\t2\t1\t126\t171\t40\t26\t{conf}\tbour
5\t1\t1\t2\t1\t1\t126\t191\t40\t26\t{conf}\t"quiet
"""

PROGRAM = """\
#!/bin/sh
case "$1" in
--version) echo "tesseract 5.3.0" ;;
--list-langs) printf 'List of available languages in "{folder}" (2):\\ndeu\\neng\\n' ;;
*) echo "$@" >{folder}/called; head -c 2 >{folder}/image; cat >/dev/null; {ending} ;;
esac
"""


def tesseract(
    folder: Path, monkeypatch: pytest.MonkeyPatch, conf: str = "90", ending: str = ""
) -> None:
    """Put a program on the path that answers as Tesseract does; the table is one it printed."""
    (folder / "table").write_text(TABLE.format(conf=conf))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "deu.traineddata").write_bytes(b"model")
    (folder / "eng.traineddata").write_bytes(b"model")
    program = folder / "tesseract"
    program.write_text(PROGRAM.format(folder=folder, ending=ending or f"cat {folder}/table"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("conf", "text", "why"),
    [("90", 'The harbour\n\n"quiet', []), ("1", "layer", ["low_confidence"])],
)
def test_tesseract_is_called_with_its_names_of_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str, text: str, why: list[str]
) -> None:
    tesseract(tmp_path, monkeypatch, conf)
    step = OcrStep(engine="tesseract", languages=("eng_Latn", "de"))
    doc = document(pdf(text_page("The harbour", '"quiet')), ["layer"], [0])
    assert step.apply(doc) is None
    step.close()
    assert (doc.text, doc.metadata["ocr_failed_why"]) == (text, why)
    assert "-l eng+deu --psm 3 --dpi 150" in (tmp_path / "called").read_text()
    assert (tmp_path / "image").read_bytes() == b"P6"
    assert step.library_versions()["tesseract"] == "5.3.0"
    assert [Path(path).name for path in step.assets()] == ["eng.traineddata", "deu.traineddata"]


def test_a_language_that_tesseract_lacks_is_told_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tesseract(tmp_path, monkeypatch, ending="exit 3")
    with pytest.raises(DefinitionError, match="apt-get install tesseract-ocr-chi-tra"):
        OcrStep(engine="tesseract", languages=("cmn_Hant",))
    step = OcrStep(engine="tesseract")
    doc = document(pdf(text_page(LINES[0])), ["layer"], [0])
    assert step.apply(doc) is None
    assert doc.metadata["ocr_failed_why"] == ["engine_failed"]
    step.close()


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "eng"),
        ("eng_Latn", "eng"),
        ("arb_Arab", "ara"),
        ("cmn_Hani", "chi_sim"),
        ("zh_Hant", "chi_tra"),
        ("chi_sim", "chi_sim"),
        ("srp_Latn", "srp_latn"),
        ("sr", "srp"),
        ("frk", "frk"),
    ],
)
def test_languages_have_the_names_of_tesseract(language: str, name: str) -> None:
    assert model_name(language) == name


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "easyocr"},
        {"pages": "some"},
        {"backend": "mupdf"},
        {"dpi": 0},
        {"memory_gb": -1},
        {"engine": "endpoint"},
        {"endpoint": Endpoint("http://localhost/v1", "a model")},
    ],
    ids=str,
)
def test_a_step_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DefinitionError):
        OcrStep(**wrong).identity()  # type: ignore[arg-type]  # as a user may write it
