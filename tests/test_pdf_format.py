"""What the steps on the text of PDFs take away, and what they leave."""

from __future__ import annotations

from typing import Any

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.document import Document
from curate.errors import DefinitionError
from curate.formatters.ftfy import FtfyFormatter
from curate.formatters.page_forms import parse
from curate.formatters.pdf import (
    PdfBoilerplate,
    PdfNormalizer,
    PdfPageJoiner,
    PdfPageNumbers,
    PdfTables,
)
from curate.pages import pages_of, set_pages
from curate.steps import Step


def after(step: Step, pages: list[str]) -> list[str]:
    doc = Document(id="x")
    set_pages(doc, pages)
    step.apply(doc)
    return pages_of(doc)


# Page numbers

SURE = [
    ("Page 3", 3, None),
    ("Page: 3 of 10", 3, 10),
    ("page 3/10", 3, 10),
    ("3 | P a g e", 3, None),
    ("Seite 3 von 10", 3, 10),
    ("Página 3 de 10", 3, 10),
    ("Pagina 3 di 10", 3, 10),
    ("Bladzijde 3 van 10", 3, 10),
    ("Side 3 av 10", 3, 10),
    ("Sida 3 av 10", 3, 10),
    ("Sivu 3", 3, None),
    ("3. oldal, összesen: 10", 3, 10),
    ("3 / 10 oldal", 3, 10),
    ("3. lappuse", 3, None),
    ("3 puslapis", 3, None),
    ("Strona 3 z 10", 3, 10),
    ("Strana 3 z 10", 3, 10),
    ("Страница 3 из 10", 3, 10),
    ("Сторінка 3 з 10", 3, 10),
    ("Σελίδα 3 από 10", 3, 10),
    ("Sayfa 3 / 10", 3, 10),
    ("Halaman 3 dari 10", 3, 10),
    ("Trang 3/10", 3, 10),
    ("صفحة ٣ من ١٠", 3, 10),
    ("صفحه ۳ از ۱۰", 3, 10),
    ("עמוד 3 מתוך 10", 3, 10),
    ("पृष्ठ ३ का १०", 3, 10),
    ("หน้า 3 จาก 10", 3, 10),
    ("გვერდი 3", 3, None),
    ("էջ 3", 3, None),
    ("第3页", 3, None),
    ("第 3 页 共 10 页", 3, 10),
    ("共10页 第3页", 3, 10),
    ("3 ページ", 3, None),
    ("10ページ中3ページ", 3, 10),
    ("제 3 쪽", 3, None),
    ("3 페이지", 3, None),
]
NOT_SURE = [
    ("3", 3, None),
    ("- 3 -", 3, None),
    ("— 3 —", 3, None),
    ("[3]", 3, None),
    ("**3**", 3, None),
    ("３", 3, None),
    ("3/10", 3, 10),
    ("3 of 10", 3, 10),
    ("3 (10)", 3, 10),
    ("p. 3", 3, None),
    ("S. 3", 3, None),
    ("xiv", 14, None),
    ("XLII", 42, None),
    ("A-3", 3, None),
    ("2-15", 15, None),
]
NONE = [
    "",
    "12345",
    "3.5",
    "3,000",
    "3%",
    "$3",
    "10/3",
    "Page three",
    "Chapter 3",
    "iix",
    "Iv",
    "3 x",
]


@pytest.mark.parametrize(("line", "number", "total"), SURE)
def test_page_numbers_are_known_in_many_languages(line: str, number: int, total: Any) -> None:
    found = parse(line)
    assert found is not None
    assert (found.number, found.total, found.is_sure) == (number, total, True)


@pytest.mark.parametrize(("line", "number", "total"), NOT_SURE)
def test_other_forms_need_pages_that_count_along(line: str, number: int, total: Any) -> None:
    found = parse(line)
    assert found is not None
    assert (found.number, found.total, found.is_sure) == (number, total, False)


@pytest.mark.parametrize("line", NONE)
def test_lines_that_say_more_are_no_page_numbers(line: str) -> None:
    assert parse(line) is None


@given(st.text())
def test_any_line_can_be_looked_at(line: str) -> None:
    parse(line)


