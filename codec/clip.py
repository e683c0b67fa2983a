"""A clip: up to 32 consecutive frames of 8-bit 4:2:0 video, the unit of coding, loss and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import LimitError, UsageError

Plane = NDArray[np.uint8]
Frame = tuple[Plane, Plane, Plane]  #: one frame: y (H, W), u and v (ceil(H/2), ceil(W/2))

CLIP_FRAMES = (8, 16, 32)  #: allowed clip lengths; the last clip of a video may be shorter
MAX_FRAMES = 32
MAX_SIDE = 4096
MAX_PIXELS = 1920 * 1088


def check_geometry(frames: int, height: int, width: int) -> None:
    """Refuse sizes beyond the format's limits, before anything is allocated.

    Raises:
        LimitError: outside 1..32 frames, 1..4096 a side, or 1920x1088 pixels in all.
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise LimitError(f"a clip has 1 to {MAX_FRAMES} frames, not {frames}")
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise LimitError(f"frame sides must be 1 to {MAX_SIDE}, not {width}x{height}")
    if height * width > MAX_PIXELS:
        raise LimitError(f"a frame has at most {MAX_PIXELS} pixels, not {width}x{height}")


@dataclass(frozen=True)
class Clip:
    """Frames in BT.709 limited range, 4:2:0, chroma sited left.

    Attributes:
        y: luma, uint8 (T, H, W), nominal range 16..235.
        u: Cb, uint8 (T, ceil(H/2), ceil(W/2)), nominal range 16..240.
        v: Cr, same shape as `u`.
    """

    y: Plane
    u: Plane
    v: Plane

    def __post_init__(self) -> None:
        if self.y.ndim != 3:
            raise UsageError(f"luma must be (T, H, W), not {self.y.shape}")
        frames, height, width = self.y.shape
        check_geometry(frames, height, width)
        chroma = (frames, (height + 1) // 2, (width + 1) // 2)
        if self.u.shape != chroma or self.v.shape != chroma:
            raise UsageError(f"chroma must be {chroma}, not {self.u.shape} and {self.v.shape}")
        for plane in self.planes:
            if plane.dtype != np.uint8:
                raise UsageError(f"planes must be uint8, not {plane.dtype}")

    @property
    def frames(self) -> int:
        return int(self.y.shape[0])

    @property
    def height(self) -> int:
        return int(self.y.shape[1])

    @property
    def width(self) -> int:
        return int(self.y.shape[2])

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        return (self.y, self.u, self.v)

    def __getitem__(self, frames: slice) -> Clip:
        return Clip(self.y[frames], self.u[frames], self.v[frames])
