"""The probability network in integers: `docs/bitstream.md`, section 11.3.

features (23, n) and class rows --three layers, int32--> logits (3, n)

The positions of a phase do not see one another, so they go through the network side by side, up to
BATCH at a time: the inner loops run over positions, which fills the processor's vectors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.context import FEATURES
from gistcast.codec.kernels.compiled import part
from gistcast.codec.tables import ACTIVATION_MAX, HIDDEN, LOGIT_LIMIT, PLAIN, SIGNS, Weights

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Geometry = Any  #: one row of `Plan.groups`

BATCH = 64  #: positions that go through the network together

_LIMIT, _TOP = np.int32(LOGIT_LIMIT), np.int32(ACTIVATION_MAX)
_NONE, _ONE = np.int32(0), np.int32(1)


class Room(NamedTuple):
    """Where the networks work.

    Attributes:
        features, sums, active, logits: of BATCH positions, a column each: uint8 (24, BATCH), where
            the last row is 0; int32 (32, BATCH); uint8 (32, BATCH); int32 (3, BATCH).
        cursor: t, y, x of the position to be gathered next.
        places: where the positions lie in values and in planes with borders, int64 (BATCH, 2).
        around, odd, bias, z, first, second: of one sign: int32 (54,), int32 and uint8 (32,).
    """

    features: U8
    sums: I32
    active: U8
    logits: I32
    cursor: I64
    places: I64
    around: I32
    odd: I32
    bias: I32
    z: I32
    first: U8
    second: U8


def make_room() -> Room:
    """Room for one thread."""
    return Room(
        np.zeros((FEATURES + 1, BATCH), np.uint8),
        np.zeros((HIDDEN, BATCH), np.int32),
        np.zeros((HIDDEN, BATCH), np.uint8),
        np.zeros((3, BATCH), np.int32),
        np.zeros(3, np.int64),
        np.zeros((BATCH, 2), np.int64),
        np.zeros(SIGNS + PLAIN, np.int32),
        np.zeros(HIDDEN, np.int32),
        np.zeros(HIDDEN, np.int32),
        np.zeros(HIDDEN, np.int32),
        np.zeros(HIDDEN, np.uint8),
        np.zeros(HIDDEN, np.uint8),
    )


@part
def set_bias(group: Geometry, weights: Weights, phase: int, t: int, bias: I32) -> None:
    """The sum of the class rows of a plane."""
    time = group.time_row + phase * 32 + min(31, t * 32 // group.frames)
    for j in range(HIDDEN):
        bias[j] = (
            weights.band_rows[group.band_row, j]
            + weights.detail_rows[group.detail_row, j]
            + weights.time_rows[time, j]
        )


@part
def add_rows(inputs: U8, count: int, weights: I32, z: I32) -> None:
    """z += inputs @ weights, for an even number of inputs, many of them 0. By pairs: that fills
    the processor's vectors."""
    for i in range(0, count, 2):
        a, b = np.int32(inputs[i]), np.int32(inputs[i + 1])
        if a | b:
            for j in range(z.size):
                z[j] += a * weights[i, j] + b * weights[i + 1, j]


@part
def activate(z: I32, out: U8) -> None:
    """clip(floor(z / 64), 0, 255)."""
    for j in range(z.size):
        out[j] = min(max(z[j] >> 6, _NONE), _TOP)


@part
def _fill(sums: I32, bias: I32, count: int) -> None:
    for j in range(bias.size):
        for p in range(count):
            sums[j, p] = bias[j]


@part
def _add_layer(inputs: U8, weights: I32, sums: I32, count: int) -> None:
    """sums += weights.T @ inputs, for a number of inputs that is a multiple of four."""
    for j in range(weights.shape[1]):
        for i in range(0, weights.shape[0], 4):
            a, b, c, d = weights[i, j], weights[i + 1, j], weights[i + 2, j], weights[i + 3, j]
            for p in range(count):
                first = a * np.int32(inputs[i, p]) + b * np.int32(inputs[i + 1, p])
                last = c * np.int32(inputs[i + 2, p]) + d * np.int32(inputs[i + 3, p])
                sums[j, p] += first + last


@part
def _activate_all(sums: I32, out: U8, count: int) -> None:
    for j in range(sums.shape[0]):
        for p in range(count):
            out[j, p] = min(max(sums[j, p] >> 6, _NONE), _TOP)


@part
def logits(room: Room, weights: Weights, count: int) -> None:
    """Logits, as indices 0..351, of the first `count` positions in `room`, whose features and
    sums of class rows lie there."""
    _add_layer(room.features, weights.input_weights, room.sums, count)
    _activate_all(room.sums, room.active, count)
    _fill(room.sums, weights.hidden_bias, count)
    _add_layer(room.active, weights.hidden_weights, room.sums, count)
    _activate_all(room.sums, room.active, count)
    _fill(room.logits, weights.output_bias, count)
    for c in range(3):
        for j in range(HIDDEN):
            weight = weights.output_weights[c, j]
            for p in range(count):
                room.logits[c, p] += weight * np.int32(room.active[j, p])
        for p in range(count):
            index = min(max(room.logits[c, p] >> 6, -_LIMIT), _LIMIT - _ONE) + _LIMIT
            room.logits[c, p] = index
