"""What the judge of a page looks at besides the text: its marks, and where they lie.

Text in an invisible mode is hidden, and so is text that was painted before an image which covers
it: both are layers that somebody laid under a scan. A page is rendered, small, only where the text
alone cannot say whether all of its print came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .pdf_backend import Box, PdfPage, TextRun
from .plausible_text import TEXT_FEATURES, text_features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAGE_FEATURES = (
    "visible_chars",
    "hidden_chars",
    "hidden_ratio",
    "covered_ratio",
    "text_area_ratio",
    "image_area_ratio",
    "largest_image_ratio",
    "num_fonts",
    "num_drawings",
    "output_ratio",
)
INK_FEATURES = (
    "print_ratio",
    "unread_print_ratio",
    "unread_page_ratio",
    "print_per_char",
    "lines_per_inch",
    "background_ratio",
)
FEATURES = TEXT_FEATURES + PAGE_FEATURES + INK_FEATURES

# A page is rendered if images cover this share of it, or if so few characters of it are seen.
RENDERED_IMAGE_RATIO = 0.15
RENDERED_BELOW_CHARS = 200

_GRID = 40
_COVERED = 0.7
_MAX_IMAGES = 64
_DPI = 50
_TILE = 12
_STRIP = 72
# Levels of gray that a tile of paper without print may span.
_NOISE = 32


def page_features(page: PdfPage, text: str) -> dict[str, float]:
    """Measure a page and the text that came out of it: every name of FEATURES to its value.

    Args:
        text: what an extractor gave for this page; plain or Markdown.

    Raises:
        DocumentError: `bad_page`.
    """
    import numpy as np

    values = text_features(text)
    runs, images = page.runs(), page.images()
    sizes = [sum(map(len, run.text.split())) for run in runs]
    inside = [_is_inside(run, page) for run in runs]
    seen = [run.visible and is_inside for run, is_inside in zip(runs, inside, strict=True)]
    under = _covered(runs, images, page)
    covered = [is_seen and is_under for is_seen, is_under in zip(seen, under, strict=True)]
    num_chars = _total(sizes, inside)
    num_covered = _total(sizes, covered)
    num_seen = _total(sizes, seen) - num_covered
    num_hidden = num_chars - num_seen
    area = max(page.width * page.height, 1.0)
    image_grid = _grid(images, page)
    run_grid = _grid([run for run, is_inside in zip(runs, inside, strict=True) if is_inside], page)
    largest = max((_area(_clipped(box, page)) for box in images), default=0.0) / area
    num_out = sum(map(len, text.split()))
    values |= {
        "visible_chars": float(np.log1p(num_seen)),
        "hidden_chars": float(np.log1p(num_hidden)),
        "hidden_ratio": num_hidden / max(num_chars, 1),
        "covered_ratio": num_covered / max(num_chars, 1),
        "text_area_ratio": float(run_grid.mean()),
        "image_area_ratio": float(image_grid.mean()),
        "largest_image_ratio": min(largest, 1.0),
        "num_fonts": float(len({run.font for run in runs})),
        "num_drawings": float(np.log1p(page.num_drawings())),
        "output_ratio": min(num_out / num_chars, 2.0) if num_chars else float(num_out > 0) * 2,
    }
    if image_grid.mean() < RENDERED_IMAGE_RATIO and num_seen >= RENDERED_BELOW_CHARS:
        return values | dict.fromkeys(INK_FEATURES, -1.0)
    return values | ink_features(page.render(_DPI), page, runs, num_out)


def ink_features(
    image: NDArray[np.uint8], page: PdfPage, runs: Sequence[TextRun], num_chars: int
) -> dict[str, float]:
    """Measure where a rendered page looks printed with text, and how much of that was read.

    A tile of about one line looks so if it has many edges in both directions on an even ground:
    photographs have no ground, rules and charts have edges in one direction or hardly any.

    Args:
        image: the page, (height, width, 3), at 50 dpi.
        runs: text with its places, hidden or not.
        num_chars: how many characters came out.
    """
    import numpy as np

    gray = image[:, :, 1].astype(np.int16)
    rows, columns = gray.shape[0] // _TILE, gray.shape[1] // _TILE
    if not rows or not columns:
        return dict.fromkeys(INK_FEATURES, -1.0)
    gray = gray[: rows * _TILE, : columns * _TILE]
    tiles = _tiles(gray, rows, columns)
    top, bottom = tiles.max(axis=-1, keepdims=True), tiles.min(axis=-1, keepdims=True)
    contrast = _contrast((top - bottom).ravel())
    across = np.zeros(gray.shape, np.bool_)
    down = np.zeros(gray.shape, np.bool_)
    across[:, 1:] = np.abs(np.diff(gray, axis=1)) > contrast
    down[1:] = np.abs(np.diff(gray, axis=0)) > contrast
    ground = np.maximum((tiles > top - 25).mean(axis=-1), (tiles < bottom + 25).mean(axis=-1))
    edges_across = _tiles(across, rows, columns).mean(axis=-1)
    edges_down = _tiles(down, rows, columns).mean(axis=-1)
    looks_printed = (edges_across > 0.06) & (edges_down > 0.06) & (ground > 0.25)
    was_read = _grid([_as_tall_as_its_font(run) for run in runs], page, rows, columns, margin=4.0)
    num_printed = int(looks_printed.sum())
    num_unread = int((looks_printed & ~was_read).sum())
    common = np.bincount(gray.ravel(), minlength=256)[:256]
    usual = int(common.argmax())
    return {
        "print_ratio": num_printed / looks_printed.size,
        "unread_print_ratio": num_unread / max(num_printed, 1),
        "unread_page_ratio": num_unread / looks_printed.size,
        "print_per_char": float(np.log1p(num_printed / max(num_chars, 1))),
        "lines_per_inch": _lines_per_inch(across),
        "background_ratio": float(common[max(usual - 25, 0) : usual + 26].sum()) / gray.size,
    }


def _contrast(spans: NDArray[np.int16]) -> float:
    """Return the step between two pixels that counts as an edge, from the tiles' spans of gray.

    It follows the print, so that faint print under a black border has edges too.
    """
    import numpy as np

    marked = spans[spans > _NOISE]
    return min(max(16.0, 0.3 * float(np.median(marked))), 56.0) if marked.size else 16.0


def _tiles(pixels: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
    """Return (rows, columns, pixels of a tile)."""
    blocks = pixels.reshape(rows, _TILE, columns, _TILE).swapaxes(1, 2)
    return blocks.reshape(rows, columns, _TILE * _TILE)


def _lines_per_inch(across: NDArray[np.bool_]) -> float:
    """Return how often edges begin anew going down strips so narrow that a skew does not matter."""
    import numpy as np

    found = []
    for left in range(0, across.shape[1] - _STRIP + 1, _STRIP):
        profile = across[:, left : left + _STRIP].sum(axis=1)
        if profile.max() >= 4:
            active = profile > max(2.0, 0.3 * float(np.percentile(profile, 95)))
            found.append(int((active[1:] & ~active[:-1]).sum()))
    inches = max(across.shape[0] / _DPI, 0.1)
    return float(np.median(found)) / inches if found else 0.0


def _total(sizes: Sequence[int], chosen: Sequence[bool]) -> int:
    return sum(size for size, is_chosen in zip(sizes, chosen, strict=True) if is_chosen)


def _as_tall_as_its_font(run: TextRun) -> Box:
    """Return the run's box; glyphs without an outline, as OCR programs use, may have no height."""
    return Box(run.x0, min(run.y0, run.y1 - 0.8 * run.size), run.x1, run.y1, run.order)


