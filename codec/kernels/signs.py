"""The sign of a level from the signs around it: `docs/bitstream.md`, section 12.4.

signs decoded before --sign network, as they are and turned round--> logit of a minus

Signs are coded behind all magnitudes of their group, in raster order. They lie, as -3..3, in
planes with a border of zeros, like magnitudes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import part
from gistcast.codec.kernels.context import parent_place
from gistcast.codec.kernels.network import Room, activate, add_rows
from gistcast.codec.tables import HIDDEN, LARGEST_SIGNED, LOGIT_LIMIT, PLAIN, SIGNS, SignWeights

I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
Geometry = Any  #: one row of `Plan.groups`

_LIMIT, _ONE = np.int32(LOGIT_LIMIT), np.int32(1)
_AS_IS, _TURNED = np.int64(1), np.int64(-1)  # signs, in the two halves of the network
# where groups of inputs begin
_BEFORE, _BEFORE_THAT, _PARENT = np.int64(6), np.int64(16), np.int64(21)
_FIRST, _SECOND, _LUMA, _CB = np.int64(26), np.int64(31), np.int64(36), np.int64(41)


@part
def _here(a: I8, first: int, height: int, width: int, t: int, y: int, x: int) -> int:
    """The sign at (t, y, x) of a band; 0 outside."""
    if y < 0 or y >= height or x < 0 or x >= width:
        return 0
    return a[first + (t * (height + 2) + y + 1) * (width + 2) + x + 1]


@part
def _cross(a: I8, at: int, stride: int, f: I32, to: int) -> None:
    """A sign and those to its left, above, to its right and below."""
    f[to], f[to + 1], f[to + 2] = a[at], a[at - 1], a[at - stride]
    f[to + 3], f[to + 4] = a[at + 1], a[at + stride]


@part
def _sibling(
    a: I8, first: int, height: int, width: int, t: int, y: int, x: int, f: I32, to: int
) -> None:
    """The same of a band that may be a row or a column smaller or larger."""
    f[to] = _here(a, first, height, width, t, y, x)
    f[to + 1] = _here(a, first, height, width, t, y, x - 1)
    f[to + 2] = _here(a, first, height, width, t, y - 1, x)
    f[to + 3] = _here(a, first, height, width, t, y, x + 1)
    f[to + 4] = _here(a, first, height, width, t, y + 1, x)


@part
def _own(group: Geometry, signs: I8, t: int, y: int, x: int, f: I32) -> None:
    """Inputs 0..20: of the band itself, in this temporal plane, the two before, and the first."""
    stride = group.width + 2
    plane = (group.height + 2) * stride
    at = group.band + t * plane + (y + 1) * stride + x + 1
    f[0], f[1] = signs[at - 1], signs[at - stride]
    f[2], f[3] = signs[at - stride - 1], signs[at - stride + 1]
    if x > 1:
        f[4] = signs[at - 2]
    if y > 1:
        f[5] = signs[at - 2 * stride]
    if t > 0:
        before = at - plane
        _cross(signs, before, stride, f, _BEFORE)
        f[11], f[12] = signs[before - stride - 1], signs[before - stride + 1]
        f[13], f[14] = signs[before + stride - 1], signs[before + stride + 1]
        f[15] = signs[at - t * plane]
    if t > 1:
        _cross(signs, at - 2 * plane, stride, f, _BEFORE_THAT)


@part
def features_of_sign(
    group: Geometry, signs: I8, magnitude: U8, t: int, y: int, x: int, f: I32
) -> None:
    """All inputs of the network for the sign at (t, y, x): see the document."""
    for i in range(SIGNS):
        f[i] = 0
    _own(group, signs, t, y, x, f)
    stride = group.width + 2
    inside = (y + 1) * stride + x + 1
    here = t * (group.height + 2) * stride + inside
    if group.parent >= 0:
        rows, columns = group.parent_height, group.parent_width
        above, left = parent_place(group, y, x)
        over = (t * (rows + 2) + above + 1) * (columns + 2) + left + 1
        _cross(signs, group.parent + over, columns + 2, f, _PARENT)
        if group.luma_parent >= 0:
            f[46] = signs[group.luma_parent + over]
        if group.cb_parent >= 0:
            f[47] = signs[group.cb_parent + over]
    if group.first >= 0:
        size = group.first_height, group.first_width
        _sibling(signs, group.first, size[0], size[1], t, y, x, f, _FIRST)
    if group.second >= 0:
        size = group.second_height, group.second_width
        _sibling(signs, group.second, size[0], size[1], t, y, x, f, _SECOND)
    if group.luma >= 0:
        _cross(signs, group.luma + here, stride, f, _LUMA)
    if group.cb >= 0:
        _cross(signs, group.cb + here, stride, f, _CB)
    at = group.band + here
    f[SIGNS], f[SIGNS + 1], f[SIGNS + 2] = t % 2, y % 2, x % 2
    f[SIGNS + 3] = min(magnitude[at], 4) - 1
    f[SIGNS + 4] = min(magnitude[at + 1], LARGEST_SIGNED)
    f[SIGNS + 5] = min(magnitude[at + stride], LARGEST_SIGNED)


@part
def _half(room: Room, weights: SignWeights, turn: int) -> int:
    """The last layer's sum for the first layer in `room`, its signs times `turn`."""
    z = room.z
    for j in range(HIDDEN):
        z[j] = room.bias[j] + turn * room.odd[j]
    activate(z, room.first)
    for j in range(HIDDEN):
        z[j] = weights.sign_hidden_bias[j]
    add_rows(room.first, HIDDEN, weights.sign_hidden_weights, z)
    activate(z, room.second)
    total = np.int32(0)
    for j in range(HIDDEN):
        total += np.int32(room.second[j]) * weights.sign_output_weights[j]
    return total


@part
def sign_logit(
    group: Geometry,
    weights: SignWeights,
    signs: I8,
    magnitude: U8,
    t: int,
    y: int,
    x: int,
    room: Room,
) -> int:
    """Logit, as an index 0..351, of the level at (t, y, x) being negative."""
    f = room.around
    features_of_sign(group, signs, magnitude, t, y, x, f)
    for j in range(HIDDEN):
        room.odd[j] = 0
        room.bias[j] = weights.sign_rows[group.sign_row, j]
    known = 0
    for i in range(SIGNS):
        if f[i]:
            known += 1
            for j in range(HIDDEN):
                room.odd[j] += f[i] * weights.sign_input_weights[i, j]
    if known == 0:
        return _LIMIT  # both halves are the same
    for i in range(SIGNS, SIGNS + PLAIN):
        if f[i]:
            for j in range(HIDDEN):
                room.bias[j] += f[i] * weights.sign_input_weights[i, j]
    logit = (_half(room, weights, _AS_IS) - _half(room, weights, _TURNED)) >> 6
    return min(max(logit, -_LIMIT), _LIMIT - _ONE) + _LIMIT


@part
def put_sign(signs: I8, at: int, magnitude: int, negative: bool) -> None:
    """Put a level's sign in its place."""
    size = min(magnitude, LARGEST_SIGNED)
    signs[at] = -size if negative else size
