"""The same text from trafilatura, in less than half the time.

trafilatura's own functions do the work. What is changed is how often: searches for classes and ids
are one pass (trafilatura_searches.py), a tree is copied only where two need it, readability is not
asked for a text that would not be taken, jusText works its measures out once
(trafilatura_justext.py). `tests/test_trafilatura_fast.py` compares the text of whole pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import cache
from importlib import import_module, metadata
from typing import Any

from .trafilatura_justext import UnknownNodeError, make_paragraphs
from .trafilatura_searches import (
    BLOCKS,
    CANDIDATE,
    CAPTION,
    CHROME,
    DISCARDED,
    HIDDEN,
    NAMED,
    PRUNED,
    TEASER,
    UNWANTED_TAGS,
    Attributes,
    basic_cleaning,
    is_unlikely,
    is_unwanted,
    searches,
)

VERSION = "2.3.1"
# Readability writes "&amp;" in these, and what reads that again takes it for five characters.
_RAW_TEXT = ("noembed", "noframes", "plaintext", "xmp")
_JUSTEXT_VERSION = "3.0.2"

# What no XML may hold of ASCII (`trafilatura.utils.INVALID_XML_CHARS`).
_CONTROLS = tuple(bytes((code,)) for code in range(32) if code not in b"\t\n\r")


def accelerate() -> bool:
    """Make this process's trafilatura faster; tell whether its version is the one this is for."""
    if metadata.version("trafilatura") != VERSION:
        return False
    _accelerate()
    return True


@cache
def _accelerate() -> None:
    from lxml import etree
    from lxml import html as lxml_html
    from trafilatura import core, main_extractor, readability_lxml, settings, utils, xpaths

    attributes = Attributes(xpaths, readability_lxml)
    for name, faster in searches(xpaths, attributes).items():
        getattr(xpaths, name)[:] = faster  # the lists that trafilatura's other modules hold
    # The package has a function of the name of this module.
    baseline: Any = import_module("trafilatura.baseline")
    baseline.BASIC_CLEAN_XPATH = basic_cleaning(settings)

    # lxml's own lookup calls Python for each element, to find classes that only forms need.
    lookup = etree.ElementDefaultClassLookup(
        element=lxml_html.HtmlElement,
        comment=lxml_html.HtmlComment,
        pi=lxml_html.HtmlProcessingInstruction,
        entity=lxml_html.HtmlEntity,
    )
    utils.HTML_PARSER.set_element_class_lookup(lookup)
    utils.INVALID_XML_CHARS = CharactersToDelete(utils.INVALID_XML_CHARS)
    utils.fromstring = _parse_bytes(utils.fromstring)
    core.trafilatura_sequence = _sequence(core.trafilatura_sequence, attributes)
    main_extractor.prune_unwanted_sections = _prune_sections(
        main_extractor.prune_unwanted_sections, attributes
    )
    _compare_where_open(attributes)
    _rescue_where_asked()
    if metadata.version("jusText") == _JUSTEXT_VERSION:
        _justext_in_one_walk()


class CharactersToDelete:
    """The expression of characters to delete; a page without any is told by its bytes."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern

    def sub(self, replacement: str, text: str) -> str:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            return str(self._pattern.sub(replacement, text))
        found = any(byte in data for byte in _CONTROLS) or "\ufffe" in text or "\uffff" in text
        return str(self._pattern.sub(replacement, text)) if found else text


def _parse_bytes(fromstring: Callable[..., Any]) -> Callable[..., Any]:
    """Give the parser UTF-8, which it works in, and not the string that it would convert."""

    def parse(html: str | bytes, parser: Any) -> Any:
        # Before the first tag lxml takes white space beyond ASCII for text where it is bytes.
        if isinstance(html, str) and html[: max(html.find("<"), 0)].isascii():
            # With lone surrogates lxml and trafilatura have their own ways.
            with suppress(UnicodeEncodeError):
                html = html.encode()
        return fromstring(html, parser=parser)

    return parse


class _Later:
    """A tree that is made when it is asked for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def _sequence(original: Callable[..., Any], attributes: Attributes) -> Callable[..., Any]:
    """Return trafilatura's sequence for the plain text of a page, in precision mode.

    The page is copied to be cleaned, and once more only where readability gets it; for jusText it
    is cleaned only where that is asked.
    """
    from lxml import etree
    from trafilatura import core, external, htmlprocessing, main_extractor, xml, xpaths

    def sequence(tree: Any, options: Any, url: str | None = None) -> Any:
        if (tree.getparent() is not None or options.focus != "precision" or options.fast) or (
            options.comments or options.formatting or options.links or options.images
        ):
            return original(tree, options, url)
        is_forum = core._forum_thread_page(tree)
        telling = attributes(tree, PRUNED, *UNWANTED_TAGS)
        unwanted = [elem for elem, said in telling if is_unwanted(elem, said)]
        if next(tree.iter("math"), None) is None:
            # Both copies lose them; in a formula they part its text.
            unwanted.extend(tree.iter("script", "style"))
        for elem in unwanted:
            xml.delete_element(elem)
        cleaned = htmlprocessing.convert_tags(_clean(copy(tree), options), options, url)
        if not is_forum:
            htmlprocessing.prune_unwanted_nodes(cleaned, xpaths.REMOVE_COMMENTS_XPATH)
        body, text = main_extractor.extract_content(cleaned, options)
        is_open = _can_win(tree, attributes, body, text, options)
        pristine = copy(tree) if is_open else tree
        for_justext = _Later(lambda: _clean(pristine, options))
        raw = tree if is_open else _nothing()
        body, text = external.compare_extraction(for_justext, raw, body, text, options)
        return body, text, etree.Element("body"), ""

    return sequence


