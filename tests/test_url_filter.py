"""The URL filter: every drop reason, odd addresses, and agreement with the reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import assets
from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.filters.url import UrlFilter
from curate.filters.url_index import UrlIndex, open_index
from curate.steps import Drop

OWN = UrlFilter(
    use_packaged_lists=False,
    extra_domains=("bad.com", "sub.good.com", "1.2.3.4", "xn--bcher-kva.de", "Loud.ORG", "lan"),
    extra_urls=("http://good.com/page/", "www.news.co.uk/a?b=C", "site.fr/"),
    extra_hard_words=("worst",),
    extra_soft_words=("rude", "cruel", "vile"),
    extra_subwords=("no way",),
)


@pytest.fixture(scope="module")
def packaged() -> Iterator[UrlFilter]:
    """The filter with the packaged lists, its index built in a cache of its own."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", folder)
        step = UrlFilter()
        step.setup()
        yield step
        step.close()


def verdict(step: UrlFilter, url: str) -> str:
    drop = step.apply(Document(id="x", metadata={"url": url}))
    return drop.reason if drop else ""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://bad.com/", "domain"),
        ("https://any.thing.bad.com/page", "domain"),
        ("https://notbad.com/", ""),
        ("https://bad.com.au/", ""),
        ("https://sub.good.com/", "subdomain"),
        ("https://www.sub.good.com/", "subdomain"),
        ("https://good.com/", ""),
        ("https://deeper.sub.good.com/", ""),
        ("https://good.com/page", "url"),
        ("http://www.good.com/page/#top", "url"),
        ("http://good.com/page/2", ""),
        ("http://good.com/Page", ""),
        ("http://news.co.uk/a?b=C", "url"),
        ("http://news.co.uk/a?b=c", ""),
        ("http://site.fr", "url"),
        ("http://site.fr/more", ""),
        ("https://good.com/the-worst-of", "hard_word"),
        ("https://worst.net/", "hard_word"),
        ("https://good.com/worsted", ""),
        ("https://good.com/Worst", ""),
        ("https://good.com/rude+cruel", "soft_words"),
        ("https://good.com/rude-rude", ""),
        ("https://good.com/rude", ""),
        ("https://good.com/pia-no.WAY", "subword"),
        ("https://good.com/no%20way", ""),
    ],
)
def test_a_page_is_dropped_for_the_first_rule_that_applies(url: str, reason: str) -> None:
    assert verdict(OWN, url) == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("HTTPS://ANY.BAD.COM/", "domain"),
        ("https://loud.org/", "domain"),
        ("https://user:secret@bad.com:8443/", "domain"),
        ("https://bad.com./", "domain"),
        ("https://bad.com?query", "domain"),
        ("//bad.com/", "domain"),
        ("bad.com/page", "domain"),
        ("http://1.2.3.4:80/", "domain"),
        ("http://1.2.3.5/", ""),
        ("http://[2001:db8::1]:80/page", ""),
        ("http://bücher.de/", "domain"),
        ("http://sub.BÜCHER.de/", "domain"),
        ("http://xn--bcher-kva.de/", "domain"),
        ("http://例子。中国/", ""),
        ("http://lan/", "domain"),
        ("http://localhost/", ""),
        ("http:///bad.com", ""),
        ("https://good.com/?next=https://bad.com/", ""),
        ("https://good.com/@bad.com", ""),
        ("http://[bad.com", ""),
        ("http://\udc80\u0000/", ""),
    ],
)
def test_odd_addresses_are_understood(url: str, reason: str) -> None:
    assert verdict(OWN, url) == reason


@given(st.text(min_size=1))
def test_no_address_however_odd_is_an_error(url: str) -> None:
    for text in (url, f"http://{url}", f"http://host.com/{url}"):
        assert verdict(OWN, text) in ("", *UrlFilter.reasons)


@pytest.mark.parametrize("metadata", [{}, {"url": ""}, {"url": None}])
def test_a_record_without_url_fails_visibly(metadata: dict[str, Any]) -> None:
    with pytest.raises(DocumentError) as caught:
        OWN.apply(Document(id="x", metadata=metadata))
    assert caught.value.reason == "no_url"


def test_soft_words_are_counted_against_the_threshold() -> None:
    step = UrlFilter(use_packaged_lists=False, soft_word_threshold=3, extra_soft_words=("a", "b"))
    assert step.reject(Document("x", metadata={"url": "http://c.com/a-b"})) is None
    drop = OWN.reject(Document("x", metadata={"url": "http://c.com/vile-rude-cruel"}))
    assert drop == Drop("soft_words", 3, 2)