def numbered(numbers: list[str]) -> list[str]:
    return [f"text of page {index}\n{number}" for index, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        (["1", "2", "3", "4"], []),
        (["i", "ii", "iii", "1", "2", "3"], []),
        (["53", "54", "55"], []),
        (["-1-", "-2-", "-3-"], []),
        (["ES-6", "ES-7", "ES-8"], []),
        (["7", "8"], []),  # most of a short document
        (["7", "x", "9"], []),
        (["3", "x", "x", "x", "7", "x"], ["3", "7"]),  # two of six pages prove nothing
        (["5", "12", "7", "90"], ["5", "12", "7", "90"]),  # half of the pages is not most
        (["x", "5", "x"], ["5"]),
        (["42"], ["42"]),  # the answer, and no page number
        (["1"], ["1"]),
        (["1/1"], []),
        (["1/2"], ["1/2"]),
        (["3/4", "x", "x"], ["3/4"]),
        (["Page 7 of 9"], []),
        (["p. 7"], ["p. 7"]),
        (["1", "1", "1", "1"], ["1", "1", "1", "1"]),  # the same on each page: no page number
        (["2", "4", "6", "8"], ["2", "4", "6", "8"]),
    ],
)
def test_which_numbers_at_the_foot_of_pages_stay(numbers: list[str], kept: list[str]) -> None:
    lines = [
        line for page in after(PdfPageNumbers(), numbered(numbers)) for line in page.split("\n")
    ]
    assert [line for line in lines if line in set(numbers) - {"x"}] == kept


def test_a_number_below_a_running_head_goes_and_one_in_the_text_stays() -> None:
    pages = [f"Journal\nVol. 7\n{n}\nwe found {n}\n{n}\ncases\nin\nall" for n in range(10, 16)]
    found = after(PdfPageNumbers(), pages)
    assert found[0] == "Journal\nVol. 7\nwe found 10\n10\ncases\nin\nall"


def test_columns_of_a_table_that_begin_each_page_stay() -> None:
    """1, 2, 3 from the top of each page: no line counts along in its own place."""
    pages = [f"1\n2\n3\ntext {n}" for n in range(6)]
    assert after(PdfPageNumbers(), pages) == pages


def test_rows_of_tables_are_never_page_numbers() -> None:
    pages = [f"text\n| {n} |" for n in range(1, 6)]
    assert after(PdfPageNumbers(), pages) == pages


def test_thousands_of_pages_are_done_at_once() -> None:
    pages = [f"text\n{n}" for n in range(1, 9_000)]
    assert set(after(PdfPageNumbers(), pages)) == {"text"}


# Tables


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("| a |  | b |\n|---|:-:|---|\n| 1 |  | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| a |  |\n|---|---|\n| 1 | x |", "| a |  |\n|---|---|\n| 1 | x |"),  # content, no header
        ("| a | b |\n|---|---|\n|  |  |\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("x\n|  |  |\n|---|---|\n|  |  |\ny", "x\ny"),
        ("| a | b |\n|---|---|\n| 1 |", "| a | b |\n|---|---|\n| 1 |"),
        ("| a |\n|---|\n| 1 | 2 |", "| a |  |\n| --- | --- |\n| 1 | 2 |"),  # nothing is lost
        ("| a \\| b |  |\n|---|---|\n| 1 |  |", "| a \\| b |\n| --- |\n| 1 |"),
        ("| a | b |\n|---|---|\n| - | - |", "| a | b |\n|---|---|\n| - | - |"),  # says "none"
        ("|x| is\n|y|", "|x| is\n|y|"),
        ("||", "||"),
        ("```\n|  |  |\n|---|---|\n```", "```\n|  |  |\n|---|---|\n```"),
    ],
)
def test_tables_lose_what_is_empty(before: str, expected: str) -> None:
    assert after(PdfTables(), [f"p\n{before}"]) == [f"p\n{expected}"]


@given(st.lists(st.sampled_from(["| a |  |", "|---|---|", "|  |  |", "| b | c | d |", "", "x"])))
def test_a_clean_table_stays_as_it_is(lines: list[str]) -> None:
    once = after(PdfTables(), ["p\n" + "\n".join(lines)])
    assert after(PdfTables(), once) == once


# Running headers and footers


def headed(head: list[str], num_pages: int, foot: str = "") -> list[str]:
    """Make pages; each has its own line of text below the lines of `head`."""
    pages = []
    for page in range(num_pages):
        lines = [line.format(page=page) for line in head] + [f"{chr(97 + page)} own words"]
        pages.append("\n".join([*lines, foot.format(page=page)] if foot else lines))
    return pages


def own(pages: list[str]) -> bool:
    """Say whether nothing but each page's own line is left."""
    return pages == headed([], len(pages))


@pytest.mark.parametrize("num_pages", [5, 12])
def test_headers_and_footers_go_whatever_numbers_are_in_them(num_pages: int) -> None:
    pages = headed(["ACME  Report", "Version {page}.1 of May"], num_pages, "p{page} Confidential")
    assert own(after(PdfBoilerplate(), pages))


@pytest.mark.parametrize(
    ("carriers", "num_pages", "goes"), [(5, 20, True), (5, 21, False), (4, 16, False)]
)
def test_a_header_must_be_on_a_quarter_of_the_pages_and_on_five(
    carriers: int, num_pages: int, goes: bool
) -> None:
    plain = headed([], num_pages)
    pages = [
        f"Header here\n{page}" if index % 4 == 0 and index // 4 < carriers else page
        for index, page in enumerate(plain)
    ]
    assert (after(PdfBoilerplate(), pages) == plain) is goes


