"""Stage 2 on scenes: the gist's layers become a sharp clip.

    canvas, noise, place, weather, z --> sharp canvas --shifted by the camera--> behind --+
    figure x mask, mask, action, people, z --three taps in time--> figure and mask ------(+)--> clip

The background is painted once for the whole clip, so that it stands still however it is textured;
only the camera moves it. As in stage 1 neither path hears of the other's words.
Source: Li et al., "Video Generation from Text", AAAI 2018 (foreground, mask and static background
after Vondrick et al., "Generating Videos with Scene Dynamics", NIPS 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import UsageError
from gistcast.models.refiner import pack, unpack
from gistcast.models.scene_gist import Embedding, Layers, SceneGistConfig, lively, shifted

NOISE = 4  #: channels of the canvas's noise, (N, 4, 32, 64)


@dataclass(frozen=True)
class ScenePainterConfig:
    """Shape of the network.

    Attributes:
        figure: channels at 16 and at 32 cells a side, of the figure's path.
        place: the same of the background's.
        condition: length of what both are told.
    """

    figure: tuple[int, int] = (40, 24)
    place: tuple[int, int] = (32, 24)
    condition: int = 64

    def __post_init__(self) -> None:
        if min(*self.figure, *self.place, self.condition) < 1:
            raise UsageError("a painter has positive sizes")


class _Told(nn.Module):
    """Words and latents -> a vector."""

    def __init__(self, names: tuple[str, ...], latents: int, length: int) -> None:
        super().__init__()
        self.words = Embedding(names)
        self.map = nn.Sequential(
            nn.Linear(self.words.length + latents, length), nn.SiLU(), nn.Linear(length, length)
        )

    def forward(self, said: Tensor, z: Tensor) -> Tensor:
        out: Tensor = self.map(torch.cat([self.words(said), z], 1))
        return functional.silu(out)


class _Block(nn.Module):
    """x + conv(act(FiLM(conv(x)))), three taps in time where there is time; (N, T, C, h, w)."""

    def __init__(self, width: int, condition: int, *, time: bool) -> None:
        super().__init__()
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Conv2d(width, width, (3 if time else 1, 1), padding=(int(time), 0))
        self.film = nn.Linear(condition, 2 * width)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        n, t, c, h, w = x.shape
        inner = self.space(x.flatten(0, 1)).reshape(n, t, c, h, w)
        scale, shift = self.film(told)[:, None, :, None, None].chunk(2, 2)
        inner = functional.leaky_relu(inner * (1 + scale) + shift, 0.1)
        inner = self.time(inner.transpose(1, 2).reshape(n, c, t, h * w))
        out: Tensor = x + inner.reshape(n, c, t, h, w).transpose(1, 2)
        return out


class ScenePainter(nn.Module):
    """See the module's diagram. At initialisation it enlarges the gist."""

    def __init__(self, config: ScenePainterConfig, gist: SceneGistConfig) -> None:
        super().__init__()
        self.config, self.gist = config, gist
        coarse, fine = config.figure
        who = ("action", "weather", "number", "kind", "colour")
        self.who = _Told(who, gist.figure, config.condition)
        self.stem = nn.Conv2d(7, coarse, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(coarse, config.condition, time=True) for _ in range(2))
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.fine = nn.Conv2d(fine + 7, fine, 3, padding=1)
        self.head = nn.Conv2d(fine, 10, 3, padding=1)  # planes, and a mask for each luma phase
        coarse, fine = config.place
        self.where = _Told(("surroundings", "weather"), gist.place, config.condition)
        self.place_stem = nn.Conv2d(6, coarse, 3, padding=1)
        self.place_blocks = nn.ModuleList(
            _Block(coarse, config.condition, time=False) for _ in range(2)
        )
        self.place_up = nn.Conv2d(coarse, 4 * fine, 1)
        self.place_fine = nn.Conv2d(fine + NOISE, fine, 3, padding=1)
        self.place_mix = _Block(fine, config.condition, time=False)
        self.place_head = nn.Conv2d(fine, 6, 3, padding=1)
        lively(self)
        self._begin_as_gist()

    def _begin_as_gist(self) -> None:
        for block in self.modules():
            if isinstance(block, _Block):
                nn.init.zeros_(block.film.weight)
                with torch.no_grad():
                    block.time.weight *= 0.3
        for layer in (self.head, self.place_head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self, layers: Layers, z: Tensor, said: Tensor, times: Tensor, noise: Tensor
    ) -> Tensor:
        """Draw.

        Args:
            layers: of stage 1, for the same times.
            z: (N, n) latents.
            said: (N, 6) class numbers.
            times: (N, T) in clips.
            noise: (N, 4, 32, 64) standard normal.

        Returns:
            Packed planes (N, T, 32, 32, 6) on the 8-bit scale.
        """
        z = z / self.gist.latent_range * 2
        canvas = self.canvas(layers.canvas, z[:, self.gist.figure :], said, noise)
        behind = shifted(canvas, layers.camera, times)
        colours, mask = self.figure(layers, z[:, : self.gist.figure], said)
        luma = torch.sigmoid(mask)
        alpha = torch.cat([luma, luma.mean(-1, keepdim=True).expand(*luma.shape[:-1], 2)], -1)
        return behind.lerp(colours, alpha)

    def canvas(self, canvas: Tensor, z: Tensor, said: Tensor, noise: Tensor) -> Tensor:
        """Stage 1's canvas (N, 1, 16, 32, 6) -> (N, 1, 32, 64, 6)."""
        told = self.where(said, z)
        x = self.place_stem(_centred(canvas[:, 0]))[:, None]
        for block in self.place_blocks:
            x = block(x, told)
        x = functional.pixel_shuffle(self.place_up(x[:, 0]), 2)
        x = functional.leaky_relu(self.place_fine(torch.cat([x, noise], 1)), 0.1)
        x = self.place_mix(x[:, None], told)[:, 0]
        out: Tensor = self.place_head(x).permute(0, 2, 3, 1)[:, None]
        return _enlarged(canvas) + 64 * out

    def figure(self, layers: Layers, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (N, T, 32, 32, 6) and mask logits (N, T, 32, 32, 4)."""
        told = self.who(said, z)
        n, t = layers.mask.shape[:2]
        seen = torch.sigmoid(layers.mask)
        cut = torch.cat([(layers.figure - 128) / 64 * seen, 2 * seen - 1], -1).flatten(0, 1)
        cut = cut.permute(0, 3, 1, 2)
        x = self.stem(cut)
        x = x.reshape(n, t, *x.shape[1:])
        for block in self.blocks:
            x = block(x, told)
        x = functional.pixel_shuffle(self.up(x.flatten(0, 1)), 2)
        wide = functional.interpolate(cut, scale_factor=2, mode="bilinear", align_corners=False)
        x = functional.leaky_relu(self.fine(torch.cat([x, wide], 1)), 0.1)
        made = self.head(x).permute(0, 2, 3, 1).reshape(n, t, 32, 32, 10)
        mask = functional.interpolate(
            layers.mask.flatten(0, 1).permute(0, 3, 1, 2), scale_factor=2, mode="bilinear",
            align_corners=False,
        )  # fmt: skip
        logits = mask.permute(0, 2, 3, 1).reshape(n, t, 32, 32, 1) + 4 * made[..., 6:]
        return _enlarged(layers.figure) + 64 * made[..., :6], logits


def _centred(planes: Tensor) -> Tensor:
    """(M, h, w, 6) on the 8-bit scale -> (M, 6, h, w) around zero."""
    return ((planes - 128) / 64).permute(0, 3, 1, 2)


def _enlarged(planes: Tensor) -> Tensor:
    """Packed planes (N, T, h, w, 6) -> twice the resolution, linear in between."""
    out = [
        functional.interpolate(plane, scale_factor=2, mode="bilinear", align_corners=False)
        for plane in unpack(planes)
    ]
    return pack(*out)
