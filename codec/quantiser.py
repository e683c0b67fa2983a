"""Steps of the quantiser, and in which bucket of the reconstruction table a logit falls.

In units of the step, a coefficient x becomes an integer m with sign; its reconstruction is m plus
a learned offset. The choice, in `kernels/residual.py`, minimises D + lambda * bits over {round,
round - 1, 0} with the bits of the actual context model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.tables import LOGIT_LIMIT, RECONSTRUCTION_BUCKETS

QUANTISERS = 256
UNARY = 14  #: magnitudes above 1 continue in at most this many learned flags, then Exp-Golomb
MAX_MAGNITUDE = (1 << 20) - 1

#: Step of Cb and Cr relative to luma. A chroma sample spreads over four pixels and through the
#: BT.709 matrix, so that equal RGB error asks for finer steps than luma's.
CHROMA_STEP = (0.5, 0.55)


def luma_step(quantiser: int) -> float:
    """Quantiser index 0..255 -> luma step on the 8-bit scale of the orthonormal transform."""
    return float(4.0 * 2.0 ** (quantiser / 24.0))


def plane_steps(quantiser: int) -> tuple[float, float, float]:
    """Steps of Y, Cb, Cr."""
    step = luma_step(quantiser)
    return step, step * CHROMA_STEP[0], step * CHROMA_STEP[1]


def bucket(logit: NDArray[np.int16]) -> NDArray[np.intp]:
    """Reconstruction bucket 0..7 of a non-zero logit (as an index 0..351)."""
    return np.clip((logit - LOGIT_LIMIT + 96) // 24, 0, RECONSTRUCTION_BUCKETS - 1).astype(np.intp)
