"""How far apart two clips are, and whether what moves in one moves in the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.quantiser import CHROMA_STEP

STILL = 0.5  #: grey levels: a reference that changes less is treated as changing by this much


def distortion(clip: Clip, other: Clip) -> float:
    """Sum of squared errors on the 8-bit scale, chroma weighted as its step is."""
    total = 0.0
    for step, a, b in zip((1.0, *CHROMA_STEP), clip.planes, other.planes, strict=True):
        error = a.astype(np.float32) - b
        total += float(np.square(error).sum(dtype=np.float64)) / step**2
    return total


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
