"""Bjøntegaard's delta rate: how many per cent more or fewer bytes for the same quality.

    points --running best--> curve: log bytes as a function of quality
    two curves --mean difference of log bytes over the shared qualities--> per cent

Sources: Bjøntegaard, VCEG-M33, 2001; interpolation by Akima (as in AVM's common test conditions,
and recommended by Herglotz et al., "The Bjøntegaard Bible", 2023) or PCHIP (JCT-VC).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

Method = Literal["akima", "pchip"]
Point = tuple[float, float]  #: bytes, quality

FEWEST = 4  #: points a curve must have
TOO_FEW, BENT, APART = "too few points", "not monotonic", "no overlap"


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


def pareto_front(points: Iterable[Point], higher: bool = True) -> list[Point]:
    """The points that are better than every smaller one, in order of bytes."""
    sign = 1 if higher else -1
    front: list[Point] = []
    for size, value in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * (value - front[-1][1]) > 0:
            front.append((size, value))
    return front


@dataclass(frozen=True)
class RateCurve:
    """Log bytes as a function of quality, on the points of a curve's Pareto front.

    Attributes:
        qualities: ascending; distances such as LPIPS are negated.
        log_bytes: ascending.
        monotonic: whether the front is the whole curve: more bytes always bought more.
        higher: whether a higher figure is better, as measured.
    """

    qualities: NDArray[np.float64]
    log_bytes: NDArray[np.float64]
    monotonic: bool
    higher: bool

    @classmethod
    def of(cls, points: Iterable[Point], higher: bool = True) -> RateCurve:
        """The curve through (bytes, quality) points in any order."""
        measured = set(points)
        front = np.array(pareto_front(measured, higher), float).reshape(-1, 2)
        sign = 1.0 if higher else -1.0
        return cls(sign * front[:, 1], np.log(front[:, 0]), len(front) == len(measured), higher)

    @cached_property
    def _integrals(self) -> dict[Method, Any]:
        kinds: dict[Method, Any] = {"akima": Akima1DInterpolator, "pchip": PchipInterpolator}
        return {
            name: kind(self.qualities, self.log_bytes).antiderivative()
            for name, kind in kinds.items()
        }

    def mean_log_bytes(self, low: float, high: float, method: Method) -> float:
        """Mean of the interpolated log bytes between two of the curve's qualities."""
        below, above = self._integrals[method]([low, high])
        return float((above - below) / (high - low))

    def quality_at(self, size: float) -> float:
        """Quality at `size` bytes, linear in log bytes; at the ends of the curve, its end."""
        return float(np.interp(np.log(size), self.log_bytes, self.qualities))


def bd_rate(
    anchor: Iterable[Point],
    tested: Iterable[Point],
    *,
    higher: bool = True,
    method: Method = "akima",
    front: bool = False,
    rates: tuple[float, float] | None = None,
) -> BdRate:
    """Delta rate of `tested` against `anchor`.

    Args:
        anchor, tested: (bytes, quality) points in any order.
        higher: whether a higher figure is better; False for distances such as LPIPS.
        method: how log bytes are interpolated between points.
        front: False refuses a curve on which more bytes do not always buy more quality; True
            leaves out its points that a smaller one equals or beats.
        rates: least and most bytes; only qualities at which both codecs spend as much are
            compared. None takes all.
    """
    curves = RateCurve.of(anchor, higher), RateCurve.of(tested, higher)
    return compare(*curves, method=method, front=front, rates=rates)


def compare(
    anchor: RateCurve,
    tested: RateCurve,
    *,
    method: Method = "akima",
    front: bool = False,
    rates: tuple[float, float] | None = None,
) -> BdRate:
    """`bd_rate` of two curves that are at hand."""
    both = (anchor, tested)
    # a bent curve of four points may have a front of three: say first what is wrong with it
    if not front and not all(curve.monotonic for curve in both):
        return BdRate(None, None, 0.0, BENT)
    if min(len(curve.qualities) for curve in both) < FEWEST:
        return BdRate(None, None, 0.0, TOO_FEW)
    low = max(curve.qualities[0] for curve in both)
    high = min(curve.qualities[-1] for curve in both)
    if rates is not None:
        low = max(low, *(curve.quality_at(rates[0]) for curve in both))
        high = min(high, *(curve.quality_at(rates[1]) for curve in both))
    if low >= high:
        return BdRate(None, None, 0.0, APART)
    union = max(c.qualities[-1] for c in both) - min(c.qualities[0] for c in both)
    saved = tested.mean_log_bytes(low, high, method) - anchor.mean_log_bytes(low, high, method)
    overlap = (float(low), float(high)) if anchor.higher else (float(-high), float(-low))
    return BdRate(float(np.expm1(saved) * 100), overlap, float((high - low) / union), "")
