"""report.html: one file that shows a run; it opens from disk and needs no network.

Crawled text is escaped, and the page's policy allows no script and no style but its own two, by
their hashes: text of a page cannot run, whatever it holds.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

from ..plan import Plan
from ..storage import join, write_bytes
from .figures import Figures, read_figures
from .html_filters import chart_data, filters
from .html_parts import escaped, section
from .html_sections import content, failures, funnel, head, samples, settings, times

MAX_BYTES = 2_900_000
_SAMPLE_CHARS = 4_000
_SAMPLES_BYTES = 1_500_000
_DATA = Path(__file__).parent.parent / "data"


def write_report(out: str, plan: Plan | None = None) -> str:
    """Write a run's report and return its path.

    Args:
        out: the run's folder.
        plan: the run's plan, where it is at hand.

    Raises:
        InputError: there is no run in this folder.
    """
    path = join(out, "report.html")
    write_bytes(path, report(read_figures(out, plan)))
    return path


def report(figures: Figures) -> bytes:
    """Return the page; samples are cut so that it stays under 3 MB."""
    count = len(figures.kept_samples) + sum(map(len, figures.dropped_samples.values()))
    max_chars = min(_SAMPLE_CHARS, _SAMPLES_BYTES // max(count, 1))
    while True:
        page = _page(figures, max_chars).encode(errors="replace")
        if len(page) <= MAX_BYTES:
            return page
        if max_chars > 100:
            max_chars //= 2
            continue
        # Hundreds of reasons: show fewer samples of each, and in the end none.
        if not any(figures.dropped_samples.values()):
            return page
        half = {key: shown[: len(shown) // 2] for key, shown in figures.dropped_samples.items()}
        figures = replace(figures, dropped_samples=half)


def _page(figures: Figures, max_chars: int) -> str:
    style = (_DATA / "report.css").read_text("utf-8")
    script = (_DATA / "report.js").read_text("utf-8")
    name = escaped(figures.status.run["pipeline"])
    notes = "".join(f"<p>{escaped(note)}</p>" for note in figures.sampled)
    sections = [
        ("funnel", "Funnel", funnel(figures), ""),
        (
            "filters",
            "Filters",
            filters(figures),
            "Move a slider to see how many documents the stage would keep with another threshold,"
            " all others as they are. Counts are estimated from the documents that were measured;"
            " heights are square roots, so that few documents can be seen beside many.",
        ),
        (
            "samples",
            "Samples",
            samples(figures, max_chars),
            "Chosen by the hash of their id. Lines that a reason is about are marked.",
        ),
        ("content", "What is in it", content(figures), ""),
        ("time", "Time", times(figures), ""),
        ("failures", "Failures", failures(figures), ""),
        ("settings", "Settings", settings(figures), ""),
    ]
    links = "".join(f'<a href="#{id}">{title}</a>' for id, title, body, _ in sections if body)
    body = "".join(section(*one) for one in sections)
    legend = (
        '<p class="legend"><span class="dot keep"></span> kept'
        ' <span class="dot drop"></span> dropped'
        ' <span class="dot held"></span> dropped by another rule anyway</p>'
    )
    body = body.replace("</h2>", f"</h2>{legend}", 1)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        f" style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none';"
        " form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{name}: what became of the records</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#funnel">Skip to the funnel</a>{head(figures)}'
        f'<nav aria-label="Sections">{links}</nav><main>{body}</main>'
        f"<footer>{notes}<p>Why is a page in the dataset, or not?"
        f" <code>curate why {escaped(figures.status.out)} URL</code></p></footer>"
        f'<script type="application/json" id="charts">{chart_data(figures)}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
