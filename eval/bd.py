"""Bjøntegaard's delta rate: how many per cent more or fewer bytes for the same quality.

    two curves --log bytes as a function of quality--> mean difference over the shared qualities

Sources: Bjøntegaard, VCEG-M33, 2001; interpolation by Akima (as in AVM's common test conditions,
and recommended by Herglotz et al., "The Bjøntegaard Bible", 2023) or PCHIP (JCT-VC).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

Method = Literal["akima", "pchip"]
Point = tuple[float, float]  #: bytes, quality

FEWEST = 4  #: points a curve must have


@dataclass(frozen=True)
class BdRate:
    """A delta rate, or why there is none.

    Attributes:
        percent: bytes of the tested codec against the anchor's at equal quality, minus 100 %:
            negative saves bytes. None where it cannot be computed.
        overlap: lowest and highest shared quality; None without overlap.
        share: shared qualities as a part of all that either curve covers, 0..1.
        reason: "" or why there is no figure: "no overlap", "not monotonic", "too few points".
    """

    percent: float | None
    overlap: tuple[float, float] | None
    share: float
    reason: str


def bd_rate(
    anchor: Iterable[Point],
    tested: Iterable[Point],
    *,
    higher: bool = True,
    method: Method = "akima",
) -> BdRate:
    """Delta rate of `tested` against `anchor`.

    A curve on which more bytes do not always buy more quality is refused, not repaired.

    Args:
        anchor, tested: (bytes, quality) points in any order.
        higher: whether a higher figure is better; False for distances such as LPIPS.
        method: how log bytes are interpolated between points.
    """
    sign = 1 if higher else -1
    curves = []
    for points in (anchor, tested):
        ordered = sorted((size, sign * quality) for size, quality in points)
        sizes, qualities = np.array(ordered, float).reshape(-1, 2).T
        if len(sizes) < FEWEST:
            return BdRate(None, None, 0.0, "too few points")
        if (np.diff(sizes) <= 0).any() or (np.diff(qualities) <= 0).any():
            return BdRate(None, None, 0.0, "not monotonic")
        curves.append((qualities, np.log(sizes)))
    low = max(qualities[0] for qualities, _ in curves)
    high = min(qualities[-1] for qualities, _ in curves)
    if low >= high:
        return BdRate(None, None, 0.0, "no overlap")
    union = max(q[-1] for q, _ in curves) - min(q[0] for q, _ in curves)
    means = [_mean_log_bytes(*curve, low, high, method) for curve in curves]
    overlap = (low, high) if higher else (-high, -low)
    percent = float(np.expm1(means[1] - means[0]) * 100)
    return BdRate(percent, overlap, float((high - low) / union), "")


def _mean_log_bytes(
    qualities: np.ndarray[tuple[int], np.dtype[np.float64]],
    log_bytes: np.ndarray[tuple[int], np.dtype[np.float64]],
    low: float,
    high: float,
    method: Method,
) -> float:
    """Mean of the interpolated log bytes between two qualities."""
    kind = Akima1DInterpolator if method == "akima" else PchipInterpolator
    return float(kind(qualities, log_bytes).integrate(low, high) / (high - low))
