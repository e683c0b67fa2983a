"""Whether a clip's sketch is better carried as AV1, and which: by rate and distortion.

residual of the clip --quantiser--> a guess of CRF --SVT-AV1, decoded--> the best that fits
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gistcast.codec.av1 import UnsupportedError
from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError
from gistcast.codec.layers import Layers
from gistcast.codec.quantiser import CHROMA_STEP
from gistcast.codec.ratecontrol import Trial
from gistcast.codec.settings import EncodeSettings
from gistcast.codec.video import decode, encode

Measure = Callable[[Layers], int]

#: Quantiser of a residual -> CRF of like quality with 32 frames kept, as measured.
_QUANTISERS, _CRFS = (10, 59, 76, 92, 108, 125, 141), (4, 30, 40, 48, 56, 62, 65)
_COARSER = 3.0  # with fewer frames: lower the CRF by so much
_LOWEST, _HIGHEST = 4.0, 70.0
_SLOPE = -0.08  # of log(bytes) over CRF, until two points are known
_FULL, _LEAST = 0.955, 0.95  # shares of a budget: the search ends, a clip must use
_POWER = 0.9  # distortion falls with this power of the bytes, about
_LEAST_SIDE = 32  # samples; below, headers are all there is


def distortion(clip: Clip, other: Clip) -> float:
    """Sum of squared errors, chroma weighted as its step is."""
    total = 0.0
    for weight, a, b in zip((1.0, *CHROMA_STEP), clip.planes, other.planes, strict=True):
        error = a.astype(np.float32) - b
        total += float(np.square(error).sum(dtype=np.float64)) / weight**2
    return total


@dataclass(frozen=True)
class VideoTrial:
    """One way to code a clip as video.

    Attributes:
        kept, crf: frames, and quality in CRF.
        layers: coded.
        picture: what comes out.
        distortion: see `distortion`.
    """

    kept: int
    crf: float
    layers: Layers
    picture: Clip
    distortion: float


class VideoTrials:
    """Codes one clip as video in different ways, each at most once."""

    def __init__(self, clip: Clip, settings: EncodeSettings) -> None:
        self._clip, self._settings = clip, settings
        self._known: dict[tuple[int, float], VideoTrial | None] = {}

    @property
    def preset(self) -> int:
        """Of SVT-AV1: what keeps up with real time on two cores."""
        area = self._clip.width * self._clip.height
        if self._settings.preset == "slow":
            return 4
        return 4 if area <= 128 * 128 else 6 if area <= 192 * 192 else 8

    def at(self, kept: int, crf: float) -> VideoTrial | None:
        """The clip with so many frames kept at a CRF (in quarters); None where AV1 cannot."""
        crf = round(4 * min(_HIGHEST, max(_LOWEST, crf))) / 4
        if (kept, crf) not in self._known:
            self._known[kept, crf] = self._code(kept, crf)
        return self._known[kept, crf]

    def _code(self, kept: int, crf: float) -> VideoTrial | None:
        clip = self._clip
        try:
            units = encode(clip, kept, crf, self.preset)
            layers = units.layers()
            payloads = [payload for _, payload in layers]
            picture = decode(payloads, clip.frames, clip.height, clip.width).clip
        except (UnsupportedError, CorruptError):  # an encoder of another version, at worst
            return None
        return VideoTrial(kept, crf, layers, picture, distortion(clip, picture))


def tries_video(clip: Clip, settings: EncodeSettings) -> bool:
    """Whether the settings, and the clip's size, make it worth a try."""
    small = min(clip.width, clip.height) < _LEAST_SIDE or clip.frames < 4
    wanted = settings.video == "auto" and settings.residual_layers is None
    return wanted and settings.preset != "fast" and not small


