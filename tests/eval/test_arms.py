"""Arms: which frames are kept, how they are filled in, and what scaling does."""

from __future__ import annotations

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.fade import kept_frames
from gistcast.eval.arms import (
    FADE,
    HOLD,
    Arm,
    arms_for,
    fill_weights,
    plain_arms,
    resize,
)
from gistcast.eval.codecs import Geometry


def ramp(frames: int) -> Clip:
    """Frame t is flat at 16 + 4 t."""
    level = (16 + 4 * np.arange(frames)).astype(np.uint8)
    return Clip(*(np.broadcast_to(level[:, None, None], (frames, s, s)).copy() for s in (8, 4, 4)))


def test_all_arms_of_a_clip_have_their_names() -> None:
    names = [arm.name for arm in arms_for(Geometry(32, 64, 64))]
    assert names[:6] == ["full", "drop-16", "drop-8", "drop-4", "drop-2", "drop-1"]
    assert names[6:] == ["half", *(f"half-{name}" for name in names[1:6])]
    large = [arm.name for arm in arms_for(Geometry(32, 128, 128))]
    assert large == [*names, "quarter", *(f"quarter-{name}" for name in names[1:6])]
    assert [arm.name for arm in arms_for(Geometry(4, 32, 32))] == ["full", "drop-2", "drop-1"]
    assert [arm.name for arm in plain_arms(Geometry(32, 64, 64))] == ["full", "half"]
    assert Arm(keep=8).row_name(FADE) == "drop-8-fade"
    with pytest.raises(UsageError):
        Arm(scale=3)


def test_kept_frames_are_the_middles_of_equal_stretches() -> None:
    assert kept_frames(32, 1) == [16]
    assert kept_frames(32, 4) == [4, 12, 20, 28]
    assert kept_frames(32, 16) == list(range(1, 32, 2))


def test_a_fade_follows_a_ramp_and_holds_at_the_ends() -> None:
    clip, arm = ramp(32), Arm(keep=4)
    shown = arm.restore(arm.reduce(clip), FADE, clip)
    assert (shown.y[4:29] == clip.y[4:29]).all()
    assert (shown.y[:4] == clip.y[4]).all()
    assert (shown.y[29:] == clip.y[28]).all()


def test_a_hold_shows_the_nearest_frame_that_was_coded() -> None:
    clip, arm = ramp(32), Arm(keep=2)
    shown = arm.restore(arm.reduce(clip), HOLD, clip)
    assert arm.reduce(clip).frames == 2
    assert (shown.y[:17] == clip.y[8]).all()
    assert (shown.y[17:] == clip.y[24]).all()


@pytest.mark.parametrize("fill", [HOLD, FADE])
@pytest.mark.parametrize("keep", [1, 2, 4, 8, 16])
def test_weights_sum_to_one_and_show_what_was_kept(keep: int, fill: str) -> None:
    weights = fill_weights(32, keep, fill)
    assert np.allclose(weights.sum(1), 1)
    assert np.allclose(weights[kept_frames(32, keep)], np.eye(keep))


def test_half_size_comes_back_at_full_size(clip: Clip) -> None:
    arm = Arm(scale=2)
    small = arm.reduce(clip)
    assert (small.frames, small.height, small.width) == (32, 32, 32)
    back = arm.restore(small, "", clip)
    assert back.y.shape == clip.y.shape
    error = np.mean((back.y.astype(float) - clip.y) ** 2)
    shifted = np.mean((np.roll(back.y, 1, 2).astype(float) - clip.y) ** 2)
    assert error < 0.7 * shifted  # no shift, neither of half a pixel


def test_scaling_keeps_flat_colours_exact() -> None:
    flat = Clip(*(np.full((2, s, s), v, np.uint8) for s, v in ((64, 90), (32, 140), (32, 60))))
    small = resize(flat, 32, 32)
    for plane, level in zip(small.planes, (90, 140, 60), strict=True):
        assert (plane == level).all()


def test_everything_kept_is_the_clip_itself(clip: Clip) -> None:
    arm = Arm()
    assert arm.restore(arm.reduce(clip), "", clip) is clip


@pytest.mark.parametrize("arm", arms_for(Geometry(32, 128, 128)), ids=lambda arm: arm.name)
def test_the_geometry_is_that_of_the_clip_that_is_coded(arm: Arm, clip: Clip) -> None:
    assert arm.geometry(Geometry.of(clip)) == Geometry.of(arm.reduce(clip))
