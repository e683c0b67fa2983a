"""Whether a clip's sketch is better carried as AV1, and which: by rate and distortion.

residual of the clip --quantiser--> a guess of CRF --SVT-AV1, decoded--> the best that fits:
    the nearest to the clip in squared error, or for a viewer of what stage 2 makes of it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gistcast.codec.av1 import UnsupportedError
from gistcast.codec.clip import Clip
from gistcast.codec.distortion import distortion
from gistcast.codec.errors import CorruptError
from gistcast.codec.fade import kept_frames
from gistcast.codec.layers import Layers
from gistcast.codec.protocol import Viewer
from gistcast.codec.quantiser import luma_step
from gistcast.codec.ratecontrol import Trial, Trials
from gistcast.codec.settings import EncodeSettings
from gistcast.codec.video import decode, encode

Measure = Callable[[Layers], int]

#: Quantiser of a residual -> CRF of like quality with 32 frames kept, as measured.
_QUANTISERS, _CRFS = (10, 59, 76, 92, 108, 125, 141), (4, 30, 40, 48, 56, 62, 65)
_COARSER = 3.0  # with fewer frames: lower the CRF by so much
_EVENED = 4.0  # with bytes spread evenly: lower it by so much more
_FEW = 16  # frames, up to which it is tried to spread bytes evenly
_LOWEST, _HIGHEST, _QUARTER = 4.0, 70.0, 0.25  # CRF, and its steps
_TOO_FINE = 0.25  # log of bytes over the budget that a CRF counts first with which AV1 cannot do
_SLOPES = (0, 45, 63), (-0.045, -0.045, -0.2)  # of log(bytes) over CRF, until two points are known
LEAST_SHARE = 0.95  #: of a budget, that a clip uses
_FULL = 0.955  # share of a budget with which the search ends
_STILL = 0.5  # mean change of luma from frame to frame, below which a clip stands still
_POWER = 0.9  # distortion falls with this power of the bytes, about
_LEAST_SIDE, _LEAST_FRAMES = 32, 4  # samples, frames; below, headers are all there is
_FAR = 1.3  # distortion over the best, expected at the budget, from which a search is given up
_POLISH, _POLISH_TRIES = (
    1.15,
    4,
)  # distortion, distance over those with more effort, at most; encodes
_SMALL, _SMALL_CLIP = 2000, 32 * 64 * 64  # bytes of a budget that is small, for these samples
_LARGEST = 256 * 256  # luma samples of a frame, up to which there is time for a viewer unasked
_HALVED = 5.0  # lower the CRF by so much where half as many frames share a budget, to begin with
_SEEN = 0.85  # share of a budget that a video must use to be shown to a viewer
_HALVINGS = 6  # a viewer is shown all frames, half of them, ... 32, 16, 8, 4, 2, 1
_CLEARLY = 0.75  # distortion over a residual's, expected at the budget, from which it is beaten


@dataclass(frozen=True)
class Arm:
    """What bytes are spent on.

    Attributes:
        kept: frames.
        even: see `gistcast.codec.video.encode`.
    """

    kept: int
    even: bool = False


@dataclass(frozen=True)
class VideoTrial:
    """One way to code a clip as video.

    Attributes:
        arm, crf: what for, and quality in CRF.
        layers: coded.
        picture: what comes out.
        step: that stage 2 is told.
        distortion: see `gistcast.codec.distortion`.
    """

    arm: Arm
    crf: float
    layers: Layers
    picture: Clip
    step: float
    distortion: float


def _searching(clip: Clip, settings: EncodeSettings) -> int:
    """SVT-AV1's preset for a search: what keeps up with real time on two cores."""
    area = clip.width * clip.height
    if settings.preset == "slow" or area <= 128 * 128:
        return 4
    return 6 if area <= 192 * 192 else 8


def _polishing(clip: Clip, settings: EncodeSettings) -> int | None:
    """SVT-AV1's preset for the winner of a search; None where there is no time for it."""
    area, slow = clip.width * clip.height, settings.preset == "slow"
    if area <= 96 * 96:
        return -1 if slow else 0
    if area <= 128 * 128:
        return 0 if slow else 1
    return 1 if slow else None


