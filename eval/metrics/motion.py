"""Whether what moves, moves: errors of the differences between consecutive frames.

A frame-by-frame metric does not see that a slideshow stands still. These do.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gistcast.eval.metrics.view import Value, View

STILL = 0.5  #: grey levels: a reference that changes less is treated as changing by this much


def temporal_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[float, float]:
    """Error of the temporal differences of `b`, given the reference `a`: luma, uint8 (T, H, W).

    Returns:
        `tdiff`: root mean square, in grey levels, of (b[t] - b[t-1]) - (a[t] - a[t-1]).
        `motion_error`: the same over the root mean square of a[t] - a[t-1] (at least `STILL`):
        0 is exact motion, 1 a frozen picture, above 1 worse than freezing.
        Both are 0 for a single frame.
    """
    if len(a) < 2:
        return 0.0, 0.0
    moved = np.diff(a.astype(np.float32), axis=0)
    error = float(np.sqrt(np.mean((np.diff(b.astype(np.float32), axis=0) - moved) ** 2)))
    return error, error / max(STILL, float(np.sqrt(np.mean(moved**2))))


class Change:
    """Errors of temporal differences."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._reference = reference

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`tdiff` and `motion_error`."""
        tdiff, error = temporal_error(self._reference.clip.y, decoded.clip.y)
        return {"tdiff": tdiff, "motion_error": error}
