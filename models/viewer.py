"""The viewer that an encoder can code for (`gistcast.codec.protocol.Viewer`).

    sketch --stage 2, balanced--> what a receiver shows
        --LPIPS, error of motion, flicker beyond the clip's own--> distance

LPIPS alone would freeze or fade whatever moves: it looks at each frame by itself. The error of the
differences between successive frames, as a share of these differences, does not; nor does the
warping error, which is what changes along the clip's own motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.distortion import temporal_error
from gistcast.codec.protocol import Refiner
from gistcast.models.flow import SMALLEST, Passage
from gistcast.models.lpips import Lpips

MOTION = 0.3  #: what a frozen picture's motion error counts in LPIPS, as chosen on training clips
FLICKER = 0.02  #: what a level of warping error beyond the clip's own counts in LPIPS, likewise
_EVERY = 4  # LPIPS looks at every so many frames
_WHOLE = 160 * 160  # luma samples of a frame, up to which all of it is looked at
_WINDOW = 80  # side of the four windows of larger ones


@dataclass(frozen=True)
class _Window:
    """What is looked at of a clip: the samples, their features, their motion."""

    clip: Clip
    features: list[Tensor]
    passage: Passage


class LpipsViewer:
    """Sees a clip as a receiver with this refiner shows it.

    Args:
        refiner: stage 2.
        lpips: with AlexNet.
        mode: what stage 2 favours.
        motion, flicker: see `MOTION` and `FLICKER`.
    """

    def __init__(
        self,
        refiner: Refiner,
        lpips: Lpips,
        mode: str = "balanced",
        *,
        motion: float = MOTION,
        flicker: float = FLICKER,
    ) -> None:
        self._refiner, self._lpips, self._mode = refiner, lpips, mode
        self._motion, self._flicker = motion, flicker
        self._clip: Clip | None = None
        self._windows: list[_Window] = []  # of that clip

    def distance(self, clip: Clip, sketch: Clip, *, step: float, kept: Sequence[int]) -> float:
        """See `gistcast.codec.protocol.Viewer.distance`."""
        if clip is not self._clip:  # an encoder asks several times about one
            self._clip = clip
            self._windows = [_Window(w, self._features(w), Passage(w.y)) for w in _windows(clip)]
        pairs = zip(self._windows, _windows(sketch), strict=True)
        return float(np.mean([self._of(real, made, step, kept) for real, made in pairs]))

    def _of(self, real: _Window, sketch: Clip, step: float, kept: Sequence[int]) -> float:
        told = {"step": step, "kept": kept, "latent": None, "text": None, "seed": 0}
        shown = self._refiner.refine(sketch, **told, mode=self._mode)  # type: ignore[arg-type]
        apart = float(self._lpips.compare(self._features(shown), real.features).mean())
        moved = temporal_error(real.clip.y, shown.y)[1]
        return apart + self._motion * moved + self._flicker * _flicker(real, shown)

    def _features(self, clip: Clip) -> list[Tensor]:
        rgb = clip_to_rgb(Clip(*(plane[::_EVERY] for plane in clip.planes)))
        with torch.inference_mode():
            return self._lpips.features(
                torch.from_numpy(rgb).float().permute(0, 3, 1, 2) / 127.5 - 1
            )


def _flicker(real: _Window, shown: Clip) -> float:
    """Levels by which more changes along the clip's motion than in the clip itself, at least 0."""
    if shown.frames < 2 or min(shown.height, shown.width) < SMALLEST:
        return 0.0
    beyond = real.passage.error(shown.y) - real.passage.own_error
    return max(0.0, beyond)  # NaN, where nothing stays in sight, is not above 0


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
