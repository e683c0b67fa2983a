"""Global camera motion: from where each frame of a clip looks at its canvas.

The residual of a clip with motion is that of a *canvas*, which stands still where the camera
moves: a frame's sample at x is the canvas at u(t, x), an affine map for every frame.

    u(t, x) = x + b(t) + B(t) x / s        x from the frame's centre, s half its longer side
    b, B    = sums over k of coefficient * phi_k(t);   phi: a ramp, then sines

Coefficients and the size of the canvas are exact integers; only the maps are floating point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import CorruptError
from gistcast.codec.golomb import get_golomb, put_golomb
from gistcast.codec.rangecoder import HALF, FlagDecoder, FlagEncoder

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

PAN, AFFINE = 2, 6  #: rows of coefficients: shifts alone, or shifts and matrix
MAX_TERMS = 8
MAX_COEFFICIENT = 1 << 13
CANVAS_LIMIT = 4  #: samples of a canvas per sample of a frame, at most

_PHI_ONE = 256
_UNITS = 8 * _PHI_ONE  # of a displacement in one luma sample
_MOVING = 16384  # probability of motion * 65536
_ORDER = 1  # of the Exp-Golomb code of a coefficient's magnitude - 1


@lru_cache(maxsize=64)
def phases(frames: int) -> I64:
    """phi_k(t) in 1/256: int64 (8, frames), a ramp from -1 to 1 and sines, all 0 for one frame."""
    last = frames - 1
    out = np.zeros((MAX_TERMS, frames), np.int64)
    for t in range(frames if last else 0):
        out[0, t] = (2 * _PHI_ONE * (2 * t - last) + last) // (2 * last)
        for k in range(1, MAX_TERMS):
            out[k, t] = math.floor(_PHI_ONE * math.sin(math.pi * k * t / last) + 0.5)
    return out


@dataclass(frozen=True)
class Motion:
    """The camera's path over a clip.

    Attributes:
        unit: 0..3; coefficients count in 2**unit / 8 luma samples (those of the matrix at the
            middle of the farther edges).
        rows: 2 or 6 rows of 1..8 coefficients: b in y, b in x; B as yy, yx, xy, xx.
    """

    unit: int
    rows: tuple[tuple[int, ...], ...]

    def displacement(self, frames: int) -> I64:
        """b and B over time, in 1/2048 luma samples: int64 (6, frames)."""
        rows = np.array(self.rows, np.int64) << self.unit
        out = np.zeros((AFFINE, frames), np.int64)
        out[: len(rows)] = rows @ phases(frames)[: rows.shape[1]]
        return out

    def maps(self, frames: int, height: int, width: int) -> tuple[F64, F64]:
        """The maps u: matrices (T, 2, 2) and shifts (T, 2) in luma samples, in order y, x."""
        d = self.displacement(frames) / _UNITS
        return np.eye(2) + d[2:].T.reshape(-1, 2, 2) * (2 / max(height, width)), d[:2].T

    def margins(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """What the canvas has above, below, left and right of a frame at rest.

        The smallest even numbers with which it holds the corners of every frame.

        Raises:
            CorruptError: the canvas would be too big.
        """
        d, side = self.displacement(frames), max(height, width)
        one = 2 * _UNITS * side  # one luma sample, so that halves and x / s stay integers
        corners = [(y * (height - 1), x * (width - 1)) for y in (-1, 1) for x in (-1, 1)]
        out = []
        for axis, size in enumerate((height, width)):
            at = [
                corner[axis] * (one // 2)
                + 2 * (side * d[axis] + corner[0] * d[2 + 2 * axis] + corner[1] * d[3 + 2 * axis])
                for corner in corners
            ]
            edge = (size - 1) * (one // 2)
            out += [_even(-edge - int(np.min(at)), one), _even(int(np.max(at)) - edge, one)]
        top, bottom, left, right = out
        if (height + top + bottom) * (width + left + right) > CANVAS_LIMIT * height * width:
            raise CorruptError("the canvas of a moving clip is too big", field="motion")
        return top, bottom, left, right


def _even(value: int, one: int) -> int:
    """value / one, rounded up to an even integer of at least 0."""
    return max(0, 2 * -(-value // (2 * one)))


def put_motion(out: FlagEncoder, motion: Motion | None) -> None:
    """Write a clip's motion or that it has none."""
    out.put(np.array([motion is not None]), np.array([_MOVING]))
    if motion is None:
        return
    affine, terms = len(motion.rows) == AFFINE, len(motion.rows[0])
    head = [affine, *_bits(motion.unit, 2), *_bits(terms - 1, 3)]
    out.put(np.array(head), np.full(len(head), HALF))
    for value in (value for row in motion.rows for value in row):
        out.put(np.array([value != 0]), np.array([HALF]))
        if value:
            out.put(np.array([value < 0]), np.array([HALF]))
            put_golomb(out, abs(value) - 1, _ORDER)


def _bits(value: int, count: int) -> list[int]:
    return [value >> shift & 1 for shift in range(count - 1, -1, -1)]


def get_motion(source: FlagDecoder) -> Motion | None:
    """Read what `put_motion` wrote.

    Raises:
        CorruptError: a coefficient is out of range.
    """
    if not source.get(np.array([_MOVING]))[0]:
        return None
    head = source.get(np.full(6, HALF)).tolist()
    unit, terms = 2 * head[1] + head[2], 1 + 4 * head[3] + 2 * head[4] + head[5]
    rows = []
    for _ in range(AFFINE if head[0] else PAN):
        rows.append(tuple(_get_coefficient(source) for _ in range(terms)))
    return Motion(unit, tuple(rows))


def _get_coefficient(source: FlagDecoder) -> int:
    half = np.array([HALF])
    if not source.get(half)[0]:
        return 0
    minus = source.get(half)[0]
    magnitude = 1 + get_golomb(source, _ORDER)
    if magnitude > MAX_COEFFICIENT:
        raise CorruptError("the camera moves too far", field="motion")
    return -magnitude if minus else magnitude
