"""The encoder's side of a residual: levels chosen by rate and distortion, group after group.

coefficients --context, network--> logits --D + lambda * bits--> levels --flags--> range coder
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import kernel, part
from gistcast.codec.kernels.context import of_group
from gistcast.codec.kernels.levels import flags_of_level, put_levels
from gistcast.codec.kernels.network import Room
from gistcast.codec.kernels.range import U8, U16
from gistcast.codec.kernels.residual import (
    F32,
    I16,
    Geometry,
    State,
    begin_phase,
    gather,
    keep,
    levels_of,
    place,
    point,
    presence,
)
from gistcast.codec.kernels.signs import put_sign, sign_logit
from gistcast.codec.quantiser import MAX_MAGNITUDE, UNARY

F64 = NDArray[np.float64]

# least bits that a level, and all that a group holds, are taken to cost by the fast choice
_FAST_LEVEL_BITS, _FAST_GROUP_BITS = 4.0, 8.0

_ZERO, _HALF = np.float32(0), np.float32(0.5)
_SIGN = np.float32(0.8)  # bits of a sign, for the choice: about what it costs in the mean


class Costs(NamedTuple):
    """Bits of a flag by logit, when it is 1 and when it is 0: float32 (352,) for the choice,
    float64 for the count."""

    one: F32
    zero: F32
    exact_one: F64
    exact_zero: F64


@part
def _further_bits(one: NDArray[Any], zero: NDArray[Any], magnitude: int, second: int, third: int):  # type: ignore[no-untyped-def]
    """Bits of the flags after a non-zero's sign but for the escape: "> 1", then "still larger"."""
    more = min(magnitude - 1, UNARY)
    if more == 0:
        return zero[second], 0.0
    further = np.float64(one[third]) * (more - 1)
    if more < UNARY:
        further += zero[third]
    return one[second], further


@part
def _escape_bits(magnitude: int) -> int:
    return flags_of_level(magnitude) - 2 - UNARY if magnitude > UNARY else 0


@part
def _level_cost(costs: Costs, magnitude: int, found: I16) -> float:
    """Bits of a magnitude above 0 with its sign, for the choice: rounded as float32 is."""
    second, further = _further_bits(costs.one, costs.zero, magnitude, found[1], found[2])
    bits = costs.one[found[0]] + _SIGN
    bits = np.float32(bits + second)
    bits = np.float32(np.float64(bits) + further)
    return np.float32(np.float64(bits) + _escape_bits(magnitude))


@part
def _exact_bits(costs: Costs, magnitude: int, found: I16) -> float:
    """Bits of a magnitude without its sign."""
    if magnitude == 0:
        return costs.exact_zero[found[0]]
    second, further = _further_bits(
        costs.exact_one, costs.exact_zero, magnitude, found[1], found[2]
    )
    return costs.exact_one[found[0]] + second + further + _escape_bits(magnitude)


@part
def _choose_level(
    state: State, costs: Costs, weight: float, x: float, found: I16
) -> tuple[int, float, float]:
    """The magnitude of least D + lambda * bits for a coefficient in steps; its error, its bits.

    Args:
        weight: lambda in squared steps a bit, float32.
    """
    size = abs(x)
    bits, distortion, chosen = costs.zero[found[0]], size * size, 0
    if size > _HALF:
        best = distortion + weight * bits
        highest = np.int64(min(np.floor(size + _HALF), np.float32(MAX_MAGNITUDE)))
        for candidate in (max(highest - 1, 1), highest):
            cost = _level_cost(costs, candidate, found)
            error = size - point(state, candidate, found[0])
            error *= error
            if error + weight * cost < best:
                best = error + weight * cost
                bits, distortion, chosen = cost, error, candidate
    return chosen, distortion, bits


@part
def _survey(x: F32, unit: float, weight: float) -> tuple[float, float, float]:
    """Of a group's coefficients: their energy; what can be saved of D + lambda * bits at most; and
    what the fast choice takes to be saved."""
    energy = potential = fast = 0.0
    for index in range(x.size):
        size = abs(x[index] * unit)
        square = size * size
        energy += square
        if size > _HALF:
            potential += max(square - weight, _ZERO)
            fast += max(2.0 * size - 1.0 - _FAST_LEVEL_BITS * weight, 0.0)
    return energy, potential, fast


class Outcome(NamedTuple):
    """What is noted of each group: P(present) * 65536, its bits, its squared error in squared
    steps; and of each level, its logits, where its group is present."""

    chances: U16
    bits: F64
    distortion: F64
    logits: I16


