"""Camera motion: its syntax, its canvas, the warps, and finding it in real texture."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from gistcast.codec.clip import Clip
from gistcast.codec.distortion import distortion
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import CorruptError
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.motion import (
    AFFINE,
    MAX_COEFFICIENT,
    PAN,
    Motion,
    get_motion,
    phases,
    put_motion,
)
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder
from gistcast.codec.register import camera_path, fit_motion
from gistcast.codec.warp import make_warps

coefficients = st.integers(-60, 60) | st.sampled_from([0, MAX_COEFFICIENT, -MAX_COEFFICIENT])


@st.composite
def motions(draw: st.DrawFn) -> Motion:
    terms, kind = draw(st.integers(1, 8)), draw(st.sampled_from([PAN, AFFINE]))
    row = st.lists(coefficients, min_size=terms, max_size=terms).map(tuple)
    return Motion(draw(st.integers(0, 3)), tuple(draw(row) for _ in range(kind)))


@settings(max_examples=60, deadline=None)
@given(st.none() | motions())
def test_round_trip(motion: Motion | None) -> None:
    out = FlagEncoder()
    put_motion(out, motion)
    assert get_motion(FlagDecoder(out.finish())) == motion


def test_no_motion_costs_half_a_bit() -> None:
    out = FlagEncoder()
    put_motion(out, None)
    assert out.bits() < 0.5


def test_too_far() -> None:
    out = FlagEncoder()
    put_motion(out, Motion(0, ((MAX_COEFFICIENT + 1,), (0,))))
    with pytest.raises(CorruptError, match="too far"):
        get_motion(FlagDecoder(out.finish()))
    with pytest.raises(CorruptError, match="too big"):
        make_layout(32, 64, 64, Motion(3, ((MAX_COEFFICIENT,), (0,))))


@settings(max_examples=40, deadline=None)
@given(motions(), st.integers(1, 32), st.integers(1, 40), st.integers(1, 40))
def test_the_canvas_holds_every_frame(motion: Motion, frames: int, height: int, width: int) -> None:
    matrices, shifts = motion.maps(frames, height, width)
    corners = np.array([[y * (height - 1), x * (width - 1)] for y in (-1, 1) for x in (-1, 1)]) / 2
    at = np.einsum("tij,cj->tci", matrices, corners) + shifts[:, None]
    reach = [-at[..., 0].min(), at[..., 0].max(), -at[..., 1].min(), at[..., 1].max()]
    try:
        margins = motion.margins(frames, height, width)
    except CorruptError:
        beyond = np.maximum(np.array(reach) - np.repeat([height - 1, width - 1], 2) / 2, 0)
        canvas = np.array([height, width]) + beyond.reshape(2, 2).sum(1) + 4
        assert canvas.prod() > 4 * height * width
        return
    for margin, far, side in zip(margins, reach, (height, height, width, width), strict=True):
        assert margin % 2 == 0 and margin >= 0
        assert far - (side - 1) / 2 - 1e-6 <= margin <= max(0, far - (side - 1) / 2 + 2 + 1e-6)


def test_one_frame_does_not_move() -> None:
    assert not phases(1).any()
    assert Motion(0, ((9,), (9,))).margins(1, 8, 8) == (0, 0, 0, 0)


def _spline(plane: NDArray[np.float32], y: float, x: float) -> float:
    """The cubic spline through a plane, mirrored, evaluated as the bitstream's section 20.3."""

    def kernel(v: float) -> float:
        v = abs(v)
        return 2 / 3 - v * v + v**3 / 2 if v < 1 else (2 - v) ** 3 / 6 if v < 2 else 0.0

    def matrix(n: int) -> NDArray[np.float64]:
        out = np.zeros((n, n))
        for i in range(n):
            for j in range(i - 1, i + 2):
                out[i, _mirror(j, n)] += kernel(i - j)
        return out

    h, w = plane.shape
    knots = np.linalg.solve(matrix(h), plane.astype(float)) @ np.linalg.inv(matrix(w)).T
    return float(
        sum(
            knots[_mirror(j, h), _mirror(k, w)] * kernel(y - j) * kernel(x - k)
            for j in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3)
            for k in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3)
        )
    )


def _mirror(i: int, n: int) -> int:
    period = max(1, 2 * (n - 1))
    return min(i % period, period - i % period) if n > 1 else 0


