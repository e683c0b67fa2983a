"""Exp-Golomb numbers in flags of even odds, for what no table has learned.

value + 2**order  -->  n zeros, a one, then its n + order lower bits; n at most 17
"""

from __future__ import annotations

import numpy as np

from gistcast.codec.errors import CorruptError
from gistcast.codec.rangecoder import HALF, FlagDecoder, FlagEncoder

MAX_PREFIX = 17  #: zeros before the one


def put_golomb(out: FlagEncoder, value: int, order: int) -> None:
    """Write a number of at least 0."""
    value += 1 << order
    length = value.bit_length()
    bits = [0] * (length - order - 1) + [1]
    bits += [value >> shift & 1 for shift in range(length - 2, -1, -1)]
    out.put(np.array(bits), np.full(len(bits), HALF))


def get_golomb(source: FlagDecoder, order: int) -> int:
    """Read a number written by `put_golomb`.

    Raises:
        CorruptError: it is longer than any that is written.
    """
    one = np.full(1, HALF)
    for prefix in range(MAX_PREFIX + 1):
        if source.get(one)[0]:
            bits = source.get(np.full(prefix + order, HALF)).tolist()
            return int("1" + "".join(map(str, bits)), 2) - (1 << order)
    raise CorruptError("a number is out of range", field="residual")
