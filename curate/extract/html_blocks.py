"""The blocks of a page: its texts as they are laid out, and the elements around them.

One walk over the tokens of a page keeps a stack of open elements; what the HTML standard closes
implicitly (paragraphs, items, cells) is closed here as well. An element is a node, numbered in the
order of the page, so that the blocks in it are a range.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat

from .html_arrays import Arrays, arrays_of
from .html_known import (
    ALIKE,
    DROPPED,
    END,
    IMAGE,
    LINE,
    LINK_END,
    LINK_START,
    LINKED,
    META,
    NOTHING,
    PART_END,
    PART_START,
    PRE,
    RAW,
    ROW_OR_TABLE,
    RULE,
    STRAY,
    TIME,
    Tags,
)
from .html_names import Judge
from .html_paths import Paths, read_paths
from .html_tokens import Cuts, text_of, unescape

# Deeper elements are read as part of the one at this depth; real pages rarely pass 100.
_MAX_DEPTH = 400
# What an end tag or an implied end does not reach across.
_BARRIERS = frozenset(("table", "td", "th", "caption", "html"))
_ROWS = frozenset(("tr", "tbody", "thead", "tfoot"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_LEFT_OPEN = _HEADINGS | {"p", "svg"}
_COLUMNS = re.compile(rb"""(?<![\w-])colspan\s*=\s*(?:["']\s*)?([0-9]{1,4})""", re.IGNORECASE)
_MAX_COLUMNS = 50  # that one cell counts for


@dataclass
class Page:
    """What the walk found; lists of equal length by block, and by node.

    Attributes:
        texts: of each block, white space collapsed except in <pre>; "\\n" where a <br> is.
        link_chars: characters of it in links.
        num_links: links since the block before, and one that was open.
        nodes: the element that holds it.
        breaks: line breaks in it.
        images: images since the block before.
        tags, parents, starts, ends: of each node, which all hold blocks: starts..ends.
        places: the bits of html_tags, inherited.
        columns: where in its row a cell begins, by the place it has in the page; see place_of.
        path_of: of each node, the number of the path to it.
        paths: what the tags on each path say.
        head: title, meta and linked data, as the page has them.
    """

    texts: list[str] = field(default_factory=list)
    link_chars: list[int] = field(default_factory=list)
    num_links: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=lambda: [0])
    starts: list[int] = field(default_factory=lambda: [0])
    ends: list[int] = field(default_factory=lambda: [0])
    places: list[int] = field(default_factory=list)
    columns: dict[int, int] = field(default_factory=dict)
    path_of: list[int] = field(default_factory=lambda: [0])
    paths: Paths = field(init=False)
    title: str = ""
    metas: list[str] = field(default_factory=list)
    linked_data: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)

    @cached_property
    def arrays(self) -> Arrays:
        """The numbers as arrays, when the page is read."""
        return arrays_of(self)


