"""Addresses made to harm: each is kept, dropped for a reason that is known, or fails in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from curate.document import Document
from curate.errors import DocumentError
from curate.filters.url import UrlFilter
from curate.steps import Drop

from .hostile_files import URL, apart

URLS = {
    "nothing": "",
    "no host": "http://",
    "no scheme": "//a.example/",
    "control characters": "http://a.example/\x00\x1b[31m/../../etc/passwd\t\r\n",
    "a line end in the host": "http://a.exa\nmple/",
    "a NUL in the host": "http://a.example\0.b.example/",
    "a lone surrogate": "http://\ud800.example/\udfff",
    "a user and a password": "http://user:pass@a.example:99999/",
    "ports that are none": "http://a.example:-1:x:999999999999999999999/",
    "brackets left open": "http://[::1/",
    "an address of IPv6 that is none": "http://[:::::]/",
    "a number for an address": "http://0x7f000001/",
    "labels of 64 bytes": f"http://{'a' * 64}.example/",
    "100,000 labels": "http://" + "a." * 100_000 + "example/",
    "1,000,000 dots": "http://" + "." * 1_000_000,
    "1,000,000 slashes": "http://a.example" + "/" * 1_000_000,
    "1,000,000 at signs": "http://" + "@" * 1_000_000 + "a.example/",
    "500,000 percent signs": "http://a.example/" + "%25" * 500_000,
    "words without end": "http://a.example/" + "word-" * 1_000_000,
    "a query of 10 MB": "http://a.example/?" + "a=b&" * 2_500_000,
    "punycode that is none": "http://xn--\u00fc-999999999.example/",
    "punycode of 100 KB": "http://xn--" + "9" * 100_000 + ".example/",
    "right to left": "http://\u202ea.example/\u202e",
    "a file": "file:///etc/passwd",
    "a script": "javascript:alert(1)",
    "data": "data:text/html;base64," + "A" * 1_000_000,
}


@pytest.fixture(scope="module")
def step() -> Iterator[UrlFilter]:
    """The filter as pipelines have it, with its lists."""
    step = UrlFilter()
    step.setup()
    yield step
    step.close()


@pytest.mark.parametrize("name", URLS)
def test_a_hostile_address_is_judged_within_bounds(step: UrlFilter, name: str) -> None:
    """Whatever its length, and however its parts are named."""

    def judge() -> dict[str, int]:
        try:
            fate = step.apply(Document("x", metadata={"url": URLS[name]}))
        except DocumentError as error:
            return {error.reason: 1}
        assert fate is None or (isinstance(fate, Drop) and fate.reason in step.reasons)
        return {fate.reason if fate else "kept": 1}

    outcome = apart(judge, URL)
    assert outcome.status == 0, "it took more memory or time than it may"
    assert outcome.found
