"""Binary range coding over integer probabilities, on constriction's range coder.

Flags are collected with their probabilities and coded in one call; the last word is then cut
to the fewest bytes that still decode (the decoder reads zeros past the end).

Source: Martin, "Range encoding" (1979); the coder is constriction's (Bamler, 2022).
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import CorruptError

I32 = NDArray[np.int32]
Probabilities = NDArray[np.int64] | NDArray[np.uint16]

#: Probabilities are k / 65536 with k in 1..65535: exact in float64, 24 bits in the coder.
_SCALE = 65536.0
_MODEL = constriction.stream.model.Bernoulli(perfect=False)
HALF = 32768  #: the probability of a flag nothing is known of


class FlagEncoder:
    """Collects flags (0 or 1) and P(flag = 1) * 65536; `finish` gives the bytes."""

    def __init__(self) -> None:
        self._flags: list[I32] = []
        self._probabilities: list[NDArray[np.float64]] = []

    def put(self, flags: NDArray[Any], probabilities: Probabilities) -> None:
        """Append flags (n,) with their probabilities (n,)."""
        if flags.size:
            self._flags.append(flags.astype(np.int32))
            self._probabilities.append(probabilities / _SCALE)

    def extend(self, other: FlagEncoder) -> None:
        """Append all flags of another encoder."""
        self._flags += other._flags
        self._probabilities += other._probabilities

    def bits(self) -> float:
        """Information content so far, in bits."""
        if not self._flags:
            return 0.0
        flags, p = np.concatenate(self._flags), np.concatenate(self._probabilities)
        return float(-np.log2(np.where(flags == 1, p, 1 - p)).sum())

    def finish(self) -> bytes:
        """The coded bytes, without trailing bytes that decode the same as zeros."""
        if not self._flags:
            return b""
        flags, p = np.concatenate(self._flags), np.concatenate(self._probabilities)
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(flags, _MODEL, p)
        words, (lower, width) = encoder.pos()
        return _shortest(encoder.get_compressed(), words, lower, width)


def _shortest(sealed: NDArray[np.uint32], words: int, lower: int, width: int) -> bytes:
    """Fewest bytes, read as a fraction with zeros behind, inside the coder's final interval.

    Args:
        sealed: constriction's own ending, some number inside the interval.
        words: 32-bit words that precede the coder's 64-bit state.
        lower, width: the state: low end of the interval (modulo 2**64) and its width.
    """
    size = 4 * words + 8
    data = sealed.astype(">u4").tobytes()
    inside = int.from_bytes((data + bytes(size))[:size], "big")
    low = inside - ((inside - lower) % (1 << 64))
    for cut in range(8 * min(size, 12), -1, -8):
        value = -(-low >> cut)
        if value << cut < low + width:
            return value.to_bytes(size - cut // 8, "big").rstrip(b"\0")
    return data


def _decoder(data: bytes) -> constriction.stream.queue.RangeDecoder:
    padded = data + bytes(-len(data) % 4 + 8)
    return constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def _decode(
    decoder: constriction.stream.queue.RangeDecoder, p: NDArray[np.float64], field: str
) -> I32:
    try:
        return np.asarray(decoder.decode(_MODEL, p), dtype=np.int32)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise CorruptError("entropy-coded data is damaged", field=field) from error


class FlagDecoder:
    """Reads back what `FlagEncoder` wrote, given the same probabilities in the same order.

    Args:
        data: its bytes.
        field: by which errors name them.
    """

    def __init__(self, data: bytes, field: str = "residual") -> None:
        self._decoder, self._field = _decoder(data), field

    def get(self, probabilities: Probabilities) -> I32:
        """Decode flags (n,).

        Raises:
            CorruptError: the data cannot have been produced by the encoder.
        """
        if not probabilities.size:
            return np.zeros(0, np.int32)
        return _decode(self._decoder, probabilities / _SCALE, self._field)

    def flag(self, probability: int) -> int:
        """Decode one flag, where the next probability depends on it.

        Raises:
            CorruptError: as `get`.
        """
        return int(_decode(self._decoder, np.array([probability / _SCALE]), self._field)[0])
