"""Whether what moves, moves: errors of the differences between consecutive frames.

A frame-by-frame metric does not see that a slideshow stands still. These do.
"""

from __future__ import annotations

from fractions import Fraction

from gistcast.codec.distortion import temporal_error
from gistcast.eval.metrics.view import Value, View


class Change:
    """Errors of temporal differences."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._reference = reference

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`tdiff` and `motion_error`."""
        tdiff, error = temporal_error(self._reference.clip.y, decoded.clip.y)
        return {"tdiff": tdiff, "motion_error": error}
