"""BD-rate against the `bjontegaard` package 1.3.0, and what must be refused."""

from __future__ import annotations

import pytest

from gistcast.eval.bd import Method, bd_rate

ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TESTED = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


@pytest.mark.parametrize(
    ("method", "percent"), [("akima", -4.425245156997493), ("pchip", -4.417485350589045)]
)
def test_the_bjontegaard_package_agrees(method: Method, percent: float) -> None:
    found = bd_rate(ANCHOR, TESTED, method=method)
    assert found.percent == pytest.approx(percent, rel=1e-9)
    assert found.overlap == (34.987, 40.037)
    assert found.share == pytest.approx((40.037 - 34.987) / (40.121 - 34.851))


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
