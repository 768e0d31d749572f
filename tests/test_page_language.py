"""Languages of pages and documents, and where a document is filed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import assets
from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.fasttext_file import read_labels
from curate.filters.language_router import THRESHOLDS_FILE, LanguageRouter
from curate.filters.languages import codes, in_script_of, is_code
from curate.filters.page_language import SCORES_COLUMN, PageLanguages
from curate.pages import set_pages
from curate.steps import Drop

ENGLISH = "The museum opens at nine in the morning and closes late on Fridays, as it always did."
GERMAN = "Das Museum öffnet um neun Uhr morgens und schließt freitags erst spät am Abend."
CHINESE = "博物馆早上九点开门，星期五很晚才关门，所以我们可以在下班以后再去看那些新的画。"
CHINESE_OLD = "博物館早上九點開門，星期五很晚才關門，所以我們可以在下班以後再去看那些新的畫。"
SERBIAN = "Музеј се отвара у девет сати ујутро, а петком се затвара касно увече."
ARABIC = "يفتح المتحف أبوابه في التاسعة صباحا ويغلق في وقت متأخر يوم الجمعة."
TABLE = "| Das | Museum | öffnet | um neun Uhr morgens und schließt |\n"

LANGUAGES = PageLanguages()


def annotated(*pages: str) -> dict[str, Any]:
    doc = Document(id="x")
    set_pages(doc, pages)
    assert LANGUAGES.apply(doc) is None
    return doc.metadata


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "eng_Latn"),
        (GERMAN, "deu_Latn"),
        (CHINESE, "cmn_Hani"),
        (CHINESE_OLD, "cmn_Hani"),
        (SERBIAN, "srp_Cyrl"),
        (ARABIC, "arb_Arab"),
        ("", "unknown"),
        ("1 2 3 " * 100, "unknown"),
    ],
)
def test_a_page_has_its_language_with_its_script(text: str, language: str) -> None:
    found = annotated(text)
    assert found["per_page_languages"] == [language]
    assert found["full_doc_lid"] == found["page_average_lid"] == language


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("Museum in the old town " * 3, True),
        ("a" * 50, True),
        ("a" * 49, False),
        ("馆" * 17, True),  # 51 bytes
        ("馆" * 16, False),
        ("a" * 50 + "1" * 200, True),  # one letter in five
        ("a" * 50 + "1" * 201, False),
    ],
)
def test_a_page_of_few_letters_has_no_language(text: str, is_known: bool) -> None:
    assert (annotated(text)["per_page_languages"] != ["unknown"]) is is_known


def test_an_average_is_over_all_pages_known_or_not() -> None:
    one, two = annotated(ENGLISH), annotated(ENGLISH, "12", "", ENGLISH)
    assert two["per_page_languages"] == ["eng_Latn", "unknown", "unknown", "eng_Latn"]
    assert two["page_average_lid_score"] == pytest.approx(one["page_average_lid_score"] / 2)
    assert two["full_doc_lid_score"] > two["page_average_lid_score"]


def test_languages_are_ranked_by_their_average() -> None:
    found = annotated(GERMAN, ENGLISH, GERMAN)
    scores = [entry.split() for entry in found[SCORES_COLUMN]]
    assert [code for code, _ in scores[:2]] == ["deu_Latn", "eng_Latn"]
    assert [float(score) for _, score in scores] == sorted(
        (float(score) for _, score in scores), reverse=True
    )
    assert all(float(score) > 0.01 for _, score in scores)
    assert found["page_average_lid"] == "deu_Latn"
    assert found["page_average_lid_score"] == float(scores[0][1])


def test_all_rows_of_tables_and_signs_of_markdown_are_left_out() -> None:
    """FinePDFs leaves out the first eight rows."""
    with_table, without = annotated(TABLE * 30 + "# " + ENGLISH), annotated("* " + ENGLISH)
    assert with_table.pop("page_ends") != without.pop("page_ends")
    assert with_table == without
    assert annotated(TABLE * 30)["per_page_languages"] == ["unknown"]


def test_arabic_letters_in_their_printed_forms_are_arabic() -> None:
    """Many PDFs hold the form of each letter within its word, which no model has seen."""
    forms: dict[str, str | int | None] = {
        "ي": "ﻳ",
        "ف": "ﻔ",
        "ت": "ﺘ",
        "ح": "ﺤ",
        "ا": "ﺎ",
        "ل": "ﻠ",
        "م": "ﻤ",
        "ه": "ﻪ",
    }
    printed = ARABIC.translate(str.maketrans(forms))
    assert annotated(printed)["page_average_lid"] == "arb_Arab"


def test_the_whole_document_is_its_first_40000_characters() -> None:
    english, german = ENGLISH * 500, GERMAN * 2_000
    assert annotated(english, german)["full_doc_lid"] == "eng_Latn"
    assert annotated(english, german)["full_doc_lid_score"] > 0.9
    assert len(english) > 40_000


def test_a_document_without_pages_is_unknown() -> None:
    found = annotated()
    assert (found["full_doc_lid"], found["page_average_lid"]) == ("unknown", "unknown")
    assert found["per_page_languages"] == found[SCORES_COLUMN] == []


@given(st.lists(st.text(), max_size=3))
@settings(deadline=None, max_examples=50)
def test_any_text_has_languages(pages: list[str]) -> None:
    found = annotated(*pages, "\udc80 lone \0 </s>" * 9)
    assert set(found) == {"page_ends", *LANGUAGES.columns}
    assert len(found["per_page_languages"]) == len(pages) + 1
    assert 0 <= found["page_average_lid_score"] <= 1


def test_each_label_of_the_packaged_model_has_a_code() -> None:
    assert set(codes()) == set(read_labels(assets.LID176.locate()))
    assert all(map(is_code, codes().values()))
    assert len(set(codes().values())) == len(codes())


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("srp_Cyrl", "Ovo je na srpskom", "srp_Latn"),
        ("srp_Cyrl", "Ово је на српском jeziku", "srp_Cyrl"),
        ("azj_Latn", "Бу Азәрбајҹан дилиндәдир", "azj_Cyrl"),
        ("kaz_Cyrl", "قازاق", "kaz_Arab"),
        ("khk_Cyrl", "ᠮᠣᠩᠭᠣᠯ", "khk_Mong"),
        ("srp_Cyrl", "12", "srp_Cyrl"),
        ("eng_Latn", "только по-русски", "eng_Latn"),
    ],
)
def test_the_letters_tell_the_script(code: str, text: str, expected: str) -> None:
    assert in_script_of(code, text) == expected


def test_a_model_of_ones_own_says_its_labels_itself(tmp_path: Path) -> None:
    """GlotLID's are "deu_Latn" already; here they are written into a copy of the packaged one."""
    content = assets.LID176.locate().read_bytes()
    for label, new in ((b"de", b"deu_Latn"), (b"en", b"und_Zzzz")):
        content = content.replace(b"__label__" + label + b"\0", b"__label__" + new + b"\0")
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    doc = Document(id="x")
    set_pages(doc, [GERMAN, ENGLISH])
    step = PageLanguages(model=str(path))
    step.apply(doc)
    assert doc.metadata["per_page_languages"] == ["deu_Latn", "und_Zzzz"]
    assert step.assets() == (str(path),)
    assert step.identity() == LANGUAGES.identity()


