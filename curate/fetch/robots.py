"""What a server asks of crawlers: robots.txt (RFC 9309) and Retry-After (RFC 9110 10.2.3)."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..readers.http_body import BodyTooLarge, decode_body
from .client import ROBOTS_BYTES

if TYPE_CHECKING:
    from yarl import URL

_MAX_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one server for one crawler.

    Attributes:
        cause: why nothing may be asked of the server; "" if the rules decide.
        message: the same for a person.
        delay_s: seconds between requests that it asks for.
    """

    agent: str
    cause: str = ""
    message: str = ""
    delay_s: float = 0.0
    parsed: Any = None

    def allow(self, url: URL) -> bool:
        """Tell whether the crawler may ask for `url`."""
        return self.parsed is None or bool(self.parsed.can_fetch(str(url), self.agent))


def robots_url(url: URL) -> URL:
    """Return where the rules of a URL's server are."""
    return url.origin().joinpath("robots.txt")


def parse_rules(status: int, body: bytes, coding: str, agent: str) -> Rules:
    """Return the rules that an answer to the question for robots.txt means.

    A status 4xx is no rules (2.3.1.3); 5xx is a server that cannot be asked now (2.3.1.4), and so
    is 429, a 4xx in name only. Of a long file the first 500 KiB count (2.5).
    """
    if status == 429 or status >= 500:
        return Rules(agent, "robots_unreachable", f"robots.txt: status {status}")
    if not 200 <= status < 300:
        return Rules(agent)
    from protego import Protego

    try:
        body = decode_body(body, {b"content-encoding": coding.encode()}, ROBOTS_BYTES).data
    except BodyTooLarge:
        return Rules(agent, "robots_unreachable", "robots.txt unpacks to more than 500 KiB")
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    parsed = Protego.parse(text)
    delay = parsed.crawl_delay(agent) or 0.0
    return Rules(agent, delay_s=max(0.0, min(float(delay), _MAX_DELAY_S)), parsed=parsed)


def seconds_of(retry_after: str) -> float:
    """Read a Retry-After, which is a number of seconds or a date; 0 if it is neither."""
    if retry_after.isdecimal():  # of Latin-1, in which headers are read, 0 to 9 alone
        return float(retry_after[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0