def _is_inside(run: TextRun, page: PdfPage) -> bool:
    middle_x, middle_y = (run.x0 + run.x1) / 2, (run.y0 + run.y1) / 2
    return 0 <= middle_x <= page.width and 0 <= middle_y <= page.height


def _covered(runs: Sequence[TextRun], images: Sequence[Box], page: PdfPage) -> list[bool]:
    """Say of each run whether one image that is painted later lies over most of it."""
    import numpy as np

    largest = sorted(images, key=lambda image: -_area(_clipped(image, page)))[:_MAX_IMAGES]
    if not largest or not runs:
        return [False] * len(runs)
    texts = np.array([(run.x0, run.y0, run.x1, run.y1, run.order) for run in runs])
    texts[:, 2:4] = np.maximum(texts[:, 2:4], texts[:, :2] + 1.0)
    found = np.zeros(len(runs), np.bool_)
    for image in largest:
        across = np.minimum(texts[:, 2], image.x1) - np.maximum(texts[:, 0], image.x0)
        down = np.minimum(texts[:, 3], image.y1) - np.maximum(texts[:, 1], image.y0)
        area = (texts[:, 2] - texts[:, 0]) * (texts[:, 3] - texts[:, 1])
        over = np.maximum(across, 0) * np.maximum(down, 0)
        found |= (over > _COVERED * area) & (texts[:, 4] < image.order)
    return [bool(is_covered) for is_covered in found]


def _clipped(box: Box | TextRun, page: PdfPage) -> tuple[float, float, float, float]:
    return max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, page.width), min(box.y1, page.height)


def _area(box: tuple[float, float, float, float]) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _grid(
    boxes: Sequence[Box | TextRun],
    page: PdfPage,
    rows: int = _GRID,
    columns: int = _GRID,
    margin: float = 0.0,
) -> NDArray[np.bool_]:
    """Mark the cells of a grid over the page whose middle lies in one of the boxes."""
    import numpy as np

    grid = np.zeros((rows, columns), np.bool_)
    scale_x = columns / max(page.width, 1.0)
    scale_y = rows / max(page.height, 1.0)
    for box in boxes:
        x0, x1 = (round(max(x, 0.0) * scale_x) for x in (box.x0 - margin, box.x1 + margin))
        y0, y1 = (round(max(y, 0.0) * scale_y) for y in (box.y0 - margin, box.y1 + margin))
        grid[y0:y1, x0:x1] = True
    return grid
