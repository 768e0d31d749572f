"""E-mail and IP addresses: what is replaced, what stays, and how long it may take."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.document import Document
from curate.errors import DefinitionError
from curate.formatters.pii import PiiFormatter

# One placeholder for each kind, so that the tables show what became of the text.
MARKED = PiiFormatter(
    replace_ipv6=True,
    email_placeholders=("<mail>",),
    ip_placeholders=("<ip>",),
    ipv6_placeholders=("<ipv6>",),
)
DEFAULT = PiiFormatter()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to john.doe@mail.example.co.uk, please.", "Write to <mail>, please."),
        ("(a@b.de)", "(<mail>)"),
        ("o'brien+news_1%x-y@sub-domain.ie", "<mail>"),
        ("mailto:a@b.com?subject=x", "mailto:<mail>?subject=x"),
        ("https://user:pass@host.com/", "https://user:<mail>/"),
        ("https://site.com/?mail=me@x.org&a=b", "https://site.com/?mail=<mail>&a=b"),
        ("Mail|me@x.org|", "Mail|<mail>|"),
        ("@user@mastodon.social", "@<mail>"),
        ("'me@x.org'", "'<mail>'"),
        ("_me@x.org_", "_<mail>_"),
        ("-----me@x.org-----", "-----<mail>-----"),
        ("Name: ________me@x.org", "Name: ________<mail>"),
        ("Contact.....me@x.org", "Contact.....<mail>"),
        ("me@x.org.", "<mail>."),
        ("me@x.org.Next", "<mail>"),
        ("me@x.org2024", "<mail>"),
        ("me@x.org-based", "<mail>"),
        ("me@x.org.2 3", "<mail> 3"),
        ("me@[8.8.8.8]", "me@[<ip>]"),
        ("jöhn@müller.de", "<mail>"),
        ("me@xn--mller-kva.de", "<mail>"),
        ("me@x.xn--p1ai", "<mail>"),
        ("联系me@x.org谢谢", "联系<mail>谢谢"),
        ("Рейтинг@Mail.ru", "Рейтинг@Mail.ru"),
        ("react@18.2.0", "react@18.2.0"),
        ("medium.com/@user.name", "medium.com/@user.name"),
        ("me@localhost", "me@localhost"),
        ("me@x.c", "me@x.c"),
        ("me@ x.org", "me@ x.org"),
        ("me.@x.org", "me.@x.org"),
        ("me@.org", "me@.org"),
        ("me@x..org", "me@x..org"),
        ("a@b@c.org", "<mail>"),
        ("a@b.org@c.org", "<mail>@c.org"),
        ("a@b.orgé@c.org", "<mail>@c.org"),
        ("a@b.org.1@d.org", "<mail>@d.org"),
        ("a@b.org/c@d.org", "<mail>/<mail>"),
        (f"{'a' * 64}@x.org", "<mail>"),
        (f"{'a' * 65}@x.org", f"{'a' * 65}@x.org"),
        (f"me@{'a' * 63}.org", "<mail>"),
        (f"me@{'a' * 64}.org", f"me@{'a' * 64}.org"),
        (f"me@{'abcd.' * 49}abcdefgh", "<mail>"),  # 253 characters
        (f"me@{'abcd.' * 49}abcdefghi", f"me@{'abcd.' * 49}abcdefghi"),
    ],
)
def test_email_addresses_are_replaced(text: str, expected: str) -> None:
    assert MARKED.format(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 8.8.8.8, 8.8.4.4.", "from <ip>, <ip>."),
        ("[8.8.8.8]:80", "[<ip>]:80"),
        ("http://8.8.8.8/", "http://<ip>/"),
        ("8.8.8.0/24", "<ip>/24"),
        ("8.8.8.8-8.8.8.9", "<ip>-<ip>"),
        ("ip=8.8.8.8;", "ip=<ip>;"),
        ("ipinfo.io/8.8.8.8", "ipinfo.io/<ip>"),
        ("地址8.8.8.8是", "地址<ip>是"),
        ("8.8.8.8. The next", "8.8.8.8. The next"),  # a heading
        ("is 8.8.8.8. The next", "is <ip>. The next"),
        # Not four numbers up to 255 without leading zeros, standing alone.
        ("256.8.8.8", "256.8.8.8"),
        ("255.8.8.8 and 8.8.8.255", "255.8.8.8 and <ip>"),
        ("08.8.8.8", "08.8.8.8"),
        ("1234.5.6.78", "1234.5.6.78"),
        ("1.2.3.456", "1.2.3.456"),
        ("1.2.3.4567", "1.2.3.4567"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("1.2.3", "1.2.3"),
        ("a1.2.3.4", "a1.2.3.4"),
        ("1.2.3.4a", "1.2.3.4a"),
        # Versions and sections.
        ("v1.2.3.4", "v1.2.3.4"),
        ("version 1.2.3.4", "version 1.2.3.4"),
        ("Version: 1.2.3.4", "Version: 1.2.3.4"),
        ("conversion 1.2.3.4", "conversion <ip>"),
        ("Release 1.2.3.4", "Release 1.2.3.4"),
        ("Section\u00a01.2.3.4", "Section\u00a01.2.3.4"),
        ("§ 1.2.3.4", "§ 1.2.3.4"),
        ("Chrome/99.0.48.44", "Chrome/99.0.48.44"),
        ("tool-1.2.3.4.tar.gz", "tool-1.2.3.4.tar.gz"),
        ("1.2.3.4-beta", "1.2.3.4-beta"),
        ("  • 1.2.3.4. Scope", "  • 1.2.3.4. Scope"),
    ],
)
def test_public_ip_addresses_are_replaced_and_version_numbers_stay(
    text: str, expected: str
) -> None:
    assert MARKED.format(text) == expected


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
    ],
)
def test_addresses_that_are_nobodys_stay(first: str, last: str) -> None:
    outside = []
    for address, step in ((first, -1), (last, 1)):
        number = int.from_bytes(map(int, address.split(".")), "big") + step
        if 0 < number < 2**32:
            outside.append(".".join(map(str, number.to_bytes(4, "big"))))
    assert MARKED.format(f"{first} {last}") == f"{first} {last}"
    assert set(MARKED.format(" ".join(outside)).split()) == {"<ip>"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2a00:1450:4001:81b::200e", "<ipv6>"),
        ("[2a00:1450:4001:81b:0:0:0:200e]:443", "[<ipv6>]:443"),
        ("2A00::", "<ipv6>"),
        ("2002:808:808::8.8.8.8", "<ipv6>"),
        ("is 2a00::1.", "is <ipv6>."),
        (
            "2001:db8::1 fe80::1 fc00::1 ::1 :: ff02::1",
            "2001:db8::1 fe80::1 fc00::1 ::1 :: ff02::1",
        ),
        ("12:30:45 00:1a:2b:3c:4d:5e", "12:30:45 00:1a:2b:3c:4d:5e"),
        ("std::abc 2a00::1::2 x2a00::1", "std::abc 2a00::1::2 x2a00::1"),
    ],
)
def test_ipv6_addresses_are_replaced_when_asked_for(text: str, expected: str) -> None:
    assert MARKED.format(text) == expected
    assert "2a00::1" in DEFAULT.format("2a00::1")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"replace_emails": False}, "me@x.org <ip> 10.0.0.1"),
        ({"replace_ips": False}, "<mail> 8.8.8.8 10.0.0.1"),
        ({"only_public_ips": False}, "<mail> <ip> <ip>"),
    ],
)
def test_each_part_can_be_turned_off(values: dict[str, bool], expected: str) -> None:
    step = PiiFormatter(email_placeholders=("<mail>",), ip_placeholders=("<ip>",), **values)  # type: ignore[arg-type]
    assert step.format("me@x.org 8.8.8.8 10.0.0.1") == expected


@pytest.mark.parametrize("values", [{"email_placeholders": ()}, {"ip_placeholders": "1.1.1.1"}])
def test_a_wrong_value_is_reported_when_the_step_is_made(values: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="must be a tuple of one string or more"):
        PiiFormatter(**values)


def test_the_text_of_a_document_is_replaced_and_nothing_else() -> None:
    doc = Document(id="a@b.org", text="me@x.org", metadata={"url": "http://8.8.8.8/"})
    assert DEFAULT.apply(doc) is None
    assert doc.text in DEFAULT.email_placeholders
    assert (doc.id, doc.metadata) == ("a@b.org", {"url": "http://8.8.8.8/"})


def test_the_same_address_gets_the_same_placeholder_whatever_comes_before() -> None:
    alone = DEFAULT.format("me@x.org")
    for number in range(20):
        before = DEFAULT.format(f"user{number}@x.org 8.8.{number}.8 ")
        assert DEFAULT.format(f"user{number}@x.org 8.8.{number}.8 me@x.org") == before + alone
    assert DEFAULT.format("ME@X.org") == alone


def test_all_placeholders_are_used() -> None:
    text = DEFAULT.format(" ".join(f"user{n}@x.org 8.8.{n}.8" for n in range(200)))
    words = set(text.split())
    assert words == {*DEFAULT.email_placeholders, *DEFAULT.ip_placeholders}


PIECES = [
    *("a", "me", "b.c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "é", "谢", "x.org", "firstname.lastname"),
    *("@", "@", "@", ".", ".", "-", "_", "'", "---", "..", "xn--a", " ", "\n", "/", "[", "]"),
    *("1", "8.8.8.8", "::", "2a00:", "v", "version ", "22.214.171.124", "me@x.org", "\udc80"),
    "email@example.com",
]


@settings(max_examples=1_000)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.booleans())
def test_nothing_changes_when_applied_again(text: str, ipv6: bool) -> None:
    step = PiiFormatter(replace_ipv6=ipv6)
    once = step.format(text)
    assert step.format(once) == once


@given(st.text(st.characters(exclude_characters="@0123456789")))
def test_a_text_without_at_signs_and_digits_stays_as_it_is(text: str) -> None:
    assert PiiFormatter(replace_ipv6=True, only_public_ips=False).format(text) == text


HOSTILE = {
    "base64": base64.b64encode(random.Random(1).randbytes(1_500_000)).decode(),
    "base64 and an at sign": base64.b64encode(random.Random(2).randbytes(1_500_000)).decode() + "@",
    **{
        f"{start!r} {pattern!r}": start + pattern * (2_000_000 // len(pattern)) + end
        for start, pattern, end in [
            ("", "a", "@"),
            ("", "a@", ""),
            ("", "@", ""),
            ("", "a.", "@"),
            ("", "a.a.a.a@", ""),
            ("", "-", "@x.org"),
            ("", "-.", "@x.org"),
            ("", "_a", "@x.org"),
            ("x@", "a", ""),
            ("x@", "a.", ""),
            ("x@", "a-", ""),
            ("x@", "a-a--a.", "1"),
            ("x@", "a" * 63 + ".", "1"),
            ("", "x@" + "aa." * 100, ""),
            ("", "1", ""),
            ("", "1.", ""),
            ("", "1.1.1.1 ", ""),
            ("", "v 1.1.1.1 ", ""),
            ("", ":", ""),
            ("", "a:", ""),
            ("", "1::", ""),
        ]
    },
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_two_megabytes_made_to_be_slow_are_not(text: str) -> None:
    # A pattern that is quadratic, as the reference's, would take hours for these.
    assert len(PiiFormatter(replace_ipv6=True).format(text)) > 100_000