@cache
def _nothing() -> Any:
    """Return the page that stands for one that need not be given to readability."""
    from lxml import html

    return html.Element("html")


def _clean(tree: Any, options: Any) -> Any:
    """Do what `htmlprocessing.tree_cleaning` does, looking only for the tags that the page has."""
    from lxml import etree
    from trafilatura import htmlprocessing, settings, xml

    htmlprocessing.recover_math(tree)
    unwanted = [tag for tag in settings.MANUALLY_CLEANED if tag != "form"]
    if not options.tables:
        unwanted += ["table", "td", "th", "tr"]
    else:
        for elem in tree.iter("figure", "table"):
            if elem.tag == "figure":
                is_layout = next(elem.iterdescendants("table"), None) is not None
            else:
                is_layout = elem.get("role") in ("presentation", "none")
            if is_layout:
                elem.tag = "div"
    etree.strip_tags(tree, settings.MANUALLY_STRIPPED)
    present = {elem.tag for elem in tree.iter(*unwanted)}
    for tag in unwanted:
        if tag in present:
            for elem in tree.iter(tag):
                xml.delete_element(elem)
    htmlprocessing._handle_forms(tree)
    return htmlprocessing.prune_html(tree, options.focus)


def _can_win(tree: Any, attributes: Attributes, body: Any, text: str, options: Any) -> bool:
    """Tell whether readability's text of a page may be long enough to replace trafilatura's.

    It replaces a text that is not empty and lies in paragraphs only when it is over twice as long
    (`external._prefer_readability`; in recall mode, which is not ours, earlier). What it returns is
    made of the page's text, so it is no longer than what is left of that.
    """
    if options.focus == "recall" or not body.xpath(".//p//text()"):
        return True
    if next(tree.iter(*_RAW_TEXT), None) is not None:
        return True
    if len(body.findall(".//table")) > len(body.findall(".//p")):
        return True
    enough = 2 * len(text)
    # It writes "VIDEO" into some frames.
    left = _length(tree) + 6 * sum(1 for _ in tree.iter("iframe"))
    if left <= enough or not enough:
        return not enough
    is_precise = options.focus == "precision"
    removed = set(tree.iter("script", "style"))
    for elem, said in attributes(tree, (DISCARDED | CANDIDATE) if is_precise else CANDIDATE):
        if is_unlikely(elem, said) or (
            is_precise and (said & HIDDEN or (said & NAMED and elem.tag in BLOCKS))
        ):
            removed.add(elem)
    for elem in removed:
        if removed.isdisjoint(elem.iterancestors()):
            left -= _length(elem)
            if left <= enough:
                return False
    return True


def _length(elem: Any) -> int:
    """Return the length of what `trafilatura.utils.trim` leaves of the text of an element."""
    return len(" ".join(elem.text_content().split()))


def _compare_where_open(attributes: Attributes) -> None:
    """Do not ask readability for a text that would not be taken, nor for that of `_nothing`."""
    from lxml import html
    from trafilatura import core, external

    comparison, find = core.compare_extraction, external.try_readability

    def compare(cleaned: Any, raw: Any, body: Any, text: str, options: Any) -> Any:
        if not _can_win(raw, attributes, body, text, options):
            raw = _nothing()
        return comparison(cleaned, raw, body, text, options)

    def try_readability(tree: Any) -> Any:
        return html.HtmlElement() if tree is _nothing() else find(tree)

    core.compare_extraction, external.try_readability = compare, try_readability


