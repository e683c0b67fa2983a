"""Clip -> packets: description, gist, residual at a rate.

clip --model.describe--> latent --> LATENT packet        text --> TEXT packet
  |                         '--> gist (the decoder's)
  '--> clip - gist --transform, choose at a quantiser--> RESIDUAL packets
                                      ^-- rate control: quality, clip bytes or bit rate
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import CLIP_FRAMES, Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.header import Header
from gistcast.codec.latent import encode_latent
from gistcast.codec.layout import Layout, make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, MAX_LAYER, RESIDUAL, TEXT, Packet, put_varint
from gistcast.codec.protocol import FloatPlanes, GistModel
from gistcast.codec.quantiser import QUANTISERS
from gistcast.codec.residual import Chosen, ResidualEncoder
from gistcast.codec.sketch import normalise, transform_clip
from gistcast.codec.tables import load_tables
from gistcast.codec.text import encode_text
from gistcast.codec.transform import BandKey

PRESETS = ("fast", "medium", "slow")
LAYER_SETS = ("text", "latent", "residual")

#: lambda of the rate-distortion choice, in squared steps a bit
RDO_WEIGHT = 0.13
_FILL = ((0, 0.12), (0, 0.11), (1, 0.14), (0, 0.1), (1, 0.16), (2, 0.18), (0, 0.08), (0, 0.06))
_FULL = 0.975  # share of a budget that counts as used up
#: Where residual layers end by default, in bytes: a small base, then what fits one message.
_LAYER_ENDS = (450, 1150, *range(2150, 13150, 1000))
_LEAST_LAYER = 250  # bytes: a smaller rest joins the layer before it


@dataclass(frozen=True)
class EncodeSettings:
    """How to code a stream. At most one of quality, clip_bytes and bitrate.

    Attributes:
        quality: 0..100, more is better and bigger.
        clip_bytes: hard limit on the bytes of every clip, packet headers included.
        bitrate: bits a second, as a leaky bucket over the stream.
        clip_frames: 8, 16 or 32.
        preset: fast, medium or slow; slower ones try more alternatives.
        text: description sent with the first clip (and whenever `layers` is "text").
        layers: the last kind of layer to send: text, latent or residual.
        latent: send a latent and subtract its gist: "off", "on", or "auto" (where it pays).
        seed: of the decoder's randomness, 0..2**32-1.
        residual_layers: number of residual layers; None lets the size decide.
    """

    quality: float | None = None
    clip_bytes: int | None = None
    bitrate: float | None = None
    clip_frames: int = 32
    preset: str = "medium"
    text: str | None = None
    layers: str = "residual"
    latent: str = "off"
    seed: int = 0
    residual_layers: int | None = None

    def __post_init__(self) -> None:
        if sum(v is not None for v in (self.quality, self.clip_bytes, self.bitrate)) > 1:
            raise UsageError("choose one of quality, clip bytes and bit rate")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise UsageError(f"quality is 0 to 100, not {self.quality}")
        if self.clip_bytes is not None and self.clip_bytes < 16:
            raise UsageError("a clip needs at least 16 bytes")
        if self.bitrate is not None and self.bitrate <= 0:
            raise UsageError("the bit rate must be positive")
        if self.clip_frames not in CLIP_FRAMES:
            raise UsageError(f"a clip has 8, 16 or 32 frames, not {self.clip_frames}")
        for value, allowed in (
            (self.preset, PRESETS),
            (self.layers, LAYER_SETS),
            (self.latent, ("off", "on", "auto")),
        ):
            if value not in allowed:
                raise UsageError(f"{value!r} is none of {', '.join(allowed)}")
        limit = MAX_LAYER - RESIDUAL + 1
        if self.residual_layers is not None and not 1 <= self.residual_layers <= limit:
            raise UsageError(f"residual layers: 1 to {limit}")
        if self.layers == "text" and not self.text:
            raise UsageError("a stream of text layers alone needs a text")


def quality_to_quantiser(quality: float) -> int:
    """0..100 -> quantiser index, coarsest first."""
    return round(174 - 1.64 * quality)


class _Residuals:
    """Candidates for one clip's residual, by quantiser, remembered."""

    def __init__(self, clip: Clip, gist: FloatPlanes | None, layout: Layout) -> None:
        self._bands: list[dict[BandKey, NDArray[np.float32]]] = transform_clip(clip, gist, layout)
        self._layout = layout
        self._known: dict[tuple[int, float], Chosen] = {}

    def at(self, quantiser: int, weight: float = RDO_WEIGHT) -> Chosen:
        key = quantiser, weight
        if key not in self._known:
            coefficients = normalise(self._bands, quantiser)
            encoder = ResidualEncoder(load_tables(), weight)
            self._known[key] = encoder.choose(self._layout, coefficients, quantiser)
        return self._known[key]


