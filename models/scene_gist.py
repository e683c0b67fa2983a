"""Stage 1 on scenes: a description becomes a blurry video of a moving figure before a background.

    8 frames, description --encoder--> z, rounded to -K..K: some for the figure, some for the place
    place, weather, z --> canvas, twice as wide as the picture ---+ shifted row by row --+
    action, z --> camera: speed of what is far, of what is near --+                      |
    action, people, weather, z, time --> figure and mask, for every frame --------------(+)--> gist

The figure never hears of the place, nor the place of the action (the camera's speed apart): so a
pair that was never seen is drawn as well as any other. A picture is 16x16 cells of packed planes
(32x32 luma); time is continuous, and motion is made of waves whose speeds the network chooses.
Source: Li et al., "Video Generation from Text", AAAI 2018, for the gist with a static background
and dynamics from the text; Balle et al., "End-to-end optimized image compression", ICLR 2017, for
training through rounding with additive noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import UsageError
from gistcast.models.refiner import pack, unpack
from gistcast.models.sentence import FACTORS

ANCHORS = 8  #: frames that the encoder sees
_CANVAS = 2  # canvas widths a picture
_WAVES = 12
_EMBEDDED = {"action": 32, "surroundings": 32, "weather": 16, "number": 8, "kind": 8, "colour": 16}
_FIGURE = ("action", "weather", "number", "kind", "colour")
_PLACE = ("surroundings", "weather")


@dataclass(frozen=True)
class SceneGistConfig:
    """Shape of the network.

    Attributes:
        figure, place: latent symbols of each.
        latent_range: K; each symbol is in -K..K.
        widths: channels at 4, 8 and 16 cells a side.
        hidden: units of the vectors in between.
    """

    figure: int = 28
    place: int = 12
    latent_range: int = 8
    widths: tuple[int, int, int] = (96, 80, 48)
    hidden: int = 160

    def __post_init__(self) -> None:
        if min(self.figure, self.place, self.latent_range, *self.widths, self.hidden) < 1:
            raise UsageError("a gist of scenes has positive sizes")

    @property
    def latents(self) -> int:
        """Symbols of z, the figure's first."""
        return self.figure + self.place


class Layers(NamedTuple):
    """What stage 1 draws: N clips, T frames.

    Attributes:
        gist: (N, T, 16, 16, 6) on the 8-bit scale, figure before background.
        figure: (N, T, 16, 16, 6), what the figure would be everywhere.
        mask: (N, T, 16, 16, 1) logits of where it is.
        canvas: (N, 1, 16, 32, 6) the background, wider than the picture.
        camera: (N, 3) see `shifted`.
    """

    gist: Tensor
    figure: Tensor
    mask: Tensor
    canvas: Tensor
    camera: Tensor