def test_a_model_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"<html>")
    for model in (path, tmp_path / "none.bin"):
        with pytest.raises(DefinitionError, match=r"PageLanguages: the model .* cannot be used"):
            PageLanguages(model=str(model)).assets()


# Routing

LIMITS = (("eng_Latn", 0.4), ("deu_Latn", 0.2), ("fra_Latn", 0.9))


def routed(scores: list[str], **values: Any) -> tuple[str, Drop | None]:
    doc = Document(id="x", metadata={SCORES_COLUMN: scores})
    drop = LanguageRouter(**{"thresholds": LIMITS, **values}).apply(doc)
    return doc.metadata["language"], drop


@pytest.mark.parametrize(
    ("scores", "values", "language", "drop"),
    [
        (["eng_Latn 0.401"], {}, "eng_Latn", None),
        (["eng_Latn 0.4"], {}, "eng_Latn", Drop("below_threshold", 0.4, 0.4)),
        (["fra_Latn 0.5", "eng_Latn 0.3", "deu_Latn 0.21"], {}, "deu_Latn", None),
        (["deu_Latn 0.45", "eng_Latn 0.44"], {}, "deu_Latn", None),
        (
            ["fra_Latn 0.5", "deu_Latn 0.2"],
            {},
            "fra_Latn",
            Drop("below_threshold", 0.5, 0.9),
        ),
        (["mis_Qaaa 0.501"], {}, "mis_Qaaa", None),  # not in the table: the default
        (["mis_Qaaa 0.5"], {}, "mis_Qaaa", Drop("below_threshold", 0.5, 0.5)),
        (["zxx_Zzzz 0.02", "eng_Latn 0.01"], {}, "zxx_Zzzz", None),
        (["eng_Latn 0.3", "zxx_Zzzz 0.2"], {}, "eng_Latn", Drop("below_threshold", 0.3, 0.4)),
        ([], {}, "unknown", None),
        ([], {"languages": ("eng_Latn",)}, "unknown", Drop("not_wanted", 0.0)),
        ([], {"languages": ("eng_Latn", "unknown")}, "unknown", None),
        (["eng_Latn 0.9"], {"languages": ("eng_Latn", "deu_Latn")}, "eng_Latn", None),
        (["eng_Latn 0.9"], {"languages": ("deu_Latn",)}, "eng_Latn", Drop("not_wanted", 0.9)),
    ],
)
def test_where_a_document_is_filed(
    scores: list[str], values: dict[str, Any], language: str, drop: Drop | None
) -> None:
    assert routed(scores, **values) == (language, drop)