class _LinkDensity:
    """trafilatura's deletion by link density, which reads each link once and tells if it found any.

    The blocks that it tests lie in each other, and so they share their links.
    """

    def __init__(self, htmlprocessing: Any) -> None:
        self._test = htmlprocessing.link_density_test
        self._delete = htmlprocessing.delete_by_link_density
        self._lengths: dict[Any, int] | None = None
        self.has_found = False
        htmlprocessing.link_density_test = self.test
        htmlprocessing.collect_link_info = self.measure

    def delete(self, tree: Any, tag: str, backtracking: bool = False) -> None:
        """Delete elements of a tag; nothing is deleted before all have been tested."""
        known: dict[Any, int] = {}
        self._lengths = known
        try:
            self._delete(tree, tag, backtracking=backtracking, favor_precision=True)
        finally:
            self._lengths = None
            # For each element that is let go lxml looks for others in what was deleted, from its
            # start: so the last go first, or this takes time quadratic in their number.
            while known:
                known.popitem()

    def test(self, elem: Any, favor_precision: bool = False) -> tuple[bool, bool]:
        """Do what `htmlprocessing.link_density_test` does."""
        if next(elem.iterdescendants("ref"), None) is None:
            return False, False
        found: tuple[bool, bool] = self._test(elem, favor_precision)
        self.has_found = self.has_found or any(found)
        return found

    def measure(self, links: Sequence[Any]) -> tuple[int, int, int, list[str]]:
        """Do what `htmlprocessing.collect_link_info` does, but for the texts, which none reads."""
        known = {} if self._lengths is None else self._lengths
        lengths = []
        for link in links:
            length = known.get(link)
            if length is None:
                length = known[link] = _length(link)
            if length:
                lengths.append(length)
        return sum(lengths), len(lengths), sum([length < 10 for length in lengths]), []


def _prune_sections(original: Callable[..., Any], attributes: Attributes) -> Callable[..., Any]:
    """Return trafilatura's pruning of a part of the page, which in precision mode is one pass."""
    from lxml import etree
    from trafilatura import htmlprocessing, xml

    density = _LinkDensity(htmlprocessing)

    def prune(tree: Any, potential_tags: set[str], options: Any, keep_teasers: bool = False) -> Any:
        if options.focus != "precision":
            return original(tree, potential_tags, options, keep_teasers)
        telling = [(elem, elem.tag in BLOCKS, said) for elem, said in attributes(tree, DISCARDED)]
        named = [elem for elem, is_block, said in telling if is_block and said & NAMED]
        hidden = [elem for elem, _, said in telling if said & HIDDEN]
        htmlprocessing.prune_unwanted_nodes(
            tree, [lambda _: named, lambda _: hidden], with_backup=True
        )
        unwanted = CHROME
        if "graphic" not in potential_tags:
            unwanted |= CAPTION
        if not keep_teasers:
            unwanted |= TEASER
        # Below what is gone already, it does no harm to delete more.
        for elem in [elem for elem, is_block, said in telling if is_block and said & unwanted]:
            xml.delete_element(elem)
        for elem in list(tree.iterdescendants("header")):
            xml.delete_element(elem)
        has_links = next(tree.iter("ref"), None) is not None
        density.has_found = has_links
        for _ in range(2):
            if density.has_found:  # a second time finds nothing that the first did not flag
                density.has_found = False
                density.delete(tree, "div", backtracking=True)
                density.delete(tree, "list")
                density.delete(tree, "p")
        if has_links:
            for elem in [
                e for e in tree.iter("table") if htmlprocessing.link_density_test_tables(e)
            ]:
                xml.delete_element(elem, keep_tail=False)
        while len(tree) and tree[-1].tag == "head":
            xml.delete_element(tree[-1], keep_tail=False)
        if has_links:
            density.delete(tree, "head")
            density.delete(tree, "quote")
        etree.strip_tags(tree, "span", *(() if "ref" in potential_tags else ("ref",)))
        return tree

    return prune


def _rescue_where_asked() -> None:
    """Clean the page for jusText when that is asked."""
    from trafilatura import external

    rescue = external.justext_rescue

    def rescue_later(tree: Any, options: Any) -> Any:
        return rescue(tree.make() if isinstance(tree, _Later) else tree, options)

    external.justext_rescue = rescue_later


def _justext_in_one_walk() -> None:
    """Make jusText's paragraphs in one walk, and its set of stop words once."""
    from justext import core as justext
    from trafilatura import external

    read_stoplists, Original = external.jt_stoplist_init, external.ParagraphMaker

    def stoplist() -> frozenset[str]:
        # jusText looks its set up by these words each time: a frozen set knows its hash.
        words = external.JT_STOPLIST = frozenset(read_stoplists())
        return words

    class Maker:
        @staticmethod
        def make_paragraphs(root: Any) -> Any:
            try:
                return make_paragraphs(root, justext.PARAGRAPH_TAGS)
            except UnknownNodeError:
                return Original.make_paragraphs(root)

    external.jt_stoplist_init = stoplist
    if external.JT_STOPLIST:
        external.JT_STOPLIST = frozenset(external.JT_STOPLIST)
    external.ParagraphMaker = Maker
