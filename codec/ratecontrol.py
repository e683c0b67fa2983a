"""Rate control: which quantiser and lambda a clip is coded with.

quality --> one quantiser                 bit rate --bucket--> budget of the clip
budget  --search over quantisers, real bytes every time--> the best residual that fits
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gistcast.codec.camera import Ground, best_ground, still_ground
from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.layers import Layers, cut_layers
from gistcast.codec.protocol import FloatPlanes
from gistcast.codec.quantiser import QUANTISERS, luma_step
from gistcast.codec.residual import Chosen, ResidualEncoder
from gistcast.codec.settings import EncodeSettings
from gistcast.codec.tables import load_tables

#: lambda of the rate-distortion choice, in squared steps a bit
RDO_WEIGHT = 0.13

_COARSEST, _PER_QUALITY = 174, 1.64  # quantiser of quality 0, and of each step less
TYPICAL = 110  #: quantiser that a search begins with, and motion is weighed at for a quality

#: Tried when a budget is not used up: quantisers finer by so many, with this lambda.
_FILL = ((0, 0.12), (0, 0.11), (1, 0.14), (0, 0.1), (1, 0.16), (2, 0.18), (0, 0.08), (0, 0.06))
_FULL = 0.975  # share of a budget that counts as used up
_SLOW = ((-3, 0.1), (-6, 0.08), (3, 0.17), (6, 0.21))  # as _FILL: what the slow preset tries

_NEAR, _NEAR_TRIALS = 0.3, 3  # near a budget: within this logarithm of it, after so many trials
BYTES_SLOPE = 0.042  #: of log(bytes) over the quantiser, about

Measure = Callable[[Layers], int]  #: bytes of a clip with these residual layers


def quality_to_quantiser(quality: float) -> int:
    """0..100 -> quantiser index, coarsest first."""
    return round(_COARSEST - _PER_QUALITY * quality)


def quantiser_to_quality(quantiser: float) -> float:
    """The counterpart of `quality_to_quantiser`; outside 0..100 for what that never gives."""
    return (_COARSEST - quantiser) / _PER_QUALITY


@dataclass(frozen=True)
class Trial:
    """One way to code a clip's residual.

    Attributes:
        quantiser: of its base layer.
        layers: coded.
        distortion: sum of squared errors on the 8-bit scale, chroma weighted as its step is.
        weight: lambda of its choice, in squared steps a bit.
    """

    quantiser: int
    layers: Layers
    distortion: float
    weight: float = RDO_WEIGHT

    def cost(self, size: int, quantiser: int) -> float:
        """D + lambda R at the lambda that belongs to `quantiser`, for `size` bytes."""
        return self.distortion + RDO_WEIGHT * luma_step(quantiser) ** 2 * 8 * size


class Trials:
    """Codes one clip's residual in different ways, each at most once."""

    def __init__(self, clip: Clip, gist: FloatPlanes | None, settings: EncodeSettings) -> None:
        self._clip, self._gist, self._settings = clip, gist, settings
        self._ground: Ground | None = None
        self._known: dict[tuple[int, float], Trial] = {}
        self._recent: OrderedDict[tuple[int, float], Chosen] = OrderedDict()
        self._room = 4 if clip.frames * clip.height * clip.width < 8 << 20 else 1

    def settle(self, quantiser: int) -> None:
        """Decide, at a quantiser, whether the camera's motion is worth its bytes."""
        wanted = self._gist is None and "motion" not in self._settings.without
        if wanted and self._ground is None:
            encoder = self._encoder(RDO_WEIGHT)
            self._ground = best_ground(self._clip, encoder, quantiser, self._settings.preset)

    def _encoder(self, weight: float) -> ResidualEncoder:
        weight = 0.0 if "rdo" in self._settings.without else weight
        return ResidualEncoder(load_tables(), weight, fast=self._settings.preset == "fast")

    @property
    def ground(self) -> Ground:
        """What the residual is coded on: the frames, until settled otherwise."""
        if self._ground is None:
            self._ground = still_ground(self._clip, self._gist)
        return self._ground

    def at(self, quantiser: int, weight: float = RDO_WEIGHT) -> Trial:
        """The residual at a quantiser (clipped to its range) and a lambda."""
        quantiser = min(QUANTISERS - 1, max(0, quantiser))
        key = quantiser, weight
        if key not in self._known:
            chosen = self._choose(key)
            layers = cut_layers(chosen, self._settings.residual_layers)
            self._known[key] = Trial(quantiser, layers, chosen.cost(0, 0), weight)
        return self._known[key]

    def _choose(self, key: tuple[int, float]) -> Chosen:
        """The levels at a quantiser and a lambda; the last few are kept."""
        if key not in self._recent:
            quantiser, weight = key
            self._recent[key] = self.ground.choose(self._encoder(weight), quantiser)
            while len(self._recent) > self._room:
                self._recent.popitem(last=False)
        return self._recent[key]

    def picture(self, trial: Trial) -> Clip:
        """The sketch that a decoder makes of a trial."""
        chosen = self._choose((trial.quantiser, trial.weight))
        return self.ground.picture(chosen, self._gist)


