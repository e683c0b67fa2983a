"""The range coder, flag by flag: `docs/bitstream.md`, section 7.

Decoder and encoder keep their state in four unsigned 64-bit integers, so that any kernel can go
on where another stopped.

Source: Martin, "Range encoding" (1979); bit for bit that of constriction (Bamler, 2022) with its
Bernoulli model, 24 bits of probability and words of 32 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.kernels.compiled import kernel, part

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

# decoder: point - low, range, bytes read, whether the data was found damaged
# encoder: low, range, words written
OFFSET, RANGE, READ, DAMAGED = 0, 1, 2, 3
LOW, WORDS = 0, 2

_ONE, _EIGHT, _BITS, _WORD = np.uint64(1), np.uint64(8), np.uint64(24), np.uint64(32)
_WHOLE, _HALF = np.uint64(65536), np.uint64(32768)
_WORD_MASK = np.uint64(0xFFFFFFFF)


@part
def split_of(probability: int) -> int:
    """Parts of 2**24 that belong to flag 0, where P(flag = 1) is probability / 65536."""
    k = np.uint64(probability)
    parts = (_WHOLE - k) << _EIGHT
    return parts - _ONE if k < _HALF else parts


@part
def _next_word(state: U64, data: U8) -> int:
    """Four bytes, big-endian; zeros behind the end."""
    word, at = np.uint64(0), np.int64(state[READ])
    for index in range(at, at + 4):
        byte = np.uint64(data[index]) if index < data.size else np.uint64(0)
        word = (word << _EIGHT) | byte
    state[READ] = np.uint64(at + 4)
    return word


@kernel
def begin(state: U64, data: U8) -> None:
    """A decoder's state at the beginning of data."""
    state[RANGE] = ~np.uint64(0)
    state[READ] = state[DAMAGED] = np.uint64(0)
    high = _next_word(state, data)
    state[OFFSET] = (high << _WORD) | _next_word(state, data)


@kernel
def read_flag(state: U64, data: U8, probability: int) -> int:
    """The next flag, 0 or 1."""
    scale = state[RANGE] >> _BITS
    if state[OFFSET] >= scale << _BITS:
        state[DAMAGED] = _ONE
    split = np.uint64(split_of(probability))
    bound = scale * split
    flag = state[OFFSET] >= bound
    if flag:
        state[OFFSET] -= bound
        state[RANGE] = (scale << _BITS) - bound
    else:
        state[RANGE] = bound
    if state[RANGE] <= _WORD_MASK:
        state[RANGE] <<= _WORD
        state[OFFSET] = (state[OFFSET] << _WORD) | np.uint64(_next_word(state, data))
    return 1 if flag else 0


@kernel
def read_flags(state: U64, data: U8, probabilities: U16, flags: U8) -> None:
    """The next flags (n,), with probabilities (n,)."""
    for index in range(flags.size):
        flags[index] = read_flag(state, data, probabilities[index])


@kernel
def write_flags(state: U64, words: U32, flags: U8, probabilities: U16) -> None:
    """Code flags (n,): at most as many words come out, in `words`; the end stays in the state."""
    low, span, count = np.uint64(0), ~np.uint64(0), 0
    for index in range(flags.size):
        scale = span >> _BITS
        bound = scale * np.uint64(split_of(probabilities[index]))
        if flags[index]:
            before = low
            low += bound
            span = (scale << _BITS) - bound
            if low < before:  # carry
                at = count - 1
                while at >= 0 and words[at] == _WORD_MASK:
                    words[at] = 0
                    at -= 1
                if at >= 0:
                    words[at] += 1
        else:
            span = bound
        if span <= _WORD_MASK:
            words[count] = low >> _WORD
            count += 1
            low <<= _WORD
            span <<= _WORD
    state[LOW], state[RANGE], state[WORDS] = low, span, np.uint64(count)
