"""The viewer that an encoder can code for (`gistcast.codec.protocol.Viewer`).

    sketch --stage 2, balanced--> what a receiver shows --LPIPS, error of motion--> distance

LPIPS alone would freeze or fade whatever moves: it looks at each frame by itself. The error of the
differences between successive frames, as a share of these differences, does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.distortion import temporal_error
from gistcast.codec.protocol import Refiner
from gistcast.models.lpips import Lpips

MOTION = 0.3  #: what a frozen picture's motion error counts in LPIPS, as chosen on training clips
_EVERY = 4  # LPIPS looks at every so many frames
_WHOLE = 160 * 160  # luma samples of a frame, up to which all of it is looked at
_WINDOW = 80  # side of the four windows of larger ones


class LpipsViewer:
    """Sees a clip as a receiver with this refiner shows it.

    Args:
        refiner: stage 2.
        lpips: with AlexNet.
        mode: what stage 2 favours.
        motion: see `MOTION`.
    """

    def __init__(
        self, refiner: Refiner, lpips: Lpips, mode: str = "balanced", motion: float = MOTION
    ) -> None:
        self._refiner, self._lpips, self._mode, self._motion = refiner, lpips, mode, motion
        self._clip: Clip | None = None
        self._windows: list[tuple[Clip, list[Tensor]]] = []  # of that clip, with their features

    def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: int) -> float:
        """See `gistcast.codec.protocol.Viewer.distance`."""
        if clip is not self._clip:  # an encoder asks several times about one
            self._clip = clip
            self._windows = [(window, self._features(window)) for window in _windows(clip)]
        pairs = zip(self._windows, _windows(sketch), strict=True)
        return float(np.mean([self._of(*real, made, step, kept) for real, made in pairs]))

    def _of(
        self, clip: Clip, features: list[Tensor], sketch: Clip, step: float, kept: int
    ) -> float:
        told = {"step": step, "kept": kept, "latent": None, "text": None, "seed": 0}
        shown = self._refiner.refine(sketch, **told, mode=self._mode)  # type: ignore[arg-type]
        apart = float(self._lpips.compare(self._features(shown), features).mean())
        return apart + self._motion * temporal_error(clip.y, shown.y)[1]

    def _features(self, clip: Clip) -> list[Tensor]:
        rgb = clip_to_rgb(Clip(*(plane[::_EVERY] for plane in clip.planes)))
        with torch.inference_mode():
            return self._lpips.features(
                torch.from_numpy(rgb).float().permute(0, 3, 1, 2) / 127.5 - 1
            )


def _windows(clip: Clip) -> Iterator[Clip]:
    """What is looked at: small frames whole, of larger ones a window in each quarter."""
    if clip.height * clip.width <= _WHOLE:
        yield clip
        return
    for down in (1, 3):
        for right in (1, 3):
            rows, columns = _part(clip.height, down), _part(clip.width, right)
            y = clip.y[:, rows, columns]
            half = (slice(None), _half(rows), _half(columns))
            yield Clip(*(np.ascontiguousarray(p) for p in (y, clip.u[half], clip.v[half])))


def _part(length: int, quarter: int) -> slice:
    """A window's worth of samples around a quarter of the length, from an even one on."""
    start = max(0, min(length - _WINDOW, length * quarter // 4 - _WINDOW // 2)) // 2 * 2
    return slice(start, min(length, start + _WINDOW))


def _half(part: slice) -> slice:
    return slice(part.start // 2, (part.stop + 1) // 2)
