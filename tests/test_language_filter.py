"""The language filter: scores, both rules, and models that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import assets
from curate.document import Document
from curate.errors import DefinitionError
from curate.filters.language import LanguageFilter
from curate.steps import Drop

ENGLISH = LanguageFilter(("en",))
SENTENCES = [
    (
        "en",
        0.925910,
        "The museum opens at nine in the morning and closes late on Fridays.",
    ),
    (
        "de",
        0.994092,
        "Das Museum öffnet um neun Uhr morgens und schließt freitags erst spät am Abend.",
    ),
    ("fr", 0.981041, "Le musée ouvre à neuf heures du matin et ferme tard le vendredi soir."),
    ("es", 0.975922, "El museo abre a las nueve de la mañana y cierra tarde los viernes."),
    ("it", 0.825195, "Il museo apre alle nove del mattino e il venerdì chiude a tarda sera."),
    ("pl", 0.999191, "Muzeum otwiera się o dziewiątej rano, a w piątki zamyka się późno."),
    (
        "ru",
        0.994776,
        "Музей открывается в девять часов утра и закрывается поздно вечером по пятницам.",
    ),
    ("ar", 0.997138, "يفتح المتحف أبوابه في التاسعة صباحا ويغلق في وقت متأخر يوم الجمعة."),
    ("hi", 0.993616, "संग्रहालय सुबह नौ बजे खुलता है और शुक्रवार को देर से बंद होता है।"),
    ("ja", 1.000008, "その美術館は朝九時に開き、金曜日は夜遅くまで開いています。"),
    ("zh", 0.994994, "博物馆早上九点开门，星期五很晚才关门。"),
    ("ko", 1.000069, "박물관은 아침 아홉 시에 문을 열고 금요일에는 늦게 닫습니다."),
]
MIXED = "the menu du jour est tres bon and the wine was good"  # en 0.547, fr 0.387
GERMAN = "Museum Berlin Hotel"  # de 0.529, en 0.340
LINES = "the\nmuseum\nopens\nat\nnine\nin\nthe\nmorning"


def apply(step: LanguageFilter, text: str) -> tuple[Drop | None, dict[str, Any]]:
    doc = Document(id="x", text=text)
    return step.apply(doc), doc.metadata


def reason(step: LanguageFilter, text: str) -> str:
    drop, _ = apply(step, text)
    return drop.reason if drop else ""


@pytest.mark.parametrize(("language", "score", "text"), SENTENCES)
def test_a_sentence_gets_its_language_and_score(language: str, score: float, text: str) -> None:
    drop, metadata = apply(ENGLISH, text)
    assert metadata == {"language": language, "language_score": pytest.approx(score, abs=2e-6)}
    assert (drop.reason if drop else "") == ("" if language == "en" else "other_language")


@pytest.mark.parametrize(
    ("text", "reason", "value"),
    [(GERMAN, "other_language", 0.339918), (MIXED, "low_score", 0.546972)],
)
def test_a_drop_says_how_close_a_wanted_language_came(text: str, reason: str, value: float) -> None:
    drop, _ = apply(ENGLISH, text)
    assert drop is not None
    assert (drop.reason, drop.threshold) == (reason, 0.65)
    assert drop.value == pytest.approx(value, abs=2e-6)


def test_the_score_must_be_above_the_threshold() -> None:
    _, metadata = apply(ENGLISH, MIXED)
    score = metadata["language_score"]
    assert reason(LanguageFilter(("en",), min_score=score), MIXED) == "low_score"
    assert reason(LanguageFilter(("en",), min_score=score - 1e-9), MIXED) == ""


@pytest.mark.parametrize(
    ("languages", "min_score", "rules", "text", "expected"),
    [
        (("en", "fr"), 0.5, "current", MIXED, ""),
        (("fr", "de"), 0.5, "current", MIXED, "other_language"),
        (("fr",), 0.3, "current", MIXED, ""),  # not the best language, but above
        (("fr",), 0.3, "v1", MIXED, "other_language"),  # only the best counts
        ((), 0.5, "current", GERMAN, ""),
        ((), 0.6, "current", GERMAN, "low_score"),
        (("en",), 0.65, "current", LINES, ""),
        (("en",), 0.65, "v1", LINES, "low_score"),  # "themuseumopensat..."
        ((), 0.0, "v1", LINES, ""),
    ],
)
def test_which_languages_are_kept(
    languages: tuple[str, ...], min_score: float, rules: Any, text: str, expected: str
) -> None:
    assert reason(LanguageFilter(languages, min_score=min_score, rules=rules), text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "\0", "a\0b", "\udc80", "\r\n\u2028\x85", "</s>", "__label__en"]
)
def test_odd_texts_get_a_language_and_no_error(text: str) -> None:
    _, metadata = apply(ENGLISH, text)
    assert metadata["language"]
    assert 0 < metadata["language_score"] < 1.001


@given(st.text())
def test_the_language_of_a_text_does_not_depend_on_texts_before(text: str) -> None:
    first = apply(ENGLISH, text)
    apply(ENGLISH, SENTENCES[1][2])
    assert apply(ENGLISH, text) == first


def test_megabytes_in_one_word_are_no_problem() -> None:
    assert reason(ENGLISH, "x" * 3_000_000) == "low_score"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"languages": "en"}, 'Write ("en",)'),
        ({"min_score": 65}, "min_score is 65, but must be from 0 to 1"),
        ({"min_score": -0.1}, "min_score is -0.1, but must be from 0 to 1"),
        ({"rules": "v2"}, 'rules is \'v2\', but must be "current" or "v1"'),
    ],
)
def test_a_wrong_value_is_reported_when_the_step_is_made(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        LanguageFilter(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("language", "hint"),
    [
        ("eng", "Did you mean en?"),
        ("EN", "Did you mean en?"),
        ("xx", "It knows 176, such as en, ru, de"),
    ],
)
def test_a_language_that_the_model_does_not_know_is_reported_before_the_run(
    language: str, hint: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        LanguageFilter(("de", language)).assets()
    assert f"lid.176.ftz does not know the language {language!r}" in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize("size", [0, 3, 8, 12, 40, 100, 1_000, 500_000, 938_012])
def test_a_model_that_is_cut_off_is_reported_and_crashes_nothing(size: int, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(assets.LID176.locate().read_bytes()[:size])
    with pytest.raises(DefinitionError, match=r"it is (not a fastText model|cut off or damaged)"):
        LanguageFilter(model=str(path)).assets()


@pytest.mark.parametrize("content", [b"<html>Not Found</html>", bytes(1_000)])
def test_a_file_that_is_no_model_is_reported_in_three_lines_at_most(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(DefinitionError, match="it is not a fastText model") as caught:
        LanguageFilter(model=str(path)).setup()
    assert len(str(caught.value).splitlines()) <= 3


def test_a_missing_model_is_reported_with_its_path() -> None:
    with pytest.raises(DefinitionError, match=r"/no/lid\.bin cannot be used: No such file"):
        LanguageFilter(model="/no/lid.bin").assets()


def test_the_same_model_elsewhere_is_the_same_step(tmp_path: Path) -> None:
    copy = tmp_path / "copy.ftz"
    copy.write_bytes(assets.LID176.locate().read_bytes())
    elsewhere = LanguageFilter(("en",), model=str(copy))
    assert elsewhere.identity() == ENGLISH.identity()
    assert apply(elsewhere, MIXED) == apply(ENGLISH, MIXED)
