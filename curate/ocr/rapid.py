"""RapidOCR: PP-OCR's models on ONNX Runtime, from its wheel and never from the network.

PP-OCRv6 small reads Latin, Greek, Chinese and Japanese letters; see README for other scripts.
"""

from __future__ import annotations

import math
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from ..assets import Asset
from .engine import Reading
from .layout import Line, text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIBRARIES = ("rapidocr", "onnxruntime", "opencv-python-headless", "numpy")
_REQUIREMENT = "curate[ocr]"
MODELS = (
    Asset("rapidocr", "models/PP-OCRv6_det_small.onnx", _REQUIREMENT),
    Asset("rapidocr", "models/PP-OCRv6_rec_small.onnx", _REQUIREMENT),
)

# Lines that the recogniser gives less are not text; RapidOCR's own default.
_LEAST_SCORE = 0.5
# Side of the image in which lines are looked for. Finding takes a tenth of the time of reading.
_DETECTION_SIDE = 1280
# Boxes longer than this many of their heights say how far a page is turned.
_LONG = 5.0


class RapidEngine:
    """PP-OCR's detector and recogniser, one thread each: equal bytes on any number of workers."""

    @cached_property
    def _ocr(self) -> Any:
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        detector, recogniser = (str(model.locate()) for model in MODELS)
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.text_score": 0.0,
                "Global.max_side_len": 10_000,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
                "Det.model_path": detector,
                "Det.limit_type": "max",
                "Det.limit_side_len": _DETECTION_SIDE,
                "Rec.model_path": recogniser,
                # One line at a time: no line is padded to the length of its neighbours, and what
                # is read does not depend on them.
                "Rec.rec_batch_num": 1,
            }
        )

    def warm_up(self) -> None:
        """Load both models, and take the memory that finding lines on a page needs."""
        import numpy as np

        self._ocr(np.full((48, 320, 3), 255, dtype=np.uint8), use_det=False)
        self.found(np.full((1754, 1240, 3), 255, dtype=np.uint8))

    def found(self, image: NDArray[np.uint8]) -> list[tuple[str, Any, float]]:
        """Return text, corners and score of each line, in the library's order."""
        import numpy as np

        result = self._ocr(np.ascontiguousarray(image[:, :, ::-1]), use_det=True)
        if not result.txts:
            return []
        scores = map(float, result.scores)
        return list(zip(result.txts, result.boxes, scores, strict=True))

    def read(self, image: NDArray[np.uint8], dpi: float) -> Reading:
        """Return the text of a page."""
        found = self.found(image)
        chars = sum(len(text) for text, _, _ in found)
        weighted = sum(len(text) * score for text, _, score in found)
        kept = [(text, box) for text, box, score in found if score >= _LEAST_SCORE]
        return Reading(text_of(as_lines(kept)), weighted / chars if chars else 1.0)


def as_lines(found: list[tuple[str, Any]]) -> list[Line]:
    """Return lines with upright boxes, the page's small turn undone.

    Args:
        found: text and the four corners of each line, from its top left clockwise.
    """
    import numpy as np

    if not found:
        return []
    corners = np.array([box for _, box in found], dtype=np.float64)
    turn = _turn(corners)
    x, y = corners[:, :, 0], corners[:, :, 1]
    along = x * math.cos(turn) + y * math.sin(turn)
    down = y * math.cos(turn) - x * math.sin(turn)
    return [
        Line(text, *(round(float(value), 2) for value in place))
        for (text, _), *place in zip(
            found,
            along[:, [0, 3]].mean(axis=1),
            down[:, [0, 1]].mean(axis=1),
            along[:, [1, 2]].mean(axis=1),
            down[:, [2, 3]].mean(axis=1),
            strict=True,
        )
    ]


def _turn(corners: NDArray[np.float64]) -> float:
    """Return the angle of long lines, in radians; 0 where none tells."""
    angles = []
    for top_left, top_right, _, bottom_left in corners.tolist():
        across, along = top_right[0] - top_left[0], top_right[1] - top_left[1]
        height = math.dist(top_left, bottom_left)
        if across > _LONG * height:
            angles.append(math.atan2(along, across))
    return median(angles) if angles else 0.0
