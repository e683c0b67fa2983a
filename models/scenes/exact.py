"""Arithmetic whose results are the same bits everywhere.

IEEE 754 rounds +, -, *, / and the square root correctly, and `floor`, comparisons and `frexp` are
exact; `sin`, `exp` and `log` are not: libraries and vector units differ in the last bit. So the
renderer uses only the former, each as a NumPy or Python operation of its own (never fused), no
floating-point sums over an axis and no BLAS. What it needs of the latter is here.

Angles are in turns: 1 is a full circle.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Value = Array | float  #: one number, or one for each frame
Point = tuple[Value, Value]  #: x and y

_TAU = 6.283185307179586
#: Taylor coefficients of the sine: exact to 4e-6 on a quarter turn
_SINE = (1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880)


def sine(turns: Value) -> Array:
    """sin(2 pi x), to 4e-6."""
    x = np.asarray(turns, np.float64)
    x = x - np.floor(x + 0.5)
    # fold to a quarter turn; the sign comes back at the end
    quarter = (0.25 - np.abs(np.abs(x) - 0.25)) * _TAU
    square = quarter * quarter
    total = square * 0.0 + _SINE[-1]
    for coefficient in _SINE[-2::-1]:
        total = total * square + coefficient
    return np.where(x < 0, -(total * quarter), total * quarter)


def cosine(turns: Value) -> Array:
    """cos(2 pi x), to 4e-6."""
    return sine(turns + 0.25)


def fraction(x: Value) -> Array:
    """x - floor(x), in [0, 1)."""
    x = np.asarray(x, np.float64)
    out: Array = x - np.floor(x)
    return out


def smooth(x: Value, start: float, stop: float) -> Array:
    """0 up to `start`, 1 from `stop`, a cubic between (smoothstep)."""
    y = np.clip((np.asarray(x, np.float64) - start) / (stop - start), 0.0, 1.0)
    out: Array = y * y * (3.0 - 2.0 * y)
    return out


def keyed(phase: Value, keys: tuple[tuple[float, float], ...]) -> Array:
    """A periodic curve through (phase, value) keys, smooth between; keys ascend in [0, 1)."""
    p = fraction(phase)
    first = keys[0]
    closed = (*keys, (first[0] + 1.0, first[1]))
    q = np.where(p < first[0], p + 1.0, p)
    out = q * 0.0 + first[1]
    for (start, low), (stop, high) in pairwise(closed):
        out = out + (high - low) * smooth(q, start, stop)
    return out


def log2(x: Image) -> Image:
    """Base-2 logarithm to 0.09: the exponent, and a straight line through the mantissa."""
    mantissa, exponent = np.frexp(x)
    return np.asarray(exponent.astype(np.float32) + (mantissa * np.float32(2) - np.float32(2)))