def test_left_and_right_pages_have_their_own_headers() -> None:
    pages = headed([], 12)
    headers = [("Title of the book", "Name of the author")[index % 2] for index in range(12)]
    assert own(after(PdfBoilerplate(), [f"{h}\n{p}" for h, p in zip(headers, pages, strict=True)]))


def test_the_title_of_a_chapter_goes_from_all_but_its_first_page() -> None:
    """In a long book it is on too few pages for a share of all; nothing of it is lost."""
    pages = headed([], 24)
    heads = ["" if index < 20 else f"{index + 7} Chapter of Ends" for index in range(24)]
    found = after(
        PdfBoilerplate(), [f"{h}\n{p}" if h else p for h, p in zip(heads, pages, strict=True)]
    )
    assert found == [*pages[:20], f"27 Chapter of Ends\n{pages[20]}", *pages[21:]]


def test_chapters_are_left_where_only_the_share_shall_decide() -> None:
    pages = [f"Chapter of Ends\n{p}" if i > 20 else p for i, p in enumerate(headed([], 25))]
    assert after(PdfBoilerplate(min_run=0), pages) == pages
    assert after(PdfBoilerplate(), pages) != pages


@pytest.mark.parametrize(
    "line",
    [
        "| a table | {page} |",
        "Figure {page}",
        "Abbildung {page}.1",
        "{page}.5",
        "100.0",
        "```",
        "12 mg",
    ],
)
def test_tables_captions_and_data_are_no_headers(line: str) -> None:
    pages = headed([line], 10)
    assert after(PdfBoilerplate(), pages) == pages


def test_no_more_than_five_lines_go_at_either_end() -> None:
    pages = headed([f"line {letter} of it" for letter in "abcdef"], 8)
    assert after(PdfBoilerplate(), pages) == headed(["line f of it"], 8)


def test_a_page_that_is_all_boilerplate_is_empty() -> None:
    pages = [*headed(["ACME Report"], 6), "ACME Report", ""]
    assert after(PdfBoilerplate(), pages) == [*headed([], 6), "", ""]


def test_the_same_page_again_and_again_is_no_header() -> None:
    pages = ["all the same words\nand these too"] * 8
    assert after(PdfBoilerplate(), pages) == pages


@pytest.mark.parametrize("num_pages", [2, 4])
def test_in_a_short_document_the_header_stays_on_the_first_page(num_pages: int) -> None:
    pages = headed(["ACME Report {page}"], num_pages)
    assert after(PdfBoilerplate(), pages) == [pages[0], *headed([], num_pages)[1:]]


@pytest.mark.parametrize(("num_pages", "goes"), [(2, False), (3, True), (4, True), (5, True)])
def test_a_cover_has_no_header(num_pages: int, goes: bool) -> None:
    """In a short document it stays on the page after the cover, the first that has it."""
    pages = ["Annual report of ACME", *headed(["ACME Report {page}"], num_pages - 1)]
    kept = [*pages[:2], *headed([], num_pages - 1)[1:]] if goes else pages
    assert after(PdfBoilerplate(), pages) == kept


def test_in_a_short_document_the_header_must_be_on_each_page() -> None:
    pages = [*headed(["ACME Report"], 3), "other words"]
    assert after(PdfBoilerplate(), pages) == pages


# Lines


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("‣ a\n➤ b\n▪c", "- a\n- b\n- c"),
        ("• a\n· one\n° one", "* a\n* one\n* one"),
        ("\uf0b7 a\n\uf0a7\tb\n\uf0fc c", "- a\n- b\n[x] c"),
        ("✓ done\n✘ no", "[x] done\n[x] no"),
        ("•\nitem", "* item"),
        ("•\n•\nitem", "* item"),
        ("-    a\n1.\tb", "- a\n1. b"),
        ("· 3 = x\n°C\n○○会社\n●●", "· 3 = x\n°C\n○○会社\n●●"),
        ("2 • 3", "2 • 3"),
        ("H E A D I N G", "HEADING"),
        ("W H I T E  P A P E R\nx", "WHITE PAPER\nx"),
        ("C O N T E N T S of it", "CONTENTS of it"),
        ("С У В О Р О В", "СУВОРОВ"),
        ("A B C", "A B C"),
        ("A B C D", "A B C D"),  # a listing
        ("X X X X", "X X X X"),
        ("1 2 3 4 5", "1 2 3 4 5"),
        ("a = b + c", "a = b + c"),
        ("| T A B L E |\n|---|", "| T A B L E |\n|---|"),
        ("1 Scope . . . . . . . 7", "1 Scope ... 7"),
        ("| Scope ........ | 7 |", "| Scope ... | 7 |"),
        ("he waited . . . . .", "he waited . . . . ."),
        ("```\na ........\n```", "```\na ........\n```"),
        ("the end\n.", "the end."),
        ("the end\n……", "the end……"),
        ("the end\n\n.", "the end\n\n."),
        ("if (x) {\n}", "if (x) {\n}"),
        ("| a |\n.", "| a |\n."),
        ("one\n---\ntwo", "one\n---\ntwo"),
        ("a\ue000b\ufffdc\U000f0001d", "abcd"),
        ("a\n\n\n \n\nb", "a\n\nb"),
        ("\n a \n", "a"),
        ("```\n•  x\n.\n```", "```\n•  x\n.\n```"),
        ("ﬁ ½ Å", "ﬁ ½ Å"),  # nothing is normalised
    ],
)
def test_lines_are_tidied(before: str, expected: str) -> None:
    assert after(PdfNormalizer(), [before]) == [expected]


