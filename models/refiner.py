"""Stage 2, the generator: a decoded sketch becomes a clip with the detail that was never sent.

    y (2x2 unshuffled), u, v, their means over time, noise, fades --+
                                                                    +-> U-Net of space-time blocks
    log step, video?, dial, text, latent --linear--> condition (FiLM)        |
                                             residual + gate * detail of the sketch + gate * noise
    sketch ----------------------------------------------(+) scaled by the step --> clip

Everything runs at half the luma resolution, where the three planes of 4:2:0 meet. A block is a
3x3 convolution in space and one of three or five taps in time. The tensors are (N, T, H, W, C):
read as N*T pictures the spatial convolution is an ordinary 2-D one, and read as N pictures of
T x (H*W) so is the temporal one; on a CPU this is several times faster than 3-D convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import UsageError
from gistcast.models.text import TextEncoder

#: position of each mode on the fidelity-perception dial
DIALS = {"fidelity": 0.0, "balanced": 0.5, "detail": 1.0}

_PLANES = 6  # four luma phases, Cb, Cr
_AJAR = (0.6, 0.8)  # sharpening; grain in units of three 8-bit levels
_NOISE = 4  # one for each luma phase: grain at full resolution
_NUMBERS = 10  # what `embed` makes of step, dial, video and fades


@dataclass(frozen=True)
class RefinerConfig:
    """Shape of the network.

    Attributes:
        widths: channels at 1/2, 1/4 and 1/8 of the luma resolution.
        blocks: blocks at each resolution, on the way down and again on the way up.
        condition: length of the condition vector.
        latents: latent symbols it can be told (zeros when absent).
        latent_range: K; symbols are divided by it.
        text: length of the text embedding.
    """

    widths: tuple[int, int, int] = (32, 64, 96)
    blocks: tuple[int, int, int] = (1, 2, 3)
    condition: int = 64
    latents: int = 40
    latent_range: int = 8
    text: int = 32

    def __post_init__(self) -> None:
        if min(self.widths) < 1 or min(self.blocks) < 1:
            raise UsageError("widths and blocks must be positive")


@dataclass(frozen=True)
class Condition:
    """What the generator is told beside the sketch; N clips.

    Attributes:
        step: (N,) luma quantiser step on the 8-bit scale; 0 where no residual was sent.
        dial: (N,) 0 fidelity .. 1 detail.
        latent: (N, latents) symbols, zeros where absent.
        texts: N sentences or None.
        kept: for each clip the frames that were decoded as video, () for a residual.
    """

    step: Tensor
    dial: Tensor
    latent: Tensor
    texts: list[str | None]
    kept: Sequence[Sequence[int]]


def fades(frames: int, kept: Sequence[Sequence[int]]) -> Tensor:
    """(N, frames) 1 where a frame of a clip is a fade between coded ones, else 0."""
    out = torch.zeros(len(kept), frames)
    for row, coded in enumerate(kept):
        if coded:
            out[row] = 1
            out[row, list(coded)] = 0
    return out


class SpaceTimeBlock(nn.Module):
    """x + time(act(FiLM(space(x)))), on (N, T, H, W, C)."""

    def __init__(self, width: int, condition: int, taps: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Conv2d(width, width, (taps, 1), padding=(taps // 2, 0))
        self.film = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        with torch.no_grad():
            self.time.weight *= 0.2

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        n, t, h, w, c = x.shape
        scale, shift = self.film(condition)[:, None, None, None, :].chunk(2, -1)
        inner = spatial(self.space, x)
        inner = functional.leaky_relu(inner * (1 + scale) + shift, 0.1)
        inner = self.time(inner.reshape(n, t, h * w, c).permute(0, 3, 1, 2))
        out: Tensor = x + inner.permute(0, 2, 3, 1).reshape(n, t, h, w, c)
        return out


def spatial(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a 2-D layer to every frame of x (N, T, H, W, C)."""
    n, t, h, w, c = x.shape
    out: Tensor = layer(x.reshape(n * t, h, w, c).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return out.reshape(n, t, *out.shape[1:])


def _up(layer: nn.Module, x: Tensor) -> Tensor:
    """1x1 convolution to four times the channels, then each four become 2x2 pixels."""
    y = spatial(layer, x)
    n, t, h, w, c = y.shape
    y = y.reshape(n, t, h, w, 2, 2, c // 4).transpose(3, 4)
    return y.reshape(n, t, 2 * h, 2 * w, c // 4)


class Generator(nn.Module):
    """The refiner network; see the module's diagram. Its output at initialisation is the sketch."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.widths
        self.text = TextEncoder(config.text)
        self.latent = nn.Linear(config.latents, config.text, bias=False)
        self.condition = nn.Sequential(
            nn.Linear(_NUMBERS + 2 * config.text, config.condition),
            nn.SiLU(),
            nn.Linear(config.condition, config.condition),
            nn.SiLU(),
        )
        self.stem = nn.Conv2d(2 * _PLANES + _NOISE + 1, a, 3, padding=1)
        self.down_b, self.down_c = nn.Conv2d(a, b, 2, 2), nn.Conv2d(b, c, 2, 2)
        self.up_b, self.up_a = nn.Conv2d(c, 4 * b, 1), nn.Conv2d(b, 4 * a, 1)
        self.static = nn.Linear(c, c)
        self.enc_a, self.dec_a = self._stage(0, 3), self._stage(0, 3)
        self.enc_b, self.dec_b = self._stage(1, 5), self._stage(1, 5)
        self.middle = self._stage(2, 5)
        #: residual of each plane; then how much to sharpen and how much grain to lay, per cell,
        #: both in proportion to the dial
        self.head = nn.Conv2d(a, _PLANES + 2, 3, padding=1)
        self.gates = nn.Linear(config.condition, 2)  #: the same two, over the whole clip
        for parameter in (*self.head.parameters(), *self.gates.parameters()):
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def open_gates(self) -> None:
        """Set both gates ajar: at no grain the derivative is zero, descent would never leave."""
        self.gates.bias.copy_(self.gates.bias.new_tensor(_AJAR))

    def _stage(self, level: int, taps: int) -> nn.ModuleList:
        width, count = self.config.widths[level], self.config.blocks[level]
        return nn.ModuleList(
            SpaceTimeBlock(width, self.config.condition, taps) for _ in range(count)
        )

    def embed(self, condition: Condition, faded: Tensor) -> Tensor:
        """(N, condition) vector of the step, video or not, the dial, the text and the latent.

        Args:
            faded: see `fades`.
        """
        sent = (condition.step > 0).to(condition.dial.dtype)
        log = torch.log2(condition.step.clamp(min=1) / 64) * sent / 2
        dial = condition.dial
        video = torch.tensor([float(len(kept) > 0) for kept in condition.kept], device=dial.device)
        residual = [log, log * log, sent, dial, dial * dial, dial * log, dial * sent]
        numbers = torch.stack([*residual, video, video * log, faded.mean(1)], 1)
        latent = self.latent(condition.latent / self.config.latent_range)
        out: Tensor = self.condition(torch.cat([numbers, self.text(condition.texts), latent], 1))
        return out

    def forward(self, sketch: Tensor, noise: Tensor, condition: Condition) -> Tensor:
        """Refine.

        Args:
            sketch: (N, T, H, W, 6) planes at half resolution (see `pack`), 8-bit scale; H and W
                multiples of 4.
            noise: (N, 1 or T, H, W, 4) standard normal, one for each luma phase; scaled by the
                dial.
            condition: what else is known.

        Returns:
            The same shape and scale, not rounded or clipped.
        """
        faded = fades(sketch.shape[1], condition.kept).to(sketch.device)
        vector = self.embed(condition, faded)
        return self.paint(sketch, noise, vector, condition.step, condition.dial, faded)

    def paint(
        self,
        sketch: Tensor,
        noise: Tensor,
        vector: Tensor,
        step: Tensor,
        dial: Tensor,
        faded: Tensor,
    ) -> Tensor:
        """`forward` behind the embedding: tensors alone, so that it can be compiled."""
        x = (sketch - 128) / 64
        mean = x.mean(1, keepdim=True).expand_as(x)
        dial = dial[:, None, None, None, None]
        grain = noise * dial
        grain = grain.expand(-1, x.shape[1], -1, -1, -1)
        marks = faded[:, :, None, None, None].expand(*x.shape[:-1], 1)
        top = spatial(self.stem, torch.cat([x, mean, grain, marks], -1))
        top = _run(self.enc_a, top, vector)
        half = _run(self.enc_b, spatial(self.down_b, top), vector)
        low = spatial(self.down_c, half)
        low = low + self.static(low.mean(1, keepdim=True))
        low = _run(self.middle, low, vector)
        half = _run(self.dec_b, half + _up(self.up_b, low), vector)
        top = _run(self.dec_a, top + _up(self.up_a, half), vector)
        out = spatial(self.head, top).float()
        gates = out[..., _PLANES:] + self.gates(vector).float()[:, None, None, None, :]
        sharp = dial * highpass(sketch[..., :4])
        luma = gates[..., :1] * sharp + 3 * gates[..., 1:] * grain
        residual = 5 * out[..., :_PLANES] + functional.pad(luma, (0, 2))
        # a finer quantiser leaves less to repair: never let the network shout over it
        gain = torch.where(step > 0, (step / 48).clamp(max=1), torch.ones_like(step))
        return sketch + gain[:, None, None, None, None] * residual


def highpass(luma: Tensor) -> Tensor:
    """Packed luma (N, T, h, w, 4) minus its 5x5 binomial blur at full resolution, same shape."""
    n, t, h, w, _ = luma.shape
    y = functional.pixel_shuffle(luma.reshape(n * t, h, w, 4).permute(0, 3, 1, 2), 2)
    taps = luma.new_tensor([1, 4, 6, 4, 1]) / 16
    edged = functional.pad(y, (2, 2, 2, 2), mode="replicate")
    across = functional.conv2d(edged, taps.reshape(1, 1, 1, 5))
    blurred = functional.conv2d(across, taps.reshape(1, 1, 5, 1))
    fine = functional.pixel_unshuffle(y - blurred, 2)
    return fine.permute(0, 2, 3, 1).reshape(n, t, h, w, 4)


def _run(blocks: nn.ModuleList, x: Tensor, condition: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, condition)
    return x


def pack(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """y (N, T, 2H, 2W), u and v (N, T, H, W) -> (N, T, H, W, 6)."""
    return torch.stack(
        [y[..., 0::2, 0::2], y[..., 0::2, 1::2], y[..., 1::2, 0::2], y[..., 1::2, 1::2], u, v], -1
    )


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inverse of `pack`."""
    n, t, h, w, _ = packed.shape
    y = packed[..., :4].reshape(n, t, h, w, 2, 2).transpose(3, 4).reshape(n, t, 2 * h, 2 * w)
    return y, packed[..., 4], packed[..., 5]
