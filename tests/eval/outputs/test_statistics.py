"""Intervals against scipy's bootstrap, the sign test against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from gistcast.eval.statistics import interval, mean, sign_test


def test_an_interval_is_that_of_another_bootstrap() -> None:
    values = np.random.default_rng(1).normal(0.4, 1.5, 46)
    found = interval(values.tolist())
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=2
    ).confidence_interval
    assert found == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_the_same_values_always_have_the_same_interval() -> None:
    values = [0.1, 0.5, -0.2, 0.9, 0.3]
    assert interval(values) == interval(list(values))
    low, high = interval(values) or (0, 0)
    assert low < mean(values) < high  # type: ignore[operator]


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(100):
        low, high = interval(rng.normal(1.0, 2.0, 40).tolist()) or (0, 0)
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 100 <= 0.99


def test_one_clip_has_no_interval_and_none_no_mean() -> None:
    assert interval([3.0]) is None
    assert mean([]) is None


def test_the_sign_test_counts_coins() -> None:
    # eight of eight: two of 2^8 outcomes are as uneven
    assert sign_test(8, 0) == pytest.approx(2 / 2**8)
    outcomes = sum(math.comb(10, k) for k in (0, 1, 9, 10))
    assert sign_test(1, 9) == sign_test(9, 1) == pytest.approx(outcomes / 2**10)
    assert sign_test(5, 5) == 1
    assert sign_test(0, 0) is None
