"""Frames between coded ones follow the motion."""

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.fade import fill, kept_frames
from gistcast.models.carry import carry


def _pan(frames: int = 16, height: int = 48, width: int = 64, speed: float = 1.0) -> Clip:
    """A texture that passes by at `speed` luma samples a frame."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rng = np.random.default_rng(1)
    waves, phase = rng.uniform(0.1, 0.7, (12, 2)), rng.uniform(0, 6.3, 12)

    def luma(t: float) -> np.ndarray:
        along = x + speed * t
        waved = sum(np.sin(a * along + b * y + p) for (a, b), p in zip(waves, phase, strict=True))
        return np.clip(128 + 16 * waved, 0, 255)

    planes = np.stack([luma(t) for t in range(frames)])
    half = planes[:, ::2, ::2]
    return Clip(*(np.rint(p).astype(np.uint8) for p in (planes, half, 255 - half)))


def _faded(clip: Clip, kept: int) -> Clip:
    times = kept_frames(clip.frames, kept)
    return Clip(*(fill(p[times], times, clip.frames) for p in clip.planes))


def _error(made: Clip, clip: Clip, frames: slice) -> list[float]:
    pairs = zip(made.planes, clip.planes, strict=True)
    return [float(np.square(a[frames].astype(float) - b[frames]).mean()) for a, b in pairs]


@pytest.mark.parametrize(("height", "width"), [(48, 64), (47, 63), (300, 260)])
def test_a_pan_is_followed(height: int, width: int) -> None:
    clip = _pan(height=height + height % 2, width=width + width % 2)
    clip = Clip(np.ascontiguousarray(clip.y[:, :height, :width]), clip.u, clip.v)
    faded = _faded(clip, 4)
    carried = carry(faded, kept_frames(16, 4))
    between = slice(2, 15)
    errors = (_error(made, clip, between) for made in (carried, faded))
    for after, before in zip(*errors, strict=True):
        assert after < 0.35 * before
    for t in kept_frames(16, 4):  # what was coded stays
        assert all(
            np.array_equal(a[t], b[t]) for a, b in zip(carried.planes, faded.planes, strict=True)
        )


def test_what_stands_still_stays() -> None:
    still = Clip(*(np.repeat(p[:1], 16, 0) for p in _pan().planes))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(carry(still, kept_frames(16, 4)).planes, still.planes, strict=True)
    )


def test_a_cut_is_not_followed_far() -> None:
    """Nothing of one picture is in the other; the encoder ends clips at cuts, but may miss one."""
    one, other = _pan(speed=0.0), _pan(speed=0.0, height=64, width=48)
    turned = Clip(*(255 - p.swapaxes(1, 2) for p in other.planes))
    halves = zip(one.planes, turned.planes, strict=True)
    cut = Clip(*(np.concatenate([a[:8], b[8:]]) for a, b in halves))
    faded = _faded(cut, 2)
    carried = carry(faded, kept_frames(16, 2))
    after, before = (_error(made, cut, slice(4, 12)) for made in (carried, faded))
    assert after[0] < 1.8 * before[0]


@pytest.mark.parametrize("kept", [0, 1, 16])
def test_nothing_to_carry(kept: int) -> None:
    clip = _pan()
    assert carry(clip, kept_frames(16, kept) if kept else ()) is clip


def test_tiny_frames_are_left_alone() -> None:
    clip = _pan(height=12, width=64)
    assert carry(clip, kept_frames(16, 4)) is clip


def test_what_was_lost_is_carried_between_what_came() -> None:
    """A layer that was cut leaves gaps of unequal length."""
    clip, came = _pan(), (2, 4, 8)
    faded = Clip(*(fill(p[list(came)], came, 16) for p in clip.planes))
    carried = carry(faded, came)
    errors = (_error(made, clip, slice(3, 8)) for made in (carried, faded))
    for after, before in zip(*errors, strict=True):
        assert after < 0.5 * before
    assert all(np.array_equal(carried.y[t], faded.y[t]) for t in came)
