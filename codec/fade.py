"""Frames that were coded, and those between them: a linear fade, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gistcast.codec.clip import Plane


def kept_frames(frames: int, kept: int) -> list[int]:
    """Which frames are coded: the middles of equal stretches."""
    return [(2 * k + 1) * frames // (2 * kept) for k in range(kept)]


def fill(planes: Plane, times: Sequence[int], frames: int) -> Plane:
    """Frames at some times (n, H, W) -> all frames (T, H, W): a linear fade between the two
    around, and a hold before the first and behind the last."""
    out = np.empty((frames, *planes.shape[1:]), np.uint8)
    for t in range(frames):
        after = int(np.searchsorted(times, t))
        if after == 0 or after == len(times):
            out[t] = planes[min(after, len(times) - 1)]
            continue
        a, b = times[after - 1], times[after]
        mixed = planes[after - 1].astype(np.int32) * (b - t) + planes[after].astype(np.int32) * (
            t - a
        )
        out[t] = (mixed + (b - a) // 2) // (b - a)
    return out
