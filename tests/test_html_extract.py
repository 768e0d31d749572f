"""The text of HTML pages by the model of blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.definition import call, load
from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.extract.html import HtmlExtractor, ResiliparseExtractor, TrafilaturaExtractor
from curate.extract.html_blocks import read_page
from curate.extract.html_model import MODEL_FILE, load_model
from curate.extract.html_write import write
from curate.steps import Drop, Extractor

GOLD = Path(__file__).parent / "gold" / "html"
ARTICLE = (GOLD / "article.html").read_bytes()
EXTRACTOR = HtmlExtractor()
EVERYTHING = HtmlExtractor(boilerplate=True)

STRUCTURE = b"""<html><body><main><h1>Tea &amp; water</h1>
<p>First <b>boil</b> the water.<br>Then wait.
<ul><li>green tea: 80 degrees<li>black tea: 100 degrees<ul><li>Assam</ul></ul>
<table><tr><th>Tea<th>Minutes<tr><td>green<td>2<tr><td>black<td><p>4</p><p>at most</p></table>
<blockquote>Tea is<p>patience.</blockquote><pre>
kettle --on
  wait 80
</pre><p>a &lt; b &mdash; and &#233;<div>Cup<div>Pot</div></div></main></body></html>"""


def _text(extractor: Extractor, page: bytes, charset: str = "utf-8") -> str:
    return extractor.extract(page, "https://example.org/", charset).text


def test_menus_comments_and_footers_are_left_out() -> None:
    text = _text(EXTRACTOR, ARTICLE)
    assert "Two in three voters" in text
    assert "A town that cannot be reached" in text
    for boilerplate in (
        "cookies",
        "Weather",
        "Most read",
        "Storm closes",
        "Privacy",
        "Nine minutes!",
    ):
        assert boilerplate not in text, boilerplate


def test_comments_come_when_asked_for() -> None:
    text = _text(HtmlExtractor(comments=True), ARTICLE)
    assert "Nine minutes! I have waited thirty years for this." in text
    assert "Most read" not in text


def test_everything_visible_comes_when_asked_for() -> None:
    text = _text(EVERYTHING, ARTICLE)
    assert "Weather" in text and "Most read" in text and "© 2023 The Coast Courier" in text


