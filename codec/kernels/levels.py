"""Magnitudes of one phase of a group <-> flags: `docs/bitstream.md`, sections 13.2 and 13.3.

logits (n, 3) + range decoder --flag by flag--> values (n,)
values (n,) + logits --> flags and their probabilities, in the same order
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.golomb import MAX_PREFIX
from gistcast.codec.kernels.compiled import part
from gistcast.codec.kernels.range import U8, U16, U64, read_flag
from gistcast.codec.quantiser import UNARY
from gistcast.codec.rangecoder import HALF

I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_HALF = np.uint16(HALF)
ESCAPE_ORDER = 2  #: of the Exp-Golomb code for what exceeds the learned flags


@part
def _read_escape(state: U64, data: U8) -> int:
    """An Exp-Golomb number; -1 where it is out of range."""
    for prefix in range(MAX_PREFIX + 1):
        if read_flag(state, data, _HALF):
            value = 1
            for _ in range(prefix + ESCAPE_ORDER):
                value = 2 * value + read_flag(state, data, _HALF)
            return value - (1 << ESCAPE_ORDER)
    return -1


@part
def read_levels(
    state: U64,
    data: U8,
    logits: I16,
    count: int,
    probability: U16,
    signed: bool,
    values: I32,
    open_: I64,
) -> bool:
    """The next `count` levels; whether all numbers are in range.

    Args:
        signed: whether signs lie between the flags, as they did before version 3.
        open_: room for as many indices.
    """
    nonzero = 0
    for k in range(count):
        values[k] = read_flag(state, data, probability[logits[k, 0]])
        if values[k]:
            open_[nonzero] = k
            nonzero += 1
    for n in range(nonzero if signed else 0):
        values[open_[n]] = -1 if read_flag(state, data, _HALF) else 1
    left = 0
    for n in range(nonzero):
        k = open_[n]
        if read_flag(state, data, probability[logits[k, 1]]):
            values[k] *= 2
            open_[left] = k
            left += 1
    for _ in range(2, UNARY + 1):
        still = 0
        for n in range(left):
            k = open_[n]
            if read_flag(state, data, probability[logits[k, 2]]):
                values[k] += 1 if values[k] > 0 else -1
                open_[still] = k
                still += 1
        left = still
    for n in range(left):
        k = open_[n]
        more = _read_escape(state, data)
        if more < 0:
            return False
        values[k] += more if values[k] > 0 else -more
    return True


@part
def _put(flags: U8, chances: U16, at: int, flag: int, chance: int) -> int:
    flags[at], chances[at] = flag, chance
    return at + 1


@part
def _put_escape(flags: U8, chances: U16, at: int, number: int) -> int:
    value, length = number + (1 << ESCAPE_ORDER), 0
    while value >> length:
        length += 1
    for _ in range(length - ESCAPE_ORDER - 1):
        at = _put(flags, chances, at, 0, HALF)
    at = _put(flags, chances, at, 1, HALF)
    for shift in range(length - 2, -1, -1):
        at = _put(flags, chances, at, value >> shift & 1, HALF)
    return at


@part
def flags_of_level(magnitude: int) -> int:
    """How many flags code a level of this magnitude, its sign among them."""
    if magnitude == 0:
        return 1
    count = 3 + min(magnitude - 1, UNARY - 1)
    number, length = magnitude - 1 - UNARY + (1 << ESCAPE_ORDER), 0
    if magnitude > UNARY:
        while number >> length:
            length += 1
        count += 2 * length - ESCAPE_ORDER - 1
    return count


@part
def put_levels(
    values: I32,
    logits: I16,
    count: int,
    probability: U16,
    open_: I64,
    flags: U8,
    chances: U16,
    at: int,
) -> int:
    """Flags of `count` magnitudes and their probabilities, from index `at`; returns the next one.

    Args:
        open_: room for `count` indices.
    """
    left = 0
    for k in range(count):
        at = _put(flags, chances, at, 1 if values[k] else 0, probability[logits[k, 0]])
        if values[k]:
            open_[left] = k
            left += 1
    for threshold in range(1, UNARY + 1):
        still, column = 0, min(threshold, 2)
        for n in range(left):
            k = open_[n]
            larger = abs(values[k]) > threshold
            at = _put(flags, chances, at, 1 if larger else 0, probability[logits[k, column]])
            if larger:
                open_[still] = k
                still += 1
        left = still
    for n in range(left):
        at = _put_escape(flags, chances, at, abs(values[open_[n]]) - UNARY - 1)
    return at
