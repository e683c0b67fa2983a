"""One level of the CDF 9/7 wavelet on planes (T, H, W), by lifting in place.

Low and high samples stay interleaved while they are lifted: even rows and columns are low, odd
ones high. Signals are extended symmetrically. Floating point: it touches pixels, never symbols.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import kernel, part

F32 = NDArray[np.float32]

LIFTING = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
LOW_GAIN = 1.149604398860241  #: makes the DC gain of the low band sqrt(2)

_WEIGHTS = np.array(LIFTING, np.float32)
_GAIN, _LOSS = np.float32(LOW_GAIN), np.float32(1.0 / LOW_GAIN)


@part
def _neighbours(at: int, size: int) -> tuple[int, int]:
    """Of a sample, mirrored at both ends: for odd ones the left first, for even the right."""
    left = at - 1 if at else 1
    right = at + 1 if at + 1 < size else at - 1
    return (left, right) if at % 2 else (right, left)


@part
def _lift_rows(frame: F32, first: int, weight: np.float32) -> None:
    """Add to every second row, from `first`, its two neighbours times `weight`."""
    height, width = frame.shape
    for y in range(first, height, 2):
        a, b = _neighbours(y, height)
        for x in range(width):
            frame[y, x] = (frame[y, x] + weight * frame[a, x]) + weight * frame[b, x]


@part
def _lift_columns(frame: F32, first: int, weight: np.float32) -> None:
    """The same for columns."""
    height, width = frame.shape
    for y in range(height):
        row = frame[y]
        for x in range(first, width, 2):
            a, b = _neighbours(x, width)
            row[x] = (row[x] + weight * row[a]) + weight * row[b]


@kernel
def split(planes: F32) -> None:
    """Analyse planes (T, H, W) in place; both sides at least 2."""
    count, height, width = planes.shape
    for t in range(count):
        frame = planes[t]
        for step in range(4):
            _lift_columns(frame, 1 - step % 2, _WEIGHTS[step])
        for y in range(height):
            for x in range(width):
                frame[y, x] *= _LOSS if x % 2 else _GAIN
        for step in range(4):
            _lift_rows(frame, 1 - step % 2, _WEIGHTS[step])
        for y in range(height):
            gain = _LOSS if y % 2 else _GAIN
            for x in range(width):
                frame[y, x] *= gain


@kernel
def merge(planes: F32) -> None:
    """Undo `split`."""
    count, height, width = planes.shape
    for t in range(count):
        frame = planes[t]
        for y in range(height):
            gain = _GAIN if y % 2 else _LOSS
            for x in range(width):
                frame[y, x] *= gain
        for back in range(4):
            _lift_rows(frame, back % 2, -_WEIGHTS[3 - back])
        for y in range(height):
            for x in range(width):
                frame[y, x] *= _GAIN if x % 2 else _LOSS
        for back in range(4):
            _lift_columns(frame, back % 2, -_WEIGHTS[3 - back])