def _arms(clip: Clip, settings: EncodeSettings, size: int) -> list[int]:
    """How many frames to keep at so many bytes, most promising first."""
    longest = 1 << clip.frames.bit_length() - 1
    whole = size * 32 / clip.frames * (4096 / (clip.width * clip.height)) ** 0.15
    order: tuple[int, ...] = (16, 8) if whole < 600 else (32, 16) if whole > 900 else (16, 32)
    if whole > 2200:
        order = (32,)
    if settings.preset == "slow":
        order = (32, 16, 8, 4)
    arms = [longest * kept // 32 for kept in order]
    return [kept for kept in arms if kept >= 2]


def _crf(quantiser: int, whole: bool) -> float:
    crf = float(np.interp(quantiser, _QUANTISERS, _CRFS))
    return crf if whole else crf - _COARSER


def video_at_quality(
    clip: Clip, settings: EncodeSettings, rival: Trial, measure: Measure
) -> VideoTrial | None:
    """The video of least D + lambda R at the lambda of a residual's quantiser.

    Args:
        rival: the residual.
        measure: bytes of the clip with some layers.
    """
    trials, best, least = VideoTrials(clip, settings), None, math.inf
    quantiser = rival.quantiser
    for kept in _arms(clip, settings, measure(rival.layers)):
        guess = _crf(quantiser, kept == 1 << clip.frames.bit_length() - 1)
        for shift in (0,) if settings.preset == "medium" else (0, -3, 3):
            trial = trials.at(kept, guess + shift)
            if trial is None:
                continue
            cost = replace(rival, distortion=trial.distortion).cost(
                measure(trial.layers), quantiser
            )
            if cost < least:
                best, least = trial, cost
    return best


class _Search:
    """The finest CRF within a budget, for a number of frames kept."""

    def __init__(self, trials: VideoTrials, budget: int, measure: Measure, tries: int) -> None:
        self._trials, self._budget, self._measure = trials, budget, measure
        self._tries = tries

    def run(self, kept: int, crf: float, rival: float) -> VideoTrial | None:
        """The best that fits; None if nothing does, or if it is far from `rival`."""
        best: VideoTrial | None = None
        fine: tuple[float, float] | None = None  # (CRF, log of bytes) too big, and small enough
        coarse: tuple[float, float] | None = None
        for _ in range(self._tries):
            trial = self._trials.at(kept, crf)
            if trial is None:
                return None
            size = self._measure(trial.layers)
            if trial.distortion * (size / self._budget) ** _POWER > rival:
                return best
            point = trial.crf, math.log(size / self._budget)
            if size <= self._budget:
                coarse = point
                if best is None or trial.distortion < best.distortion:
                    best = trial
                if size >= _FULL * self._budget:
                    break
            else:
                fine = point
            step = self._next(fine, coarse)
            if step is None:
                break
            crf = step
        return best

    def _next(
        self, fine: tuple[float, float] | None, coarse: tuple[float, float] | None
    ) -> float | None:
        """CRF to try next: where a line through the points meets the middle of the target."""
        target = math.log((1 + _FULL) / 2)
        if fine is not None and coarse is not None:
            if coarse[0] - fine[0] <= 0.25:
                return None
            share = (fine[1] - target) / (fine[1] - coarse[1])
            crf = fine[0] + min(0.9, max(0.1, share)) * (coarse[0] - fine[0])
            return min(coarse[0] - 0.25, max(fine[0] + 0.25, round(4 * crf) / 4))
        at, size = fine or coarse or (0.0, 0.0)
        crf = at + (target - size) / _SLOPE
        crf = min(_HIGHEST, max(_LOWEST, crf))
        return None if crf == at else crf


def video_within(
    clip: Clip, settings: EncodeSettings, rival: Trial, budget: int, measure: Measure
) -> VideoTrial | None:
    """The best video that uses up a budget; None if it is no better than the residual.

    Args:
        rival: the residual within the budget, with the distortion of its samples.
        measure: bytes of the clip with some layers.
    """
    worst = rival.distortion
    slow = settings.preset == "slow"
    search = _Search(VideoTrials(clip, settings), budget, measure, 8 if slow else 4)
    best: VideoTrial | None = None
    for kept in _arms(clip, settings, budget):
        whole = kept == 1 << clip.frames.bit_length() - 1
        limit = 1.3 * (worst if best is None else best.distortion)
        found = search.run(kept, _crf(rival.quantiser, whole) if best is None else best.crf, limit)
        if found is None or measure(found.layers) < _LEAST * budget:
            continue
        if found.distortion < (worst if best is None else best.distortion):
            best = found
    return best

