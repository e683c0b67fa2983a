"""The probability network in integers: `docs/bitstream.md`, section 11.3.

features (23,) and class rows --three layers, int32--> logits (3,)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.context import FEATURES
from gistcast.codec.kernels.compiled import part
from gistcast.codec.tables import ACTIVATION_MAX, HIDDEN, LOGIT_LIMIT, PLAIN, SIGNS, Weights

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
Geometry = Any  #: one row of `Plan.groups`

_LIMIT, _TOP = np.int32(LOGIT_LIMIT), np.int32(ACTIVATION_MAX)
_NONE, _ONE = np.int32(0), np.int32(1)


class Room(NamedTuple):
    """Where the networks work: inputs, uint8 (24,) and int32 (54,), and rows of 32."""

    features: U8
    around: I32
    odd: I32
    bias: I32
    z: I32
    first: U8
    second: U8


def make_room() -> Room:
    """Room for one thread."""
    return Room(
        np.zeros(FEATURES + 1, np.uint8),
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
def logits(room: Room, weights: Weights, out: I16, row: int) -> None:
    """Three logits, as indices 0..351, for the features and the bias in `room`."""
    z = room.z
    for j in range(z.size):
        z[j] = room.bias[j]
    add_rows(room.features, FEATURES + 1, weights.input_weights, z)
    activate(z, room.first)
    for j in range(z.size):
        z[j] = weights.hidden_bias[j]
    add_rows(room.first, HIDDEN, weights.hidden_weights, z)
    activate(z, room.second)
    for c in range(3):
        total = weights.output_bias[c]
        for j in range(z.size):
            total += np.int32(room.second[j]) * weights.output_weights[c, j]
        out[row, c] = min(max(total >> 6, -_LIMIT), _LIMIT - _ONE) + _LIMIT
