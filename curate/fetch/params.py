"""What a refetch may do, and every way in which it can end."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import Any

from .. import __version__
from ..errors import DefinitionError

_SPEED_ONLY = (
    *("contact", "requests_per_second", "connections_per_host", "max_connections"),
    *("backoff_s", "urls_per_unit", "retry_round"),
)
_POSITIVE = ("connect_timeout_s", "first_byte_timeout_s", "total_timeout_s", "speed_window_s")
_COUNTS = ("connections_per_host", "max_connections", "max_attempts", "max_bytes", "urls_per_unit")
_NOT_NEGATIVE = (
    *("requests_per_second", "min_bytes_per_second", "max_redirects", "backoff_s"),
    "retry_round",
)
_TOKEN = re.compile(r"[A-Za-z_-]+\Z")

# Causes that a later try may not meet again; of the statuses those that say so.
PASSING_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))
PASSING = (
    *("dns", "connect", "timeout_connect", "timeout_first_byte", "timeout_total", "too_slow"),
    *("reset", "wrong_length", "rate_limited", "robots_unreachable", "host_unresponsive"),
    *(f"http_{status}" for status in sorted(PASSING_STATUSES)),
)
REASONS = (
    *("invalid_url", "blocked_address", "dns", "connect", "tls", "reset", "bad_response"),
    *("timeout_connect", "timeout_first_byte", "timeout_total", "too_slow", "too_large"),
    *("robots", "robots_unreachable", "rate_limited", "host_unresponsive"),
    *("bad_redirect", "redirect_loop", "too_many_redirects"),
    *("not_pdf", "wrong_length", "incomplete", "bad_encoding", "encoding_bomb"),
    *("not_archived", "error", "http_other"),
    *(f"http_{status.value}" for status in HTTPStatus if status.value > 200),
)


@dataclass(frozen=True)
class RefetchParams:
    """How to ask, how long to wait, and what to accept.

    Args:
        user_agent: product name by which servers and their robots.txt know the crawler: letters,
            "_" and "-".
        contact: where the owner of a server can reach you, a URL or a mail address. Set it.
        requests_per_second: to one host; a longer Crawl-delay of its robots.txt is obeyed, up to a
            minute. 0 is no limit.
        connections_per_host: to one host at the same time.
        max_connections: of one worker to all hosts.
        max_attempts: for one URL, or one hop of its redirects, where the cause may pass.
        connect_timeout_s: for name, connection and TLS.
        first_byte_timeout_s: added to it, until the head of the answer is there.
        total_timeout_s: from the request to the last byte.
        min_bytes_per_second: slower than this over `speed_window_s` is `too_slow`.
        speed_window_s: see there.
        max_bytes: a longer body, as sent or with its coding undone, is `too_large`.
        max_redirects: hops that are followed.
        max_retry_after_s: the longest Retry-After that is waited for; else `rate_limited`.
        backoff_s: upper bound of the random wait before the second attempt, doubled for each.
        allow_hosts: servers at addresses that are never connected otherwise (loopback, private):
            an address, a network such as 127.0.0.0/8 or a name, each with or without a port.
        retry_round: raise it to ask once more for URLs that failed for a cause that may pass.
        urls_per_unit: about so many URLs make one unit of work.
    """

    user_agent: str = "curate"
    contact: str = ""
    requests_per_second: float = 1.0
    connections_per_host: int = 2
    max_connections: int = 64
    max_attempts: int = 3
    connect_timeout_s: float = 20.0
    first_byte_timeout_s: float = 60.0
    total_timeout_s: float = 600.0
    min_bytes_per_second: int = 1024
    speed_window_s: float = 20.0
    max_bytes: int = 256 << 20
    max_redirects: int = 5
    max_retry_after_s: float = 120.0
    backoff_s: float = 2.0
    allow_hosts: tuple[str, ...] = ()
    retry_round: int = 0
    urls_per_unit: int = 50_000

    def __post_init__(self) -> None:
        if not _TOKEN.match(self.user_agent):
            raise DefinitionError(
                f"refetch: user_agent={self.user_agent!r} is not a product name: use letters, _ and"
                " -, as in my-crawler.\nPut an address into `contact`."
            )
        if not self.contact.isprintable() or not self.contact.isascii():
            raise DefinitionError("refetch: contact must be printable ASCII: a URL or an address.")
        for names, least, what in (
            (_COUNTS, 1, "at least 1"),
            (_NOT_NEGATIVE, 0, "0 or more"),
        ):
            for name in names:
                if getattr(self, name) < least:
                    value = getattr(self, name)
                    raise DefinitionError(f"refetch: {name}={value} is not allowed; give {what}.")
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                value = getattr(self, name)
                raise DefinitionError(
                    f"refetch: {name}={value} is not allowed; give seconds, more than 0."
                )
        from .addresses import Allowed

        Allowed(self.allow_hosts)

    @property
    def header(self) -> str:
        """The User-Agent header."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{self.user_agent}/{__version__}{contact}"

    def identity(self) -> Mapping[str, Any]:
        """What decides outcomes; how fast to ask does not, nor how often or whom to tell of it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _SPEED_ONLY}

    @property
    def policy(self) -> str:
        """Name of everything that decides which URLs fail, save the round of retries."""
        values = {**self.identity(), "retry_round": 0}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def unhurried(self) -> RefetchParams:
        """Return the same for a server of our own: no waiting."""
        return replace(self, requests_per_second=0.0, connections_per_host=8, backoff_s=0.0)


def status_cause(status: int) -> str:
    """Return the cause that a status is."""
    if status == 429:
        return "rate_limited"
    cause = f"http_{status}"
    return cause if cause in REASONS else "http_other"


class FetchError(Exception):
    """One URL cannot be had.

    Args:
        cause: one of REASONS.
        message: what happened, for a person.
        answer: what was received, for the archive or to go on from.
    """

    def __init__(self, cause: str, message: str = "", answer: Any = None) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause = cause
        self.message = message
        self.answer = answer
