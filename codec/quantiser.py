"""Steps, the rate-distortion choice of levels, and where in its cell a level is put back.

All in units of the step: a coefficient x becomes an integer m with sign; its reconstruction is
m plus a learned offset. The choice minimises D + lambda * bits over {round, round - 1, 0} with
the bits of the actual context model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.tables import LOGIT_LIMIT, RECONSTRUCTION_BUCKETS, Tables

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

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


def reconstruct(values: I32, logits: NDArray[np.int16], tables: Tables) -> F32:
    """Levels (n,) and their non-zero logits (n,) -> coefficients in steps, float32 (n,)."""
    magnitude = np.abs(values)
    offset = tables.reconstruction[bucket(logits), np.clip(magnitude, 1, 3) - 1] / np.float32(128)
    return np.asarray(np.sign(values) * (magnitude + offset), dtype=np.float32)


@dataclass(frozen=True)
class Costs:
    """Bits of a flag by logit index: `one` when it is 1, `zero` when it is 0."""

    one: F32
    zero: F32

    @staticmethod
    def of(tables: Tables) -> Costs:
        p = tables.probability.astype(np.float64) / 65536
        return Costs((-np.log2(p)).astype(np.float32), (-np.log2(1 - p)).astype(np.float32))

    def level(self, magnitude: I32, logits: NDArray[np.int16]) -> F32:
        """Bits of magnitudes (n,) with sign, given logits (n, 3)."""
        more = np.minimum(magnitude - 1, UNARY)  # learned flags that are 1 after "non-zero"
        bits = self.one[logits[:, 0]] + 1
        bits += np.where(more > 0, self.one[logits[:, 1]], self.zero[logits[:, 1]])
        further = self.one[logits[:, 2]] * (more - 1)
        further += np.where(more < UNARY, self.zero[logits[:, 2]], 0)
        bits += np.where(more > 0, further, 0)
        escape = np.maximum(magnitude - 1 - UNARY, 0)
        bits += np.where(more == UNARY, 3 + 2 * np.floor(np.log2(escape / 4 + 1)), 0)
        return np.where(magnitude > 0, bits, self.zero[logits[:, 0]]).astype(np.float32)


def choose(
    x: F32, logits: NDArray[np.int16], costs: Costs, tables: Tables, weight: float
) -> tuple[I32, float, float]:
    """Levels for coefficients x (n,) in steps: (values, distortion, bits).

    Args:
        logits: (n, 3), of the context model.
        weight: lambda, in squared steps a bit.
    """
    values = np.zeros(x.shape, np.int32)
    bits = costs.zero[logits[:, 0]].copy()
    distortion = x * x
    near = np.flatnonzero(np.abs(x) > 0.5)
    if near.size:
        size, at = np.abs(x[near]), logits[near]
        highest = np.minimum(np.floor(size + 0.5), MAX_MAGNITUDE).astype(np.int32)
        best = distortion[near] + weight * bits[near]
        for candidate in (np.maximum(highest - 1, 1), highest):
            cost = costs.level(candidate, at)
            error = (size - reconstruct(candidate, at[:, 0], tables)) ** 2
            better = error + weight * cost < best
            index = near[better]
            best[better] = (error + weight * cost)[better]
            values[index] = candidate[better]
            bits[index], distortion[index] = cost[better], error[better]
        values[near] *= np.sign(x[near]).astype(np.int32)
    return values, float(distortion.sum()), float(bits.sum())
