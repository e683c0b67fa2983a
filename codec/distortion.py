"""How far apart two clips are, for every choice between ways to code one."""

from __future__ import annotations

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.quantiser import CHROMA_STEP


def distortion(clip: Clip, other: Clip) -> float:
    """Sum of squared errors on the 8-bit scale, chroma weighted as its step is."""
    total = 0.0
    for step, a, b in zip((1.0, *CHROMA_STEP), clip.planes, other.planes, strict=True):
        error = a.astype(np.float32) - b
        total += float(np.square(error).sum(dtype=np.float64)) / step**2
    return total
