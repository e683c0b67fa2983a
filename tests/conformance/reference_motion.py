"""The camera's motion and the size of its canvas, in integers.

Part of the second decoder; see `reference.py`. Numbers are sections of `docs/bitstream.md`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from reference_bytes import RangeDecoder, need


class Motion(NamedTuple):
    unit: int
    rows: tuple[tuple[int, ...], ...]


def read_golomb(coder: RangeDecoder, order: int) -> int:
    """Section 7.1."""
    zeros = 0
    while not coder.flag(32768):
        zeros += 1
        need(zeros < 18, "a number is out of range")
    value = 1
    for _ in range(zeros + order):
        value = 2 * value + coder.flag(32768)
    return value - (1 << order)


def read_motion(coder: RangeDecoder) -> Motion | None:
    """Section 13.2."""
    if not coder.flag(16384):
        return None
    affine, a, b, c, d, e = (coder.flag(32768) for _ in range(6))
    terms = 1 + 4 * c + 2 * d + e
    rows = []
    for _ in range(6 if affine else 2):
        row = []
        for _ in range(terms):
            value = 0
            if coder.flag(32768):
                minus = coder.flag(32768)
                value = 1 + read_golomb(coder, 1)
                need(value <= 8192, "the camera moves too far")
                value = -value if minus else value
            row.append(value)
        rows.append(tuple(row))
    return Motion(2 * a + b, tuple(rows))


def phi(k: int, t: int, frames: int) -> int:
    """Section 10.5: in 1/256."""
    last = frames - 1
    if last == 0:
        return 0
    if k == 0:
        return (512 * (2 * t - last) + last) // (2 * last)
    return math.floor(256 * math.sin(math.pi * k * t / last) + 0.5)


def margins(motion: Motion, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Section 10.5: what the canvas adds above, below, left and right."""
    longer = max(height, width)
    low, high = [0, 0], [0, 0]
    for t in range(frames):
        d = [
            2**motion.unit * sum(c * phi(k, t, frames) for k, c in enumerate(row))
            for row in motion.rows
        ]
        d += [0] * (6 - len(d))
        for sy in (-1, 1):
            for sx in (-1, 1):
                for axis, size, sign in ((0, height, sy), (1, width, sx)):
                    # in 1 / (4096 longer) luma samples, from the middle of the canvas' frame
                    matrix = d[2 + 2 * axis] * sy * (height - 1) + d[3 + 2 * axis] * sx * (
                        width - 1
                    )
                    at = sign * (size - 1) * 2048 * longer + 2 * (longer * d[axis] + matrix)
                    edge = (size - 1) * 2048 * longer
                    low[axis] = max(low[axis], -at - edge)
                    high[axis] = max(high[axis], at - edge)
    one = 4096 * longer
    top, left = (2 * -(-v // (2 * one)) for v in low)
    bottom, right = (2 * -(-v // (2 * one)) for v in high)
    area = (height + top + bottom) * (width + left + right)
    need(area <= 4 * height * width, "canvas")
    return top, bottom, left, right
