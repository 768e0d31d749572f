"""Put placeholders for e-mail addresses and public IP addresses."""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import DefinitionError
from ..steps import Formatter

# Latin letters with accents count, to the reference only those of ASCII. Of other scripts nothing
# does: Chinese runs into an address without a space, and "Рейтинг@Mail.ru" is a brand.
_LETTER = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"

# DIFFERS: the reference takes !#$&*/=?^`{|}~ for parts of an address, as RFC 5322 allows, and so
# replaces all of "site.com/?mail=me@x.org" or "Mail|me@x.org". Here they are what stands around it.
_LOCAL_BACKWARDS = re.compile(rf"[{_LETTER}0-9._%+'-]*")
_RULE = re.compile(r".*(?:\.\.|([._%+'-])\1\1)")  # dots and lines before an address, as in forms
_MAX_LOCAL = 64  # RFC 5321, section 4.5.3.1
_LOCAL_WINDOW = _MAX_LOCAL + 4  # a rule or what else stands before

# As in the reference a domain ends where no label can follow, so that what is left cannot grow into
# an address again. There is one way only to match it, which keeps the time linear.
_DOMAIN = re.compile(rf"[{_LETTER}0-9]+(?:(?:\.|--?)[{_LETTER}0-9]+)*")
# DIFFERS: a label after the first must begin like a top-level domain, with letters or "xn--"; to
# the reference "react@18.2.0" is an address.
_TOP_LEVEL = re.compile(r"[A-Za-z]{2}")
_MAX_LABEL = 63  # RFC 1035, section 2.3.4
_MAX_DOMAIN = 253

_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{0,4}:){2,8}"
    r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{1,4})?(?![0-9A-Za-z_:])"
)

# DIFFERS: the reference rewrites version and section numbers of four parts. Four numbers are no
# address after one of these words, glued to a word ("v1.2.3.4", "tool-1.2.3.4", "1.2.3.4-beta"),
# after a product and a slash ("Tool/1.2.3.4"), or before a heading ("1.2.3.4. Scope").
_NUMBERED = re.compile(
    r"(?:(?<![\w.@-])(?:v|ver|versions?|releases?|rel|build|firmware|fw|rev|revision|patch"
    r"|sections?|sec|chapter|ch|clause|article|art|paragraph|para|appendix)[.:#]?[ \t\u00a0]{0,2}"
    r"|§[ \t\u00a0]?|[A-Za-z_][0-9]{0,3}-|(?<![\w.:/-])[A-Za-z][\w-]{0,14}/)\Z",
    re.IGNORECASE,
)
_GLUED_BEFORE = re.compile(r"(?:[A-Za-z0-9_]|[0-9]\.)\Z")
_GLUED_AFTER = re.compile(r"[A-Za-z0-9_]|\.[0-9]|-[A-Za-z]")
_LINE_BEFORE = re.compile(r"(?:\A|\n)[ \t•*-]*(?:[A-Z]\.)?\Z")
_HEADING_AFTER = re.compile(r"\.[ \t\u00a0]+[^\W\d_]")
_NUMBERED_WINDOW = 24  # longer than any match of _NUMBERED, with the character before


def _ranges(networks: str) -> tuple[tuple[int, int], ...]:
    found = map(ipaddress.ip_network, networks.split())
    return tuple((int(network[0]), int(network[-1])) for network in found)


# Not globally reachable by the IANA special-purpose address registries (RFC 6890; as of 2024), with
# multicast (RFC 5771), which is nobody's. `ipaddress.is_global` is not used: what it says depends
# on the version of Python. Of IPv6 only 2000::/3 is given out to the public.
_SPECIAL_IPV4 = _ranges(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
    " 224.0.0.0/4 240.0.0.0/4"
)
_SPECIAL_IPV6 = _ranges(
    "::/3 4000::/2 8000::/1 2001:2::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32"
    " 3fff::/20"
)


