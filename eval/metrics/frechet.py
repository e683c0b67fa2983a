"""A Fréchet distance of sets of clips, on a network of our own: `frechet_gistcast`.

    clips --recogniser--> features (24 a clip) --mean, shrunk covariance--> Gaussian
    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))

It is no FVD: that is the same formula on I3D's features. Figures compare only with each other,
over the same clips and the same version of the metric `features`.

Sources: Heusel et al., NeurIPS 2017 (the distance); Unterthiner et al., "FVD", 2019 (of videos);
Ledoit and Wolf, J. Multivariate Analysis 2004 (shrinkage).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gistcast.codec.errors import UsageError
from gistcast.eval.metrics.view import Value, View
from gistcast.models.recogniser import Recogniser, clip_features, fits, load_recogniser

FEWEST = 10  #: clips a set that a covariance is guessed from

Matrix = NDArray[np.float64]


@cache
def network() -> Recogniser:
    """The recogniser, loaded once in a process."""
    return load_recogniser()


class Features:
    """The vector of a clip; the reference has no part in it."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        pass

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`features`: 24 numbers, or None for clips under 8 frames or 32 pixels a side."""
        clip = decoded.clip
        if not fits(clip):
            return {"features": None}
        return {"features": [float(x) for x in clip_features(network(), [clip])[0]]}


def frechet(features: ArrayLike, others: ArrayLike) -> float:
    """Fréchet distance of two sets of clips by their features; 0 for the same set.

    Biased upwards, the more so the fewer the clips: compare sets of equal size only. Where both
    sets are versions of the same clips (decoded and source) much of the bias is common to both.

    Args:
        features, others: (N, D) and (M, D), as `features` of the rows; N and M at least 10,
            better 100.

    Raises:
        UsageError: too few clips, another number of features, or a value that is no number.
    """
    a, b = (np.asarray(x, np.float64) for x in (features, others))
    for x in (a, b):
        if x.ndim != 2 or x.shape[1] != a.shape[-1] or not np.isfinite(x).all():
            raise UsageError(f"features must be finite and (clips, {a.shape[-1]}), not {x.shape}")
        if len(x) < FEWEST:
            raise UsageError(f"a Fréchet distance needs {FEWEST} clips a set, not {len(x)}")
    apart = a.mean(0) - b.mean(0)
    first, second = covariance(a), covariance(b)
    # the trace of (S S')^(1/2) is that of the symmetric (R S' R)^(1/2), R the root of S
    root = _root(first)
    shared = np.linalg.eigvalsh(root @ second @ root).clip(min=0)
    spread = np.trace(first) + np.trace(second) - 2 * np.sqrt(shared).sum()
    return float(max(0.0, apart @ apart + spread))


def covariance(x: Matrix) -> Matrix:
    """Covariance of (N, D), shrunk towards a multiple of the identity (Ledoit and Wolf)."""
    count, width = x.shape
    x = x - x.mean(0)
    sample = x.T @ x / count
    level = np.trace(sample) / width
    target = level * np.eye(width)
    apart = ((sample - target) ** 2).sum()
    products = x[:, :, None] * x[:, None, :]
    noise = ((products - sample) ** 2).sum() / count**2
    share = 1.0 if apart == 0 else min(1.0, noise / apart)
    shrunk: Matrix = share * target + (1 - share) * sample
    return shrunk


def _root(matrix: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(matrix)
    root: Matrix = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