class Embedding(nn.Module):
    """Class numbers of some factors (N, 6) -> one vector (N, `length`)."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._at = [list(FACTORS).index(name) for name in names]
        self.tables = nn.ModuleList(
            nn.Embedding(len(FACTORS[name]), _EMBEDDED[name]) for name in names
        )
        self.length = sum(_EMBEDDED[name] for name in names)

    def forward(self, said: Tensor) -> Tensor:
        parts = [table(said[:, k]) for k, table in zip(self._at, self.tables, strict=True)]
        return torch.cat(parts, 1)


class Encoder(nn.Module):
    """Eight frames and what is said of them -> z."""

    def __init__(self, config: SceneGistConfig) -> None:
        super().__init__()
        self.limit = config.latent_range
        self.told = Embedding(tuple(FACTORS))
        self.frames = nn.Sequential(
            nn.Conv2d(10, 32, 3, 2, 1), nn.SiLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU(),
            nn.Conv2d(64, 80, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(1280, 96), nn.SiLU(),
        )  # fmt: skip
        self.clip = nn.Sequential(
            nn.Linear(96 * ANCHORS + self.told.length, 256), nn.SiLU(),
            nn.Linear(256, config.latents),
        )  # fmt: skip

    def forward(self, clips: Tensor, said: Tensor) -> Tensor:
        """Frames with their change (N, 8, 32, 32, 10) and class numbers (N, 6) -> z (N, n)."""
        n = len(clips)
        seen = self.frames(clips.flatten(0, 1).permute(0, 3, 1, 2)).reshape(n, -1)
        out: Tensor = self.clip(torch.cat([seen, self.told(said)], 1))
        return out.clamp(-self.limit, self.limit)


class Painter(nn.Module):
    """A vector -> cells: 4 rows of `wide` times 4, doubled twice; (M, d) -> (M, 16, 16 wide, C)."""

    def __init__(self, inputs: int, widths: tuple[int, int, int], outputs: int, wide: int) -> None:
        super().__init__()
        a, b, c = widths
        self.wide = wide
        self.seed = nn.Linear(inputs, a * 16 * wide)
        self.first = nn.Conv2d(a, b, 3, padding=1)
        self.second = nn.Conv2d(b, c, 3, padding=1)
        self.last = nn.Conv2d(c, outputs, 3, padding=1)

    def forward(self, vector: Tensor) -> Tensor:
        x = functional.silu(self.seed(vector)).reshape(len(vector), 4, 4 * self.wide, -1)
        x = x.permute(0, 3, 1, 2)  # channels last in memory: what a CPU convolves fastest
        for layer in (self.first, self.second):
            x = functional.silu(layer(functional.interpolate(x, scale_factor=2)))
        out: Tensor = self.last(x).permute(0, 2, 3, 1)
        return out


class SceneGist(nn.Module):
    """Encoder and the decoder's three parts; see the module's diagram."""

    def __init__(self, config: SceneGistConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.encoder = Encoder(config)
        self.who, self.where = Embedding(_FIGURE), Embedding(_PLACE)
        self.figure = nn.Sequential(
            nn.Linear(config.figure + self.who.length, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.waves = nn.Linear(hidden, 2 * _WAVES)
        self.pose = nn.Sequential(
            nn.Linear(hidden + 2 * _WAVES + 2, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.draw_figure = Painter(hidden, config.widths, 7, 1)
        self.place = nn.Sequential(
            nn.Linear(config.place + self.where.length, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.draw_place = Painter(hidden, config.widths, 6, _CANVAS)
        self.camera = nn.Sequential(
            nn.Linear(config.latents + _EMBEDDED["action"], 96), nn.SiLU(), nn.Linear(96, 3)
        )
        self._initialise()

    def _initialise(self) -> None:
        lively(self)
        with torch.no_grad():
            for part, gain in ((self.encoder.clip, 2.0), (self.camera, 0.3)):
                list(part.parameters())[-2].mul_(gain)  # z spreads over integers from the start
            for painter in (self.draw_figure, self.draw_place):
                painter.last.weight *= 0.3
            # from a slow sway to twelve turns of phase a clip
            self.waves.weight *= 0.5
            self.waves.bias[:_WAVES] = torch.linspace(1.0, 24.0, _WAVES)

    def decode(self, z: Tensor, said: Tensor, times: Tensor) -> Layers:
        """z (N, n), class numbers (N, 6), times (N, T) in clips, 0 to 1 -> layers."""
        z = z / self.config.latent_range * 2
        n, t = times.shape
        figure = self._figures(z[:, : self.config.figure], said, times).reshape(n, t, 16, 16, 7)
        place = self.place(torch.cat([z[:, self.config.figure :], self.where(said)], 1))
        canvas = 128 + 64 * self.draw_place(place)[:, None]
        action = self.who.tables[0](said[:, 0])
        camera = self.camera(torch.cat([z, action], 1))
        mask, colours = figure[..., 6:] - 2, 128 + 64 * figure[..., :6]
        behind = shifted(canvas, camera, times)
        gist = behind.lerp(colours, torch.sigmoid(mask))
        return Layers(gist, colours, mask, canvas, camera)

    def _figures(self, z: Tensor, said: Tensor, times: Tensor) -> Tensor:
        """(N * T, 16, 16, 7)."""
        h = self.figure(torch.cat([z, self.who(said)], 1))
        speed, phase = self.waves(h)[:, None].chunk(2, -1)
        angle = speed * times[..., None] + 4 * phase
        straight = torch.stack([times - 0.5, (times - 0.5).square()], -1) * 4
        moving = torch.cat([angle.sin(), angle.cos(), straight], -1)
        pose = self.pose(torch.cat([h[:, None].expand(-1, times.shape[1], -1), moving], -1))
        out: Tensor = self.draw_figure(pose.flatten(0, 1))
        return out


def shifted(canvas: Tensor, camera: Tensor, times: Tensor) -> Tensor:
    """The part of a canvas that a moving camera sees.

    Args:
        canvas: packed (N, 1, h, 2w, 6); goes round: its right edge meets its left.
        camera: (N, 3): how many picture widths what is far goes to the right during the clip; how
            many more for each picture height below the horizon; the horizon, heights from the top.
        times: (N, T) in clips.

    Returns:
        (N, T, h, w, 6).
    """
    y, u, v = unpack(canvas)
    luma = _shift(y, camera, times)
    chroma = _shift(torch.cat([u, v], 1), camera, times)
    return pack(luma[:, :, 0], chroma[:, :, 0], chroma[:, :, 1])


def _shift(planes: Tensor, camera: Tensor, times: Tensor) -> Tensor:
    """Planes (N, C, H, 2W) -> (N, T, C, H, W)."""
    n, c, height, wide = planes.shape
    t, width = times.shape[1], wide // _CANVAS
    rows = (torch.arange(height, device=planes.device) + 0.5) / height
    far, near, horizon = (part[:, None, None] for part in camera.unbind(1))
    speed = far + near * (rows - horizon).clamp(min=0)
    path = speed * (times[..., None] - 0.5)  # (N, T, H), picture widths
    columns = (torch.arange(width, device=planes.device) + 0.5) / width
    x = torch.remainder(columns - path[..., None], _CANVAS)  # (N, T, H, W)
    ring = torch.cat([planes[..., -1:], planes, planes[..., :1]], -1)
    across = 2 * (x * width + 1) / (wide + 2) - 1
    down = (2 * rows - 1)[:, None].expand_as(across)
    grid = torch.stack([across, down], -1).flatten(1, 2)  # (N, T * H, W, 2)
    seen = functional.grid_sample(ring, grid, mode="bilinear", align_corners=False)
    return seen.reshape(n, c, t, height, width).transpose(1, 2)


def lively(module: nn.Module) -> None:
    """Weights that keep a signal's strength from layer to layer (He et al., ICCV 2015).

    With PyTorch's own, each of some eight layers weakens what z says, and it was never listened to:
    900 steps left every latent of the figure at a standard deviation of 0.05.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class ScenePrior(nn.Module):
    """Bits of z: a table for each symbol and class, differentiable in z.

    The figure's tables depend on the action, the place's on the surroundings. A table is a softmax
    over -K..K, read between the integers by linear interpolation.
    """

    def __init__(self, config: SceneGistConfig) -> None:
        super().__init__()
        self.config = config
        steps = torch.arange(-config.latent_range, config.latent_range + 1).float()
        shape = (-steps.abs() / 2).repeat(config.latents, 1)
        self.shared = nn.Parameter(shape)
        sizes = len(FACTORS["action"]), len(FACTORS["surroundings"])
        self.by_action = nn.Parameter(torch.zeros(sizes[0], config.figure, shape.shape[1]))
        self.by_place = nn.Parameter(torch.zeros(sizes[1], config.place, shape.shape[1]))

    def tables(self, said: Tensor) -> Tensor:
        """Class numbers (N, 6) -> logarithms of probabilities (N, n, 2K + 1)."""
        own = torch.cat([self.by_action[said[:, 0]], self.by_place[said[:, 1]]], 1)
        return torch.log_softmax(self.shared + own, -1)

    def bits(self, z: Tensor, said: Tensor) -> Tensor:
        """(N, n) values within -K..K -> (N, n) bits."""
        limit = self.config.latent_range
        table = -self.tables(said) * 1.4426950408889634
        place = (z + limit).clamp(0, 2 * limit - 1e-3)
        low = place.floor().detach()
        index = low.long()[..., None]
        below, above = table.gather(2, index)[..., 0], table.gather(2, index + 1)[..., 0]
        return below.lerp(above, place - low)