@dataclass(frozen=True)
class PiiFormatter(Formatter):
    """Replace e-mail addresses and public IPv4 addresses, as FineWeb does.

    Takes time linear in the text whatever it holds, and changes nothing when applied again.

    DIFFERS: which placeholder takes the place of an address depends on the address alone; the
    reference takes them in turns, so that its output depends on the documents before.

    Args:
        replace_emails: replace e-mail addresses.
        replace_ips: replace IPv4 addresses.
        replace_ipv6: replace IPv6 addresses as well, which FineWeb does not.
        only_public_ips: leave addresses alone that are private, reserved or for documentation.
        email_placeholders: what may stand for an e-mail address.
        ip_placeholders: what may stand for an IPv4 address; FineWeb's answered no ping.
        ipv6_placeholders: what may stand for an IPv6 address.
    """

    name = "pii"

    replace_emails: bool = True
    replace_ips: bool = True
    replace_ipv6: bool = False
    only_public_ips: bool = True
    email_placeholders: tuple[str, ...] = ("email@example.com", "firstname.lastname@example.org")
    ip_placeholders: tuple[str, ...] = (
        "22.214.171.124",
        "126.96.36.199",
        "188.8.131.52",
        "184.108.40.206",
        "220.127.116.11",
        "18.104.22.168",
    )
    ipv6_placeholders: tuple[str, ...] = ("2001:db8::1",)

    def __post_init__(self) -> None:
        for name in ("email_placeholders", "ip_placeholders", "ipv6_placeholders"):
            values = getattr(self, name)
            if isinstance(values, str) or not values:
                raise DefinitionError(
                    f"PiiFormatter: {name} is {values!r}, but must be a tuple of one string or more"
                )

    def format(self, text: str) -> str:
        # IP addresses first: what is left of them is then never a part of an e-mail address that
        # was too long before, and a second run finds nothing new.
        if self.replace_ipv6 and ":" in text:
            text = self._replace(text, _IPV6, self._is_ipv6, self.ipv6_placeholders)
        if self.replace_ips:
            text = self._replace(text, _IPV4, self._is_ipv4, self.ip_placeholders)
        if self.replace_emails and "@" in text:
            text = "".join(self._emails_replaced(text))
        return text

    def _emails_replaced(self, text: str) -> Iterator[str]:
        """Yield pieces of the text; the text between two "@" is looked at for these only."""
        copied = 0  # up to where the text is yielded
        searched = 0  # behind the last "@" or address
        open_start = open_at = -1  # a local part whose domain is none, and its "@"
        while (at := text.find("@", searched)) >= 0:
            start = _local_start(text, max(searched, at - _LOCAL_WINDOW), at)
            end = _domain_end(text, at + 1) if start < at else at
            if 0 <= open_at == start - 1:  # of "a@b@c.org" nothing may be left before the "@"
                start = open_start
            if end > at:
                yield text[copied:start]
                yield self._placeholder(text[start:end], self.email_placeholders)
                copied = searched = end
            else:
                searched = at + 1
                open_start, open_at = (start, at) if start < at else (-1, -1)
        yield text[copied:]

    def _replace(
        self,
        text: str,
        pattern: re.Pattern[str],
        is_address: Callable[[str, int, int], bool],
        placeholders: tuple[str, ...],
    ) -> str:
        def replacement(match: re.Match[str]) -> str:
            if is_address(text, *match.span()):
                return self._placeholder(match.group(), placeholders)
            return match.group()

        return pattern.sub(replacement, text)

    def _placeholder(self, address: str, placeholders: tuple[str, ...]) -> str:
        if address in placeholders:
            return address
        return placeholders[zlib.crc32(address.lower().encode()) % len(placeholders)]

    def _is_ipv4(self, text: str, start: int, end: int) -> bool:
        octets = text[start:end].split(".")
        numbers = tuple(map(int, octets))
        if max(numbers) > 255 or any(octet[0] == "0" and octet != "0" for octet in octets):
            return False
        if self.only_public_ips and _is_in(int.from_bytes(numbers, "big"), _SPECIAL_IPV4):
            return False
        if _GLUED_BEFORE.search(text[max(start - 2, 0) : start]) or _GLUED_AFTER.match(text, end):
            return False
        before = text[max(start - _NUMBERED_WINDOW, 0) : start]
        if _HEADING_AFTER.match(text, end) and _LINE_BEFORE.search(before):
            return False
        return not _NUMBERED.search(before)

    def _is_ipv6(self, text: str, start: int, end: int) -> bool:
        try:
            address = ipaddress.IPv6Address(text[start:end])
        except ValueError:
            return False
        return not self.only_public_ips or not _is_in(int(address), _SPECIAL_IPV6)


def _local_start(text: str, low: int, at: int) -> int:
    """Return where the local part before "@" begins; `at` if there is none."""
    # Backwards, so that each character is looked at once.
    backwards = _LOCAL_BACKWARDS.match(text[low:at][::-1])
    local = backwards.group()[::-1] if backwards else ""
    if rule := _RULE.match(local):
        local = local[rule.end() :]
    elif len(local) == _LOCAL_WINDOW:
        return at
    local = local.lstrip("._%+'-")
    return at if local.endswith(".") or len(local) > _MAX_LOCAL else at - len(local)


def _domain_end(text: str, start: int) -> int:
    """Return where the domain that begins here ends; -1 if there is none."""
    run = _DOMAIN.match(text, start)
    if not run or run.end() - start > _MAX_DOMAIN:
        return -1
    labels = run.group().split(".")
    if max(map(len, labels)) > _MAX_LABEL or not any(map(_TOP_LEVEL.match, labels[1:])):
        return -1
    return run.end()


def _is_in(address: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= address <= last for first, last in ranges)
