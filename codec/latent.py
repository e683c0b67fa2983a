"""The latent layer: integers -K..K, coded with the frequencies of the gist model.

Each integer becomes flags (non-zero, sign, then "larger?" until it stops) whose probabilities
are quotients of the model's frequencies, rounded down to 1/65536: integers throughout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import ModelError, UsageError
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder

I32 = NDArray[np.int32]
Frequencies = NDArray[np.uint16]

TOTAL = 1 << 15  #: every row of frequencies sums to this


def check_frequencies(frequencies: Frequencies) -> None:
    """Raise `ModelError` unless rows are positive, of odd length, and sum to 2**15."""
    good = frequencies.ndim == 2 and frequencies.shape[1] % 2 == 1
    if not good or (frequencies < 1).any() or (frequencies.astype(int).sum(1) != TOTAL).any():
        raise ModelError("latent frequencies must be positive and sum to 32768 in every row")


def _probability(part: int, whole: int) -> NDArray[np.int64]:
    return np.array([min(65535, max(1, part * 65536 // whole))])


def _flags(row: list[int], half: int) -> tuple[NDArray[np.int64], list[list[NDArray[np.int64]]]]:
    """P(non-zero); then, for each sign, P(larger than k) for k = 1..K-1, sign probability first."""
    negative, positive = row[:half][::-1], row[half + 1 :]
    sides = []
    for side in (positive, negative):
        sides.append([_probability(sum(side[k:]), sum(side[k - 1 :])) for k in range(1, half)])
    sign = _probability(sum(negative), sum(negative) + sum(positive))
    return _probability(TOTAL - row[half], TOTAL), [[sign], *sides]


def encode_latent(latent: I32, frequencies: Frequencies) -> bytes:
    """Latent symbols (n,) -> layer bytes.

    Raises:
        UsageError: wrong length or a symbol outside -K..K.
    """
    check_frequencies(frequencies)
    half = frequencies.shape[1] // 2
    if latent.shape != (len(frequencies),) or np.abs(latent).max(initial=0) > half:
        raise UsageError(f"latent must be {len(frequencies)} integers in -{half}..{half}")
    out = FlagEncoder()
    for value, row in zip(latent.tolist(), frequencies.tolist(), strict=True):
        nonzero, (sign, positive, negative) = _flags(row, half)
        out.put(np.array([int(value != 0)]), nonzero)
        if value:
            out.put(np.array([int(value < 0)]), sign[0])
            for k, p in enumerate(negative if value < 0 else positive, start=1):
                out.put(np.array([int(abs(value) > k)]), p)
                if abs(value) <= k:
                    break
    return out.finish()


def decode_latent(data: bytes, frequencies: Frequencies) -> I32:
    """Layer bytes -> latent symbols int32 (n,)."""
    check_frequencies(frequencies)
    half = frequencies.shape[1] // 2
    source = FlagDecoder(data)
    values = []
    for row in frequencies.tolist():
        nonzero, (sign, positive, negative) = _flags(row, half)
        value = 0
        if source.get(nonzero)[0]:
            minus = bool(source.get(sign[0])[0])
            value = 1
            for p in negative if minus else positive:
                if not source.get(p)[0]:
                    break
                value += 1
            value = -value if minus else value
        values.append(value)
    return np.array(values, np.int32)
