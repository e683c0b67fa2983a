"""The hull: interpolation, monotony, what counts and what does not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gistcast.eval.hull import full_rate, hull, running_best, value_at


def row(codec: str, arm: str, size: int, psnr: float, clip: str = "a") -> dict[str, Any]:
    return {"codec": codec, "arm": arm, "clip": clip, "bytes": size, "psnr_rgb": psnr}


def test_more_bytes_never_count_for_less() -> None:
    assert running_best([(300, 21.0), (100, 20.0), (200, 19.0)], True) == [
        (100, 20.0),
        (200, 20.0),
        (300, 21.0),
    ]
    assert running_best([(100, 0.3), (200, 0.4)], False) == [(100, 0.3), (200, 0.3)]
    assert running_best([(100, 1.0), (100, 2.0)], True) == [(100, 2.0)]


def test_values_are_linear_in_the_logarithm_of_bytes() -> None:
    curve = [(100.0, 20.0), (400.0, 24.0)]
    assert value_at(curve, 200, True) == pytest.approx(22)
    assert value_at(curve, 150, True) == pytest.approx(20 + 4 * math.log(1.5) / math.log(4))
    assert value_at(curve, 100, True) == 20
    assert value_at(curve, 400, True) == 24


def test_nothing_below_the_smallest_payload_and_the_best_beyond_the_largest() -> None:
    curve = [(100.0, 20.0), (400.0, 24.0), (500.0, 23.0)]
    assert value_at(curve, 99, True) is None
    assert value_at(curve, 9000, True) == 24
    assert value_at([], 100, True) is None


def test_the_hull_is_the_best_curve_not_a_blend_of_points() -> None:
    rows = [
        row("x264", "full", 100, 20.0),
        row("x264", "full", 400, 24.0),
        row("vp9", "drop-2-hold", 100, 21.0),
        row("vp9", "drop-2-hold", 400, 22.0),
    ]
    at_100, at_200, at_400 = hull(rows, "psnr_rgb", [100, 200, 400])["a"]
    assert at_100 is not None and at_200 is not None and at_400 is not None
    assert (at_100.codec, at_100.value) == ("vp9", 21)
    # between points each curve is followed alone: 22 of x264 beats 21.5 of VP9
    assert at_200.codec == "x264"
    assert at_200.value == pytest.approx(22)
    assert (at_400.codec, at_400.value) == ("x264", 24)


def test_a_distance_is_best_when_least() -> None:
    rows = [
        {**row("a", "full", 100, 0), "lpips_alex": 0.3},
        {**row("b", "full", 100, 0), "lpips_alex": 0.2},
        {**row("c", "full", 100, 0), "lpips_alex": None},
    ]
    best = hull(rows, "lpips_alex", [100])["a"][0]
    assert best is not None
    assert best.codec == "b"


def test_full_frame_rate_leaves_out_dropped_frames() -> None:
    arms = ["full", "half", "drop-8-fade", "half-drop-1-hold"]
    assert [full_rate(row("x264", arm, 1, 0)) for arm in arms] == [True, True, False, False]
