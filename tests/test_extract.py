"""The text of HTML pages."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.extract.html import TrafilaturaExtractor
from curate.steps import Drop

HERE = TrafilaturaExtractor(isolate=False)

ARTICLE = """<!DOCTYPE html>
<html lang="en"><head><title>Bees of the valley</title>
<script>var tracking = "on";</script><style>p { color: red }</style></head>
<body><nav><ul><li><a href="/">Home</a></li><li><a href="/about">About us</a></li></ul></nav>
<article><h1>Bees of the valley</h1>
<p>Every spring the wild bees of the valley leave their nests and fly to the first willows, which
are in flower long before the orchards are.</p>
<p>This year they were <b>two weeks early</b>, says Anna M&uuml;ller, who has counted them since
1998&nbsp;&mdash; and the willows were not.</p>
<h2>Why it matters</h2>
<p>Without the bees there are no apples. Without the apples, the valley&rsquo;s villages have little
that they could sell in autumn.</p>
<ul><li>Willows flower in March.</li><li>Orchards flower in the middle of April.</li></ul>
<blockquote>We have never seen a spring like this one.</blockquote></article>
<aside>Read also: <a href="/wasps">The wasps of the valley</a></aside>
<div class="comments"><h3>2 comments</h3><p>First! I saw three of them this morning.</p></div>
<footer>Copyright 2024. All rights reserved. <a href="/privacy">Privacy policy</a></footer>
</body></html>"""

TABLE = """<html><body><main><h1>Opening hours of the library</h1>
<p>The library is open on all days but Monday. In August it closes two hours earlier than usual.</p>
<table><tr><th>Day</th><th>From</th><th>To</th></tr>
<tr><td>Tuesday</td><td>9:00</td><td>18:00</td></tr>
<tr><td>Saturday</td><td>10:00</td><td>14:00</td></tr></table>
<p>On public holidays the reading room stays closed, and books can be returned at the gate.</p>
</main></body></html>"""

JAPANESE = """<html lang="ja"><head><meta charset="shift_jis"></head><body><article>
<h1>谷の蜂</h1><p>毎年春になると、谷の野生の蜂は巣を離れ、最初の柳へと飛んでいきます。</p>
<p>今年は二週間早かった、とアンナさんは言います。柳はまだ咲いていませんでした。</p>
<p>蜂がいなければ、りんごは実りません。秋に村が売るものもほとんどなくなります。</p>
</article></body></html>"""

BROKEN = """<p>A page without a head, with <b>tags that <i>overlap</b> each other</i> and &bogus;
entities, which goes on for long enough to be taken for the text of a page by the extractor.
<div><p>It has paragraphs that nobody closed<p>and a line break<br>in the middle of this one.
<table><tr><td>A cell that is not closed either, with a sentence in it."""

EMPTY = "<html><body><nav></nav></body></html>"

GOLDEN = {
    ARTICLE: """Bees of the valley
Every spring the wild bees of the valley leave their nests and fly to the first willows, \
which are in flower long before the orchards are.
This year they were two weeks early, says Anna Müller, who has counted them since 1998 \
— and the willows were not.
Why it matters
Without the bees there are no apples. Without the apples, the valley’s villages have little \
that they could sell in autumn.
- Willows flower in March.
- Orchards flower in the middle of April.
We have never seen a spring like this one.""",
    TABLE: """Opening hours of the library
The library is open on all days but Monday. In August it closes two hours earlier than usual.
| Day | From | To |\x20
|---|---|---|
| Tuesday | 9:00 | 18:00 |\x20
| Saturday | 10:00 | 14:00 |\x20
On public holidays the reading room stays closed, and books can be returned at the gate.""",
    JAPANESE: """谷の蜂
毎年春になると、谷の野生の蜂は巣を離れ、最初の柳へと飛んでいきます。
今年は二週間早かった、とアンナさんは言います。柳はまだ咲いていませんでした。
蜂がいなければ、りんごは実りません。秋に村が売るものもほとんどなくなります。""",
    BROKEN: """A page without a head, with tags that overlap each other and &bogus; entities, \
which goes on for long enough to be taken for the text of a page by the extractor.
It has paragraphs that nobody closed
and a line break
in the middle of this one.
| A cell that is not closed either, with a sentence in it. |""",
    EMPTY: "",
}


@pytest.mark.parametrize("page", GOLDEN, ids=["article", "table", "japanese", "broken", "empty"])
def test_text_is_as_published(page: str) -> None:
    """Held for trafilatura 2.3.1: an upgrade that changes published text is seen here."""
    assert HERE.extract(page.encode(), "https://example.org/").text == GOLDEN[page]


def test_the_same_text_comes_from_a_child_process() -> None:
    isolated = TrafilaturaExtractor()
    isolated.setup()
    assert [isolated.extract(page.encode(), "").text for page in GOLDEN] == [*GOLDEN.values()]
    isolated.close()


def test_the_child_is_started_when_it_was_not_set_up() -> None:
    isolated = TrafilaturaExtractor()
    assert isolated.extract(TABLE.encode(), "").text == GOLDEN[TABLE]
    isolated.close()


def test_a_page_is_read_in_its_charset() -> None:
    assert HERE.extract(JAPANESE.encode("cp932"), "", "shift_jis").text == GOLDEN[JAPANESE]


def test_text_does_not_depend_on_the_pages_before_it() -> None:
    """With trafilatura's deduplicate=True, a text seen often before is removed from later pages."""
    pages = [*GOLDEN] * 5
    for seed in range(5):
        random.Random(seed).shuffle(pages)
        for page in pages:
            assert HERE.extract(page.encode(), "").text == GOLDEN[page]


