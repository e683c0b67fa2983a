"""Stage 1: a clip's description and the gist drawn from it (a conditional VAE).

    clip --average--> 8 anchors of 16x16 luma, 8x8 chroma --encoder--> z, rounded to -K..K
    z, text --decoder--> background (16x16), dynamics and mask (8x8 at 8 times)
        gist = (1 - mask) background + mask dynamics --interpolate--> any size and length
    text --prior--> mean of z; a draw adds correlated noise from a counter-based generator

The prior that z is coded with is a table of integers, one row a symbol (`latent_frequencies`).
Source: Li et al., "Video Generation from Text", AAAI 2018, for the gist and its split into a
static and a moving part; Balle et al., "End-to-end optimized image compression", ICLR 2017, for
training through rounding with additive noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.protocol import FloatPlanes
from gistcast.models.refiner import pack, unpack
from gistcast.models.text import TextEncoder

ANCHORS, SIDE = 8, 8  #: anchors in time; side of the chroma grid (luma: twice that)
GRID = (ANCHORS, SIDE, SIDE, 6)  #: a clip's low-resolution planes, packed as in `refiner.pack`
MODEL_ID = 1
_TEMPERATURE = 0.5  #: of draws from the prior: below 1 trades variety for likeliness


@dataclass(frozen=True)
class GistConfig:
    """Shape of the network.

    Attributes:
        latents: symbols of z.
        latent_range: K; each symbol is in -K..K.
        hidden: units of the hidden layers.
        text: length of the text embedding.
    """

    latents: int = 40
    latent_range: int = 8
    hidden: int = 256
    text: int = 32

    def __post_init__(self) -> None:
        if not (1 <= self.latents <= 255 and 1 <= self.latent_range <= 127):
            raise UsageError("a gist has 1..255 latents in -127..127 at most")


class GistNetwork(nn.Module):
    """Encoder, decoder and text prior. Grids are (N, 8, 8, 8, 6) on the 8-bit scale."""

    frequencies: Tensor
    spread: Tensor

    def __init__(self, config: GistConfig) -> None:
        super().__init__()
        self.config = config
        n, hidden = config.latents, config.hidden
        size = ANCHORS * SIDE * SIDE
        self.text = TextEncoder(config.text)
        self.encoder = nn.Sequential(
            nn.Linear(size * 6, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, n),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(n + config.text, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.background = nn.Linear(hidden, SIDE * SIDE * 6)
        self.dynamics = nn.Linear(hidden, size * 3)
        self.mask = nn.Linear(hidden, size)
        self.prior = nn.Sequential(nn.Linear(config.text, 64), nn.SiLU(), nn.Linear(64, n))
        #: lower triangle: what a draw adds to the prior's mean, times standard normals
        self.register_buffer("spread", torch.zeros(n, n))
        self.register_buffer(
            "frequencies", flat_frequencies(n, config.latent_range), persistent=True
        )

    def encode(self, grid: Tensor) -> Tensor:
        """Grid -> z (N, n), not rounded, within -K..K."""
        limit = self.config.latent_range
        out: Tensor = self.encoder((grid.flatten(1) - 128) / 64)
        return out.clamp(-limit, limit)

    def decode(self, latent: Tensor, text: Tensor) -> Tensor:
        """z (N, n) and text embedding (N, d; zeros for none) -> grid."""
        h = self.decoder(torch.cat([latent / self.config.latent_range * 2, text], 1))
        n = h.shape[0]
        background = self.background(h).reshape(n, 1, SIDE, SIDE, 6)
        moving = self.dynamics(h).reshape(n, ANCHORS, SIDE, SIDE, 3)
        moving = moving[..., [0, 0, 0, 0, 1, 2]]  # the four luma phases of a cell move as one
        mask = torch.sigmoid(self.mask(h).reshape(n, ANCHORS, SIDE, SIDE, 1) - 2)
        out: Tensor = 128 + 64 * (background + mask * (moving - background))
        return out


def flat_frequencies(latents: int, limit: int) -> Tensor:
    """(n, 2K + 1) int32 frequencies of an untrained prior."""
    counts = torch.ones(latents, 2 * limit + 1)
    return integer_frequencies(counts)


def integer_frequencies(counts: Tensor, total: int = 1 << 15) -> Tensor:
    """Counts (n, m) -> int32 (n, m), every entry at least 1, every row summing to `total`."""
    share = (counts.double() + 0.5) / (counts.double() + 0.5).sum(1, keepdim=True)
    whole = 1 + torch.floor(share * (total - counts.shape[1])).to(torch.int32)
    rest = total - whole.sum(1)
    whole[torch.arange(len(whole)), share.argmax(1)] += rest.to(torch.int32)
    return whole


def low_resolution(clip: Clip) -> NDArray[np.float32]:
    """Clip -> grid (8, 8, 8, 6) of averages, float32 on the 8-bit scale, whatever its size."""
    scaled = []
    for index, plane in enumerate(clip.planes):
        side = 2 * SIDE if index == 0 else SIDE
        volume = torch.from_numpy(np.ascontiguousarray(plane)).float()[None]
        scaled.append(functional.adaptive_avg_pool3d(volume, (ANCHORS, side, side)))
    return np.asarray(pack(*scaled)[0].numpy(), np.float32)


class Gist:
    """A trained network behind `gistcast.codec.protocol.GistModel`.

    Args:
        network: stage 1.
        weights_hash: first four bytes of the SHA-256 of its weights file.
        device: where it runs.
    """

    def __init__(
        self, network: GistNetwork, weights_hash: bytes, device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self._hash = weights_hash
        frequencies = network.frequencies.cpu().numpy().astype(np.uint16)
        self._frequencies: NDArray[np.uint16] = frequencies

    @property
    def model_id(self) -> int:
        return MODEL_ID

    @property
    def weights_hash(self) -> bytes:
        return self._hash

    @property
    def latent_frequencies(self) -> NDArray[np.uint16]:
        return self._frequencies

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        """Latent symbols int32 (n,) of a clip."""
        grid = torch.from_numpy(low_resolution(clip))[None].to(self.device)
        with torch.inference_mode():
            return np.asarray(self.network.encode(grid)[0].round().cpu().numpy(), np.int32)

    def draw(self, text: str | None, seed: int) -> NDArray[np.int32]:
        """Latent symbols from the prior given the text, the same for the same seed."""
        generator = np.random.Generator(np.random.Philox(key=seed & (2**64 - 1)))
        normal = generator.standard_normal(self.network.config.latents, np.float32)
        with torch.inference_mode():
            mean = self.network.prior(self._embed([text]))[0]
            noise = self.network.spread @ torch.from_numpy(normal).to(self.device)
            limit = self.network.config.latent_range
            symbols = (mean + _TEMPERATURE * noise).round().clamp(-limit, limit)
        return np.asarray(symbols.cpu().numpy(), np.int32)

    def gist(
        self,
        latent: NDArray[np.int32] | None,
        text: str | None,
        *,
        frames: int,
        height: int,
        width: int,
        seed: int,
    ) -> FloatPlanes:
        """See `gistcast.codec.protocol.GistModel.gist`.

        Raises:
            UsageError: a latent of the wrong length.
        """
        symbols = self.draw(text, seed) if latent is None else latent
        if symbols.shape != (self.network.config.latents,):
            raise UsageError(f"the gist takes {self.network.config.latents} latents")
        with torch.inference_mode():
            z = torch.from_numpy(symbols.astype(np.float32))[None].to(self.device)
            grid = self.network.decode(z, self._embed([text]))
            planes = spread_planes(grid, frames, height, width)
        y, u, v = (np.asarray(p[0].cpu().numpy(), np.float32) for p in planes)
        return y, u, v

    def _embed(self, texts: Sequence[str | None]) -> Tensor:
        out: Tensor = self.network.text(texts)
        return out


def draw(gist: Gist, latent: NDArray[np.int32], text: str | None, like: Clip) -> Clip:
    """The gist of a description as a clip of the same geometry as `like`."""
    size = {"frames": like.frames, "height": like.height, "width": like.width}
    planes = gist.gist(latent, text, seed=0, **size)
    return Clip(*(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes))


def spread_planes(
    grid: Tensor, frames: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Grid (N, 8, 8, 8, 6) -> planes y (N, T, H, W), u and v at half size, linear in between."""
    half = ((height + 1) // 2, (width + 1) // 2)
    out = []
    for index, plane in enumerate(unpack(grid)):
        size = (frames, height, width) if index == 0 else (frames, *half)
        wide = functional.interpolate(plane[:, None], size, mode="trilinear", align_corners=False)
        out.append(wide[:, 0].clamp(0, 255))
    return out[0], out[1], out[2]
