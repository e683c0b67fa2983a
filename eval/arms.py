"""Arms: what a clip goes through before a standard codec, and how it is put back after.

    clip --scale down--> --keep some frames--> [codec] --fill in frames--> --scale up--> clip

At a few hundred bytes a standard codec does far better on fewer, smaller frames; a comparison
without these arms would be against a straw man. Both fills of an arm share one payload.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import UsageError
from gistcast.codec.fade import kept_frames
from gistcast.codec.media import frame_planes, planes_to_frame, stack
from gistcast.eval.codecs.base import Geometry

HOLD, FADE = "hold", "fade"
SMALLEST = 32  #: pixels: below it the encoders' headers are most of what is sent

_SCALES = {1: "full", 2: "half", 4: "quarter"}


@dataclass(frozen=True)
class Arm:
    """One way to shrink a clip.

    Attributes:
        scale: sides are divided by this (1, 2 or 4).
        keep: frames that are coded; 0 keeps all.
    """

    scale: int = 1
    keep: int = 0

    def __post_init__(self) -> None:
        if self.scale not in _SCALES or self.keep < 0:
            raise UsageError(f"no arm has scale {self.scale} and {self.keep} frames")

    @property
    def name(self) -> str:
        """`full`, `half`, `quarter`, `drop-8` (eight frames kept) or `half-drop-8`."""
        parts = [_SCALES[self.scale]] if self.scale > 1 else []
        parts += [f"drop-{self.keep}"] if self.keep else []
        return "-".join(parts) or "full"

    def fills(self) -> tuple[str, ...]:
        """Ways to fill in the frames that were dropped; "" where none were."""
        return {0: ("",), 1: (HOLD,)}.get(self.keep, (HOLD, FADE))

    def row_name(self, fill: str) -> str:
        """The arm as it appears in `results.json`, with its fill."""
        return f"{self.name}-{fill}" if fill else self.name

    def reduce(self, clip: Clip) -> Clip:
        """The clip that is coded."""
        if self.keep:
            at = kept_frames(clip.frames, self.keep)
            clip = Clip(clip.y[at], clip.u[at], clip.v[at])
        if self.scale == 1:
            return clip
        return resize(clip, self._side(clip.width), self._side(clip.height))

    def geometry(self, of: Geometry) -> Geometry:
        """The shape of the clip that is coded."""
        frames = self.keep or of.frames
        if self.scale == 1:
            return Geometry(frames, of.height, of.width)
        return Geometry(frames, self._side(of.height), self._side(of.width))

    def _side(self, side: int) -> int:
        """A scaled side: the nearest even number (a half rounds up), at least 2."""
        return max(2, (side + self.scale) // (2 * self.scale) * 2)

    def restore(self, coded: Clip, fill: str, like: Clip) -> Clip:
        """A clip of `like`'s geometry from what came out of the decoder."""
        if self.scale != 1:
            coded = resize(coded, like.width, like.height)
        if not self.keep:
            return coded
        weights = fill_weights(like.frames, self.keep, fill)
        y, u, v = (_mix(weights, plane) for plane in coded.planes)
        return Clip(y, u, v)


def arms_for(geometry: Geometry) -> list[Arm]:
    """All arms for a clip: keep all, 16, 8, 4, 2, 1 frames, at full, half and quarter size; no
    side is made smaller than `SMALLEST` pixels."""
    keeps = [0] + [keep for keep in (16, 8, 4, 2, 1) if keep < geometry.frames]
    side = min(geometry.height, geometry.width)
    scales = [scale for scale in _SCALES if scale == 1 or side // scale >= SMALLEST]
    return [Arm(scale, keep) for scale, keep in product(scales, keeps)]


def plain_arms(geometry: Geometry) -> list[Arm]:
    """The arms that keep every frame, for a sender that cannot wait for later ones."""
    return [arm for arm in arms_for(geometry) if not arm.keep]


def whole_arms(geometry: Geometry) -> list[Arm]:
    """The arms of full size."""
    return [arm for arm in arms_for(geometry) if arm.scale == 1]


def fill_weights(frames: int, keep: int, fill: str) -> NDArray[np.float32]:
    """(frames, keep): how much of each coded frame a shown frame is made of.

    "hold" shows the nearest coded frame, "fade" blends the two around (linearly in time); before
    the first and after the last both hold.
    """
    at = np.array(kept_frames(frames, keep))
    time = np.arange(frames)
    if fill == HOLD:
        nearest = np.abs(time[:, None] - at[None]).argmin(1)
        return np.asarray(np.eye(keep)[nearest], np.float32)
    if fill != FADE:
        raise UsageError(f"frames are filled in by {HOLD} or {FADE}, not {fill!r}")
    columns = [np.interp(time, at, np.eye(keep)[k]) for k in range(keep)]
    return np.stack(columns, 1).astype(np.float32)


def resize(clip: Clip, width: int, height: int) -> Clip:
    """Scale by swscale's Lanczos filter (the best of its filters for both directions here)."""
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    frames = []
    for planes in zip(*clip.planes, strict=True):
        frame = scaler.reformat(
            planes_to_frame(planes), width=width, height=height, interpolation="LANCZOS"
        )
        frames.append(frame_planes(frame))
    return stack(frames)


def _mix(weights: NDArray[np.float32], plane: Plane) -> Plane:
    flat = plane.reshape(len(plane), -1).astype(np.float32)
    mixed = np.rint(weights @ flat).reshape(len(weights), *plane.shape[1:])
    return np.asarray(mixed, np.uint8)