def test_frames_are_as_the_document_says() -> None:
    motion, size = Motion(1, ((9, -3), (-14, 2), (5, 0), (-7, 1), (6, 2), (4, -2))), (5, 18, 13)
    frames, h, w = size
    top, _, left, _ = motion.margins(*size)
    d = motion.displacement(frames) / 2048
    rng = np.random.default_rng(0)
    for plane, warp in enumerate(make_warps(motion, *size)[:2]):
        canvas = rng.normal(0, 50, (frames, *warp.canvas)).astype(np.float32)
        seen = warp.to_frames(canvas)
        for t, row, column in ((0, 0, 0), (1, 3, 5), (2, 1, 6), (4, warp.frame[0] - 1, 2)):
            y, x = (2 * row + 0.5, 2 * column) if plane else (row, column)
            v, u = y - (h - 1) / 2, x - (w - 1) / 2
            down = y + top + d[0, t] + 2 / 18 * (d[2, t] * v + d[3, t] * u)
            right = x + left + d[1, t] + 2 / 18 * (d[4, t] * v + d[5, t] * u)
            if plane:
                down, right = (down - 0.5) / 2, right / 2
            expected = _spline(canvas[t], down, right)
            assert seen[t, row, column] == pytest.approx(expected, abs=0.01)


def _world(seed: int = 0) -> NDArray[np.float64]:
    """A still texture of 256 x 256."""
    noise = np.random.default_rng(seed).normal(0, 1, (256, 256))
    coarse, fine = gaussian_filter(noise, 6), gaussian_filter(noise, 1.5)
    return 120 + 30 * coarse / coarse.std() + 20 * fine / fine.std()


def _filmed(speed: tuple[float, float], zoom: float, frames: int = 32) -> Clip:
    """64 x 64 frames over the texture, panning by `speed` a frame and zooming by `zoom`."""
    y, x = np.mgrid[:64, :64] - 31.5
    views = []
    for t in np.arange(frames) - (frames - 1) / 2:
        scale = zoom**t
        at = [128 + speed[0] * t + scale * y, 128 + speed[1] * t + scale * x]
        views.append(map_coordinates(_world(), at, order=3))
    luma = np.clip(np.rint(views), 0, 255).astype(np.uint8)
    grey = np.full((frames, 32, 32), 128, np.uint8)
    return Clip(luma, grey, grey)


@pytest.mark.parametrize(("speed", "zoom"), [((0.3, -1.2), 1.0), ((0.0, 0.4), 1.006)])
def test_finds_pan_and_zoom(speed: tuple[float, float], zoom: float) -> None:
    clip = _filmed(speed, zoom)
    motion = fit_motion(camera_path(clip.y), 64, 64, 0, 3, AFFINE)
    matrices, shifts = motion.maps(32, 64, 64)
    wanted = np.outer(np.arange(32) - 15.5, speed)
    assert np.abs(shifts - wanted)[4:-4].max() < 0.35
    scale = matrices[24, 0, 0] / matrices[8, 0, 0]
    assert scale == pytest.approx(zoom**16, abs=0.012)


def test_a_canvas_shows_its_frames() -> None:
    clip = _filmed((0.3, -1.2), 1.004)
    motion = fit_motion(camera_path(clip.y), 64, 64, 0, 4, AFFINE)
    warp = make_warps(motion, 32, 64, 64)[0]
    frames = clip.y.astype(np.float32)
    error = warp.to_frames(warp.canvas_of(frames)) - frames
    assert float(np.square(error).mean()) < 2


@pytest.mark.parametrize("preset", ["fast", "medium"])
def test_a_pan_costs_far_less_than_without(preset: str) -> None:
    clip, info = _filmed((0.3, -1.2), 1.0), VideoInfo(64, 64, Fraction(25))
    found = {}
    for name, source in (("moving", clip), ("shuffled", clip[_shuffle(32)])):
        data = encode_video(
            [source], info, EncodeSettings(quality=40, without=frozenset({"video"}), preset=preset)
        )
        (decoded,) = decode_video(data)
        found[name] = len(data), distortion(source, decoded.sketch), decoded.motion
    assert found["moving"][2] is not None
    assert found["moving"][0] < 0.5 * found["shuffled"][0]
    assert found["moving"][1] < 1.2 * found["shuffled"][1]


def _shuffle(frames: int) -> NDArray[np.intp]:
    """The same frames in an order that no camera goes."""
    return np.random.default_rng(0).permutation(frames)


def test_a_resting_camera_is_left_alone(street: Clip) -> None:
    still = Clip(*(np.repeat(plane[:1], 8, 0) for plane in street.planes))
    data = encode_video([still], VideoInfo(64, 64, Fraction(25)), EncodeSettings(clip_bytes=300))
    (decoded,) = decode_video(data)
    assert decoded.motion is None