def read_page(
    source: str | bytes, scores: Mapping[str, float] | Judge, keep_names: bool = False
) -> Page:
    """Walk over a page once.

    Args:
        source: the page, in UTF-8 if it is bytes.
        scores: how much a name of an element speaks for content (> 0) or against it.
        keep_names: remember every path's names, for training.
    """
    page = Page()
    texts, parents, starts, ends = page.texts, page.parents, page.starts, page.ends
    path_of = page.path_of
    paths: dict[int, int] = {0: 0}
    cuts = Cuts(source.encode() if isinstance(source, str) else source)
    tags = Tags(cuts)
    known, meet, alike = tags.known, tags.meet, ALIKE

    # The elements that are open, the root first, which nothing closes: name and state of each, and
    # the nodes of the first of them. An element becomes a node with its first block.
    names = [""]
    states = [0]
    stack = [0]
    pieces: list[bytes] = []
    numbers: list[tuple[int, int, int, int, int]] = []  # of each block
    columns = page.columns
    rows: dict[int, int] = {}  # places of the open rows, by how many elements were open before
    link_at = -1  # how many elements were open when a link began, -1 outside links
    link_chars = links = breaks = images = 0
    has_ended = is_parted = False  # an inline element ended, and another began, since the last text

    def flush() -> None:
        nonlocal link_chars, links, breaks, images
        source = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        state = states[-1]
        if not state & DROPPED:
            text = source.decode("utf-8", "replace")
            if "&" in text:
                text = unescape(text)
            if state & PRE:
                text = text.strip("\n").rstrip()
                if text.isspace():
                    text = ""
            elif breaks:
                lines = [" ".join(line.split()) for line in text.split("\0")]
                text = "\n".join([line for line in lines if line])
            else:
                text = " ".join(text.split())
            if text:
                number = len(texts)
                parent = stack[-1]
                path = path_of[parent]
                for entered in states[len(stack) :]:
                    node = len(parents)
                    stack.append(node)
                    parents.append(parent)
                    starts.append(number)
                    ends.append(0)
                    path = paths.setdefault(path << 32 | entered, len(paths))
                    path_of.append(path)
                    parent = node
                texts.append(text)
                if link_chars > len(text):
                    link_chars = len(text)
                numbers.append((link_chars, links, parent, breaks, images))
                images = 0
        link_chars = breaks = 0
        links = int(link_at >= 0)

    def close(depth: int) -> None:
        """Close the open elements from `depth` on."""
        nonlocal link_at
        end = len(texts)
        for node in stack[depth:]:
            ends[node] = end
        del stack[depth:], names[depth:], states[depth:]
        if link_at > depth:
            link_at = -1

    pieces += filter(None, [next(cuts.rest)])
    for tag, closed, text in map(bytes.partition, cuts.rest, repeat(b">")):
        fact = known.get(tag) if closed else None
        if fact is None:
            # None of its attributes is open, and none matters.
            fact = alike.get(tag.partition(b" ")[0])
            if fact is None or not closed or tag.count(b'"') & 1 or b"'" in tag:
                fact, text = meet(tag, closed, text)
        action, told, own_state = fact
        if action <= END:
            if pieces:
                flush()
            top = names[-1]
            if action == END:
                if top == told:
                    names.pop()
                    states.pop()
                    if len(stack) > len(names):
                        ends[stack.pop()] = len(texts)
                    if link_at > len(names):
                        link_at = -1
                elif told in names:
                    depth = len(names) - 2
                    barrier = told not in _BARRIERS and told not in _ROWS
                    while depth > 0 and names[depth] != told:
                        if barrier and names[depth] in _BARRIERS:
                            depth = 0
                            break
                        depth -= 1
                    if depth > 0:
                        close(depth)
                elif told in _HEADINGS and top in _HEADINGS:
                    close(len(names) - 1)
            else:
                name, closes, is_empty = told
                # A block ends a paragraph, a heading another, and any block a drawing left open.
                if top in _LEFT_OPEN and (top not in _HEADINGS or name in _HEADINGS):
                    close(len(names) - 1)
                if closes:
                    ended, barriers, is_nearest = closes
                    depth = len(names) - 1
                    lowest = 0
                    while depth > 0 and names[depth] not in barriers:
                        if names[depth] in ended:
                            lowest = depth
                            if is_nearest:
                                break
                        depth -= 1
                    if lowest:
                        close(lowest)
                    if name == "tr":
                        place = place_of(len(texts), len(names))
                        columns[place] = 0
                        rows[len(names)] = place
                    elif barriers is ROW_OR_TABLE and names[depth] == "tr":
                        row = rows[depth]
                        column = columns[place_of(len(texts), len(names))] = columns[row]
                        columns[row] = column + (_width(tag) if len(tag) > 2 else 1)
                if len(names) <= _MAX_DEPTH and not is_empty:
                    names.append(name)
                    state = own_state | states[-1] & (PRE | DROPPED)
                    states.append(state if link_at < 0 else state | LINKED)
        elif action == NOTHING:
            pass
        elif action == PART_START:
            is_parted = has_ended
        elif action == PART_END:
            has_ended = True
        elif action == LINK_START:
            is_parted = has_ended
            link_at = len(names)
            links += 1
        elif action == LINK_END:
            has_ended = True
            link_at = -1
        elif action == IMAGE:
            images += 1
        elif action == LINE:
            if states[-1] & PRE:
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
            text = _raw(page, cuts, told, text, states[-1])
        elif action == META:
            if len(page.metas) < 300:
                page.metas.append(told)
        elif action == TIME:
            is_parted = has_ended
            if len(page.times) < 20:
                page.times.append(told)
        elif action == STRAY:
            pieces.append(b"<")
        # White space that a block begins with is none of it.
        if text and (pieces or not text.isspace() or states[-1] & PRE):
            if has_ended:
                if is_parted and pieces and not states[-1] & PRE and _is_new_word(pieces[-1], text):
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
    if numbers:
        by_block = map(list, zip(*numbers, strict=True))
        page.link_chars, page.num_links, page.nodes, page.breaks, page.images = by_block
    judge = scores if isinstance(scores, Judge) else Judge(scores)
    page.paths = read_paths(list(paths), tags.elements, judge, keep_names)
    page.tags = list(map(page.paths.tags.__getitem__, path_of))
    page.places = list(map(page.paths.places.tolist().__getitem__, path_of))
    return page


def place_of(block: int, depth: int) -> int:
    """Return what tells the elements of a page apart that hold blocks.

    Of those that began before a block, at most one at each depth is still open to hold it.

    Args:
        block: the first block after the element begins.
        depth: how many elements it is in, the root too.
    """
    return block << 9 | depth


def _width(tag: bytes) -> int:
    """Return how many columns a cell takes."""
    found = _COLUMNS.search(tag) if b"span" in tag.lower() else None
    return min(max(int(found[1]), 1), _MAX_COLUMNS) if found else 1


def _is_new_word(before: bytes, after: bytes) -> bool:
    """Tell whether two inline elements without a space between them are laid out apart.

    So are labels and values ("Price" and "9.99"); pieces of one word rarely begin with a capital.
    """
    # A character takes at most four bytes.
    first, last = text_of(after[:4])[0], text_of(before[-4:])[-1]
    if first.isupper():
        return last.islower() or last.isdigit()
    return first.isdigit() and last.islower()


def _raw(page: Page, cuts: Cuts, tag: tuple[str, str], text: bytes, state: int) -> bytes:
    """Read a raw element; return the text after it."""
    name, source = tag
    content, after = cuts.raw(name.encode(), text)
    if name == "title":
        if not page.title and not state & DROPPED:
            page.title = " ".join(unescape(text_of(b"<".join(content))).split())
    elif name == "script" and "ld+json" in source and len(page.linked_data) < 20:
        page.linked_data.append(text_of(b"<".join(content)))
    return after