@part
def _choose_group(
    state: State,
    number: int,
    x: F32,
    unit: float,
    quantiser: int,
    costs: Costs,
    weight: float,
    gain: float,
    room: Room,
    outcome: Outcome,
) -> bool:
    """Choose a group's levels; False, with some of them set, as soon as it is clear that it should
    rather be left empty.

    Args:
        x: coefficients of the clip.
        gain: of D + lambda * bits, what can be saved at most, less the cost of presence.
    """
    group = state.groups[number]
    slower, energy = of_group(group, state.magnitude, quantiser, room.features)
    distortion = bits = 0.0
    any_ = False
    for phase in range(2):
        begin_phase(group, phase, room)
        count = 1
        while count:
            count = gather(state, group, phase, slower, energy, room)
            for p in range(count):
                flat, bordered = room.places[p, 0], room.places[p, 1]
                found = outcome.logits[flat]
                for c in range(3):
                    found[c] = room.logits[c, p]
                value = x[flat] * unit
                size, d, b = _choose_level(state, costs, weight, value, found)
                square = value * value
                gain += square - d - weight * b
                if abs(value) > _HALF:
                    gain -= max(square - weight, _ZERO)
                if size:
                    any_ = True
                    keep(state, flat, bordered, size, value < _ZERO, found[0])
                distortion += d
                bits += _exact_bits(costs, size, found)
            if gain <= 0.0:
                return False
    if any_ and state.sign_weights.sign_rows.size:
        bits += _sign_bits(state, group, costs, room)
    outcome.distortion[number] = distortion
    outcome.bits[number] = bits
    return any_


@part
def _sign_bits(state: State, group: Geometry, costs: Costs, room: Room) -> float:
    """Put the signs of a group in their places; their bits."""
    bits = 0.0
    places = levels_of(state, group)
    for row in range(len(places)):
        t, y, x, flat, bordered = place(places, row)
        value = state.values[flat]
        logit = sign_logit(group, state.sign_weights, state.signs, state.magnitude, t, y, x, room)
        bits += costs.exact_one[logit] if value < 0 else costs.exact_zero[logit]
        put_sign(state.signs, bordered, abs(value), value < 0)
    return bits


@part
def _put_signs(state: State, group: Geometry, room: Room, flags: U8, chances: U16, at: int) -> int:
    """Flags of a group's signs and their probabilities, from index `at`; returns the next one."""
    places = levels_of(state, group)
    for row in range(len(places)):
        t, y, x, flat, _ = place(places, row)
        flags[at] = state.values[flat] < 0
        logit = sign_logit(group, state.sign_weights, state.signs, state.magnitude, t, y, x, room)
        chances[at] = state.probability[logit]
        at += 1
    return at


@part
def _clear(state: State, number: int) -> None:
    """Set a group's levels back to 0."""
    group = state.groups[number]
    for t in range(group.start, group.stop):
        for y in range(group.height):
            line = group.band + (t * (group.height + 2) + y + 1) * (group.width + 2) + 1
            flat = group.values + (t * group.height + y) * group.width
            for x in range(group.width):
                keep(state, flat + x, line + x, 0, False, 0)


@kernel
def choose_groups(
    state: State,
    coefficients: F32,
    units: F32,
    quantiser: int,
    price: float,
    fast: bool,
    costs: Costs,
    room: Room,
    outcome: Outcome,
) -> None:
    """Choose the levels of all groups.

    Args:
        coefficients: flat, on the 8-bit scale.
        units: (3,), 1 / step of each plane.
        price: lambda, in squared steps a bit.
    """
    weight = np.float32(price)
    for number in range(state.groups.size):
        group = state.groups[number]
        chance = presence(state, group)
        area, unit = group.height * group.width, units[group.plane]
        x = coefficients[group.values + group.start * area : group.values + group.stop * area]
        energy, potential, guess = _survey(x, unit, weight)
        outcome.chances[number] = chance
        outcome.distortion[number] = energy
        outcome.bits[number] = -np.log2(1.0 - chance / 65536)
        if fast and guess < _FAST_GROUP_BITS * weight:
            continue
        gain = potential - weight * np.log2((65536 - chance) / chance)  # present instead of absent
        if potential == 0.0 or gain <= 0.0:
            continue
        if _choose_group(
            state, number, coefficients, unit, quantiser, costs, weight, gain, room, outcome
        ):
            state.present[number] = 1
            outcome.bits[number] -= np.log2(chance / 65536)
        else:
            outcome.distortion[number] = energy
            _clear(state, number)


@kernel
def count_flags(state: State, first: int, last: int) -> int:
    """How many flags code the groups first..last-1."""
    total = last - first
    for number in range(first, last):
        group = state.groups[number]
        if state.present[number]:
            area = group.height * group.width
            for at in range(group.values + group.start * area, group.values + group.stop * area):
                total += flags_of_level(abs(state.values[at]))
    return total


@kernel
def put_groups(
    state: State,
    first: int,
    last: int,
    outcome: Outcome,
    room: Room,
    flags: U8,
    chances: U16,
) -> None:
    """The flags of the groups first..last-1 and their probabilities."""
    done = 0
    for number in range(first, last):
        group = state.groups[number]
        flags[done], chances[done] = state.present[number], outcome.chances[number]
        done += 1
        if not state.present[number]:
            continue
        most = (group.stop - group.start) * group.height * group.width // 2 + 1
        values, found = np.empty(most, np.int32), np.empty((most, 3), np.int16)
        open_ = np.empty(most, np.int64)
        for phase in range(2):
            row = 0
            for t in range(group.start, group.stop):
                for y in range(group.height):
                    flat = group.values + (t * group.height + y) * group.width
                    for x in range((t + y + phase) % 2, group.width, 2):
                        values[row] = state.values[flat + x]
                        for c in range(3):
                            found[row, c] = outcome.logits[flat + x, c]
                        row += 1
            done = put_levels(values, found, row, state.probability, open_, flags, chances, done)
        done = _put_signs(state, group, room, flags, chances, done)