def test_tables_can_be_left_out() -> None:
    text = (
        TrafilaturaExtractor(isolate=False, include_tables=False).extract(TABLE.encode(), "").text
    )
    assert "Saturday" not in text and "On public holidays" in text


def test_the_step_drops_a_page_without_text_and_lets_go_of_the_payload() -> None:
    doc = Document("1", metadata={"url": "https://example.org/"}, payload=EMPTY.encode())
    assert HERE.apply(doc) == Drop("no_text")
    doc = Document("2", metadata={"url": "", "charset": "cp932"}, payload=JAPANESE.encode("cp932"))
    assert HERE.apply(doc) is None
    assert (doc.text, doc.payload) == (GOLDEN[JAPANESE], None)


@pytest.mark.parametrize("isolate", [True, False])
def test_a_page_that_is_too_large_fails_whatever_the_machine(isolate: bool) -> None:
    size, tags = len(TABLE.encode()), TABLE.count("<")
    at_limit = TrafilaturaExtractor(max_payload_bytes=size, max_tags=tags, isolate=isolate)
    assert at_limit.extract(TABLE.encode(), "").text == GOLDEN[TABLE]
    with pytest.raises(DocumentError, match=f"{tags + 1} tags, max_tags is {tags}") as failure:
        at_limit.extract(TABLE.encode() + b"<", "")
    assert failure.value.reason == "too_many_tags"
    with pytest.raises(DocumentError, match=f"{size + 1} bytes") as failure:
        at_limit.extract(TABLE.encode() + b" ", "")
    assert failure.value.reason == "too_large"
    at_limit.close()


def test_a_million_nested_tags_do_no_harm() -> None:
    isolated = TrafilaturaExtractor(max_tags=2_000_000)
    page = "<html><body>" + "<div>" * 1_000_000 + "deep</body></html>"
    assert isolated.extract(page.encode(), "").text == ""
    assert isolated.extract(TABLE.encode(), "").text == GOLDEN[TABLE]
    isolated.close()


def test_the_time_limit_ends_a_page_inside_lxml_too() -> None:
    isolated = TrafilaturaExtractor(timeout_s=0.5)
    page = "<html><body><table><tr>" + "<td>a" * 99_000
    with pytest.raises(DocumentError) as failure:
        isolated.extract(page.encode(), "")
    assert failure.value.reason == "timeout"
    assert isolated.extract(TABLE.encode(), "").text == GOLDEN[TABLE]
    isolated.close()


def test_how_it_is_run_is_no_part_of_what_it_is() -> None:
    assert TrafilaturaExtractor().identity() == HERE.identity()
    assert TrafilaturaExtractor(favor_precision=False).identity() != HERE.identity()


@pytest.mark.parametrize(
    "values",
    [{"max_tags": 0}, {"timeout_s": 0.0}, {"memory_gb": -1.0}, {"python": "x", "isolate": False}],
    ids=str,
)
def test_a_value_that_cannot_work_is_refused(values: dict[str, float | str | bool]) -> None:
    with pytest.raises(DefinitionError):
        TrafilaturaExtractor(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment without curate, whose trafilatura is a stand-in for an older version."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name, version in (("trafilatura", "1.11.0"), ("lxml", "5.2.2"), ("jusText", "3.0.1")):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site / "trafilatura.py").write_text(
        "import sys\n"
        "def extract(html, **options):\n"
        "    return f'{html} by 1.11.0, {sorted(options)}, {sorted(sys.modules)}'\n"
    )
    return str(folder / "bin" / "python")


def test_pages_are_extracted_in_another_environment(other_python: str) -> None:
    """Nothing of our environment reaches it: neither its libraries nor curate's."""
    other = TrafilaturaExtractor(python=other_python)
    text = other.extract("<p>é".encode("latin-1"), "", "iso-8859-1").text
    other.close()
    assert text.startswith("<p>é by 1.11.0, ['deduplicate', 'favor_precision',")
    assert "'lxml'" not in text and "'pyarrow'" not in text and "'curate.pipeline'" not in text


def test_the_versions_are_those_of_the_other_environment(other_python: str) -> None:
    found = dict(TrafilaturaExtractor(python=other_python).library_versions())
    assert found.pop("unicode")
    assert found == {"trafilatura": "1.11.0", "lxml": "5.2.2", "jusText": "3.0.1"}
    ours = TrafilaturaExtractor().library_versions()
    assert ours["trafilatura"] == metadata.version("trafilatura")


def test_an_environment_without_trafilatura_is_refused(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    other = TrafilaturaExtractor(python=f"{tmp_path}/bin/python")
    with pytest.raises(DefinitionError, match="No module named 'trafilatura'"):
        other.setup()
    with pytest.raises(DefinitionError, match=r"lacks a library: .*trafilatura"):
        other.library_versions()
    with pytest.raises(DefinitionError, match="cannot start python=/no/python"):
        TrafilaturaExtractor(python="/no/python").library_versions()
