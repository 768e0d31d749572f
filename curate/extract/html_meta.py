"""Title, date, author and kind of a page, where the page says them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .html_blocks import Page
from .html_tokens import attributes, unescape

_MAX_META = 20_000
_MAX_LINKED = 500_000
_MAX_VALUES = 2_000
_MAX_CHARS = 500
_TITLES = ("og:title", "twitter:title", "dc.title", "title")
_DATES = (
    *("article:published_time", "datepublished", "date", "dc.date", "dc.date.issued", "pubdate"),
    *("publishdate", "publish_date", "sailthru.date", "parsely-pub-date", "og:published_time"),
    *("dcterms.created", "dcterms.date", "publication_date", "citation_publication_date"),
)
_AUTHORS = ("author", "dc.creator", "article:author", "parsely-author", "sailthru.author", "byl")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])(?!\d)")
# What schema.org and Open Graph call a page, in the words of WCXB's page types.
_TYPES = {
    **dict.fromkeys(
        (
            *("article", "newsarticle", "blogposting", "reportagenewsarticle"),
            *("opinionnewsarticle", "analysisnewsarticle", "scholarlyarticle", "recipe"),
            *("reviewnewsarticle", "review", "livebloposting", "liveblogposting"),
        ),
        "article",
    ),
    **dict.fromkeys(("discussionforumposting", "qapage", "socialmediaposting"), "forum"),
    **dict.fromkeys(
        (*("product", "productgroup", "individualproduct", "vehicle", "og:product"),),
        "product",
    ),
    **dict.fromkeys(("collectionpage", "itemlist", "offercatalog"), "collection"),
    **dict.fromkeys(("techarticle", "apireference"), "documentation"),
    **dict.fromkeys(("service", "localbusiness", "restaurant", "hotel"), "service"),
    **dict.fromkeys(("jobposting", "event", "realestatelisting"), "listing"),
}
_MORE_TELLING = ("product", "forum", "listing", "documentation", "article", "collection", "service")


def metadata(page: Page) -> dict[str, str | None]:
    """Return `title`, `author`, `published` (ISO date) and `page_type`, None where unknown."""
    metas = _metas(page)
    linked = list(_linked(page))
    title = (
        _first(metas, _TITLES[:1])
        or _linked_text(linked, ("headline",))
        or _heading(page)
        or _first(metas, _TITLES[1:])
        or page.title
    )
    published = (
        _date(_first(metas, _DATES[:2]))
        or _date(_linked_text(linked, ("datePublished", "uploadDate", "dateCreated")))
        or _date(_first(metas, _DATES[2:]))
        or next((date for time in page.times if (date := _date(time))), None)
    )
    author = _linked_author(linked) or _person(_first(metas, _AUTHORS))
    return {
        "title": _clean(title),
        "author": _clean(author),
        "published": published,
        "page_type": _page_type(metas, linked),
    }


def _metas(page: Page) -> dict[str, str]:
    metas: dict[str, str] = {}
    for source in page.metas:
        found = attributes(source[:_MAX_META])
        key = found.get("property") or found.get("name") or found.get("itemprop") or ""
        value = unescape(found.get("content", "")).strip()
        if key and value:
            metas.setdefault(key.lower(), value)
    return metas


def _linked(page: Page) -> Iterator[dict[str, Any]]:
    """Yield the objects of the page's linked data, outer ones first."""
    for source in page.linked_data:
        if len(source) > _MAX_LINKED:
            continue
        try:
            waiting: list[Any] = [json.loads(source.strip().rstrip(";"), strict=False)]
        except (ValueError, RecursionError):
            continue
        seen = 0
        while waiting and seen < _MAX_VALUES:
            seen += 1
            value = waiting.pop(0)
            if isinstance(value, list):
                waiting += value[:_MAX_VALUES]
            elif isinstance(value, dict):
                yield value
                for key in ("@graph", "mainEntity", "mainEntityOfPage"):
                    if isinstance(value.get(key), list | dict):
                        waiting.append(value[key])


def _linked_text(linked: list[dict[str, Any]], keys: tuple[str, ...]) -> str:
    for key in keys:
        for value in linked:
            if isinstance(text := value.get(key), str) and text.strip():
                return unescape(text)
    return ""


def _linked_author(linked: list[dict[str, Any]]) -> str:
    for value in linked:
        authors = value.get("author")
        names = [
            _person(str(author.get("name") or "") if isinstance(author, dict) else str(author))
            for author in (authors if isinstance(authors, list) else [authors])
            if isinstance(author, dict | str)
        ]
        if any(names):
            return ", ".join(dict.fromkeys(name for name in names if name))
    return ""


def _person(name: str) -> str:
    name = unescape(name).strip()
    return "" if "://" in name or name.startswith(("/", "@", "{")) else name.removeprefix("By ")


def _heading(page: Page) -> str:
    """Return the page's only first-level heading."""
    found = [
        text
        for text, node in zip(page.texts, page.nodes, strict=True)
        if page.tags[node] == "h1" or page.tags[page.parents[node]] == "h1"
    ]
    return found[0] if len(found) == 1 else ""


def _first(metas: dict[str, str], keys: tuple[str, ...]) -> str:
    return next((metas[key] for key in keys if metas.get(key)), "")


def _date(text: str) -> str | None:
    found = _DATE.search(text[:100])
    return "-".join(found.groups()) if found else None


def _page_type(metas: dict[str, str], linked: list[dict[str, Any]]) -> str | None:
    named = [metas.get("og:type", "").lower()]
    for value in linked:
        kinds = value.get("@type")
        named += [str(kind).lower() for kind in (kinds if isinstance(kinds, list) else [kinds])]
    types = {_TYPES[name] for name in named if name in _TYPES}
    return next((kind for kind in _MORE_TELLING if kind in types), None)


def _clean(text: str) -> str | None:
    # A lone surrogate, which an escape of JSON can make, is no text.
    text = text.encode("utf-8", "replace").decode()
    return " ".join(text.split())[:_MAX_CHARS] or None
