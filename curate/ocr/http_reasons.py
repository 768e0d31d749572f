"""Why a server did not answer, and when it asks to be asked again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER_S = 600.0
_SAID_CHARS = 100


def why_unreachable(error: BaseException) -> str:
    """Return what the system said of a connection, without the libraries it went through."""
    found: BaseException | None = error
    seen: list[BaseException] = []
    while found is not None and found not in seen:
        seen.append(found)
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        inside = [getattr(found, "reason", None), *found.args, found.__cause__, found.__context__]
        found = next((each for each in inside if isinstance(each, BaseException)), None)
    return said(str(seen[-1])) or type(seen[-1]).__name__


def said(text: str) -> str:
    """Return the start of an answer on one line."""
    return " ".join(text.split())[:_SAID_CHARS]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, within reason; None if it does not say."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
