"""URLs in one form, and the site that a host belongs to."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from .params import FetchError

if TYPE_CHECKING:
    from yarl import URL

_MAX_CHARS = 8_000
# A host whose last label is a number is an IPv4 address (URL standard, "ends in a number").
_NUMBER = re.compile(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)\Z")


def normal_url(text: str | None, base: URL | None = None) -> URL:
    """Return a URL as it is asked for: quoted, without fragment, user and password.

    Args:
        text: as crawled, or as a Location has it.
        base: what a relative one is relative to.

    Raises:
        FetchError: `invalid_url`; it is no http or https URL with a host.
    """
    from yarl import URL

    try:
        url = URL((text or "").strip())
        if base is not None:
            url = base.join(url)
        if url.scheme not in ("http", "https") or not url.raw_host or not url.port:
            raise ValueError("not an http or https URL with a host")
        if len(str(url)) > _MAX_CHARS:
            raise ValueError(f"longer than {_MAX_CHARS} characters")
        if _NUMBER.search(host_of(url)):
            ipaddress.IPv4Address(host_of(url))  # no name, so an address, in its usual form only
        return url.with_fragment(None).with_user(None)
    except (ValueError, TypeError, UnicodeError) as error:
        raise FetchError("invalid_url", f"{text!r:.200}: {error}") from None


def target_of(url: URL, status: int, location: str) -> URL:
    """Return where a redirect leads.

    Raises:
        FetchError: `bad_redirect`; it leads nowhere, or to no http or https URL.
    """
    if not location:
        raise FetchError("bad_redirect", f"status {status} without a Location")
    try:
        # Headers are read as Latin-1; servers that send more mean UTF-8.
        return normal_url(location.encode("latin-1").decode("utf-8", "replace"), url)
    except FetchError as error:
        raise FetchError("bad_redirect", error.message) from None


def host_of(url: URL) -> str:
    """Return the host's name or address in one form."""
    return (url.raw_host or "").lower().rstrip(".")


def site_of(host: str) -> str:
    """Return the registered domain of a host, by the Public Suffix List; an address is itself."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        parts = _extractor()(host)
    return f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else host


@cache
def _extractor() -> Any:
    from tldextract import TLDExtract

    # The snapshot that comes with the package: never the network, never a cache on disk.
    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