def test_a_stricter_chance_keeps_less() -> None:
    sizes = [len(_text(HtmlExtractor(min_chance=least), ARTICLE)) for least in (0, 0.5, 0.9, 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == len(_text(EVERYTHING, ARTICLE))


def test_a_long_text_that_a_page_lays_out_twice_comes_once() -> None:
    """Once for wide screens and once for phones; what a page says again, it says again."""
    lead = "The ferry will run every twenty minutes from June, so that nobody in town has to wait."
    page = (
        f"<main><div class=wide><p>{lead}</p></div><section class=phone><p>{lead}</p></section>"
        f"<ul><li>{lead}<li>{lead}</ul><p>Short.</p><h2>Short.</h2></main>"
    )
    text = _text(HtmlExtractor(min_chance=0), page.encode())
    assert text.splitlines() == [lead, "Short.", "Short."]
    items = f"<ul><li>{lead}<li>Until May, this:<li>{lead}</ul>"
    assert _text(HtmlExtractor(min_chance=0), items.encode()).count(lead) == 2


def test_plain_text_has_a_line_for_each_piece() -> None:
    assert _text(EVERYTHING, STRUCTURE).splitlines() == [
        "Tea & water",
        "First boil the water.",
        "Then wait.",
        "- green tea: 80 degrees",
        "- black tea: 100 degrees",
        "- Assam",
        "| Tea | Minutes |",
        "| green | 2 |",
        "| black | 4 at most |",
        "Tea is",
        "patience.",
        "kettle --on",
        "  wait 80",
        "a < b — and é",
        "Cup",
        "Pot",
    ]


def test_labels_and_values_without_a_space_between_them_are_two_words() -> None:
    """Styles part them; what is one word to the reader stays one."""
    page = b"""<p><span>Price</span><span>9.99</span><span>VAT</span> <a>News</a><a>Sport</a>
    <p>H<sub>2</sub>O <b>Won</b><i>der</i> i<b>Phone</b> <pre><b>foo</b><b>Bar</b></pre>"""
    assert _text(EVERYTHING, page).splitlines() == [
        "Price 9.99 VAT News Sport",
        "H2O Wonder iPhone",
        "fooBar",
    ]


def test_markdown_marks_headings_lists_tables_quotes_and_code() -> None:
    assert (
        _text(HtmlExtractor(format="markdown", boilerplate=True), STRUCTURE)
        == """# Tea & water

First boil the water.
Then wait.

- green tea: 80 degrees
- black tea: 100 degrees
  - Assam

| Tea | Minutes |
| --- | --- |
| green | 2 |
| black | 4 at most |

> Tea is

> patience.

```
kettle --on
  wait 80
```

a < b — and é

Cup

Pot"""
    )


def test_a_heading_is_written_without_the_link_to_itself() -> None:
    page = "<h2>Tea leaves<a href='#tea'>¶</a></h2><p>They float."
    assert _text(EVERYTHING, page.encode()) == "Tea leaves\nThey float."


CELLS = b"""<table><tr><td><img src=x></td><th></th><th>2020</th><th colspan="2">2021</th><th>All
<tr><td></td><td>Tea</td><td></td><td>4</td><td></td><td>4</td>
<tr><td></td><td>Milk<table><tr><td></td><td>cold</td><td>5</td></tr><tr><td>8</table>
<td>1</td><td></td><td COLSPAN=x></td><td></td></tr></table><table><tr><td>a<td>b</table>"""


def test_cells_stay_in_their_columns_beside_empty_ones() -> None:
    """A column that is empty in the whole table is no column; an inner table is its own."""
    assert _text(EVERYTHING, CELLS).splitlines() == [
        "| | 2020 | 2021 | All |",
        "| Tea | | 4 | 4 |",
        "| Milk |",
        "| cold | 5 |",
        "8",
        "| 1 |",
        "| a | b |",
    ]
    assert _text(
        HtmlExtractor(format="markdown", boilerplate=True), CELLS.partition(b"Milk")[0]
    ) == ("| | 2020 | 2021 | All |\n| --- | --- | --- | --- |\n| Tea | | 4 | 4 |")


def test_a_cell_that_is_not_kept_is_empty() -> None:
    page = read_page("<table><tr><td>a<td>b<td>c<td>d<tr><td>e<td>f<td>g<td>h</table>", {})

    def written(kept: list[int], markdown: bool = False) -> str:
        return write(page, kept, markdown, whole_rows=False)

    assert written([1, 3, 4, 5, 6]) == "| | b | | d |\n| e | f | g |"
    assert written([1, 4, 6], markdown=True) == "| | b | |\n| --- | --- | --- |\n| e | | g |"
    assert written([1, 3, 5, 7]) == "| b | d |\n| f | h |"


def test_a_row_of_which_a_cell_is_kept_is_kept_whole() -> None:
    """But for what is not seen in it, or is no data."""
    source = "<p>t<table><tr><td>a<td>b<tr><td>c<td hidden>d<td>e<td><button>f</button></table>"
    page = read_page(source, {})
    assert write(page, [0]) == "t"
    assert write(page, [0, 2]) == "t\n| a | b |"
    assert write(page, [3]) == "| c | e |"


def test_a_cell_counts_for_as_many_columns_as_it_takes() -> None:
    page = b"""<table><tr><td colspan='2'>Both<td>Other<tr><td>1<td>2<td>3
    <tr><td data-colspan=3 class=colspan>4<td colspan = 0>5<td>6
    <tr><td colspan=99999999>7<td>8</table>"""
    assert _text(EVERYTHING, page).splitlines() == [
        "| Both | | Other |",
        "| 1 | 2 | 3 |",
        "| 4 | 5 | 6 |",
        "| 7 | | | 8 |",
    ]


CODE = b"""<table><tr><td class=gutter><pre>
 9
10
11
</pre></td><td class=code><pre>for tea in teas:
    print(tea)
</pre></td></tr></table><table><tr><td>Tea<td><pre>one line</pre></table>"""


def test_code_in_a_table_keeps_its_lines_without_their_numbers() -> None:
    lines = ["for tea in teas:", "    print(tea)", "| Tea | one line |"]
    assert _text(EVERYTHING, CODE).splitlines() == lines
    assert _text(HtmlExtractor(format="markdown", boilerplate=True), CODE) == (
        "```\nfor tea in teas:\n    print(tea)\n```\n\n| Tea | one line |\n| --- | --- |"
    )


@pytest.mark.parametrize(
    ("numbers", "code", "is_left_out"),
    [
        ("1\n2\n3", "a\nb\nc", True),
        ("1\n2\n3\n4", "a\nb\nc", True),
        ("7\n8\n", "1\n2\n", True),
        ("1\n2\n", "a\nb\nc", False),
        ("1\n3\n4", "a\nb\nc", False),
        ("1\n2\nx", "a\nb\nc", False),
        ("1 2\n3", "a\nb", False),
        ("01\n02", "a\nb", False),
        ("1\n2\n", "a", False),
        (f"{'9' * 5_000}\n2", "a\nb", False),
    ],
)
def test_numbers_beside_code_are_left_out_where_they_count_its_lines(
    numbers: str, code: str, is_left_out: bool
) -> None:
    page = f"<table><tr><td><pre>{numbers}</pre><td><pre>{code}</pre></table>"
    text = _text(EVERYTHING, page.encode())
    assert text == (code if is_left_out else f"{numbers.rstrip()}\n{code}").rstrip()
    one_cell = f"<table><tr><td><pre>{numbers}</pre><pre>{code}</pre></table>"
    assert numbers.rstrip() in _text(EVERYTHING, one_cell.encode())


def test_tables_can_be_left_out() -> None:
    text = _text(HtmlExtractor(boilerplate=True, include_tables=False), STRUCTURE)
    assert "Minutes" not in text and "patience." in text


def test_a_table_that_lays_out_the_page_is_not_written_as_one() -> None:
    row = b"<p>A paragraph of some length that is one of many in this cell.</p>" * 8
    page = b"<table><tr><td><a href=/>Menu</a></td><td>" + row + b"</td></tr></table>"
    assert "|" not in _text(EVERYTHING, page)


def test_scripts_styles_and_drawings_are_no_text() -> None:
    page = b"""<p>Seen.<script>if (a < b) document.write("<p>not</p>")</script><style>p{}</style>
    <svg><text>not</text></svg><template><p>not</p></template><!-- not --><p>Too."""
    assert _text(EVERYTHING, page) == "Seen.\nToo."


def test_a_page_says_what_it_is() -> None:
    found = EXTRACTOR.extract(ARTICLE, "").metadata
    assert found == {
        "title": "Harbour town votes for a new ferry",
        "author": "Jonas Feld",
        "published": "2023-09-18",
        "page_type": "article",
    }


def test_linked_data_is_read_and_broken_data_is_not_an_error() -> None:
    page = b"""<title>Shop</title><script type="application/ld+json">
    {"@graph": [{"@type": "Product", "name": "Lamp"}, {"@type": "Review", "datePublished":
    "2024-02-03T10:00", "author": [{"name": "Ada"}, "Bo"]}]}</script>
    <script type="application/ld+json">{"a": [[[</script><p>Text"""
    found = EXTRACTOR.extract(page, "").metadata
    assert found["author"] == "Ada, Bo"
    assert found["published"] == "2024-02-03"
    assert found["page_type"] == "product"
    assert found["title"] == "Shop"


def test_a_page_that_says_nothing_has_no_metadata() -> None:
    assert set(EXTRACTOR.extract(b"<p>Text", "").metadata.values()) == {None}


def test_a_page_is_read_in_its_charset() -> None:
    page = (GOLD / "news-zh.html").read_text()
    expected = _text(EXTRACTOR, page.encode())
    assert "苹果树就不能结果" in expected
    assert _text(EXTRACTOR, page.encode("gb18030"), "gb18030") == expected


def test_a_page_without_text_is_dropped() -> None:
    for page in (b"", b"<html><body><script>x</script></body></html>", b"\0\0"):
        doc = Document(id="1", payload=page, metadata={"charset": "utf-8"})
        assert EXTRACTOR.apply(doc) == Drop("no_text")


def test_text_does_not_depend_on_the_pages_before_it() -> None:
    pages = [path.read_bytes() for path in sorted(GOLD.glob("*.html"))]
    first = [_text(EXTRACTOR, page) for page in pages]
    assert [_text(HtmlExtractor(), page) for page in reversed(pages)] == first[::-1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"format": "html"}, "allowed are 'text' and 'markdown'"),
        ({"max_tags": 0}, "max_tags must be > 0"),
        ({"max_payload_bytes": 0}, "max_payload_bytes must be > 0"),
        ({"min_chance": 1.5}, "min_chance=1.5 is not 0 to 1"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        HtmlExtractor(**parameters)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "kind", [HtmlExtractor, lambda **limits: ResiliparseExtractor(isolate=False, **limits)]
)
def test_a_page_over_a_limit_fails_by_name(kind: type[HtmlExtractor]) -> None:
    for page, reason in ((b"<p>" * 11, "too_many_tags"), (b"x" * 1_001, "too_large")):
        with pytest.raises(DocumentError) as caught:
            kind(max_tags=10, max_payload_bytes=1_000).extract(page, "")
        assert caught.value.reason == reason


def test_resiliparse_gives_lines() -> None:
    extractor = ResiliparseExtractor(isolate=False)
    extractor.setup()
    text = _text(extractor, ARTICLE)
    assert "Two in three voters" in text and "\n\n" not in text
    with pytest.raises(DefinitionError, match="timeout_s"):
        ResiliparseExtractor(timeout_s=0)


def test_resiliparse_runs_in_a_child_process() -> None:
    extractor = ResiliparseExtractor()
    extractor.setup()
    assert _text(extractor, ARTICLE) == _text(ResiliparseExtractor(isolate=False), ARTICLE)
    extractor.close()


def test_a_model_for_other_columns_is_refused(tmp_path: Path) -> None:
    with np.load(MODEL_FILE) as data:
        arrays = dict(data)
    about = bytes(arrays["about"]).replace(b'"link_share"', b'"lunk_share"')
    arrays["about"] = np.frombuffer(about, np.uint8)
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(DefinitionError, match="trained on other columns"):
        load_model(tmp_path / "model.npz")
    with pytest.raises(DefinitionError, match="cannot read the model"):
        load_model(tmp_path / "none.npz")


def test_the_pipeline_takes_the_extractor_that_is_named() -> None:
    kinds = {
        "curate": HtmlExtractor,
        "trafilatura": TrafilaturaExtractor,
        "resiliparse": ResiliparseExtractor,
    }
    file = Path(__file__).parent.parent / "pipelines" / "fineweb.py"
    for name, kind in kinds.items():
        function = load(str(file))
        pipeline = call(str(file), function, {"extractor": name, "dedup": "none"})
        steps = [step for stage in pipeline.stages for step in getattr(stage, "steps", ())]
        assert [type(step) for step in steps if isinstance(step, Extractor)] == [kind]
