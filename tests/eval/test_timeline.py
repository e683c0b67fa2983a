"""The rendered timeline: by hand, and against what a player would do."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gistcast.eval.metrics.psnr import psnr_rgb
from gistcast.eval.timeline import percentiles, quality, render, rendered_ratio, stalls

FPS = Fraction(10)


def test_everything_in_time_is_shown() -> None:
    shown = render([0, 1, 2], [0.05, 0.15, 0.25], 3, FPS, 0.1)
    assert shown.numbers.tolist() == [0, 1, 2] == shown.frames.tolist()
    assert stalls(shown, FPS) == (0, 0) and rendered_ratio(shown) == 1


def test_what_is_late_is_frozen_then_skipped() -> None:
    # frame 1 comes when 3 is due, together with 2 and 3: it is never shown
    shown = render([0, 1, 2, 3], [0.0, 0.35, 0.35, 0.35], 5, FPS, 0.1)
    assert shown.numbers.tolist() == [0, 0, 0, 3, 3]
    assert rendered_ratio(shown) == 2 / 5
    assert stalls(shown, FPS) == (1, pytest.approx(0.2 / 0.5))


def test_the_picture_never_goes_back() -> None:
    shown = render([2, 1, 0], [0.0, 0.25, 0.3], 4, FPS, 0.1)
    assert shown.numbers.tolist() == [-1, -1, 2, 2]
    assert shown.frames.tolist() == [-1, -1, 0, 0]


def test_early_frames_wait_for_their_instant() -> None:
    assert render([0, 1, 2], [0, 0, 0], 3, FPS, 5).numbers.tolist() == [0, 1, 2]


def test_nothing_came() -> None:
    shown = render([], [], 5, FPS, 1)
    assert shown.numbers.tolist() == [-1] * 5 and rendered_ratio(shown) == 0
    assert stalls(shown, FPS) == (1, pytest.approx(0.8))


def test_a_frozen_frame_is_scored_against_the_one_that_was_due() -> None:
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    frozen = reference[[0, 0, 0, 3]]
    shown = render([0, 3], [0.0, 0.0], 4, FPS, 0.1)
    got = quality(shown, reference[[0, 3]], reference)
    assert got["psnr_rgb"] == pytest.approx(psnr_rgb(frozen, reference))
    whole = quality(render([0, 1, 2, 3], [0] * 4, 4, FPS, 0.1), reference, reference)
    assert whole["psnr_rgb"] == 100 and whole["lpips_alex"] == 0 < got["lpips_alex"]


def test_before_the_first_frame_there_is_grey() -> None:
    reference = np.full((2, 64, 64, 3), 128, np.uint8)
    nothing = np.zeros((0, 64, 64, 3), np.uint8)
    assert quality(render([], [], 2, FPS, 0), nothing, reference)["psnr_rgb"] == 100


def test_percentiles_are_ranks() -> None:
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p95": 95, "p98": 98}
    assert percentiles([]) == {"p50": None, "p95": None, "p98": None}
