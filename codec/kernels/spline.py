"""Samples of frames between their grid points, by cubic B-splines, along affine maps.

Source: Unser, Aldroubi, Eden, "B-spline signal processing" (1993). Floating point: it touches
pixels, never symbols.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import kernel, part

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_TAPS = 4


@part
def _mirrored(at: int, size: int) -> int:
    """An index of any integer: mirrored about the first and the last sample, as often as needed."""
    if 0 <= at < size:
        return at
    if size == 1:
        return 0
    period = 2 * (size - 1)
    at = at % period
    return at if at < size else period - at


@part
def _prepare(position: float, size: int, indices: NDArray[np.int64], weights: F64) -> None:
    """The four knots around a position, and their weights."""
    base = math.floor(position)
    f = position - base
    g = 1 - f
    weights[0] = g * g * g / 6
    weights[1] = (4 - 6 * f * f + 3 * f * f * f) / 6
    weights[2] = (4 - 6 * g * g + 3 * g * g * g) / 6
    weights[3] = f * f * f / 6
    for tap in range(_TAPS):
        indices[tap] = _mirrored(int(base) - 1 + tap, size)


@kernel
def sample(knots: F32, matrices: F64, offsets: F64, out: F32) -> None:
    """out[t, y, x] = the spline of knots[t] at matrices[t] @ (y, x) + offsets[t].

    Args:
        knots: (T, H, W), of the prefilter.
        matrices, offsets: (T, 2, 2), (T, 2); finite, and small enough for 64-bit integers.
        out: (T, h, w).
    """
    count, height, width = out.shape
    rows, down = np.empty(_TAPS, np.int64), np.empty(_TAPS)
    columns, right = np.empty((width, _TAPS), np.int64), np.empty((width, _TAPS))
    for t in range(count):
        a, b, c, d = matrices[t, 0, 0], matrices[t, 0, 1], matrices[t, 1, 0], matrices[t, 1, 1]
        frame = knots[t]
        for x in range(width if c == 0 else 0):  # all rows look at the same columns
            _prepare(d * x + offsets[t, 1], frame.shape[1], columns[x], right[x])
        for y in range(height):
            for x in range(width):
                if x == 0 or b != 0:
                    _prepare(a * y + b * x + offsets[t, 0], frame.shape[0], rows, down)
                if c != 0:
                    _prepare(c * y + d * x + offsets[t, 1], frame.shape[1], columns[x], right[x])
                total = 0.0
                for i in range(_TAPS):
                    row = frame[rows[i]]
                    line = 0.0
                    for j in range(_TAPS):
                        line += right[x, j] * row[columns[x, j]]
                    total += down[i] * line
                out[t, y, x] = total
