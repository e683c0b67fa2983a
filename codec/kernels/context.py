"""What is already known around a coefficient, as small integers: `docs/bitstream.md`, section 12.

    magnitudes decoded before --sums over neighbours--> LOG table --> features (23, n) uint8

Magnitudes lie in planes with a border of zeros (see `Plan`), so that no neighbour is outside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.context import LOG
from gistcast.codec.kernels.compiled import part

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
Geometry = Any  #: one row of `Plan.groups`


@part
def _cross(a: NDArray[Any], at: int, stride: int) -> int:
    """Sum of the four nearest neighbours."""
    return np.int64(a[at - stride]) + a[at + stride] + a[at - 1] + a[at + 1]


@part
def _corners(a: NDArray[Any], at: int, stride: int) -> int:
    """Sum of the four diagonal neighbours."""
    return (
        np.int64(a[at - stride - 1]) + a[at - stride + 1] + a[at + stride - 1] + a[at + stride + 1]
    )


@part
def _mean(a: U8, first: int, height: int, width: int, start: int, stop: int) -> int:
    """Mean magnitude of some planes of a band, as a feature."""
    plane = (height + 2) * (width + 2)
    total = 0
    for at in range(first + start * plane, first + stop * plane):
        total += np.int64(a[at])  # numpy 2 would stay with eight bits in plain Python
    return LOG[min(511, total * 64 // max(1, (stop - start) * height * width))]


@part
def _sum_planes(a: U8, first: int, plane: int, stop: int, out: I16) -> None:
    """Sum over the planes 0..stop-1 of a band, borders included."""
    for t in range(stop):
        base = first + t * plane
        for at in range(plane):
            out[at] += a[base + at]


@part
def of_group(group: Geometry, magnitude: U8, quantiser: int, constant: U8) -> tuple[I16, I16]:
    """Features that all of a group share go to all columns of `constant`, and 0 for the others;
    returns the sums over the slower planes of its band and over the planes of its parent, both
    with borders."""
    height, width = group.height, group.width
    slower = np.zeros((height + 2) * (width + 2), np.int16)
    energy = np.zeros((group.parent_height + 2) * (group.parent_width + 2), np.int16)
    constant[:] = 0
    constant[19] = quantiser // 4
    if group.temporal > 0:
        _sum_planes(magnitude, group.band, slower.size, group.start, slower)
        constant[16] = _mean(magnitude, group.band, height, width, group.start // 2, group.start)
    if group.parent >= 0:
        stop = min(group.frames, 2 * group.stop)
        _sum_planes(magnitude, group.parent, energy.size, stop, energy)
        constant[17] = _mean(
            magnitude,
            group.parent,
            group.parent_height,
            group.parent_width,
            group.start,
            group.stop,
        )
    if group.luma >= 0:
        constant[18] = _mean(magnitude, group.luma, height, width, group.start, group.stop)
    elif group.last >= 0:
        constant[18] = _mean(
            magnitude, group.last, group.last_height, group.last_width, group.start, group.stop
        )
    return slower, energy


@part
def _sibling(
    a: U8, first: int, rows: int, columns: int, group: Geometry, t: int, y: int, x: int
) -> tuple[int, int]:
    """A sibling's magnitude at (t, y, x) and the sum of those around, cut to the group's size."""
    stride = columns + 2
    at = first + (t * (rows + 2) + y + 1) * stride + x + 1
    here = np.int64(a[at]) if y < rows and x < columns else 0
    around = np.int64(0)
    if x < columns:
        around += a[at - stride]
        if y + 1 < group.height:
            around += a[at + stride]
    if y < rows:
        around += a[at - 1]
        if x + 1 < group.width:
            around += a[at + 1]
    return here, around


@part
def parent_place(group: Geometry, y: int, x: int) -> tuple[int, int]:
    """The row and column of the parent over a position."""
    rows, columns = group.parent_height, group.parent_width
    if rows == group.height and columns == group.width:
        return y, x
    return min(y // 2, rows - 1), min(x // 2, columns - 1)


@part
def of_position(
    group: Geometry,
    magnitude: U8,
    slower: I16,
    energy: I16,
    phase: int,
    t: int,
    y: int,
    x: int,
    f: U8,
    p: int,
) -> None:
    """Features 0..15 and 20..22 of a position of a group, in column p of `f`; the others stay as
    they are.

    Args:
        slower, energy: from `of_group`.
        t: of the clip.
    """
    stride = group.width + 2
    plane = (group.height + 2) * stride
    inside = (y + 1) * stride + x + 1
    here = group.band + t * plane + inside
    if group.temporal > 0:
        before = group.band + t // 2 * plane + inside
        f[0, p] = LOG[magnitude[before]]
        f[1, p] = LOG[_cross(magnitude, before, stride)]
        f[2, p] = LOG[_corners(magnitude, before, stride)]
        total = np.int64(slower[inside])
        f[3, p] = LOG[total]
        around = _cross(slower, inside, stride) + _corners(slower, inside, stride)
        f[4, p] = LOG[min(511, total + around)]
    if group.parent >= 0:
        rows, columns = group.parent_height, group.parent_width
        above, left = parent_place(group, y, x)
        over = (above + 1) * (columns + 2) + left + 1
        parent = group.parent + t * (rows + 2) * (columns + 2) + over
        f[5, p] = LOG[magnitude[parent]]
        f[6, p] = LOG[_cross(magnitude, parent, columns + 2)]
        f[7, p] = LOG[min(511, energy[over])]
    if group.first >= 0:
        value, around = _sibling(
            magnitude, group.first, group.first_height, group.first_width, group, t, y, x
        )
        f[8, p], f[9, p] = LOG[value], LOG[around]
    if group.second >= 0:
        value, around = _sibling(
            magnitude, group.second, group.second_height, group.second_width, group, t, y, x
        )
        f[10, p], f[11, p] = LOG[value], LOG[around]
    if group.luma >= 0:
        at = here - group.band + group.luma
        f[12, p], f[13, p] = LOG[magnitude[at]], LOG[_cross(magnitude, at, stride)]
    if group.cb >= 0:
        at = here - group.band + group.cb
        f[14, p], f[15, p] = LOG[magnitude[at]], LOG[_cross(magnitude, at, stride)]
    if phase:
        f[20, p] = LOG[np.int64(magnitude[here - 1]) + magnitude[here + 1]]
        f[21, p] = LOG[np.int64(magnitude[here - stride]) + magnitude[here + stride]]
        around = np.int64(0)
        if t > group.start:
            around += magnitude[here - plane]
        if t + 1 < group.stop:
            around += magnitude[here + plane]
        f[22, p] = LOG[around]
