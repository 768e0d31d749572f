"""Page images: how large they are rendered, and how they are sent."""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..extract.pdf_backend import PdfPage

# What Qwen2.5-VL takes, of which RolmOCR and olmOCR are made: a visual token is a square of 28
# pixels. The sizes are FinePDFs': the longest side at least 1280, 2048 tokens at most.
TOKEN_SIDE = 28
LONGEST_SIDE = 1280
MAX_TOKENS = 2048

_POINTS = 72.0


def model_size(width: float, height: float) -> tuple[int, int]:
    """Return the width and height in pixels in which a page is shown to a vision model.

    Args:
        width: of the page, in any unit: points give an image of 72 dpi, which is then enlarged.
        height: in the same unit.
    """
    scale = max(1.0, LONGEST_SIDE / max(width, height))
    sides = [max(1, round(side * scale / TOKEN_SIDE)) for side in (width, height)]
    # Rounding may bring the longest side below its least, so a whole token is added.
    longest = sides.index(max(sides))
    sides[longest] = max(sides[longest], -(-LONGEST_SIDE // TOKEN_SIDE))
    if sides[0] * sides[1] > MAX_TOKENS:
        shrink = math.sqrt(MAX_TOKENS / (sides[0] * sides[1]))
        sides = [min(MAX_TOKENS, max(1, math.floor(side * shrink))) for side in sides]
    return sides[0] * TOKEN_SIDE, sides[1] * TOKEN_SIDE


def render_to(page: PdfPage, width: int, height: int) -> NDArray[np.uint8]:
    """Render a page in exactly so many pixels."""
    scale = max(width / page.width, height / page.height)
    return resized(page.render(scale * _POINTS), width, height)


def render_at(page: PdfPage, dpi: float, max_side: int) -> tuple[NDArray[np.uint8], float]:
    """Render a page at a resolution, or less where it is large; return the one it has."""
    longest = max(page.width, page.height, 1.0) * dpi / _POINTS
    dpi *= min(1.0, max_side / longest)
    return page.render(dpi), dpi


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return an image in another size, bilinear."""
    import numpy as np

    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return image
    y0, y1, y = _between(rows, height)
    x0, x1, x = _between(columns, width)
    y, x = y[:, None, None], x[None, :, None]  # of 32 bits, and so is what they are times
    # Sixteen bits hold 8 of colour and 8 of weight: the same result on every machine.
    wide: NDArray[np.uint32] = image[:, x0] * (256 - x) + image[:, x1] * x
    both: NDArray[np.uint32] = wide[y0] * (256 - y) + wide[y1] * y
    return np.asarray((both + np.uint32(1 << 15)) >> np.uint32(16), dtype=np.uint8)


def _between(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint32]]:
    import numpy as np

    place = np.clip((np.arange(new) * 2 + 1) * old * 128 // new - 128, 0, (old - 1) * 256)
    first = place >> 8
    return first, np.minimum(first + 1, old - 1), (place & 255).astype(np.uint32)


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an RGB image as PNG."""
    import numpy as np

    height, width, _ = image.shape
    # Each row is stored as its differences from the row above (filter 2), which packs well.
    rows = np.empty((height, width * 3 + 1), dtype=np.uint8)
    flat = image.reshape(height, -1)
    rows[:, 0] = 2
    rows[0, 1:] = flat[0]
    rows[1:, 1:] = flat[1:] - flat[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 3)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