@given(st.text(alphabet=st.sampled_from("aB \n\t.•-}|`\ufffd●1")))
def test_tidying_loses_no_letter(text: str) -> None:
    (found,) = after(PdfNormalizer(), [text])
    assert [c for c in found if c.isalnum()] == [c for c in text if c.isalnum()]


# Joining


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (["One.", "Two."], ["One.", "\n\nTwo."]),
        (["a hyphen-", "ated word"], ["a hyphen", "ated word"]),
        (["soft\u00ad", "ware"], ["soft", "ware"]),
        (["the Anglo-", "Saxon"], ["the Anglo-", "\n\nSaxon"]),
        (["COVID-", "19"], ["COVID-", "\n\n19"]),
        (["a dash -", "then"], ["a dash -", "\n\nthen"]),
        (
            ["and the sentence that is open here goes", "on over there until it ends."],
            ["and the sentence that is open here goes", " on over there until it ends."],
        ),
        (
            ["and the sentence that is closed here goes.", "on over there until it ends."],
            ["and the sentence that is closed here goes.", "\n\non over there until it ends."],
        ),
        (
            ["and the sentence that is open here goes", "On over there until it ends."],
            ["and the sentence that is open here goes", "\n\nOn over there until it ends."],
        ),
        (
            ["# and the sentence that is a heading goes", "on over there until it ends."],
            ["# and the sentence that is a heading goes", "\n\non over there until it ends."],
        ),
        (["A short heading", "begins here now"], ["A short heading", "\n\nbegins here now"]),
        (
            ["and the sentence that is open here goes", "a) on in an item of a list"],
            ["and the sentence that is open here goes", "\n\na) on in an item of a list"],
        ),
        (
            ["and the sentence that is open here goes", "x = 1 in the code"],
            ["and the sentence that is open here goes", "\n\nx = 1 in the code"],
        ),
        ([" a\n", "", "\n\n", "\nb "], ["a", "\n\nb"]),
    ],
)
def test_pages_are_joined(pages: list[str], expected: list[str]) -> None:
    assert after(PdfPageJoiner(), pages) == expected


def test_pages_that_stay_keep_their_number_in_the_file() -> None:
    doc = Document(id="x")
    set_pages(doc, ["", "a", " ", "b", ""])
    assert PdfPageJoiner().apply(doc) is None
    assert doc.metadata == {"page_ends": [1, 4], "page_numbers": [1, 3]}


# ftfy


def test_text_decoded_wrongly_is_mended_and_the_rest_left_alone() -> None:
    mended = FtfyFormatter().format("â€œquotedâ€\x9d\r\nﬁ ｘ ’ e\u0301 \x1b[1mbold\x1b[0m &lt;")
    assert mended == "“quoted”\nﬁ ｘ ’ e\u0301 bold <"


@given(st.text(alphabet=st.characters(max_codepoint=0x17F)))
def test_it_is_ftfy_with_the_settings_of_finepdfs(text: str) -> None:
    expected = ftfy.fix_text(
        text,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        normalization=None,
    )
    assert FtfyFormatter().format(text) == expected


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda: PdfPageNumbers(min_pages=1), "min_pages is 1, but must be 2 or more"),
        (lambda: PdfPageNumbers(max_depth=0), "max_depth is 0, but must be 1 or more"),
        (lambda: PdfBoilerplate(min_page_ratio=25), "min_page_ratio is 25, but must be above 0"),
        (lambda: PdfBoilerplate(min_pages=1), "min_pages is 1, but must be 2 or more"),
        (lambda: PdfBoilerplate(min_run=1), "min_run is 1, but must be 0, or 2 or more"),
        (lambda: PdfBoilerplate(max_lines=0), "max_lines is 0, but must be 1 or more"),
    ],
)
def test_a_wrong_value_is_reported_when_the_step_is_made(step: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        step()