def at_quality(trials: Trials, quality: float) -> Trial:
    """The residual at a quality. Its bytes are the budget of the clip: where more are spent the
    better the quality, whatever codes best within them can only become better."""
    trials.settle(TYPICAL)  # not at this quantiser: more quality should always cost more bytes
    return trials.at(quality_to_quantiser(quality))


class _Fit:
    """The search for the best trial within a budget."""

    def __init__(self, trials: Trials, budget: int, measure: Measure) -> None:
        self._trials, self._budget, self._measure = trials, budget, measure
        self.best: Trial | None = None
        self.size = 0

    def fits(self, quantiser: int, weight: float = RDO_WEIGHT) -> bool:
        """Try one; keep it if it fits and uses more of the budget than the best so far."""
        trial = self._trials.at(quantiser, weight)
        size = self._measure(trial.layers)
        if size <= self._budget and size > self.size:
            self.best, self.size = trial, size
        return size <= self._budget

    def search(self, guess: int) -> int:
        """The finest quantiser that fits: gallop from the guess, then bisect."""
        stride, fine, coarse = 4, -1, QUANTISERS - 1
        at = guess
        while fine < at < coarse:
            if self.fits(at):
                coarse, at = at, at - stride
            else:
                fine, at = at, at + stride
            stride *= 2
        while coarse - fine > 1:
            middle = (fine + coarse) // 2
            if self.fits(middle):
                coarse = middle
            else:
                fine = middle
        self.fits(coarse)
        return coarse

    def fill(self, quantiser: int) -> None:
        """Spend what is left: a smaller lambda, or a finer step with a larger one."""
        for finer, weight in _FILL:
            if self.size >= _FULL * self._budget:
                return
            self.fits(quantiser - finer, weight)


def near_budget(trials: Trials, budget: int, measure: Measure, guess: int) -> Trial:
    """A residual whose clip has about `budget` bytes, in a few trials.

    Args:
        guess: as for `within_budget`.
    """
    trials.settle(guess)
    trial = trials.at(guess)
    for _ in range(_NEAR_TRIALS):
        excess = math.log(measure(trial.layers) / budget)
        finer = round(excess / BYTES_SLOPE)
        if abs(excess) < _NEAR or not 0 <= trial.quantiser + finer < QUANTISERS:
            break
        trial = trials.at(trial.quantiser + finer)
    return trial


def within_budget(trials: Trials, budget: int, measure: Measure, preset: str, guess: int) -> Trial:
    """The best residual whose clip has at most `budget` bytes.

    Args:
        guess: a quantiser to begin with, such as the clip's before.

    Raises:
        UsageError: nothing is as small.
    """
    trials.settle(guess)
    fit = _Fit(trials, budget, measure)
    quantiser = fit.search(guess)
    fit.fill(quantiser)
    if fit.best is None:
        raise UsageError(
            f"{budget} bytes are too few for this clip: give it more, or make its frames smaller"
        )
    if preset != "slow":
        return fit.best
    rivals = [fit.best]
    for finer, weight in _SLOW:  # other lambdas, each at the step that fills the budget
        other = _Fit(trials, budget, measure)
        for shift in range(-2, 3):
            other.fits(quantiser - finer + shift, weight)
        if other.best is not None and other.size >= 0.95 * budget:
            rivals.append(other.best)
    return min(rivals, key=lambda trial: trial.distortion)


class Bucket:
    """Leaky bucket: what one clip leaves, later ones may use, up to one clip's worth.

    Args:
        bytes_per_second: the stream's rate.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._credit = 0.0

    def budget(self, seconds: float) -> int:
        """Bytes that a clip of this duration may use."""
        return max(24, int(self._rate * seconds + self._credit))

    def spend(self, seconds: float, used: int) -> None:
        """Take note of a clip's bytes."""
        income = self._rate * seconds
        self._credit = min(income, self._credit + income - used)