class Encoder:
    """Codes clips one after the other; stateless but for clip numbers and the leaky bucket.

    Args:
        info: geometry and frame rate of the video.
        settings: see `EncodeSettings`.
        model: the gist model, needed for latents and for gists from text.
    """

    def __init__(
        self,
        info: VideoInfo,
        settings: EncodeSettings | None = None,
        model: GistModel | None = None,
    ) -> None:
        self.settings = settings or EncodeSettings()
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
        self._credit = 0.0

    def encode_clip(self, clip: Clip) -> list[Packet]:
        """Packets of the next clip, in layer order.

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
        budget = self._budget(clip)
        layers = self._layers(clip, budget)
        packets = self._packets(clip, layers)
        self._spend(clip, sum(len(p.to_bytes(self.header)) for p in packets))
        self._number += 1
        self._pts += clip.frames
        return packets

    def _packets(self, clip: Clip, layers: list[tuple[int, bytes]]) -> list[Packet]:
        """One packet a layer; the first says when the clip is, if its number does not."""
        frames = clip.frames if clip.frames != self.settings.clip_frames else None
        expected = self._number * self.settings.clip_frames
        packets = []
        for index, (layer, payload) in enumerate(layers):
            pts = self._pts if index == 0 and self._pts != expected else None
            last = index == len(layers) - 1
            packets.append(Packet(self._number, layer, payload, last, frames, pts))
        return packets

    # --- rate ---

    def _budget(self, clip: Clip) -> int | None:
        if self.settings.bitrate is None:
            return self.settings.clip_bytes
        return max(24, int(self._income(clip) + self._credit))

    def _income(self, clip: Clip) -> float:
        """Bytes that the bit rate grants for the duration of a clip."""
        assert self.settings.bitrate is not None
        return self.settings.bitrate / 8 * clip.frames / float(self._header.fps)

    def _spend(self, clip: Clip, used: int) -> None:
        """Leaky bucket: what one clip leaves, later ones may use, up to one clip's worth."""
        if self.settings.bitrate is not None:
            income = self._income(clip)
            self._credit = min(income, self._credit + income - used)

    # --- layers ---

    def _layers(self, clip: Clip, budget: int | None) -> list[tuple[int, bytes]]:
        """(layer, payload) pairs of the clip."""
        described = self._description(clip)
        with_gist = self._with_residual(clip, described, budget)
        if self.settings.latent != "auto" or self.settings.layers != "residual":
            return with_gist[0]
        text_only = [layer for layer in described if layer[0] == TEXT]
        without = self._with_residual(clip, text_only, budget)
        return min(with_gist, without, key=lambda candidate: candidate[1])[0]

    def _description(self, clip: Clip) -> list[tuple[int, bytes]]:
        layers = []
        settings = self.settings
        if settings.text and (self._number == 0 or settings.layers != "residual"):
            layers.append((TEXT, encode_text(settings.text)))
        wants_latent = settings.latent != "off" or settings.layers == "latent"
        if self._model and wants_latent and settings.layers != "text":
            latent = self._model.describe(clip)
            layers.append((LATENT, encode_latent(latent, self._model.latent_frequencies)))
        return layers

    def _gist(self, clip: Clip, described: list[tuple[int, bytes]]) -> FloatPlanes | None:
        if self._model is None or LATENT not in dict(described):
            return None
        return self._model.gist(
            self._model.describe(clip),
            self.settings.text if TEXT in dict(described) else None,
            frames=clip.frames,
            height=clip.height,
            width=clip.width,
            seed=self.settings.seed + self._number,
        )

    def _with_residual(
        self, clip: Clip, described: list[tuple[int, bytes]], budget: int | None
    ) -> tuple[list[tuple[int, bytes]], float]:
        """Layers with a residual on top of a description, and their cost D + lambda R."""
        if self.settings.layers != "residual":
            return described, 0.0
        layout = make_layout(clip.frames, clip.height, clip.width)
        candidates = _Residuals(clip, self._gist(clip, described), layout)
        if budget is None:
            quality = 50.0 if self.settings.quality is None else self.settings.quality
            chosen = candidates.at(quality_to_quantiser(quality))
            layers = self._residual_layers(chosen)
        else:
            chosen, layers = self._fit(clip, candidates, described, budget)
        size = self._size(clip, described + layers)
        return described + layers, chosen.cost(8 * size, RDO_WEIGHT)

    def _size(self, clip: Clip, layers: list[tuple[int, bytes]]) -> int:
        return sum(len(p.to_bytes(self.header)) for p in self._packets(clip, layers))

    def _fit(
        self, clip: Clip, candidates: _Residuals, described: list[tuple[int, bytes]], budget: int
    ) -> tuple[Chosen, list[tuple[int, bytes]]]:
        """The finest quantiser whose layers fit the budget, by bisection, then filled up."""
        spent = self._size(clip, described) if described else 0
        fine, coarse = 0, QUANTISERS - 1
        while fine < coarse:
            middle = (fine + coarse) // 2
            if self._estimate(candidates.at(middle)) + spent <= budget:
                coarse = middle
            else:
                fine = middle + 1
        for quantiser in range(coarse, QUANTISERS):
            best = self._fitting(clip, candidates.at(quantiser), described, budget)
            if best is not None:
                break
        else:
            raise UsageError(f"{budget} bytes are too few for this clip")
        for finer, weight in _FILL:  # spend what is left: a smaller lambda, or a finer step
            if best[2] >= _FULL * budget:
                break
            other = candidates.at(max(0, quantiser - finer), weight)
            fuller = self._fitting(clip, other, described, budget)
            if fuller is not None and fuller[2] > best[2]:
                best = fuller
        return best[:2]

    def _fitting(
        self, clip: Clip, chosen: Chosen, described: list[tuple[int, bytes]], budget: int
    ) -> tuple[Chosen, list[tuple[int, bytes]], int] | None:
        """The layers of a choice and the clip's bytes with them, if within the budget."""
        layers = self._residual_layers(chosen)
        size = self._size(clip, described + layers)
        return (chosen, layers, size) if size <= budget else None

    def _estimate(self, chosen: Chosen) -> float:
        """Bytes of the residual with its packet headers, without coding it."""
        size = sum(chosen.group_bits()) / 8
        return size + 9 * (len(self._shares(size)) + 1)

    def _shares(self, size: float) -> list[float]:
        """Where layers end, as shares of the residual's bytes, the last end left out."""
        count = self.settings.residual_layers
        if count is not None:
            return [(2.0**k - 1) / (2.0**count - 1) for k in range(1, count)]
        ends = [float(end) for end in _LAYER_ENDS if size - end > _LEAST_LAYER]
        scale = max(1.0, size / (_LAYER_ENDS[-1] + 1000))
        return [min(1.0, scale * end / size) for end in ends]

    def _residual_layers(self, chosen: Chosen) -> list[tuple[int, bytes]]:
        """Cut the groups into layers and code each."""
        bits = np.cumsum(chosen.group_bits())
        shares = self._shares(bits[-1] / 8)
        cuts = sorted({int(np.searchsorted(bits, share * bits[-1])) for share in shares} - {0})
        ends = [c for c in cuts if c < len(bits)] + [len(bits)]
        layers, start = [], 0
        for index, stop in enumerate(ends):
            groups = 0 if stop == len(bits) else stop - start
            head = bytes([chosen.quantiser]) if index == 0 else b""
            payload = head + put_varint(groups) + chosen.layer(start, stop)
            layers.append((RESIDUAL + index, payload))
            start = stop
        return layers


def encode_clips(clips: Iterator[Clip], encoder: Encoder) -> Iterator[list[Packet]]:
    """Packets of each clip of a video."""
    for clip in clips:
        yield encoder.encode_clip(clip)
