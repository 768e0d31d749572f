"""The blocks of a page: its texts as they are laid out, and the elements around them.

One walk over the tokens of a page keeps a stack of open elements; what the HTML standard closes
implicitly (paragraphs, items, cells) is closed here as well. An element is a node, numbered in the
order of the page, so that the blocks in it are a range.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

from .html_tags import (
    BLOCK,
    BREAK,
    DROP,
    HEADING,
    IN_DROPPED,
    IN_LINK,
    IN_PRE,
    INLINE,
    ITEM,
    KINDS,
    LINK,
    PLACE_OF_TAG,
    VOID,
    names_of,
    place_of,
)
from .html_tokens import attributes, tokens

# Deeper elements are read as part of the one at this depth; real pages rarely pass 100.
_MAX_DEPTH = 400
_DECAY = 0.7
# What an end tag or an implied end does not reach across.
_BARRIERS = frozenset(("table", "td", "th", "caption", "html"))
_CLOSED_BY = {
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "menu", "dir"))),
    "dt": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "dd": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "tr": (frozenset(("tr", "td", "th", "caption")), frozenset(("table",))),
    "td": (frozenset(("td", "th")), frozenset(("table", "tr"))),
    "th": (frozenset(("td", "th")), frozenset(("table", "tr"))),
    "tbody": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
    "thead": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
    "tfoot": (frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")), frozenset(("table",))),
}
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))


@dataclass(slots=True)
class Page:
    """What the walk found; lists of equal length by block, and by node.

    Attributes:
        texts: of each block, white space collapsed except in <pre>; "\\n" where a <br> is.
        link_chars: characters of it in links.
        num_links: links in it.
        nodes: the element that holds it.
        breaks: line breaks in it.
        images: images since the block before.
        tags, parents, starts, ends: of each node; its blocks are starts..ends.
        places: the bits of html_tags, inherited.
        best, worst, sums: highest, lowest and decayed sum of the names' scores on the path.
        names: of each node; only when asked for.
        head: title, meta and linked data, as the page has them.
    """

    texts: list[str] = field(default_factory=list)
    link_chars: list[int] = field(default_factory=list)
    num_links: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    names: list[tuple[str, ...]] = field(default_factory=list)
    title: str = ""
    metas: list[str] = field(default_factory=list)
    linked_data: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    lang: str = ""


def read_page(source: str, scores: Mapping[str, float], keep_names: bool = False) -> Page:
    """Walk over a page once.

    Args:
        source: the page.
        scores: how much a name of an element speaks for content (> 0) or against it.
        keep_names: remember every node's names, for training.
    """
    page = Page()
    tags, parents, starts, ends = page.tags, page.parents, page.starts, page.ends
    places, owns, bests, worsts, sums = page.places, page.own, page.best, page.worst, page.sums
    signatures, texts = page.signatures, page.texts
    known: dict[tuple[str, str], tuple[int, float, float, float, tuple[str, ...]]] = {}
    signature_numbers: dict[tuple[int, str, str], int] = {}

    # The root, which nothing closes.
    tags.append("")
    parents.append(0)
    starts.append(0)
    ends.append(0)
    places.append(0)
    owns.append(0.0)
    bests.append(0.0)
    worsts.append(0.0)
    sums.append(0.0)
    signatures.append(0)
    page.names.append(())
    stack = [0]
    open_tags: dict[str, int] = {}
    pieces: list[str] = []
    link_at = -1  # depth of the stack at which a link was opened, -1 outside links
    link_chars = links = breaks = images = 0

    def flush() -> None:
        nonlocal link_chars, links, breaks, images
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        if text.isspace():
            link_chars = breaks = 0
            links = int(link_at >= 0)
            return
        node = stack[-1]
        place = places[node]
        if not place & IN_DROPPED:
            if "&" in text:
                text = html.unescape(text)
            if place & IN_PRE:
                text = text.strip("\n").rstrip()
                if text.isspace():
                    text = ""
            elif breaks:
                lines = [" ".join(line.split()) for line in text.split("\0")]
                text = "\n".join([line for line in lines if line])
            else:
                text = " ".join(text.split())
            if text:
                texts.append(text)
                page.link_chars.append(min(link_chars, len(text)))
                page.num_links.append(links)
                page.nodes.append(node)
                page.breaks.append(breaks)
                page.images.append(images)
                images = 0
        link_chars = breaks = 0
        links = int(link_at >= 0)

    def close(depth: int) -> None:
        """Close the elements of the stack from `depth` on."""
        nonlocal link_at
        end = len(texts)
        for node in stack[depth:]:
            ends[node] = end
            open_tags[tags[node]] -= 1
        del stack[depth:]
        if link_at > depth:
            link_at = -1

    for text, raw, raw_attributes, content, slash, name, source_attributes, stray in tokens(source):
        if text:
            pieces.append(text)
            if link_at >= 0:
                link_chars += len(text) if len(text) < 40 else len(text.strip())
        if not name:
            if stray:
                pieces.append("<")
            elif raw:
                _raw(page, raw.lower(), raw_attributes, content, places[stack[-1]])
            continue
        kind = KINDS.get(name)
        if kind is None:
            name = name.lower()
            kind = KINDS.get(name)
            if kind is None:
                kind = BLOCK if "-" in name else INLINE
        if kind == INLINE:
            if name == "time" and not slash and len(page.times) < 20:
                page.times.append(attributes(source_attributes).get("datetime", ""))
            continue
        if kind == LINK:
            link_at = -1 if slash else len(stack)
            links += not slash
            continue
        if kind == BREAK:
            if name == "hr":
                flush()
            elif places[stack[-1]] & IN_PRE:
                pieces.append("\n")
            elif pieces and pieces[-1] == "\0":
                flush()  # an empty line parts blocks
            elif pieces and not (len(pieces) >= 2 and pieces[-1].isspace() and pieces[-2] == "\0"):
                pieces.append("\0")
                breaks += 1
            elif pieces:
                flush()
            continue
        if kind == VOID:
            if name == "img":
                images += 1
            elif name == "meta" and len(page.metas) < 300 and not slash:
                page.metas.append(source_attributes)
            continue

        # An element that holds blocks begins or ends.
        if pieces:
            flush()
        if slash:
            if open_tags.get(name):
                depth = len(stack) - 1
                barrier = name not in _BARRIERS and name not in {"tr", "tbody", "thead", "tfoot"}
                while depth > 0 and tags[stack[depth]] != name:
                    if barrier and tags[stack[depth]] in _BARRIERS:
                        depth = 0
                        break
                    depth -= 1
                if depth > 0:
                    close(depth)
            elif name in _HEADINGS and tags[stack[-1]] in _HEADINGS:
                close(len(stack) - 1)
            continue
        top = tags[stack[-1]]
        # A block ends a paragraph, a heading another one, and any block a drawing left open.
        if top == "p" or top == "svg" or (kind == HEADING and top in _HEADINGS):
            close(len(stack) - 1)
        if name in _CLOSED_BY:
            ended, barriers = _CLOSED_BY[name]
            depth = len(stack) - 1
            lowest = 0
            while depth > 0 and tags[stack[depth]] not in barriers:
                if tags[stack[depth]] in ended:
                    lowest = depth
                    if kind == ITEM:
                        break
                depth -= 1
            if lowest:
                close(lowest)
        if len(stack) > _MAX_DEPTH or (kind == DROP and source_attributes.endswith("/")):
            continue
        parent = stack[-1]
        key = (name, source_attributes)
        facts = known.get(key)
        if facts is None:
            facts = known[key] = _facts(name, source_attributes, scores)
        place, own, best, worst, names = facts
        node = len(tags)
        tags.append(name)
        parents.append(parent)
        starts.append(len(texts))
        ends.append(0)
        place |= places[parent]
        if link_at >= 0:
            place |= IN_LINK
        places.append(place)
        owns.append(own)
        bests.append(best if best > bests[parent] else bests[parent])
        worsts.append(worst if worst < worsts[parent] else worsts[parent])
        sums.append(own + _DECAY * sums[parent])
        shape = (signatures[parent], name, names[-1] if names else "")
        signatures.append(signature_numbers.setdefault(shape, len(signature_numbers) + 1))
        if keep_names:
            page.names.append(names)
        stack.append(node)
        open_tags[name] = open_tags.get(name, 0) + 1
        if name == "html" and not page.lang:
            page.lang = attributes(source_attributes).get("lang", "")
    if pieces:
        flush()
    close(1)
    ends[0] = len(texts)
    return page


def _facts(
    name: str, source: str, scores: Mapping[str, float]
) -> tuple[int, float, float, float, tuple[str, ...]]:
    """Return what a start tag says: its places, its score, the best and worst one, its names."""
    place = PLACE_OF_TAG.get(name, 0)
    if not source or source.isspace():
        return place, 0.0, 0.0, 0.0, ()
    found = attributes(source)
    names = names_of(found)
    place |= place_of(found, source)
    if name == "body" or name == "html":
        place &= ~(place_of(found, source))
    values = [scores[part] for part in names if part in scores]
    if not values:
        return place, 0.0, 0.0, 0.0, names
    best, worst = max(values), min(values)
    return place, sum(values) / len(values), max(best, 0.0), min(worst, 0.0), names


def _raw(page: Page, name: str, source: str, content: str, place: int) -> None:
    if name == "title":
        if not page.title and not place & IN_DROPPED:
            page.title = " ".join(html.unescape(content).split())
    elif name == "script" and "ld+json" in source and len(page.linked_data) < 20:
        page.linked_data.append(content)
