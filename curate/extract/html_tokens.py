"""Tags and texts of an HTML page, in one pass of one regular expression.

No tree is built in native code, so that no page can crash it, and every byte is read once: the
expression has an alternative for whatever comes, the end of the page included, and never goes back.
Raw text (scripts, styles) is read as the HTML standard says (13.2.5), without its escaped states.
"""

from __future__ import annotations

import re

# (text before it, name of a raw element, its attributes, its content, "/" of an end tag, name,
# attributes, "<" that begins nothing); what a token is not is "".
Token = tuple[str, str, str, str, str, str, str, str]

# A repeat keeps about a kilobyte for each round: the counted ones bound that, and what follows them
# takes the rest of a monstrous tag, script or comment in the same time without.
_ATTRIBUTES = r"""[^>=]*(?:=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))?[^>=]*){0,1000}[^>]*"""
_RAW = r"(?i:script|style|textarea|title|iframe|noembed|noframes|xmp)(?=[\s/>])"
_TOKEN = re.compile(
    rf"""
    ([^<]*)
    (?:
      <({_RAW})({_ATTRIBUTES})(?:>|\Z)
       ([^<]*(?:<(?!/(?i:\2)[\s/>])[^<]*){{0,5000}}(?s:.*?))(?:</(?i:\2)(?=[\s/>])[^>]*(?:>|\Z)|\Z)
    | <(/?)([a-zA-Z][^\s/>]*)({_ATTRIBUTES})(?:>|\Z)
    | <!--(?:-?>|[^-]*(?:-(?!->)[^-]*){{0,5000}}(?s:.*?)(?:-->|\Z))
    | <[!?/][^>]*(?:>|\Z)
    | (<)
    | \Z
    )""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(
    r"""(?<![^\s/"'])([a-zA-Z][^\s=>/"']{0,60})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
)


def tokens(page: str) -> list[Token]:
    """Split a page; the tokens together hold all of its text."""
    return _TOKEN.findall(page)


def attributes(source: str) -> dict[str, str]:
    """Read the attributes of one tag; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(source):
        found.setdefault(name.lower(), double or single or bare)
    return found
