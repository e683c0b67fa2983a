"""How sure a mean over clips is: bootstrap confidence intervals and the sign test.

Clips are resampled, so an interval says how the mean might move with other clips like these. It
does not see what clips of one recording share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

CONFIDENCE = 0.95
RESAMPLES = 4000
SEED = 20_251


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return sum(values) / len(values) if values else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean (Efron, 1979); None for under two values.

    Seeded: the same values always have the same interval.
    """
    if len(values) < 2:
        return None
    means = np.asarray(values, float)[_resamples(len(values))].mean(1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


@cache
def _resamples(count: int) -> NDArray[np.intp]:
    """(RESAMPLES, count) indices."""
    return np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))


def sign_test(wins: int, losses: int) -> float | None:
    """Two-sided p of so uneven a count if either side were as likely to win; ties are left out.

    None where there are only ties.
    """
    if not wins + losses:
        return None
    return float(binomtest(wins, wins + losses).pvalue)
