"""Colour conversion against the textbook and against ffmpeg's swscale."""

from __future__ import annotations

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb, rgb_to_clip, subsample, upsample
from gistcast.codec.media import planes_to_frame

BARS = {  # BT.709 limited range, from ITU-R BT.709-6 by hand
    (255, 255, 255): (235, 128, 128),
    (0, 0, 0): (16, 128, 128),
    (255, 0, 0): (63, 102, 240),
    (0, 255, 0): (173, 42, 26),
    (0, 0, 255): (32, 240, 118),
}


@pytest.mark.parametrize("rgb", BARS)
def test_primaries(rgb: tuple[int, int, int]) -> None:
    clip = rgb_to_clip(np.full((1, 4, 4, 3), rgb, np.uint8))
    assert (clip.y[0, 0, 0], clip.u[0, 0, 0], clip.v[0, 0, 0]) == BARS[rgb]
    assert np.abs(clip_to_rgb(clip).astype(int) - np.array(rgb)).max() <= 2


def _colourful() -> Clip:
    y, x = np.mgrid[:192, :256]
    rgb = np.stack([y * 1.3, x, 255 - y * 0.6 - x * 0.5], -1)
    return rgb_to_clip(np.clip(rgb, 0, 255).astype(np.uint8)[None])


def _against_swscale(matrix: str) -> float:
    """Mean difference of our RGB from swscale's, without the bias of its rounding down."""
    clip = _colourful()
    frame = planes_to_frame((clip.y[0], clip.u[0], clip.v[0]))
    theirs = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    difference = clip_to_rgb(clip)[0].astype(float) - theirs
    assert np.abs(difference.mean()) < 1.5
    return float(np.abs(difference - difference.mean((0, 1))).mean())


def test_agrees_with_swscale() -> None:
    assert _against_swscale("ITU709") < 1.0


def test_wrong_matrix_is_noticed() -> None:
    assert _against_swscale("ITU601") > 3.0


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 7), (1, 1), (2, 9)])
def test_chroma_of_any_size(height: int, width: int) -> None:
    chroma = np.random.default_rng(0).normal(0, 10, (2, height, width)).astype(np.float32)
    small = subsample(chroma)
    assert small.shape == (2, (height + 1) // 2, (width + 1) // 2)
    assert upsample(small, height, width).shape == chroma.shape


def test_ramp_keeps_its_place() -> None:
    ramp = np.tile(np.arange(16, dtype=np.float32) * 8, (1, 8, 1))
    again = upsample(subsample(ramp), 8, 16)
    assert np.abs(again - ramp)[..., 2:-2].max() < 1e-4
