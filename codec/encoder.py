"""Clip -> packets: description, gist, residual at a rate.

clip --model.describe--> latent --> LATENT packet        text --> TEXT packet
  |                         '--> gist (the decoder's)
  '--> clip - gist --transform, choose at a quantiser--> RESIDUAL packets
                                      ^-- rate control: quality, clip bytes or bit rate
  '--> some frames --AV1, where it does better than the residual--> VIDEO packets
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.distortion import distortion
from gistcast.codec.errors import UsageError
from gistcast.codec.header import Header
from gistcast.codec.latent import encode_latent
from gistcast.codec.layers import Layers
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, TEXT, VIDEO, Packet
from gistcast.codec.protocol import FloatPlanes, GistModel, Viewer
from gistcast.codec.ratecontrol import (
    TYPICAL,
    Bucket,
    Trial,
    Trials,
    at_quality,
    near_budget,
    within_budget,
)
from gistcast.codec.settings import LAYER_SETS, PRESETS, TOOLS, TUNES, EncodeSettings
from gistcast.codec.text import encode_text
from gistcast.codec.videochoice import Choice

__all__ = ["LAYER_SETS", "PRESETS", "TOOLS", "TUNES", "EncodeSettings", "Encoder"]

_DEFAULT_QUALITY = 50.0
LEAST_LIMIT = 128  #: bytes that any clip can be coded with


@dataclass(frozen=True)
class _Coded:
    """A clip coded in one way: all its layers, the trial behind the last ones, bytes of packets."""

    layers: Layers
    trial: Trial
    size: int


class Encoder:
    """Codes clips one after the other; stateless but for clip numbers and the leaky bucket.

    Args:
        info: geometry and frame rate of the video.
        settings: see `EncodeSettings`.
        model: the gist model, needed for latents and for gists from text.
        viewer: who to code for, unless the settings are tuned for PSNR.

    Raises:
        UsageError: the settings ask for a model or a viewer that is not given.
    """

    def __init__(
        self,
        info: VideoInfo,
        settings: EncodeSettings | None = None,
        model: GistModel | None = None,
        viewer: Viewer | None = None,
    ) -> None:
        self.settings = settings or EncodeSettings()
        if self.settings.tune == "perceptual" and viewer is None:
            raise UsageError("to tune for the eye the encoder needs a viewer")
        self._viewer = viewer if self.settings.tune != "psnr" else None
        uses_model = self.settings.latent != "off" or self.settings.layers != "residual"
        if uses_model and model is None:
            raise UsageError("text and latent layers need a gist model")
        self._model = model if uses_model else None
        self._header = Header(
            info.width,
            info.height,
            Fraction(info.fps),
            self.settings.clip_frames,
            self.settings.seed,
            self._model.model_id if self._model else 0,
            self._model.weights_hash if self._model else b"\0\0\0\0",
        )
        self.header = self._header.to_bytes()
        self._number = 0
        self._pts = 0
        self._guess = TYPICAL
        rate = self.settings.bitrate
        self._bucket = Bucket(rate / 8) if rate is not None else None

    def encode_clip(self, clip: Clip, limit: int | None = None) -> list[Packet]:
        """Packets of the next clip, in layer order.

        Args:
            clip: of the stream's size.
            limit: bytes that this clip's budget is lowered to, where a bit rate or clip bytes
                set one (not below 128, which any clip can be coded with).

        Raises:
            UsageError: the clip's size is not the stream's, or its budget cannot be met.
        """
        if (clip.width, clip.height) != (self._header.width, self._header.height):
            raise UsageError(
                f"clip is {clip.width}x{clip.height}, "
                f"the stream {self._header.width}x{self._header.height}"
            )
        if clip.frames > self.settings.clip_frames:
            raise UsageError(f"clip has {clip.frames} frames, limit {self.settings.clip_frames}")
        seconds = clip.frames / float(self._header.fps)
        budget = self._bucket.budget(seconds) if self._bucket else self.settings.clip_bytes
        if budget is not None and limit is not None:
            budget = min(budget, max(limit, LEAST_LIMIT))
        layers = self._layers(clip, budget)
        packets = self._packets(clip, layers)
        if self._bucket:
            self._bucket.spend(seconds, self._size(clip, layers))
        self._number += 1
        self._pts += clip.frames
        return packets

    def _packets(self, clip: Clip, layers: Layers) -> list[Packet]:
        """One packet a layer; the first says when the clip is, if its number does not."""
        frames = clip.frames if clip.frames != self.settings.clip_frames else None
        expected = self._number * self.settings.clip_frames
        packets = []
        for index, (layer, payload) in enumerate(layers):
            pts = self._pts if index == 0 and self._pts != expected else None
            last = index == len(layers) - 1
            packets.append(Packet(self._number, layer, payload, last, frames, pts))
        return packets

    def _size(self, clip: Clip, layers: Layers) -> int:
        """Bytes of the clip's packets with these layers."""
        return sum(len(p.to_bytes(self.header)) for p in self._packets(clip, layers))

    def _layers(self, clip: Clip, budget: int | None) -> Layers:
        """The layers of the clip: with a latent, without, or whichever costs less."""
        described, latent = self._description(clip)
        if self.settings.layers != "residual":
            return described
        bare = [layer for layer in described if layer[0] == TEXT]
        arms: list[tuple[Layers, FloatPlanes | None]] = []
        if latent is None or self.settings.latent == "auto":
            arms.append((bare, None))
        if latent is not None:
            arms.append((described, self._gist(clip, latent)))
        coded = self._that_fit(clip, arms, budget)
        # of more than one the least D + lambda R, at one lambda: each at its own, the one of
        # coarser steps would pay more for the same bytes
        quantiser = coded[0].trial.quantiser
        best = min(coded, key=lambda each: each.trial.cost(each.size, quantiser))
        if budget is not None:
            self._guess = best.trial.quantiser
        return best.layers

    def _that_fit(
        self, clip: Clip, arms: Sequence[tuple[Layers, FloatPlanes | None]], budget: int | None
    ) -> list[_Coded]:
        """The clip coded in each of these ways, but for those that the budget is too small for.

        Raises:
            UsageError: it is too small for all of them.
        """
        coded, failures = [], []
        for described, gist in arms:
            try:
                coded.append(self._with_residual(clip, described, gist, budget, len(arms) > 1))
            except UsageError as error:
                failures.append(error)
        if not coded:
            raise failures[0]
        return coded

    def _description(self, clip: Clip) -> tuple[Layers, NDArray[np.int32] | None]:
        """The text and latent layers that the settings ask for, and the latent."""
        layers, latent = [], None
        settings = self.settings
        if self._sends_text:
            layers.append((TEXT, encode_text(settings.text or "")))
        wants_latent = settings.latent != "off" or settings.layers == "latent"
        if self._model and wants_latent and settings.layers != "text":
            latent = self._model.describe(clip)
            layers.append((LATENT, encode_latent(latent, self._model.latent_frequencies)))
        return layers, latent

    @property
    def _sends_text(self) -> bool:
        settings = self.settings
        return bool(settings.text) and (self._number == 0 or settings.layers != "residual")

    def _gist(self, clip: Clip, latent: NDArray[np.int32]) -> FloatPlanes:
        """The gist that the decoder will add the residual to."""
        assert self._model is not None
        return self._model.gist(
            latent,
            self.settings.text if self._sends_text else None,
            frames=clip.frames,
            height=clip.height,
            width=clip.width,
            seed=self.settings.seed + self._number,
        )

    def _with_residual(
        self,
        clip: Clip,
        described: Layers,
        gist: FloatPlanes | None,
        budget: int | None,
        compared: bool,
    ) -> _Coded:
        """The description with the residual on a gist (None: grey).

        Args:
            compared: whether the distortion has to be that of the samples. A transform's is not
                quite, and a moving camera's is that of its canvas.
        """
        settings = self.settings
        trials = Trials(clip, gist, settings)

        def measure(layers: Layers) -> int:
            return self._size(clip, described + layers)

        choice = Choice(clip, settings, measure, self._viewer) if gist is None else None
        if budget is None:
            quality = _DEFAULT_QUALITY if settings.quality is None else settings.quality
            plain = at_quality(trials, quality)
            trial = self._in_place_of(plain, trials, choice, measure)
        else:
            trial = self._within(trials, choice, budget, measure)
        if compared and trial.layers[0][0] < VIDEO:
            trial = replace(trial, distortion=distortion(clip, trials.picture(trial)))
        return _Coded(described + trial.layers, trial, measure(trial.layers))

    def _in_place_of(
        self, plain: Trial, trials: Trials, choice: Choice | None, measure: Callable[[Layers], int]
    ) -> Trial:
        """The best within the bytes of a residual."""
        budget, trial = measure(plain.layers), plain
        if self.settings.preset == "slow":
            trial = within_budget(trials, budget, measure, "slow", plain.quantiser)
        return choice.within(trials, trial, budget, least=0) if choice else trial

    def _within(
        self, trials: Trials, choice: Choice | None, budget: int, measure: Callable[[Layers], int]
    ) -> Trial:
        """The best within a budget. Where video is clearly better, the residual is not searched,
        except by preset slow."""
        preset, guess = self.settings.preset, self._guess
        if choice and choice.open and preset != "slow" and not choice.asks(budget):
            near = near_budget(trials, budget, measure, guess)
            video = choice.clearly_within(trials, near, budget)
            if video is not None:
                return video
            guess = near.quantiser
        trial = within_budget(trials, budget, measure, preset, guess)
        return choice.within(trials, trial, budget) if choice else trial
