"""Optical flow: known motion is found, and a slideshow loses."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from gistcast.codec.clip import Clip
from gistcast.eval.metrics import Meter
from gistcast.models.flow import fetch, flows, visible

NAMES = ("psnr_rgb", "lpips_alex", "flow_error", "warp_error", "warp_excess")


def _pan(speed: float, frames: int = 8, side: int = 64) -> NDArray[np.uint8]:
    """A smooth texture that moves `speed` pixels a frame to the right."""
    rng = np.random.default_rng(4)
    wide = gaussian_filter(rng.normal(0, 1, (side, 2 * side)), 1.5)
    wide = 128 + 45 * wide / wide.std()
    moved = [shift(wide, (0, speed * t), order=3, mode="wrap") for t in range(frames)]
    return np.clip(np.stack(moved)[:, :, side // 2 : side // 2 + side], 0, 255).astype(np.uint8)


def _grey(luma: NDArray[np.uint8]) -> Clip:
    chroma = np.full((len(luma), luma.shape[1] // 2, luma.shape[2] // 2), 128, np.uint8)
    return Clip(luma, chroma, chroma)


@pytest.mark.parametrize("speed", [0.5, 1.5, 3.0])
def test_a_pan_is_found(speed: float) -> None:
    found = flows(_pan(speed))[:, 8:-8, 8:-8]
    assert found[..., 0].mean() == pytest.approx(speed, abs=0.1)
    assert found[..., 1].mean() == pytest.approx(0, abs=0.05)


def test_fetching_along_the_flow_undoes_the_motion() -> None:
    luma = _pan(2)
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 0] = 2
    assert np.abs(fetch(luma[1], flow) - luma[0])[:, :-3].max() <= 1
    assert np.abs(luma[1].astype(float) - luma[0])[:, :-3].max() > 20


def test_what_leaves_the_frame_or_is_covered_is_not_compared() -> None:
    there = np.zeros((1, 8, 8, 2), np.float32)
    there[..., 0] = 3
    seen = visible(there, -there)
    assert seen[0, :, :5].all()
    assert not seen[0, :, 5:].any()
    back = -there
    back[0, :, 5] = 4  # the pixel that came to column 5 says that it came from elsewhere
    assert not visible(there, back)[0, :, 2].any()


def test_a_frozen_picture_has_the_flow_of_the_source_as_its_error() -> None:
    luma = _pan(2)
    still = _grey(np.repeat(luma[:1], 8, 0))
    found = Meter(_grey(luma), NAMES[2:]).measure(still)
    assert found["flow_error"] == pytest.approx(2, abs=0.15)
    # the warped still differs from itself by what moved
    error = luma[0, :, 2:].astype(float) - luma[0, :, :-2]
    assert found["warp_error"] == pytest.approx(np.sqrt((error**2).mean()), rel=0.1)


def test_a_slideshow_loses_where_single_frames_like_it_best(clip: Clip) -> None:
    at = np.arange(32) // 4 * 4 + 2
    slideshow = Clip(*(p[at] for p in clip.planes))
    blurred = Clip(*(gaussian_filter(p, (0, 2.2, 2.2)) for p in clip.planes))
    meter = Meter(clip, NAMES, Fraction(25))
    shown, moving = meter.measure(slideshow), meter.measure(blurred)

    def better(name: str) -> bool:
        a, b = shown[name], moving[name]
        assert isinstance(a, float) and isinstance(b, float)
        return a > b if name == "psnr_rgb" else a < b

    assert better("psnr_rgb") and better("lpips_alex")
    assert not better("flow_error")
    assert not better("warp_error")
    assert not better("warp_excess")


def test_an_exact_copy_has_no_error_but_the_sources_own(clip: Clip) -> None:
    found = Meter(clip, NAMES[2:]).measure(clip)
    assert found["flow_error"] == found["warp_excess"] == 0
    assert isinstance(found["warp_error"], float) and found["warp_error"] > 0


def test_single_and_tiny_frames_have_no_motion(clip: Clip) -> None:
    tiny = Clip(*(np.full((3, s, s), 90, np.uint8) for s in (14, 7, 7)))
    for case in (clip[:1], tiny):
        assert set(Meter(case, NAMES[2:]).measure(case).values()) == {None}
