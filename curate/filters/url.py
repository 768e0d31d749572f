"""Drop pages by their address, before anything is extracted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import assets
from ..document import Document
from ..errors import DefinitionError, DocumentError
from ..steps import Drop, Filter
from .url_index import UrlIndex, domain_key, normalize_host, open_index, split_url, url_key

if TYPE_CHECKING:
    from tldextract import TLDExtract

_SEPARATORS = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True)
class UrlFilter(Filter):
    """Drop pages of listed domains and those whose URL holds listed words.

    The packaged lists are the University of Toulouse's adult lists (4.56 million domains, 19,586
    URLs) and 424 words, as in FineWeb (arXiv:2406.17557, section 3.2). In this order:

        domain: the registered domain is listed, or a host that has none, such as an IP address.
        subdomain: the host is listed, with or without "www.".
        url: the whole URL is listed.
        hard_word: a listed word stands between two separators of the URL.
        soft_words: at least `soft_word_threshold` different softer words do.
        subword: the letters and digits of the URL hold a listed sequence.

    A page is wrongly taken for a listed one with a chance below 1e-22: see UrlIndex.

    Args:
        use_packaged_lists: off, only the lists given here count.
        soft_word_threshold: number of softer words that drops a page.
        extra_domains: domains, or the path of a file with one a line; so are all of these.
        extra_urls: URLs; scheme, fragment and slashes at the end do not matter.
        extra_hard_words: words.
        extra_soft_words: words.
        extra_subwords: sequences; only their letters and digits count.
    """

    name = "url"
    reasons = ("domain", "subdomain", "url", "hard_word", "soft_words", "subword")
    libraries = ("tldextract",)  # its snapshot of the Public Suffix List

    use_packaged_lists: bool = True
    soft_word_threshold: int = 2
    extra_domains: tuple[str, ...] | str = ()
    extra_urls: tuple[str, ...] | str = ()
    extra_hard_words: tuple[str, ...] | str = ()
    extra_soft_words: tuple[str, ...] | str = ()
    extra_subwords: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        if self.soft_word_threshold < 1:
            raise DefinitionError(
                f"UrlFilter: soft_word_threshold is {self.soft_word_threshold}, but must be 1 or"
                " more (a page is dropped when it has that many)"
            )
        for name, values in self._extras.items():
            if not isinstance(values, (str, tuple)):
                raise DefinitionError(
                    f"UrlFilter: {name} is a {type(values).__name__}, but must be a tuple of"
                    " strings, or the path of a file with one a line"
                )
        for path in self._extra_files:
            if not Path(path).is_file():
                raise DefinitionError(
                    f"UrlFilter: there is no file {path}\n"
                    f'For a single value write a tuple: ("{path}",)'
                )

    @property
    def _extras(self) -> dict[str, Any]:
        names = ("domains", "urls", "hard_words", "soft_words", "subwords")
        return {f"extra_{name}": getattr(self, f"extra_{name}") for name in names}

    @property
    def _extra_files(self) -> tuple[str, ...]:
        return tuple(values for values in self._extras.values() if isinstance(values, str))

    def assets(self) -> tuple[str, ...]:
        packaged: tuple[assets.Asset, ...] = ()
        if self.use_packaged_lists:
            packaged = (assets.URL_LISTS, assets.HARD_WORDS, assets.SOFT_WORDS, assets.SUBWORDS)
        return (*(str(asset.locate()) for asset in packaged), *self._extra_files)

    def setup(self) -> None:
        self._indexes, self._words, self._extractor  # noqa: B018 - loads them

    def close(self) -> None:
        for index in self.__dict__.pop("_indexes", ()):
            if isinstance(index, UrlIndex):
                index.close()

    def reject(self, doc: Document) -> Drop | None:
        url = doc.metadata.get("url")
        if not url:
            raise DocumentError("no_url", "the record has no URL")
        host, path = split_url(url)
        parts = self._extractor(f"//{host}")
        registered = f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else ""
        # DIFFERS: the reference knows only hosts with a public suffix and compares them as they
        # are written; so it never finds the 6,390 IP addresses of the list.
        if self._is_listed(domain_key(registered or host)):
            return Drop("domain")
        # DIFFERS: the lists are written without "www.", so that the reference misses
        # www.name.blogspot.com where name.blogspot.com is listed.
        hosts = {host, host.removeprefix("www.")}
        if host != registered and self._is_listed(*map(domain_key, hosts)):
            return Drop("subdomain")
        if self._is_listed(url_key(host, path)):
            return Drop("url")
        return self._reject_words(url)

    def _is_listed(self, *keys: bytes) -> bool:
        for index in self._indexes:
            for key in keys:
                if key in index:
                    return True
        return False

    def _reject_words(self, url: str) -> Drop | None:
        hard_words, soft_words, subwords = self._words
        # As in the reference, words are compared as they are written; subwords without case.
        words = set(_SEPARATORS.split(url))
        if not hard_words.isdisjoint(words):
            return Drop("hard_word")
        if (count := len(soft_words & words)) >= self.soft_word_threshold:
            return Drop("soft_words", count, self.soft_word_threshold)
        squeezed = _squeeze(url)
        for subword in subwords:
            if subword in squeezed:
                return Drop("subword")
        return None

    @cached_property
    def _indexes(self) -> tuple[UrlIndex | frozenset[bytes], ...]:
        indexes: list[UrlIndex | frozenset[bytes]] = []
        if self.use_packaged_lists:
            indexes.append(open_index(assets.URL_LISTS.locate(), "lists"))
        if isinstance(self.extra_domains, str):
            indexes.append(open_index(Path(self.extra_domains), "domains"))
        elif self.extra_domains:
            hosts = map(normalize_host, self.extra_domains)
            indexes.append(frozenset(map(domain_key, hosts)))
        if isinstance(self.extra_urls, str):
            indexes.append(open_index(Path(self.extra_urls), "urls"))
        elif self.extra_urls:
            indexes.append(frozenset(url_key(*split_url(url)) for url in self.extra_urls))
        return tuple(indexes)

    @cached_property
    def _words(self) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
        """Return hard words, soft words and subwords."""
        files = (assets.HARD_WORDS, assets.SOFT_WORDS, assets.SUBWORDS)
        extras = (self.extra_hard_words, self.extra_soft_words, self.extra_subwords)
        hard, soft, subwords = (
            frozenset(_words_of(asset.locate()) if self.use_packaged_lists else ())
            | frozenset(_words_of(extra))
            for asset, extra in zip(files, extras, strict=True)
        )
        return hard, soft, tuple(sorted(subwords))

    @cached_property
    def _extractor(self) -> TLDExtract:
        from tldextract import TLDExtract

        # The snapshot that comes with the package: never the network, never a cache on disk.
        return TLDExtract(suffix_list_urls=(), cache_dir=None)


def _squeeze(text: str) -> str:
    return _SEPARATORS.sub("", text).lower()


def _words_of(source: tuple[str, ...] | str | Path) -> Iterator[str]:
    """Yield the words of a tuple, or of the lines of a file that are no comments."""
    if not isinstance(source, tuple):
        lines = Path(source).read_text(encoding="utf-8", errors="replace").splitlines()
        source = tuple(line for line in lines if not line.startswith("#"))
    return filter(None, map(_squeeze, source))
