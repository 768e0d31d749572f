"""What a reader sees on the pages of a PDF comes out as text, in the order it is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.extract.pdf import PdfExtractor
from curate.pages import pages_of
from curate.steps import Drop
from tests import pdf_files as files
from tests.pdf_files import column, pdf, rows, say

ENGINES = ("pymupdf", "pdfium", "liteparse")
ours = pytest.mark.parametrize("engine", ENGINES[:2])
every = pytest.mark.parametrize("engine", ENGINES)

LEFT = [
    "The first column begins here and it goes on to a",
    "second line, then a third one that ends in the hyphen-",
    "ation of a word; the paragraph ends here.",
]
RIGHT = [
    "The second column is read after all of the first, al-",
    "though it stands beside it and was drawn as high on",
    "the page as the other.",
]
LEFT_TEXT = (
    "The first column begins here and it goes on to a second line, then a third one that ends in"
    " the hyphenation of a word; the paragraph ends here."
)
RIGHT_TEXT = (
    "The second column is read after all of the first, although it stands beside it and was drawn"
    " as high on the page as the other."
)
TABLE = [
    ["Region", "Cars", "Buses"],
    ["North", "1,200", "35"],
    ["South and islands", "87", "4"],
    ["West", "5,410", "112"],
]
MARKDOWN_TABLE = """\
| Region | Cars | Buses |
| --- | --- | --- |
| North | 1,200 | 35 |
| South and islands | 87 | 4 |
| West | 5,410 | 112 |"""


def read(payload: bytes, engine: str = "pymupdf") -> Document:
    """Extract a PDF in this process."""
    doc = Document("a", payload=payload)
    PdfExtractor(engine=engine, judge="none", isolate=False).apply(doc)
    return doc


@every
def test_columns_are_read_one_after_the_other(engine: str) -> None:
    page = [*column(50, 100, LEFT), *column(320, 100, RIGHT)]
    assert read(pdf(page), engine).text == f"{LEFT_TEXT}\n\n{RIGHT_TEXT}"


@ours
def test_columns_that_were_drawn_line_by_line_are_taken_apart(engine: str) -> None:
    left, right = column(50, 100, LEFT * 4), column(320, 100, RIGHT * 4)
    page = [line for pair in zip(left, right, strict=True) for line in pair]
    text = read(pdf(page), engine).text
    assert text.count("second line, then a third one") == 4
    assert text.rindex("hyphenation of a word") < text.index("second column")


@ours
def test_columns_whose_lines_do_not_stand_level_are_taken_apart_too(engine: str) -> None:
    """The pen goes down the page, from one column to the other and back."""
    page = [*column(50, 100, LEFT * 4), *column(320, 106, RIGHT * 4)]
    page += column(
        50, 300, ["Below them the left column goes on alone, as long", "as it likes."] * 9
    )
    page.sort(key=lambda drawn: drawn[1])
    text = read(pdf(page), engine).text
    assert text.count("second line, then a third one") == text.count("column is read after") == 4
    assert text.rindex("goes on alone") < text.index("second column")


@ours
def test_a_table_of_phrases_is_not_taken_for_two_columns(engine: str) -> None:
    names = ["the harbour office", "a quay", "the long wall of the old town", "the clerk's book"]
    uses = [
        "where ships are entered",
        "where they are unloaded, by day or night",
        "keeps the sea out",
    ]
    table = [[names[i % 4], uses[i % 3]] for i in range(12)]
    text = read(pdf(rows((60, 260), 100, table)), engine).text
    assert "| the long wall of the old town | keeps the sea out |" in text


@every
@pytest.mark.parametrize("ruled", [True, False], ids=["ruled", "borderless"])
def test_a_table_becomes_a_markdown_table(engine: str, ruled: bool) -> None:
    page = [
        say(60, 80, "Vehicles are counted by region, as the table says."),
        *rows((64, 220, 340), 112, TABLE),
    ]
    lines = [(60, y, 440, y) for y in (100, 116, 129, 142, 155)]
    lines += [(x, 100, x, 155) for x in (60, 215, 335, 440)]
    text = read(files.ruled(page, lines) if ruled else pdf(page), engine).text
    assert MARKDOWN_TABLE in text.replace("|---|---|---|", "| --- | --- | --- |")


@ours
def test_a_cell_of_several_lines_stays_one_cell(engine: str) -> None:
    page = [
        *rows((60, 250), 100, [["Term", "Meaning"]]),
        *rows((60, 250), 120, [["Unit", "what one worker does"], ["", "in one go"]]),
        *rows((60, 250), 152, [["Stage", "steps in one pass"], ["", "over a unit"]]),
        *rows((60, 250), 184, [["Task", "what is started"]]),
    ]
    assert "| Unit | what one worker does in one go |" in read(pdf(page), engine).text


@ours
def test_amounts_keep_their_currency_and_their_column(engine: str) -> None:
    table = [
        ["In millions", "", "2023", "", "2022"],
        ["Revenue", "$", "11,715", "$", "18,353"],
        ["Cost", "", "7,707", "", "9,109"],
        ["Income", "$", "4,008", "$", "9,244"],
    ]
    text = read(pdf(rows((60, 250, 262, 350, 362), 100, table)), engine).text
    assert "| Revenue | $ 11,715 | $ 18,353 |" in text
    assert "| Cost | 7,707 | 9,109 |" in text


@every
def test_headings_lists_and_paragraphs_are_told_apart(engine: str) -> None:
    page = [
        say(60, 80, "A title in large type", 20, "hebo"),
        *column(
            60,
            120,
            [
                "A paragraph of text that is long enough to be the body of this page,",
                "and its second line.",
            ],
        ),
        say(60, 170, "\u2022"),
        say(72, 170, "the first thing of a list, with a"),
        say(72, 183, "line more"),
        say(60, 200, "\u2022"),
        say(72, 200, "the second thing"),
        say(60, 240, "A section", 14, "hebo"),
        *column(
            60,
            270,
            ["Another paragraph, after the heading of its section, which ends soon.", "Here."],
        ),
    ]
    text = read(pdf(page), engine).text
    blocks = text.split("\n\n")
    assert blocks[0] == "# A title in large type"
    assert blocks[1].endswith("the body of this page, and its second line.")
    assert "- the first thing of a list, with a line more\n- the second thing" in text
    assert "## A section" in blocks
    assert blocks[-1].startswith("Another paragraph, after the heading")


@ours
def test_a_hyphen_stays_where_the_document_writes_the_word_with_it(engine: str) -> None:
    lines = [
        "The sub-adiabatic layer, as said before, is the one that is sub-",
        "adiabatic below the convective envelope, and over-",
        "shooting goes on in it at all times, says the model.",
    ]
    text = read(pdf(column(60, 100, lines)), engine).text
    assert "that is sub-adiabatic below" in text and "and overshooting goes on" in text


@ours
def test_lines_that_were_broken_on_purpose_stay_apart(engine: str) -> None:
    lines = ["Jane Doe", "12 Long Street, behind the church", "Springfield"]
    page = [*column(60, 100, LEFT), *column(60, 160, lines)]
    assert read(pdf(page), engine).text == "\n\n".join([LEFT_TEXT, *lines])


@every
def test_ideographs_are_joined_without_spaces(engine: str) -> None:
    sentence = (
        "\u6f22\u5b57\u304c\u591a\u304f\u306e\u6587\u3067\u6bb5\u843d\u3092\u57cb\u3081\u308b" * 9
    )
    text = read(files.html_page(f"<p>{sentence}</p>"), engine).text
    assert text == sentence


@every
def test_right_to_left_text_is_in_logical_order(engine: str) -> None:
    text = read(
        files.html_page("<p>\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd 2024</p>"), engine
    ).text
    assert text == "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd 2024"


@every
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_the_file_turns_is_read_upright(engine: str, degrees: int) -> None:
    drawn = [*column(50, 100, LEFT), *column(320, 100, RIGHT)]
    assert read(files.rotated(drawn, degrees), engine).text == f"{LEFT_TEXT}\n\n{RIGHT_TEXT}"


@ours
def test_a_font_without_meaning_leaves_marks_that_a_judge_can_see(engine: str) -> None:
    text = read(files.without_unicode("<p>\u0422\u0430\u0439\u043d\u043e\u0435</p>"), engine).text
    assert text.count("\ufffd") >= 6 and not any(map(str.isalnum, text))


@every
def test_ligatures_are_taken_apart(engine: str) -> None:
    assert (
        read(files.html_page("<p>\ufb01ne \ufb02our e\ufb00ort</p>"), engine).text
        == "fine flour effort"
    )


@every
def test_text_that_is_drawn_twice_for_bold_comes_once(engine: str) -> None:
    page = [say(60, 100, "Important"), say(60.3, 100, "Important"), say(60, 140, "Other")]
    assert read(pdf(page), engine).text.count("Important") == 1


@every
def test_the_pages_follow_each_other_and_empty_ones_are_counted(engine: str) -> None:
    doc = read(pdf([say(60, 100, "One")], [], [say(60, 100, "Three")]), engine)
    assert pages_of(doc) == ["One", "", "Three"]
    assert doc.text == "OneThree" and doc.metadata["page_ends"] == [3, 3, 8]
    assert doc.metadata["num_pages"] == 3 and doc.metadata["extractor"] == engine
    assert doc.metadata["failed_pages"] == doc.metadata["ocr_pages"] == []
    assert doc.payload is None


@pytest.mark.parametrize("engine", ["pdfium", "liteparse"])
def test_a_page_that_cannot_be_read_costs_that_page(engine: str) -> None:
    good = [[say(60, 100, text)] for text in ("One", "Two", "Three")]
    doc = read(files.broken_page(good, 1), engine)
    assert pages_of(doc) == ["One", "", "Three"]
    assert doc.metadata["failed_pages"] == [1]


def test_pages_after_the_limit_are_not_read_and_it_shows() -> None:
    doc = Document("a", payload=pdf(*([say(60, 100, str(i))] for i in range(5))))
    PdfExtractor(judge="rule", max_pages=2, isolate=False).apply(doc)
    assert pages_of(doc) == ["0", "1"] and doc.metadata["num_pages"] == 5


@pytest.mark.parametrize("judge", ["model", "rule"])
def test_a_scan_is_kept_for_ocr_and_a_blank_page_is_not(judge: str) -> None:
    extractor = PdfExtractor(judge=judge, isolate=False)  # type: ignore[arg-type]  # a rule by name
    scan, blank = Document("a", payload=files.printed_scan()), Document("b", payload=pdf([]))
    assert extractor.apply(scan) is None and extractor.apply(blank) == Drop("no_text")
    assert (scan.text, scan.metadata["ocr_pages"]) == ("", [0])
    assert read(files.scan([say(72, 72, "hidden words")])).text == "hidden words"


@pytest.fixture(scope="module")
def isolated() -> Iterator[PdfExtractor]:
    """An extractor as a pipeline uses it."""
    extractor = PdfExtractor(judge="none", timeout_s=20, memory_gb=0.1, max_payload_bytes=1 << 20)
    extractor.setup()
    yield extractor
    extractor.close()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"<html>not one</html>", "not_a_pdf"),
        (b"%PDF-1.7\n", "corrupt"),
        (pdf([say(72, 72, "x")], encryption=4, user_pw="secret"), "encrypted"),
        (files.raw_pdf([b"<</Type/Catalog>>"]), "no_pages"),
        (b"%PDF-" + bytes(1 << 20), "too_large"),
        (files.bomb(1 << 28), "out_of_memory"),
        (
            files.raw_pdf(
                [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 9>>"]
            ),
            "corrupt",
        ),
    ],
    ids=["html", "header", "password", "no pages", "large", "bomb", "loop"],
)
def test_a_document_that_cannot_be_read_fails_and_the_next_one_does_not_notice(
    isolated: PdfExtractor, payload: bytes, reason: str
) -> None:
    with pytest.raises(DocumentError) as failure:
        isolated.extract(payload, "")
    assert failure.value.reason == reason
    assert isolated.extract(pdf([say(60, 100, "The next one")]), "").text == "The next one"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_gives_what_is_in_it_or_fails(isolated: PdfExtractor, share: float) -> None:
    payload = pdf(*([say(60, 100, f"Page {i}")] for i in range(20)))
    try:
        text = isolated.extract(payload[: int(share * len(payload))], "").text
    except DocumentError as failure:
        assert failure.reason in {"corrupt", "no_pages", "no_readable_page"}
    else:
        assert "Page" in text or not text


def test_what_one_library_cannot_open_another_may(isolated: PdfExtractor) -> None:
    """This file says that it has no pages, and has one."""
    extracted = isolated.extract(files.only_for_pdfium(), "")
    assert extracted.text.strip() == "Read by PDFium"
    assert extracted.metadata["extractor"] == "pdfium"


def test_an_engine_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(DefinitionError, match="pip install docling, or choose another of pymupdf"):
        PdfExtractor(engine="docling", judge="none").setup()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engine": "poppler"}, "engine='poppler'; allowed are 'pymupdf', 'pdfium'"),
        ({"backend": "liteparse"}, "backend='liteparse'; allowed are '', 'pymupdf', 'pdfium'"),
        ({"fallback": "none"}, "fallback='none'; allowed are '', 'pymupdf'"),
        ({"judge": "coin"}, "judge='coin'; allowed are 'model', 'rule', 'none'"),
        ({"hidden_layers": "drop"}, "hidden_layers='drop'; allowed are 'ocr', 'judge'"),
        ({"max_pages": 0}, "max_pages is 0; it must be > 0"),
    ],
)
def test_a_wrong_parameter_says_what_is_allowed(values: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        PdfExtractor(**values)  # type: ignore[arg-type]  # wrong on purpose


def test_only_the_libraries_in_use_are_part_of_the_fingerprint() -> None:
    assert set(PdfExtractor().library_versions()) == {"PyMuPDF", "pypdfium2"}
    assert set(PdfExtractor(engine="pdfium").library_versions()) == {"pypdfium2"}
    lite = PdfExtractor(engine="liteparse", backend="pdfium")
    assert set(lite.library_versions()) == {"liteparse", "pypdfium2"}
    assert PdfExtractor(judge="none").assets() == () != PdfExtractor().assets()


@pytest.mark.parametrize("engine", ["pymupdf", "pdfium"])
def test_a_ruled_table_has_the_cells_that_are_ruled(engine: str) -> None:
    """Cells that nearly touch are told apart by the rules, also on a page without the top one."""
    import pymupdf

    rows = [
        ("Release", "Published", "Ports"),
        ("5.0", "February 2009", "12"),
        ("6.0", "May 2011", "9"),
    ]
    xs, top, height = (72, 120, 193, 230), 100, 20
    document = pymupdf.open()
    page = document.new_page()
    for number, row in enumerate(rows):
        for x, cell in zip(xs, row, strict=False):
            page.insert_text((x + 3, top + height * number + 14), cell, fontsize=10)
        bottom = top + height * (number + 1)
        page.draw_line((xs[0], bottom), (xs[-1], bottom))
    for x in xs:
        page.draw_line((x, top), (x, top + height * len(rows)))
    page.insert_text((72, 200), "A sentence below the table that belongs to none of its cells.")
    text = PdfExtractor(engine, isolate=False, judge="none").extract(document.tobytes(), "").text
    assert text.splitlines()[:4] == [
        "| Release | Published | Ports |",
        "| --- | --- | --- |",
        "| 5.0 | February 2009 | 12 |",
        "| 6.0 | May 2011 | 9 |",
    ]
    assert text.splitlines()[-1].startswith("A sentence below")


def test_a_box_around_text_is_no_table() -> None:
    """Text in frames, or two columns with a rule between them, stays prose."""
    import pymupdf

    document = pymupdf.open()
    page = document.new_page()
    words = "It was told that the harbour had been closed for the winter and that no ship came in. "
    for x in (72, 300):
        page.insert_textbox((x, 110, x + 190, 400), words * 6, fontsize=10)
    page.draw_rect((66, 100, 500, 420))
    page.draw_line((280, 100), (280, 420))
    text = PdfExtractor(isolate=False, judge="none").extract(document.tobytes(), "").text
    assert "|" not in text
    assert text.count("It was told that the harbour") == 12