def test_lists_can_be_files(tmp_path: Path) -> None:
    lists = {
        "domains": "# comment\nbad.com\r\n\nBücher.de\nLOUD.org",
        "urls": "https://good.com/page/\n",
        "hard_words": "# none\n\nworst\n",
    }
    for name, content in lists.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
        step = UrlFilter(
            use_packaged_lists=False,
            **{f"extra_{name}": str(tmp_path / name) for name in lists},  # type: ignore[arg-type]
        )
        hosts = ("bad.com", "xn--bcher-kva.de", "loud.org", "comment", "good.com")
        found = [verdict(step, f"http://{host}/") for host in hosts]
        assert found == ["domain", "domain", "domain", "", ""]
        assert verdict(step, "http://good.com/page") == "url"
        assert verdict(step, "http://good.com/worst/") == "hard_word"
        assert verdict(step, "http://good.com/%23/none") == ""
        step.close()
    assert step.assets() == tuple(str(tmp_path / name) for name in lists)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"soft_word_threshold": 0}, "soft_word_threshold is 0, but must be 1 or more"),
        ({"extra_domains": "bad.com"}, 'For a single value write a tuple: ("bad.com",)'),
        ({"extra_urls": ["http://bad.com"]}, "extra_urls is a list, but must be a tuple"),
    ],
)
def test_a_wrong_value_is_reported_when_the_step_is_made(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        UrlFilter(**values)
    assert message in str(caught.value)


def test_a_damaged_archive_of_lists_is_reported(tmp_path: Path) -> None:
    content = assets.URL_LISTS.locate().read_bytes()
    (tmp_path / "lists.tar.gz").write_bytes(content[:100_000])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
        with pytest.raises(DefinitionError, match="is damaged"):
            open_index(tmp_path / "lists.tar.gz", "lists")


# What URLFilter of datatrove 0.10.1 says with its integrated lists.
REFERENCE = {
    "https://0-1avsex.com/": "domain",
    "https://m.0-1avsex.com/page": "domain",
    "http://zzzzcam.blogspot.ug/2012/": "subdomain",
    "https://blogspot.ug/": "",
    "https://www.tofugu.com/travel/dezuka-suisan/": "",
    "http://www.sabotagetimes.com/life/boob-jobs-arent-just-for-bimbos": "domain",
    "https://occupydemocrats.com/2023/06/19/accused-of-blackmail-and-group-sex/": "subword",
    "https://example.com/18abused": "hard_word",
    "https://example.com/lesbian-nude": "soft_words",
    "https://example.com/lesbian": "",
    "https://example.com/Lesbian-Nude": "",
    "https://example.com/camel-toe-pictures": "subword",
    "https://example.com/CAMEL/toe": "subword",
    "https://example.com/mong": "",
}


@pytest.mark.parametrize(("url", "reason"), REFERENCE.items())
def test_the_packaged_lists_say_what_the_reference_says(
    packaged: UrlFilter, url: str, reason: str
) -> None:
    assert verdict(packaged, url) == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://1.10.146.32/", "domain"),  # hosts without a public suffix
        ("http://www.zzzzcam.blogspot.ug/", "subdomain"),  # "www." before a listed host
        ("http://WWW.0-1AVSEX.com/", "domain"),  # upper case
        ("https://tumblr.com/h7m5pzfzttgd", "url"),  # the list of URLs has no scheme
    ],
)
def test_the_packaged_lists_drop_what_the_reference_misses_by_mistake(
    packaged: UrlFilter, url: str, reason: str
) -> None:
    assert verdict(packaged, url) == reason


def test_an_index_finds_every_line_of_its_list_and_no_other(tmp_path: Path) -> None:
    lines = [f"site-{number}.com" for number in range(50_000)]
    (tmp_path / "list").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
        index = open_index(tmp_path / "list", "domains")
        assert all(line.encode() in index for line in lines)
        assert not any(f"site-{number}.net".encode() in index for number in range(50_000))
        index.close()


def test_an_index_is_the_same_file_for_any_order_of_lines(tmp_path: Path) -> None:
    lines = [f"site-{number}.com" for number in range(1_000)]
    contents = []
    for name, ordered in (("one", lines), ("two", lines[::-1])):
        (tmp_path / name).write_text("\n".join(ordered))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CURATE_CACHE", str(tmp_path / f"cache-{name}"))
            open_index(tmp_path / name, "domains").close()
        (file,) = (tmp_path / f"cache-{name}").glob("url-index-*")
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!"])
def test_a_damaged_index_is_built_again(tmp_path: Path, damage: Any) -> None:
    (tmp_path / "list").write_text("bad.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
        open_index(tmp_path / "list", "domains").close()
        (file,) = (tmp_path / "cache").glob("url-index-*")
        whole = file.read_bytes()
        file.write_bytes(damage(whole))
        index: UrlIndex = open_index(tmp_path / "list", "domains")
        assert b"bad.com" in index
        index.close()
        assert file.read_bytes() == whole


def test_an_empty_list_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
        index = open_index(tmp_path / "list", "domains")
        assert b"bad.com" not in index
        index.close()
