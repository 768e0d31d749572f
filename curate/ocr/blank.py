"""Whether a page image can hold text: what decides before any engine looks at it.

Engines that generate text write fluent sentences for an empty page or a photograph. Text leaves
marks that they do not have: short changes of brightness along a line, and clear rows above and
below it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The image is reduced to this side at most, which also averages noise away.
_SIDE = 1400
_STRIPS = 8
# A change of brightness over two pixels that counts as an edge, and how many of them a row of a
# strip has where it goes through letters.
_CONTRAST = 40
_EDGES = 4
_PEAK = 8
# Rows of a strip that one line of text may take: from small print to a title.
_MIN_ROWS = 4
_MAX_ROWS_RATIO = 0.07
_CLEAR_ROWS = 2
_CLEAR_RATIO = 0.25
# Rows by which the pieces of one line may differ.
_SAME = 3
# Of pieces that are there by chance, one in twenty goes on. Of 120 pages with 200 letters or more
# none is below one in fourteen; pages of short cells may have none that goes on.
_CHANCE = 16


def count_text_marks(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Count what looks like a piece of a line of text, upright or turned by 90 degrees.

    A piece is at most an eighth of the page wide, so that a full line has eight. Blank pages, noise
    and even surfaces have none; photographs have some by chance, and few side by side.

    Args:
        image: (height, width, 3) RGB.

    Returns:
        All pieces, and those that go on in the next eighth at the same height.
    """
    grey = _reduced(image)
    return max(_marks(grey), _marks(grey.T), key=lambda counts: counts[::-1])


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.int16]:
    import numpy as np

    factor = -(-max(image.shape[:2]) // _SIDE)
    height, width = (side // factor * factor for side in image.shape[:2])
    grey = image[:height, :width].mean(axis=2)
    blocks = grey.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3))), dtype=np.int16)


def _marks(grey: NDArray[np.int16]) -> tuple[int, int]:
    import numpy as np

    rows, width = grey.shape
    if rows < _MIN_ROWS or width < 3 * _STRIPS:
        return 0, 0
    edges = np.abs(grey[:, 2:] - grey[:, :-2]) > _CONTRAST
    edges = _upright(edges)
    # An edge of two pixels is counted once.
    edges[:, 1:] &= ~edges[:, :-1]
    starts = np.linspace(0, edges.shape[1], _STRIPS + 1).astype(int)[:-1]
    profile = np.add.reduceat(edges.astype(np.int32), starts, axis=1)
    strips = [_runs(profile[:, strip], rows) for strip in range(_STRIPS)]
    going_on = sum(
        any(abs(start - a) <= _SAME and abs(end - b) <= _SAME for a, b in following)
        for strip, following in pairwise(strips)
        for start, end in strip
    )
    pieces = sum(map(len, strips))
    return pieces, going_on if going_on * _CHANCE >= pieces else 0


def _upright(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep edges that go on through three rows, as those of letters do and of specks do not."""
    import numpy as np

    wide = np.zeros((edges.shape[0] + 4, edges.shape[1]), dtype=bool)
    wide[2:-2] = edges
    wide[2:-2, 1:] |= edges[:, :-1]
    wide[2:-2, :-1] |= edges[:, 1:]
    above, below = wide[1:-3], wide[3:-1]
    return edges & ((above & below) | (above & wide[:-4]) | (below & wide[4:]))


def _runs(profile: NDArray[np.int32], rows: int) -> list[tuple[int, int]]:
    """Return the runs of rows full of edges that have clear rows above and below."""
    import numpy as np

    full = np.concatenate([[False], profile >= _EDGES, [False]])
    changes = np.flatnonzero(full[1:] != full[:-1])
    found = []
    for start, end in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        peak = int(profile[start:end].max())
        if peak < _PEAK or not _MIN_ROWS <= end - start <= _MAX_ROWS_RATIO * rows:
            continue
        clear = max(1.0, _CLEAR_RATIO * peak)
        above, below = profile[max(0, start - 4) : start], profile[end : end + 4]
        if all(_is_clear(side, clear) for side in (above, below)):
            found.append((start, end))
    return found


def _is_clear(side: NDArray[np.int32], limit: float) -> bool:
    return len(side) < _CLEAR_ROWS or int((side <= limit).sum()) >= _CLEAR_ROWS
