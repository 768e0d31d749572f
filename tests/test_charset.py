"""Which charset a page is read in, and that its text can always be written again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.readers.charset import declared_in_page, decode, find_charset, name_of

GERMAN = "<p>Die Straße führt über grüne Hügel. Köln, Düsseldorf und Münster liegen am Weg.</p>" * 5
RUSSIAN = "<p>Мы говорим о погоде. Сегодня утром шёл дождь, а вечером светило солнце.</p>" * 5
POLISH = "<p>Zażółć gęślą jaźń. Święta są już za pasem, więc dzieci się cieszą.</p>" * 5
CHINESE = "<p>今天天气很好，我们一起去公园散步。孩子们在草地上玩耍。</p>" * 5
TAIWAN = "<p>今天天氣很好，我們一起去公園散步。孩子們在草地上玩耍。</p>" * 5
JAPANESE = "<p>今日はとても良い天気です。子供たちは公園で遊んでいます。</p>" * 5
KOREAN = "<p>오늘은 날씨가 아주 좋습니다. 아이들이 공원에서 놀고 있습니다.</p>" * 5
GREEK = "<p>Σήμερα ο καιρός είναι πολύ καλός και τα παιδιά παίζουν στο πάρκο.</p>" * 5


def http(charset: str) -> bytes:
    return f"text/html; charset={charset}".encode()


def page(text: str, codec: str, declared: str = "") -> bytes:
    meta = f'<html><head><meta charset="{declared}"></head>' if declared else "<html>"
    return meta.encode() + text.encode(codec)


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        (b"\xef\xbb\xbfabc", http("latin1"), ("utf-8", "bom")),
        ("\ufeffabc".encode("utf-16-le"), b"", ("utf-16le", "bom")),
        ("\ufeffabc".encode("utf-16-be"), http("utf-8"), ("utf-16be", "bom")),
        (page(GERMAN, "utf-8"), http("UTF-8"), ("utf-8", "http")),
        (page(GERMAN, "utf-8", "utf8"), b"text/html", ("utf-8", "meta")),
        (page(GERMAN, "utf-8"), b"", ("utf-8", "utf-8")),
        (b"<p>plain", b"", ("utf-8", "utf-8")),
        (b"<p>plain", http("latin1"), ("utf-8", "utf-8")),
        (page(GERMAN, "cp1252"), http("ISO-8859-1"), ("windows-1252", "http")),
        (page(GERMAN, "cp1252", "latin1"), b"", ("windows-1252", "meta")),
        (page(POLISH, "iso8859-2", "iso-8859-2"), b"", ("iso-8859-2", "meta")),
        (page(CHINESE, "gbk", "gb2312"), b"", ("gb18030", "meta")),
        (page(TAIWAN, "big5hkscs"), http('"Big5"'), ("big5", "http")),
        (page(JAPANESE, "cp932", "x-sjis"), b"", ("shift_jis", "meta")),
        (page(JAPANESE, "euc_jp"), http("euc-jp"), ("euc-jp", "http")),
        (page(JAPANESE, "iso2022_jp", "iso-2022-jp"), b"", ("iso-2022-jp", "meta")),
        (page(KOREAN, "cp949", "ks_c_5601-1987"), b"", ("euc-kr", "meta")),
        ("<p>abc".encode("utf-16-le"), http("utf-16"), ("utf-16le", "http")),
    ],
)
def test_a_right_declaration_is_followed(
    payload: bytes, content_type: bytes, expected: tuple[str, str]
) -> None:
    assert find_charset(payload, content_type) == expected


@pytest.mark.parametrize(
    "declared", ["latin1", "gb2312", "shift_jis", "utf-16", "rot13", "nonsense"]
)
def test_utf8_is_known_whatever_is_declared(declared: str) -> None:
    assert find_charset(page(GERMAN, "utf-8", declared), b"") in (
        ("utf-8", "utf-8"),
        ("utf-8", "meta"),
    )
    assert find_charset(page(CHINESE, "utf-8"), http(declared)) == ("utf-8", "utf-8")


def test_utf8_with_a_few_wrong_bytes_stays_utf8() -> None:
    cut = page(CHINESE, "utf-8")[:-6]
    assert find_charset(cut, http("utf-8"))[0] == "utf-8"
    assert find_charset(page(GERMAN, "utf-8") + b"\xfc<p>", http("latin1"))[0] == "utf-8"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GREEK, "cp1253"),
        (CHINESE, "gb18030"),
        (TAIWAN, "big5hkscs"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "cp949"),
    ],
)
@pytest.mark.parametrize("declared", ["", "utf-8", "nonsense", "latin1"])
def test_legacy_text_is_detected_if_the_declaration_is_wrong(
    text: str, codec: str, declared: str
) -> None:
    payload = page(text, codec, declared)
    assert decode(payload, find_charset(payload)[0]).endswith(text)


def test_where_two_declarations_differ_the_bytes_decide() -> None:
    payload = page(RUSSIAN, "cp1251", "windows-1251")
    assert find_charset(payload, http("iso-8859-1")) == ("windows-1251", "meta")
    assert find_charset(payload, http("utf-8")) == ("windows-1251", "meta")
    payload = page(RUSSIAN, "cp1251", "iso-8859-1")
    assert find_charset(payload, http("windows-1251")) == ("windows-1251", "http")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<meta charset=utf-8>", "utf-8"),
        (b"<META CharSet = 'KOI8-R' />", "koi8-r"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "gb18030"),
        (b"<meta content='text/html;charset=euc-kr' http-equiv=content-type>", "euc-kr"),
        (b'<?xml version="1.0" encoding="ISO-8859-2"?><html>', "iso-8859-2"),
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<!-- <meta charset=big5> --><meta charset=utf-8>", "utf-8"),
        (b"<meta charset=nonsense><meta charset=big5>", "big5"),
        (b"<meta name=description content='charset=big5'>", ""),
        (b"<title>" + b"x" * 5000 + b"</title><meta charset=big5>", "big5"),
        (b"<p>" * 20_000 + b"<meta charset=big5>", ""),
        (b"<meta charset=\xff\xfe>", ""),
        (b"", ""),
    ],
)
def test_declarations_in_pages(head: bytes, expected: str) -> None:
    assert declared_in_page(head) == expected


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (" Latin1 ", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("gbk", "gb18030"),
        ("windows-949", "euc-kr"),
        ("tis-620", "windows-874"),
        ("iso-8859-8-i", "iso-8859-8"),
        ("x-cp1251", "windows-1251"),
        ("utf8", "utf-8"),
        ("unicode", "utf-16le"),
        ("windows-31j", "shift_jis"),
        ("rot13", ""),
        ("hex", ""),
        ("utf-7", ""),
        ("unicode_escape", ""),
        ("idna", ""),
        ("\0", ""),
        ("", ""),
    ],
)
def test_labels_are_read_as_browsers_read_them(label: str, name: str) -> None:
    assert name_of(label) == name


NAMES = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "windows-1252",
    "gb18030",
    "big5",
    "euc-jp",
    "iso-2022-jp",
    "shift_jis",
    "euc-kr",
    "ibm866",
    "macintosh",
    "x-mac-cyrillic",
    "windows-874",
    "utf-7",
    "",
]


@given(st.binary(max_size=300), st.sampled_from(NAMES))
def test_any_bytes_decode_to_text_that_can_be_written(payload: bytes, charset: str) -> None:
    text = decode(payload, charset)
    assert "\0" not in text
    text.encode("utf-8")


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_any_page_has_a_charset_that_can_be_read(payload: bytes, content_type: bytes) -> None:
    name, source = find_charset(payload, content_type)
    assert name_of(name) == name != ""
    assert source in ("bom", "http", "meta", "utf-8", "detected")


@given(st.binary(max_size=60))
def test_valid_utf8_is_what_python_takes_for_it(payload: bytes) -> None:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return
    assert find_charset(payload + "é".encode())[0] in ("utf-8", "utf-16le", "utf-16be")


@given(st.text(min_size=1))
def test_utf8_text_comes_back(text: str) -> None:
    assert decode(text.encode(), "utf-8") == text.removeprefix("\ufeff").replace("\0", "")
