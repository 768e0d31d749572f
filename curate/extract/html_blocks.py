"""The blocks of a page: its texts as they are laid out, and the elements around them.

One walk over the tokens of a page keeps a stack of open elements; what the HTML standard closes
implicitly (paragraphs, items, cells) is closed here as well. An element is a node, numbered in the
order of the page, so that the blocks in it are a range.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

from .html_known import (
    END,
    IMAGE,
    LINE,
    LINK_END,
    LINK_START,
    META,
    NOTHING,
    PART_END,
    PART_START,
    RAW,
    RULE,
    STRAY,
    TIME,
    Tags,
)
from .html_tags import IN_DROPPED, IN_LINK, IN_PRE, Judge
from .html_tokens import Cuts, text_of

# Deeper elements are read as part of the one at this depth; real pages rarely pass 100.
_MAX_DEPTH = 400
_DECAY = 0.7
# What an end tag or an implied end does not reach across.
_BARRIERS = frozenset(("table", "td", "th", "caption", "html"))
_ROWS = frozenset(("tr", "tbody", "thead", "tfoot"))
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


def read_page(
    source: str | bytes, scores: Mapping[str, float] | Judge, keep_names: bool = False
) -> Page:
    """Walk over a page once.

    Args:
        source: the page, in UTF-8 if it is bytes.
        scores: how much a name of an element speaks for content (> 0) or against it.
        keep_names: remember every node's names, for training.
    """
    page = Page()
    tags, parents, starts, ends = page.tags, page.parents, page.starts, page.ends
    places, owns, bests, worsts, sums = page.places, page.own, page.best, page.worst, page.sums
    signatures, texts, page_nodes = page.signatures, page.texts, page.nodes
    page_link_chars, page_links = page.link_chars, page.num_links
    page_breaks, page_images = page.breaks, page.images
    cuts = Cuts(source.encode() if isinstance(source, str) else source)
    new_tags = Tags(cuts, scores if isinstance(scores, Judge) else Judge(scores), keep_names)
    known = new_tags.known
    paths: dict[int, int] = {}

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
    pieces: list[bytes] = []
    link_at = -1  # depth of the stack at which a link was opened, -1 outside links
    link_chars = links = breaks = images = 0
    has_ended = is_parted = False  # an inline element ended, and another began, since the last text

    def flush() -> None:
        nonlocal link_chars, links, breaks, images
        text = b"".join(pieces).decode("utf-8", "replace")
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
                page_link_chars.append(link_chars if link_chars < len(text) else len(text))
                page_links.append(links)
                page_nodes.append(node)
                page_breaks.append(breaks)
                page_images.append(images)
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

    pieces += filter(None, [next(cuts.rest)])
    for piece in cuts.rest:
        tag, closed, text = piece.partition(b">")
        fact = known.get(tag) if closed else None
        if fact is None:
            fact, text = new_tags.meet(piece, tag, closed, text)
        action, told = fact
        if action <= END:
            if pieces:
                if len(pieces) == 1 and pieces[0].isspace():
                    pieces.clear()
                    link_chars = breaks = 0
                    links = int(link_at >= 0)
                else:
                    flush()
            top = tags[stack[-1]]
            if action == END:
                if top == told:
                    ends[stack.pop()] = len(texts)
                    open_tags[top] -= 1
                    if link_at > len(stack):
                        link_at = -1
                elif open_tags.get(told):
                    depth = len(stack) - 2
                    barrier = told not in _BARRIERS and told not in _ROWS
                    while depth > 0 and tags[stack[depth]] != told:
                        if barrier and tags[stack[depth]] in _BARRIERS:
                            depth = 0
                            break
                        depth -= 1
                    if depth > 0:
                        close(depth)
                elif told in _HEADINGS and top in _HEADINGS:
                    close(len(stack) - 1)
            else:
                (
                    name,
                    is_item,
                    is_heading,
                    closes,
                    is_empty,
                    place,
                    own,
                    best,
                    worst,
                    shape,
                    names,
                ) = told
                # A block ends a paragraph, a heading another, and any block a drawing left open.
                if top == "p" or top == "svg" or (is_heading and top in _HEADINGS):
                    close(len(stack) - 1)
                if closes:
                    ended, barriers = closes
                    depth = len(stack) - 1
                    lowest = 0
                    while depth > 0 and tags[stack[depth]] not in barriers:
                        if tags[stack[depth]] in ended:
                            lowest = depth
                            if is_item:
                                break
                        depth -= 1
                    if lowest:
                        close(lowest)
                if len(stack) <= _MAX_DEPTH and not is_empty:
                    parent = stack[-1]
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
                    path = signatures[parent] << 32 | shape
                    signatures.append(paths.setdefault(path, len(paths) + 1))
                    if keep_names:
                        page.names.append(names)
                    stack.append(node)
                    open_tags[name] = open_tags.get(name, 0) + 1
        elif action == NOTHING:
            pass
        elif action == PART_START:
            is_parted = has_ended
        elif action == PART_END:
            has_ended = True
        elif action == LINK_START:
            is_parted = has_ended
            link_at = len(stack)
            links += 1
        elif action == LINK_END:
            has_ended = True
            link_at = -1
        elif action == IMAGE:
            images += 1
        elif action == LINE:
            if places[stack[-1]] & IN_PRE:
                pieces.append(b"\n")
            elif pieces and pieces[-1] == b"\0":
                flush()  # an empty line parts blocks
            elif pieces and not (
                len(pieces) >= 2 and pieces[-2] == b"\0" and text_of(pieces[-1]).isspace()
            ):
                pieces.append(b"\0")
                breaks += 1
            elif pieces:
                flush()
        elif action == RULE:
            flush()
        elif action == RAW:
            text = _raw(page, cuts, told, text, places[stack[-1]])
        elif action == META:
            if len(page.metas) < 300:
                page.metas.append(told)
        elif action == TIME:
            is_parted = has_ended
            if len(page.times) < 20:
                page.times.append(told)
        elif action == STRAY:
            pieces.append(b"<")
        if text:
            if has_ended:
                if (
                    is_parted
                    and pieces
                    and _is_new_word(pieces[-1], text)
                    and not places[stack[-1]] & IN_PRE
                ):
                    pieces.append(b" ")
                has_ended = is_parted = False
            pieces.append(text)
            if link_at >= 0:
                chars = text.decode("utf-8", "replace")
                link_chars += len(chars) if len(chars) < 40 else len(chars.strip())
    if pieces:
        flush()
    close(1)
    ends[0] = len(texts)
    page.lang = new_tags.lang
    return page


def _is_new_word(before: bytes, after: bytes) -> bool:
    """Tell whether two inline elements without a space between them are laid out apart.

    So are labels and values ("Price" and "9.99"); pieces of one word rarely begin with a capital.
    """
    # A character takes at most four bytes.
    first, last = text_of(after[:4])[0], text_of(before[-4:])[-1]
    if first.isupper():
        return last.islower() or last.isdigit()
    return first.isdigit() and last.islower()


def _raw(page: Page, cuts: Cuts, tag: tuple[str, str], text: bytes, place: int) -> bytes:
    """Read a raw element; return the text after it."""
    name, source = tag
    content, after = cuts.raw(name.encode(), text)
    if name == "title":
        if not page.title and not place & IN_DROPPED:
            page.title = " ".join(html.unescape(text_of(b"<".join(content))).split())
    elif name == "script" and "ld+json" in source and len(page.linked_data) < 20:
        page.linked_data.append(text_of(b"<".join(content)))
    return after
