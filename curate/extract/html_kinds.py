"""What a page says of its own kind, for the model."""

from __future__ import annotations

import re

from .html_blocks import Page

_MAX_CHARS = 20_000
_TYPE = re.compile(r'"@type"\s{0,9}:\s{0,9}\[?\s{0,9}"(?:https?://schema.org/)?(\w{1,40})"')
_OPEN_GRAPH = re.compile(r"og:type[\"'\s]", re.IGNORECASE)
_PRODUCT, _ARTICLE = re.compile("product", re.IGNORECASE), re.compile("article", re.IGNORECASE)
_SAYS = (
    frozenset(("Article", "NewsArticle", "BlogPosting", "TechArticle", "ReportageNewsArticle")),
    frozenset(("Product", "ProductGroup", "IndividualProduct")),
    frozenset(("CollectionPage", "ItemList", "OfferCatalog")),
    frozenset(("DiscussionForumPosting", "QAPage", "Question")),
    frozenset(("Recipe",)),
    frozenset(("Service", "LocalBusiness", "SoftwareApplication", "FAQPage")),
)
_DESCRIPTION = re.compile(r"""(?:name|property)\s*=\s*["']?(?:og:)?description["'\s]""", re.I)
_CONTENT = re.compile(r"""content\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)

KINDS_OF_PAGE: tuple[str, ...] = (
    *("says_article", "says_product", "says_collection", "says_forum", "says_recipe"),
    *("says_service", "og_product", "og_article"),
)


def kind_of_page(page: Page) -> list[float]:
    """Return numbers for the columns KINDS_OF_PAGE."""
    named = {name for source in page.linked_data[:5] for name in _TYPE.findall(source[:_MAX_CHARS])}
    graph = next((meta for meta in page.metas if _OPEN_GRAPH.search(meta[:500])), "")[:500]
    says = [float(bool(named & kind)) for kind in _SAYS]
    return [*says, float(bool(_PRODUCT.search(graph))), float(bool(_ARTICLE.search(graph)))]


def description(page: Page) -> str:
    """Return what the page's head says it is about."""
    for meta in page.metas:
        if _DESCRIPTION.search(meta[:20_000]) and (found := _CONTENT.search(meta)):
            return str(found[1] or found[2] or "")[:1_000]
    return ""
