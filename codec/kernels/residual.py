"""The groups of a residual, one after the other, as the decoder reads them.

group --phase 0, phase 1--> features --network--> logits --range coder--> magnitudes
magnitudes, signs around --sign network--> logit of a minus --range coder--> levels
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import kernel, part
from gistcast.codec.kernels.context import of_group, of_position
from gistcast.codec.kernels.levels import read_levels
from gistcast.codec.kernels.network import BATCH, Room, logits, set_bias
from gistcast.codec.kernels.range import DAMAGED, U8, U16, U64, read_flag
from gistcast.codec.kernels.signs import features_of_sign, put_sign, sign_logit
from gistcast.codec.tables import HIDDEN, LOGIT_LIMIT, RECONSTRUCTION_BUCKETS, SignWeights, Weights

I8 = NDArray[np.int8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
Geometry = Any  #: one row of `Plan.groups`

SOUND, BROKEN, OUT_OF_RANGE = 0, 1, 2
_ZERO, _NOTHING = np.float32(0), np.int64(0)
_PART = np.float32(1 / 128)  # of a step; exact


class State(NamedTuple):
    """What is known of a clip: see `Symbols`, `Plan.groups` and `Tables`."""

    groups: NDArray[Any]
    values: I32
    magnitude: U8
    signs: I8
    points: F32
    present: U8
    weights: Weights
    sign_weights: SignWeights
    probability: U16
    presence: U16
    reconstruction: I8


@part
def _is_present(state: State, number: int) -> int:
    return 1 if number >= 0 and state.present[number] else 0


@part
def presence(state: State, group: Geometry) -> int:
    """P(group holds a non-zero) * 65536."""
    cousin = _is_present(state, group.cousin_0) | _is_present(state, group.cousin_1)
    context = (
        _is_present(state, group.parent_group)
        + 2 * _is_present(state, group.slower_group)
        + 4 * cousin
    )
    return state.presence[group.presence_row, context]


@part
def point(state: State, magnitude: int, logit: int) -> float:
    """Where a magnitude above 0 is put, in steps."""
    bucket = min(max((logit - LOGIT_LIMIT + 96) // 24, 0), RECONSTRUCTION_BUCKETS - 1)
    part = state.reconstruction[bucket, min(magnitude, 3) - 1]
    return np.float32(magnitude) + np.float32(part) * _PART


@part
def begin_phase(group: Geometry, phase: int, room: Room) -> None:
    """Gather from the first position of a phase on."""
    room.cursor[0], room.cursor[1], room.cursor[2] = group.start, 0, (group.start + phase) % 2


@part
def gather(state: State, group: Geometry, phase: int, slower: I16, energy: I16, room: Room) -> int:
    """The next positions of a phase, in raster order, with their logits; returns how many.

    Args:
        slower, energy: from `of_group`.
    """
    t, y, x = room.cursor
    count = _NOTHING
    set_bias(group, state.weights, phase, min(t, group.stop - 1), room.bias)
    while t < group.stop and count < BATCH:
        if x >= group.width:
            y += 1
            if y == group.height:
                t, y = t + 1, 0
                if t < group.stop:
                    set_bias(group, state.weights, phase, t, room.bias)
            x = (t + y + phase) % 2
            continue
        of_position(group, state.magnitude, slower, energy, phase, t, y, x, room.features, count)
        for j in range(HIDDEN):
            room.sums[j, count] = room.bias[j]
        line = t * (group.height + 2) + y + 1
        room.places[count, 0] = group.values + (t * group.height + y) * group.width + x
        room.places[count, 1] = group.band + line * (group.width + 2) + 1 + x
        count += 1
        x += 2
    room.cursor[0], room.cursor[1], room.cursor[2] = t, y, x
    logits(room, state.weights, count)
    return count


@part
def keep(state: State, flat: int, bordered: int, size: int, negative: bool, logit: int) -> None:
    """Put a level in its place."""
    where = point(state, size, logit) if size else _ZERO
    state.values[flat] = -size if negative else size
    state.points[flat] = -where if negative else where
    state.magnitude[bordered] = min(size, 31)


@part
def _store(state: State, group: Geometry, phase: int, values: I32, found: I16) -> None:
    """Put the levels of a phase, in raster order, in their places."""
    row = 0
    for t in range(group.start, group.stop):
        for y in range(group.height):
            line = group.band + (t * (group.height + 2) + y + 1) * (group.width + 2) + 1
            flat = group.values + (t * group.height + y) * group.width
            for x in range((t + y + phase) % 2, group.width, 2):
                value = values[row]
                if value:
                    keep(state, flat + x, line + x, abs(value), value < 0, found[row, 0])
                row += 1


@part
def levels_of(state: State, group: Geometry) -> I64:
    """Where the levels of a group lie that are not 0, in raster order: rows of t, y, x, and their
    places in values and in planes with borders."""
    area = group.height * group.width
    first, count = group.values + group.start * area, 0
    for flat in range(first, group.values + group.stop * area):
        count += state.values[flat] != 0
    out, row = np.empty((count, 5), np.int64), 0
    for t in range(group.start, group.stop):
        for y in range(group.height):
            line = group.band + (t * (group.height + 2) + y + 1) * (group.width + 2) + 1
            flat = group.values + (t * group.height + y) * group.width
            for x in range(group.width):
                if state.values[flat + x]:
                    out[row, 0], out[row, 1], out[row, 2] = t, y, x
                    out[row, 3], out[row, 4] = flat + x, line + x
                    row += 1
    return out


@part
def place(places: I64, row: int) -> tuple[int, int, int, int, int]:
    """One row of `levels_of`."""
    return places[row, 0], places[row, 1], places[row, 2], places[row, 3], places[row, 4]


@part
def _read_signs(state: State, group: Geometry, room: Room, coder: U64, data: U8) -> None:
    """Give the levels of a group, all above 0 so far, their signs."""
    places = levels_of(state, group)
    for row in range(len(places)):
        t, y, x, flat, bordered = place(places, row)
        logit = sign_logit(group, state.sign_weights, state.signs, state.magnitude, t, y, x, room)
        negative = read_flag(coder, data, state.probability[logit]) == 1
        put_sign(state.signs, bordered, state.values[flat], negative)
        if negative:
            state.values[flat] = -state.values[flat]
            state.points[flat] = -state.points[flat]


@kernel
def decode_groups(
    state: State,
    first: int,
    last: int,
    quantiser: int,
    signed: bool,
    room: Room,
    coder: U64,
    data: U8,
) -> int:
    """Decode the groups first..last-1: SOUND, BROKEN or OUT_OF_RANGE.

    Args:
        signed: whether signs are coded as they were before version 3.
    """
    for number in range(first, last):
        group = state.groups[number]
        state.present[number] = read_flag(coder, data, presence(state, group))
        if not state.present[number]:
            continue
        slower, energy = of_group(group, state.magnitude, quantiser, room.features)
        area = (group.stop - group.start) * group.height * group.width
        most = area // 2 + 1
        found, values = np.empty((most, 3), np.int16), np.empty(most, np.int32)
        open_ = np.empty(most, np.int64)
        for phase in range(2):
            begin_phase(group, phase, room)
            row, count = 0, 1
            while count:
                count = gather(state, group, phase, slower, energy, room)
                for p in range(count):
                    for c in range(3):
                        found[row + p, c] = room.logits[c, p]
                row += count
            good = read_levels(coder, data, found, row, state.probability, signed, values, open_)
            if coder[DAMAGED]:
                return BROKEN
            if not good:
                return OUT_OF_RANGE
            _store(state, group, phase, values, found)
        if not signed:
            _read_signs(state, group, room, coder, data)
    return BROKEN if coder[DAMAGED] else SOUND


@kernel
def group_contexts(
    state: State,
    number: int,
    phase: int,
    quantiser: int,
    room: Room,
    features: U8,
    found: I16,
) -> int:
    """Features and logits of a phase of a group whose first phase, at least, is known."""
    group = state.groups[number]
    slower, energy = of_group(group, state.magnitude, quantiser, room.features)
    begin_phase(group, phase, room)
    row, count = 0, 1
    while count:
        count = gather(state, group, phase, slower, energy, room)
        for p in range(count):
            for feature in range(features.shape[1]):
                features[row + p, feature] = room.features[feature, p]
            for c in range(3):
                found[row + p, c] = room.logits[c, p]
        row += count
    return row


@kernel
def group_signs(state: State, number: int, around: I8, negative: U8) -> int:
    """Inputs (n, 54) and outcome (n,) of the sign network for the levels of a group, whose signs
    are put in their places; returns how many."""
    group = state.groups[number]
    inputs, count = np.empty(around.shape[1], np.int32), 0
    places = levels_of(state, group)
    for row in range(len(places)):
        t, y, x, flat, bordered = place(places, row)
        value = state.values[flat]
        features_of_sign(group, state.signs, state.magnitude, t, y, x, inputs)
        around[count] = inputs
        negative[count] = value < 0
        count += 1
        put_sign(state.signs, bordered, abs(value), value < 0)
    return count
