"""Whether a clip is coded as its frames or as the canvas that its camera moves over.

clip --register--> a few motions of different precision --each on its canvas, coded--> least cost
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.distortion import distortion
from gistcast.codec.errors import CorruptError
from gistcast.codec.layout import Layout, make_layout
from gistcast.codec.motion import AFFINE, PAN, Motion
from gistcast.codec.protocol import FloatPlanes
from gistcast.codec.quantiser import luma_step
from gistcast.codec.register import camera_path, fit_motion, reach
from gistcast.codec.residual import Chosen, ResidualEncoder
from gistcast.codec.sketch import synthesise, transform_clip
from gistcast.codec.transform import BandKey
from gistcast.codec.warp import Warps, make_warps

_STILL = 0.25  # luma samples: a camera that moves less is not followed

#: What is tried: unit, terms and kind of the motion. Fast, and big frames, stop after the first;
#: medium after the second.
_TRIED = ((1, 4, AFFINE), (0, 6, AFFINE), (1, 3, PAN))
_GAIN = 0.98  # of the cost: less is not worth the decoding
_BIG = 96 * 96  # luma samples of a frame


@dataclass(frozen=True)
class Ground:
    """What the residual of a clip is coded on.

    Attributes:
        motion, warps: of the camera; None where the ground is the frames themselves.
        layout, bands: of the residual's transform, bands on the 8-bit scale.
    """

    motion: Motion | None
    warps: Warps | None
    layout: Layout
    bands: list[dict[BandKey, NDArray[np.float32]]]

    def choose(self, encoder: ResidualEncoder, quantiser: int) -> Chosen:
        """The levels at a quantiser."""
        return encoder.choose(self.layout, self.bands, quantiser, self.motion)

    def picture(self, chosen: Chosen, gist: FloatPlanes | None) -> Clip:
        """The sketch that a decoder makes of them."""
        return synthesise(chosen.points, gist, self.layout, chosen.quantiser, self.warps)


def still_ground(clip: Clip, gist: FloatPlanes | None) -> Ground:
    """The frames themselves."""
    layout = make_layout(clip.frames, clip.height, clip.width)
    return Ground(None, None, layout, transform_clip(clip, gist, layout))


def best_ground(clip: Clip, encoder: ResidualEncoder, quantiser: int, preset: str) -> Ground:
    """The ground with the least D + lambda R at a quantiser, on no gist.

    Big frames are weighed in half their size, or a quarter, and above 192 x 192 only slow makes
    their canvas exact: else medium would not keep up with real time at 256 x 256.
    """
    best = still_ground(clip, None)
    size = clip.height, clip.width
    if clip.frames < 3 or min(size) < 16:
        return best
    try:
        views = camera_path(clip.y)
    except np.linalg.LinAlgError:  # noise: the frames do not even look like one another
        return best
    if reach(views, *size) < _STILL:
        return best
    small, smaller_views = clip, views.copy()
    while small.height * small.width > _BIG:
        small = _halved(small)
        smaller_views[:, :, 0] /= 2
    count = {"fast": 1, "medium": 1 if small is not clip else 2}.get(preset, 3)
    rest = best if small is clip else still_ground(small, None)
    with ThreadPoolExecutor(2) as pool:
        grounds = list(pool.map(lambda t: _moving_ground(small, smaller_views, t), _TRIED[:count]))
        weighed = [rest, *grounds]
        costs = list(pool.map(lambda ground: _cost(ground, small, encoder, quantiser), weighed))
    least = _GAIN * costs[0]
    for tried, ground, cost in zip(_TRIED, grounds, costs[1:], strict=False):
        if cost < least:
            exact = preset == "slow" or clip.height * clip.width <= 4 * _BIG
            whole = ground if small is clip else _moving_ground(clip, views, tried, exact)
            best, least = whole or best, cost
    return best


def _halved(clip: Clip) -> Clip:
    """Means of 2 x 2 samples."""
    planes = []
    for plane in clip.planes:
        even = np.pad(plane, ((0, 0), (0, plane.shape[1] % 2), (0, plane.shape[2] % 2)), "edge")
        rows = even[:, ::2].astype(np.uint16) + even[:, 1::2]
        planes.append(((rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4).astype(np.uint8))
    return Clip(*planes)


def _moving_ground(
    clip: Clip, views: NDArray[np.float64], tried: tuple[int, int, int], exact: bool = True
) -> Ground | None:
    """The clip's canvas under a motion of this precision; None where that is too big, or where a
    frame falls into a line."""
    size = clip.height, clip.width
    try:
        motion = fit_motion(views, *size, *tried)
        layout = make_layout(clip.frames, *size, motion)
        warps = make_warps(motion, clip.frames, *size)
        bands = transform_clip(clip, None, layout, warps, exact=exact)
    except (CorruptError, np.linalg.LinAlgError):
        return None
    return Ground(motion, warps, layout, bands)


def _cost(ground: Ground | None, clip: Clip, encoder: ResidualEncoder, quantiser: int) -> float:
    if ground is None:
        return float("inf")
    chosen = ground.choose(encoder, quantiser)
    bits = float(chosen.group_bits().sum())
    error = distortion(clip, ground.picture(chosen, None))
    return error + encoder.weight * luma_step(quantiser) ** 2 * bits
