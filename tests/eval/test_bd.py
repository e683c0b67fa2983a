"""BD-rate against the `bjontegaard` package, and what must be refused."""

from __future__ import annotations

import warnings

import bjontegaard
import numpy as np
import pytest

from gistcast.eval.bd import Method, bd_rate, pareto_front

ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TESTED = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


def theirs(
    anchor: list[tuple[float, float]], tested: list[tuple[float, float]], method: str
) -> float:
    """The package's figure; NaN, with a warning, without overlap."""
    (r1, d1), (r2, d2) = (np.array(sorted(points), float).T for points in (anchor, tested))
    return float(
        bjontegaard.bd_rate(
            r1, d1, r2, d2, method=method, require_matching_points=False, min_overlap=0
        )
    )


def curve(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """A monotonic curve of any shape."""
    sizes = 80 * np.exp(np.cumsum(rng.uniform(0.1, 0.9, count)))
    values = rng.uniform(18, 24) + np.cumsum(rng.uniform(0.2, 3, count))
    return list(zip(sizes.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("method", ["akima", "pchip"])
def test_the_bjontegaard_package_agrees(method: Method) -> None:
    found = bd_rate(ANCHOR, TESTED, method=method)
    assert found.percent == pytest.approx(theirs(ANCHOR, TESTED, method), abs=1e-6)
    assert found.overlap == (34.987, 40.037)
    assert found.share == pytest.approx((40.037 - 34.987) / (40.121 - 34.851))


@pytest.mark.parametrize("method", ["akima", "pchip"])
def test_the_package_agrees_wherever_curves_overlap_and_nowhere_else(method: Method) -> None:
    rng = np.random.default_rng(11)
    apart = 0
    for _ in range(300):
        anchor, tested = curve(rng, rng.integers(4, 12)), curve(rng, rng.integers(4, 12))
        tested = [(size, value + rng.choice([0, 30], p=[0.9, 0.1])) for size, value in tested]
        tested = pareto_front(tested)
        if len(tested) < 4:
            continue
        found = bd_rate(anchor, tested, method=method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it says so where there is no overlap
            expected = theirs(anchor, tested, method)
        if np.isnan(expected):
            assert found.reason == "no overlap"
            apart += 1
        else:
            assert found.percent == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert 3 < apart < 200


def test_a_fifth_fewer_bytes_is_minus_twenty_per_cent() -> None:
    tested = [(0.8 * size, quality) for size, quality in ANCHOR]
    assert bd_rate(ANCHOR, tested).percent == pytest.approx(-20)
    assert bd_rate(tested, ANCHOR).percent == pytest.approx(25)


def test_distances_count_downwards() -> None:
    anchor = [(100, 0.4), (200, 0.3), (400, 0.2), (800, 0.1)]
    tested = [(2 * size, value) for size, value in anchor]
    found = bd_rate(anchor, tested, higher=False)
    assert found.percent == pytest.approx(100)
    assert found.overlap == (0.1, 0.4)


def test_what_cannot_be_compared_has_no_figure() -> None:
    far = [(size, quality + 20) for size, quality in ANCHOR]
    assert bd_rate(ANCHOR, far).reason == "no overlap"
    bent = [*ANCHOR, (3000, 36.0)]
    assert bd_rate(ANCHOR, bent).reason == "not monotonic"
    assert bd_rate(ANCHOR[:3], TESTED).reason == "too few points"
    assert bd_rate([], TESTED).reason == "too few points"
    assert all(bd_rate(ANCHOR, c).percent is None for c in (far, bent, []))


def test_the_same_payload_twice_is_one_point() -> None:
    assert bd_rate([*ANCHOR, ANCHOR[1]], TESTED) == bd_rate(ANCHOR, TESTED)


def test_the_running_best_leaves_out_what_a_smaller_point_beats() -> None:
    bent = [*ANCHOR, (3000, 36.0), (2486.44, 36.0)]
    assert sorted(pareto_front(bent)) == sorted(ANCHOR)
    assert bd_rate(bent, TESTED, front=True) == bd_rate(ANCHOR, TESTED)
    assert bd_rate(bent, TESTED).reason == "not monotonic"
    assert pareto_front([(1, 0.5), (2, 0.6), (3, 0.4)], higher=False) == [(1, 0.5), (3, 0.4)]


def test_a_range_of_bytes_bounds_what_both_spend() -> None:
    sizes = np.geomspace(100, 6400, 13)
    anchor = [(size, 20 + np.log2(size)) for size in sizes]
    # half the bytes below 800, as many above
    tested = [(size / (2 if size < 800 else 1 + 1e-9), value) for size, value in anchor]
    low = bd_rate(anchor, tested, method="pchip", rates=(100, 400)).percent
    high = bd_rate(anchor, tested, method="pchip", rates=(1600, 6400)).percent
    assert low == pytest.approx(-50, abs=0.5)
    assert high == pytest.approx(0, abs=0.5)
    assert bd_rate(anchor, tested, rates=(10, 20)).reason == "no overlap"
    assert bd_rate(anchor, tested, rates=(1, 1e6)) == bd_rate(anchor, tested)
