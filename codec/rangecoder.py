"""Binary range coding over integer probabilities: flags <-> bytes.

Flags are collected with their probabilities and coded in one call; the last word is then cut
to the fewest bytes that still decode (the decoder reads zeros past the end). The coder itself is
`kernels/range.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import CorruptError

U8 = NDArray[np.uint8]
Probabilities = NDArray[np.integer[Any]]

HALF = 32768  #: the probability of a flag nothing is known of


class FlagEncoder:
    """Collects flags (0 or 1) and P(flag = 1) * 65536, 1..65535; `finish` gives the bytes."""

    def __init__(self) -> None:
        self._flags: list[U8] = []
        self._probabilities: list[NDArray[np.uint16]] = []

    def put(self, flags: NDArray[Any], probabilities: Probabilities) -> None:
        """Append flags (n,) with their probabilities (n,)."""
        if flags.size:
            self._flags.append(flags.astype(np.uint8))
            self._probabilities.append(probabilities.astype(np.uint16))

    def bits(self) -> float:
        """Information content so far, in bits."""
        if not self._flags:
            return 0.0
        flags, p = np.concatenate(self._flags), np.concatenate(self._probabilities) / 65536
        return float(-np.log2(np.where(flags == 1, p, 1 - p)).sum())

    def finish(self) -> bytes:
        """The coded bytes, without trailing bytes that decode the same as zeros."""
        from gistcast.codec.kernels import range as kernel

        if not self._flags:
            return b""
        flags, p = np.concatenate(self._flags), np.concatenate(self._probabilities)
        state, words = np.zeros(4, np.uint64), np.empty(flags.size, np.uint32)
        kernel.write_flags(state, words, flags, p)
        count = int(state[kernel.WORDS])
        written = words[:count].astype(">u4").tobytes()
        return _shortest(written, int(state[kernel.LOW]), int(state[kernel.RANGE]))


def _shortest(written: bytes, low: int, width: int) -> bytes:
    """Fewest bytes, read as a fraction with zeros behind, inside the coder's final interval.

    Args:
        written: bytes that precede the coder's 64-bit state.
        low, width: the state: low end of the interval and its width.
    """
    size = len(written) + 8
    low += int.from_bytes(written, "big") << 64
    for cut in range(8 * min(size, 12), 0, -8):
        value = -(-low >> cut)
        if value << cut < low + width:
            return value.to_bytes(size - cut // 8, "big").rstrip(b"\0")
    return low.to_bytes(size, "big").rstrip(b"\0")


class FlagDecoder:
    """Reads back what `FlagEncoder` wrote, given the same probabilities in the same order.

    Args:
        data: its bytes.
        field: by which errors name them.

    Attributes:
        state, data: for kernels that read on: see `kernels/range.py`.
    """

    def __init__(self, data: bytes, field: str = "residual") -> None:
        from gistcast.codec.kernels import range as kernel

        self._kernel, self._field = kernel, field
        self.data, self.state = np.frombuffer(data, np.uint8), np.empty(4, np.uint64)
        kernel.begin(self.state, self.data)

    def check(self) -> None:
        """Raise `CorruptError` if what was read cannot have been produced by the encoder."""
        if self.state[self._kernel.DAMAGED]:
            raise CorruptError("entropy-coded data is damaged", field=self._field)

    def get(self, probabilities: Probabilities) -> NDArray[np.int32]:
        """Decode flags (n,).

        Raises:
            CorruptError: the data cannot have been produced by the encoder.
        """
        flags = np.empty(probabilities.size, np.uint8)
        self._kernel.read_flags(self.state, self.data, probabilities.astype(np.uint16), flags)
        self.check()
        return flags.astype(np.int32)

    def flag(self, probability: int) -> int:
        """Decode one flag, where the next probability depends on it.

        Raises:
            CorruptError: as `get`.
        """
        flag = self._kernel.read_flag(self.state, self.data, probability)
        self.check()
        return flag
