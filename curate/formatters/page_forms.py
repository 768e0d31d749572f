"""How pages are numbered: the words for "page" and "of", and the forms they take with numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

# With one of these words and a number a line says nothing else.
_PAGE = """
page pagina página pàgina páxina pagină paġna pajenn paĝo seite blatt folie slide sheet diapositive
bladzijde bladsy side sida síða sivu lehekülg lappuse puslapis strona strony strana stránka strany
stránky stran stranica stranice страница страницы страна сторінка аркуш старонка лист σελίδα sayfa
səhifə sahifa саҳифа хуудас oldal oldalak faqja faqe orria orrialdea tudalen leathanach duilleag
halaman kaca pahina trang ukurasa shafi ikhasi iphepha bogga ገጽ rûpel
صفحة الصفحة صفحه صفحہ مخ لاپەڕە עמוד זײַט
पृष्ठ पेज पान পৃষ্ঠা পাতা પૃષ્ઠ પાનું ਪੰਨਾ ਸਫ਼ਾ பக்கம் పేజీ పుట ಪುಟ പേജ് താൾ පිටුව
หน้า หน้าที่ ໜ້າ ទំព័រ စာမျက်နှာ გვერდი էջ ページ 頁 页 쪽 페이지
"""
# Short forms stand in references as well ("p. 3"): other pages must count along.
_SHORT = """
p pg pp pág pag s sid str bls blz lk lpp psl σελ hal стр стор стар с бет bet ص ע דף 면
"""
_OF = """
of von sur de di da do din van af av z ze od iz dari daripada trong trên iš no sa
из з із від од от από من از של מתוך का में এর จาก
"""

_NUMBER = r"(?P<number>\d{1,4})"
_TOTAL = r"(?P<total>\d{1,4})"


def _any_of(words: str) -> str:
    longest_first = sorted(set(words.split()), key=lambda word: (-len(word), word))
    return "|".join(map(re.escape, longest_first))


_PART = (
    rf"(?:\s*[/／⁄|]\s*|\s+(?:{_any_of(_OF)})\s+|\s*(?:中の?|の|중)\s*|,?\s*összesen:?\s*){_TOTAL}"
)


def _with_word(words: str) -> tuple[str, ...]:
    word = rf"(?:{_any_of(words)})"
    return (
        rf"{word}\s?[.:：|·-]?\s*(?:n[ro°º]\.?\s*|№\s*)?{_NUMBER}(?:{_PART})?(?:\s*{word})?",
        rf"{_NUMBER}\s?[.:|·–-]?\s*{word}\.?(?:{_PART})?",
        rf"{_NUMBER}{_PART}\.?\s*{word}\.?",
    )


_CJK = r"\s*(?:页|頁|ページ|쪽|페이지|면)"
_SURE = (
    *_with_word(_PAGE),
    rf"[第제]\s*{_NUMBER}{_CJK}(?:\s*(?:[/／,，、(（]\s*)?[共全총]\s*{_TOTAL}{_CJK}\s*[)）]?)?",
    rf"[共全총]?\s*{_TOTAL}{_CJK}(?:中|[/／,，、(（]|의)?\s*(?:[第제]\s*)?{_NUMBER}{_CJK}\s*[)）]?",
)
# The bracket at the end is taken off as decoration.
_UNSURE = (*_with_word(_SHORT), rf"{_NUMBER}{_PART}", rf"{_NUMBER}\s?\({_TOTAL}")

_LETTER_SPACED = re.compile(r"p\s?a\s?g\s?e", re.IGNORECASE)  # as in templates of Word
_IS_SURE = tuple(re.compile(form, re.IGNORECASE).fullmatch for form in _SURE)
_IS_UNSURE = tuple(re.compile(form, re.IGNORECASE).fullmatch for form in _UNSURE)
_SECTION = re.compile(r"(?P<section>[A-Z]{1,3}|\d{1,3})\s?[-–]\s?(?P<number>\d{1,3})")
_ROMAN = re.compile(r"c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

_DECORATION = " \t\u00a0\u3000-–—―−‐‒•·*~|[](){}<>«»‹›=_.#:'\"“”"
_LONGEST = 40


class PageNumber(NamedTuple):
    """What a line says that is nothing but the number of a page.

    Attributes:
        kind: numbers of one kind count along with the pages: "digits", "roman", "section A".
        number: the number.
        total: how many pages there are, where the line says so.
        is_sure: the line calls itself a page.
    """

    kind: str
    number: int
    total: int | None = None
    is_sure: bool = False


def parse(line: str) -> PageNumber | None:
    """Return the page number that a line consists of; None if it says anything else."""
    if len(line) > _LONGEST + 20:
        return None
    text = line.strip(_DECORATION)
    if not text or len(text) > _LONGEST:
        return None
    if text.isdecimal():
        return PageNumber("digits", int(text)) if len(text) <= 4 else None
    if not any(map(str.isdecimal, text)):
        return _roman(text)
    text = _LETTER_SPACED.sub("page", text)
    for forms, is_sure in ((_IS_SURE, True), (_IS_UNSURE, False)):
        for fullmatch in forms:
            if match := fullmatch(text):
                return _numbered(match, is_sure)
    if match := _SECTION.fullmatch(text):
        return PageNumber(f"section {match['section']}", int(match["number"]))
    return None


def _numbered(match: re.Match[str], is_sure: bool) -> PageNumber | None:
    number, total = int(match["number"]), match.groupdict().get("total")
    if total is None:
        return PageNumber("digits", number, None, is_sure)
    return PageNumber("digits", number, int(total), is_sure) if number <= int(total) else None


def _roman(text: str) -> PageNumber | None:
    lower = text.lower()
    if text not in (lower, text.upper()) or not _ROMAN.fullmatch(lower):
        return None
    values = [_ROMAN_VALUES[letter] for letter in lower]
    signs = (-1 if a < b else 1 for a, b in zip(values, [*values[1:], 0], strict=True))
    return PageNumber("roman", sum(sign * value for sign, value in zip(signs, values, strict=True)))