def _possible(crf: float) -> float:
    """The nearest CRF that is tried, in quarters."""
    return round(4 * min(_HIGHEST, max(_LOWEST, crf))) / 4


class VideoTrials:
    """Codes one clip as video in different ways, each at most once.

    Args:
        preset: of SVT-AV1.
    """

    def __init__(self, clip: Clip, preset: int) -> None:
        self._clip, self._preset = clip, preset
        self._known: dict[tuple[Arm, float], VideoTrial | None] = {}

    def at(self, arm: Arm, crf: float) -> VideoTrial | None:
        """The clip at a possible CRF; None where AV1 cannot."""
        if (arm, crf) not in self._known:
            self._known[arm, crf] = self._code(arm, crf)
        return self._known[arm, crf]

    def _code(self, arm: Arm, crf: float) -> VideoTrial | None:
        clip = self._clip
        try:
            layers = encode(clip, arm.kept, crf, self._preset, even=arm.even).layers()
            payloads = [payload for _, payload in layers]
            made = decode(payloads, clip.frames, clip.height, clip.width)
        except (UnsupportedError, CorruptError):  # an encoder of another version, at worst
            return None
        off = distortion(clip, made.clip)
        return VideoTrial(arm, crf, layers, made.clip, made.step, off)


def _arms(clip: Clip, settings: EncodeSettings, size: int) -> list[Arm]:
    """What to try at so many bytes, most promising first."""
    longest = _longest(clip)
    whole = size * 32 / clip.frames * (4096 / (clip.width * clip.height)) ** 0.15
    order: tuple[int, ...] = (16, 8) if whole < 600 else (32, 16) if whole > 900 else (16, 32)
    if whole > 2200:
        order = (32,)
    if whole < 900 and _stands_still(clip):
        order = (4, 2) if whole < 400 else (4, 8)
    if settings.preset == "slow":
        order = (32, 16, 8, 4)
    return [arm for n in order if n >= 2 for arm in _ways(longest * n // 32) if arm.kept >= 2]


def _ways(kept: int) -> list[Arm]:
    """To spend bytes on so many frames."""
    return [Arm(kept)] + [Arm(kept, even=True)] * (1 < kept <= _FEW)


def _stands_still(clip: Clip) -> bool:
    """Whether hardly anything moves: then a few frames, sharp, are the better use of the bytes."""
    change = np.abs(np.diff(clip.y.astype(np.int16), axis=0))
    return bool(change.mean() < _STILL) if change.size else True


def _longest(clip: Clip) -> int:
    """The largest power of two that is no more than the clip's frames."""
    return 1 << clip.frames.bit_length() - 1


def _crf(quantiser: int, arm: Arm, clip: Clip) -> float:
    """CRF of like quality as a residual's quantiser."""
    crf = float(np.interp(quantiser, _QUANTISERS, _CRFS))
    return crf - _COARSER * (arm.kept < _longest(clip)) - _EVENED * arm.even


class _Search:
    """The best CRF within a budget.

    Args:
        tries: encodes at most.
        fullest: the best is what uses most of the budget, not what has the least squared error:
            the sharper a frame, the larger the error of fades from it.
    """

    def __init__(
        self,
        trials: VideoTrials,
        budget: int,
        measure: Measure,
        tries: int,
        *,
        fullest: bool = False,
    ) -> None:
        self._trials, self._budget, self._measure = trials, budget, measure
        self._tries, self._fullest = tries, fullest

    def run(self, arm: Arm, crf: float, rival: float) -> VideoTrial | None:
        """The best that fits; None if nothing does, or if it is far from `rival`."""
        best: VideoTrial | None = None
        points: list[tuple[float, float]] = []  # CRF, log of bytes over the budget
        for _ in range(self._tries):
            crf = _possible(crf)
            trial = self._trials.at(arm, crf)
            if trial is None:  # lossless, for which the format has no words: too fine
                points.append((crf, math.inf))
                crf = _next_crf(points)
                continue
            size = self._measure(trial.layers)
            if trial.distortion * (size / self._budget) ** _POWER > rival:
                return best
            points.append((trial.crf, math.log(size / self._budget)))
            if size <= self._budget and (best is None or self._better(trial, best)):
                best = trial
            crf = _next_crf(points)
            if crf == trial.crf or _FULL * self._budget <= size <= self._budget:
                break
        return best

    def _better(self, trial: VideoTrial, best: VideoTrial) -> bool:
        if self._fullest:
            return self._measure(trial.layers) > self._measure(best.layers)
        return trial.distortion < best.distortion


def _next_crf(points: Sequence[tuple[float, float]]) -> float:
    """Where a line through two of the points meets the middle of the target; the last one's CRF
    when there is nothing left to try."""
    target = math.log((1 + _FULL) / 2)
    at, size = points[-1]
    fine = max((p for p in points if p[1] > 0), default=None)
    coarse = min((p for p in points if p[1] <= 0), default=None)
    if fine and coarse:
        if coarse[0] - fine[0] <= _QUARTER:
            return at
        share = 0.5 if fine[1] == math.inf else (fine[1] - target) / (fine[1] - coarse[1])
        crf = fine[0] + min(0.9, max(0.1, share)) * (coarse[0] - fine[0])
        return min(coarse[0] - _QUARTER, max(fine[0] + _QUARTER, round(4 * crf) / 4))
    if size == math.inf:
        size = _TOO_FINE
    slope = float(np.interp(at, *_SLOPES))
    if len(points) > 1 and at != points[-2][0] and points[-2][1] < math.inf:
        slope = min(slope / 3, max(slope * 2, (size - points[-2][1]) / (at - points[-2][0])))
    step = (target - size) / slope
    crf = at + math.copysign(max(_QUARTER, abs(step)), step)
    return _possible(crf)


class Choice:
    """Between the residual and the video of one clip.

    Args:
        clip: to be coded.
        settings: of the stream.
        measure: bytes of the clip with some layers.
        viewer: whose choice it is; None leaves it to the squared error.
    """

    def __init__(
        self, clip: Clip, settings: EncodeSettings, measure: Measure, viewer: Viewer | None = None
    ) -> None:
        self._clip, self._settings, self._measure = clip, settings, measure
        self._viewer = viewer
        self._videos = VideoTrials(clip, _searching(clip, settings))
        finer = _polishing(clip, settings)
        self._finer = None if finer is None else VideoTrials(clip, finer)

    @property
    def _tries(self) -> int:
        """Encodes of a search, at most."""
        return 8 if self._settings.preset == "slow" else 5

    @property
    def open(self) -> bool:
        """Whether the settings, and the clip's size, make video worth a try."""
        clip = self._clip
        small = min(clip.width, clip.height) < _LEAST_SIDE or clip.frames < _LEAST_FRAMES
        return self._settings.chooses and not small

    def within(
        self, trials: Trials, trial: Trial, budget: int, least: float = LEAST_SHARE
    ) -> Trial:
        """The trial within a budget, or the video within it if that is closer to the clip.

        Args:
            least: share of the budget that a video must use.
        """
        if not self.open:
            return trial
        if self._viewer is not None and self.asks(budget):
            return self._seen(self._viewer, trials, trial, budget, least)
        rival = self._exact(trials, trial)
        video = self._best(rival, budget, least)
        return rival if video is None else _as_trial(video, trial)

    def asks(self, budget: int) -> bool:
        """Whether the viewer chooses within a budget."""
        if self._viewer is None:
            return False
        if self._settings.tune == "perceptual":
            return True
        area = self._clip.height * self._clip.width
        small = _SMALL * area * self._clip.frames / _SMALL_CLIP
        return area <= _LARGEST and budget <= small

    def _seen(
        self, viewer: Viewer, trials: Trials, trial: Trial, budget: int, least: float
    ) -> Trial:
        """What the viewer likes best: the residual, or one of the videos within the budget."""
        step = luma_step(trial.quantiser)
        nearest = viewer.distance(self._clip, trials.picture(trial), step=step, kept=())
        videos = self._videos_within(trial.quantiser, budget, least)
        found, best = min(
            ((self._distance(viewer, video), video) for video in videos),
            key=lambda pair: pair[0],
            default=(math.inf, None),
        )
        if best is not None and self._finer is not None and found < _POLISH * nearest:
            finer = self._polished(self._finer, best, budget, least, fullest=True)
            if (closer := self._distance(viewer, finer)) < found:
                found, best = closer, finer
        if best is None or found >= nearest:
            return self._exact(trials, trial)
        return _as_trial(best, trial)

    def _distance(self, viewer: Viewer, video: VideoTrial) -> float:
        """What the viewer finds a video to be from the clip."""
        kept = kept_frames(self._clip.frames, video.arm.kept)
        return viewer.distance(self._clip, video.picture, step=video.step, kept=kept)

    def _videos_within(self, quantiser: int, budget: int, least: float) -> list[VideoTrial]:
        """For each number of frames to keep, the best video that uses up a budget."""
        search = _Search(self._videos, budget, self._measure, self._tries, fullest=True)
        found: list[VideoTrial] = []
        longest, last = _longest(self._clip), _crf(quantiser, Arm(_longest(self._clip)), self._clip)
        for kept in (longest >> halvings for halvings in range(_HALVINGS)):
            for arm in _ways(kept) if kept else ():
                video = search.run(arm, last - _EVENED * arm.even, math.inf)
                if video is None or self._measure(video.layers) < min(least, _SEEN) * budget:
                    continue
                found.append(video)
                last = video.crf + _EVENED * arm.even
            last -= _HALVED * bool(found)
        return found

    def clearly_within(self, trials: Trials, near: Trial, budget: int) -> Trial | None:
        """The video within a budget if it is far better than a residual of about those bytes."""
        size, exact = self._measure(near.layers), self._exact(trials, near)
        expected = exact.distortion * (size / budget) ** _POWER
        video = self._best(replace(exact, distortion=_CLEARLY * expected), budget, LEAST_SHARE)
        return None if video is None else _as_trial(video, near)

    def _exact(self, trials: Trials, trial: Trial) -> Trial:
        """With the distortion of its samples, not of its coefficients."""
        return replace(trial, distortion=distortion(self._clip, trials.picture(trial)))

    def _best(self, rival: Trial, budget: int, least: float) -> VideoTrial | None:
        """The best video that uses up a budget; None if it is no better than the rival."""
        gain = 1.0 if self._finer is None else _POLISH
        best = self._search(replace(rival, distortion=gain * rival.distortion), budget, least)
        if best is not None and self._finer is not None:
            best = self._polished(self._finer, best, budget, least)
        return None if best is None or best.distortion >= rival.distortion else best

    def _polished(
        self,
        finer: VideoTrials,
        best: VideoTrial,
        budget: int,
        least: float,
        *,
        fullest: bool = False,
    ) -> VideoTrial:
        """The winner of a search, coded with more effort."""
        search = _Search(finer, budget, self._measure, _POLISH_TRIES, fullest=fullest)
        found = search.run(best.arm, best.crf, math.inf)
        if found is None or self._measure(found.layers) < least * budget:
            return best
        if fullest:  # what effort is for is not to be seen in the error of fades
            return found
        return min(best, found, key=lambda video: video.distortion)

    def _search(self, rival: Trial, budget: int, least: float) -> VideoTrial | None:
        search = _Search(self._videos, budget, self._measure, self._tries)
        best: VideoTrial | None = None
        for arm in _arms(self._clip, self._settings, budget):
            worst = rival.distortion if best is None else best.distortion
            crf = _crf(rival.quantiser, arm, self._clip) if best is None else best.crf
            found = search.run(arm, crf, _FAR * worst)
            if found is None or self._measure(found.layers) < least * budget:
                continue
            if found.distortion < worst:
                best = found
        return best


def _as_trial(video: VideoTrial, like: Trial) -> Trial:
    return replace(like, layers=video.layers, distortion=video.distortion)