def test_documents_are_filed_end_to_end() -> None:
    """Of two languages the first that is certain is the one, and pages tell of the other."""
    doc = Document(id="x")
    set_pages(doc, [GERMAN, ENGLISH, ENGLISH])
    LANGUAGES.apply(doc)
    assert LanguageRouter().apply(doc) is None
    assert doc.metadata["language"] == "eng_Latn"
    assert doc.metadata["per_page_languages"] == ["deu_Latn", "eng_Latn", "eng_Latn"]
    drop = LanguageRouter(("deu_Latn",)).apply(doc)
    assert drop is not None and drop.reason == "not_wanted"


def test_the_thresholds_of_glotlid_are_those_of_finepdfs() -> None:
    router = LanguageRouter(model="glotlid")
    published = {"eng_Latn": 0.395, "deu_Latn": 0.405, "jpn_Jpan": 0.104, "por_Latn": 0.972}
    assert {language: router.threshold(language) for language in published} == published
    assert router.threshold("mis_Qaaa") == 0.5


def test_each_threshold_has_its_origin() -> None:
    """What was fitted says how well on text it was not fitted on."""
    with THRESHOLDS_FILE.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len({(row["model"], row["language"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["language"] == "default" or is_code(row["language"])
        assert 0 < float(row["threshold"]) <= 1
        assert row["origin"]
        if row["origin"].startswith("fitted"):
            assert 0 <= float(row["precision"]) <= 1 and 0 < float(row["recall"]) <= 1
            assert int(row["num_samples"]) >= 10
    fitted = {row["language"] for row in rows if row["model"] == "lid.176"}
    assert fitted - {"default"} <= {
        in_script_of(code, text) for code in codes().values() for text in ("a", "б", "ب", "ᠮ", "")
    }


def test_a_document_that_nobody_looked_at_is_a_mistake_of_the_pipeline() -> None:
    with pytest.raises(DefinitionError, match="Put PageLanguages before it"):
        LanguageRouter().apply(Document(id="x", text="text"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"languages": "eng_Latn"}, 'Write \\("eng_Latn",\\)'),
        ({"languages": ("en",)}, 'Write "eng_Latn"'),
        ({"languages": ("english",)}, 'Write it as "deu_Latn"'),
        ({"thresholds": (("de", 0.3),)}, 'Write "deu_Latn"'),
        ({"thresholds": (("deu_Latn", 40),)}, "threshold of deu_Latn is 40, but must be from"),
        ({"model": "lid218"}, 'model is \'lid218\', but must be "lid.176" or "glotlid"'),
    ],
)
def test_a_wrong_value_is_reported_when_the_step_is_made(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        LanguageRouter(**values)
