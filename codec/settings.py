"""How a stream is to be coded."""

from __future__ import annotations

from dataclasses import dataclass

from gistcast.codec.clip import CLIP_FRAMES
from gistcast.codec.errors import UsageError
from gistcast.codec.packet import RESIDUAL_LAYERS

PRESETS = ("fast", "medium", "slow")
LAYER_SETS = ("text", "latent", "residual")
TOOLS = ("motion", "rdo", "video")  #: of the encoder, that can be left out
TUNES = ("auto", "psnr", "perceptual")


@dataclass(frozen=True)
class EncodeSettings:
    """How to code a stream. At most one of quality, clip_bytes and bitrate.

    Attributes:
        quality: 0..100, more is better and bigger: a clip may take the bytes of its plain residual
            at that quality's quantiser, and whatever codes best within them is sent.
        clip_bytes: hard limit on the bytes of every clip, packet headers included.
        bitrate: bits a second, as a leaky bucket over the stream.
        clip_frames: 8, 16 or 32.
        preset: fast, medium or slow; slower ones try more alternatives.
        tune: what is chosen for, where a clip can be coded in more than one way: the squared error
            of the sketch ("psnr"), or a viewer of the regenerated clip ("perceptual"); "auto" asks
            the viewer, where there is one, about small budgets for small frames: up to 2,000 bytes
            for 32 frames of 64x64, and the more the larger the clip, up to frames of 256x256.
        text: description sent with the first clip (and whenever `layers` is "text").
        layers: the last kind of layer to send: text, latent or residual.
        latent: send a latent and subtract its gist: "off", "on", or "auto" (where it pays).
        seed: of the decoder's randomness, 0..2**32-1.
        residual_layers: number of residual layers; None lets the size decide.
        without: tools of the encoder to leave out, of `TOOLS`: the camera's motion; the choice of
            levels by rate and distortion (plain rounding instead); the sketch as AV1 where rate
            and distortion say so (in any case never with preset fast, beside a latent, or when
            residual layers are counted).
    """

    quality: float | None = None
    clip_bytes: int | None = None
    bitrate: float | None = None
    clip_frames: int = 32
    preset: str = "medium"
    tune: str = "auto"
    text: str | None = None
    layers: str = "residual"
    latent: str = "off"
    seed: int = 0
    residual_layers: int | None = None
    without: frozenset[str] = frozenset()

    @property
    def chooses(self) -> bool:
        """Whether a sketch may be coded in more than one way."""
        several = self.residual_layers is None and "video" not in self.without
        return several and self.preset != "fast" and self.layers == "residual"

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
            (self.tune, TUNES),
            (self.layers, LAYER_SETS),
            (self.latent, ("off", "on", "auto")),
        ):
            if value not in allowed:
                raise UsageError(f"{value!r} is none of {', '.join(allowed)}")
        if unknown := sorted(self.without - set(TOOLS)):
            raise UsageError(f"{', '.join(unknown)}: none of the tools {', '.join(TOOLS)}")
        if self.residual_layers is not None and not (1 <= self.residual_layers <= RESIDUAL_LAYERS):
            raise UsageError(f"residual layers: 1 to {RESIDUAL_LAYERS}")
        if self.tune == "perceptual" and not self.chooses:
            raise UsageError(
                "to tune for the eye there has to be a choice: no preset fast, no layers left out "
                "or counted"
            )
        if self.layers == "text" and not self.text:
            raise UsageError("a stream of text layers alone needs a text")
