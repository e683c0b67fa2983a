"""Where one clip must end: scene changes, found causally, frame by frame."""

from __future__ import annotations

import numpy as np

from gistcast.codec.clip import Plane

_LEAST = 18.0  # mean absolute luma difference of a cut, on the 8-bit scale
_RATIO = 3.0  # and so many times the usual difference


class CutDetector:
    """Tells whether a frame begins a new scene.

    A frame does when it differs from the one before by much more than frames of this scene
    usually do; pans and flashes raise the usual difference or last one frame only.
    """

    def __init__(self) -> None:
        self._previous: np.ndarray[tuple[int, int], np.dtype[np.int16]] | None = None
        self._usual = 0.0

    def starts_scene(self, luma: Plane) -> bool:
        """Feed the next frame's luma (H, W)."""
        step = max(1, min(luma.shape) // 32)
        small = luma[::step, ::step].astype(np.int16)
        previous, self._previous = self._previous, small
        if previous is None or previous.shape != small.shape:
            return False
        difference = float(np.abs(small - previous).mean())
        cut = difference > max(_LEAST, _RATIO * self._usual)
        self._usual = 0.0 if cut else max(difference, 0.8 * self._usual + 0.2 * difference)
        return cut
