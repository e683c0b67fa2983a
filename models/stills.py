"""Motion over still pictures: pan, zoom, turn, and a second picture passing in front.

    photograph --affine path over time--> background --+
    another photograph --own path, soft mask-----------+--> a clip with exact, varied motion

Stills hold far more different texture than a few hundred recordings do; a refiner that has seen
them learns less of its sources by heart.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gistcast.codec.clip import Clip
from gistcast.models.data import FrameStore, Sample


class StillSampler:
    """Random moving clips made of photographs.

    Args:
        store: decoded photographs (one frame each).
        size: side of the square clips, luma samples.
        frames: frames in each clip.
    """

    def __init__(self, store: FrameStore, *, size: int = 64, frames: int = 32) -> None:
        self._store, self._size, self._frames = store, size, frames

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw one clip; its caption is empty."""
        picture = self._picture(rng)
        extent = float(rng.uniform(0.3, 1.0))  # share of the photograph's short side in view
        clip = self._render(picture, self._path(rng, extent, 1.0))
        if rng.random() < 0.6:
            front = self._render(self._picture(rng), self._path(rng, 0.6, 2.0))
            mask = self._mask(rng)
            clip = [b + m * (f - b) for b, f, m in zip(clip, front, mask, strict=True)]
        planes = [p[:, 0].round().clamp(0, 255).to(torch.uint8).numpy() for p in clip]
        return Sample(Clip(planes[0], planes[1], planes[2]), "")

    def _picture(self, rng: np.random.Generator) -> list[Tensor]:
        source = self._store.sources[int(rng.integers(len(self._store.sources)))]
        planes = self._store.planes(source, np.zeros(1, np.int64))
        return [torch.from_numpy(p.astype(np.float32))[None] for p in planes]

    def _path(self, rng: np.random.Generator, extent: float, speed: float) -> Tensor:
        """(T, 2, 3) affine maps from view to picture coordinates (-1..1), smooth in time."""
        time = np.linspace(-0.5, 0.5, self._frames)
        ease = np.sin(np.pi * time) / 2 if rng.random() < 0.5 else time
        still = rng.random() < 0.15
        amount = 0.0 if still else speed * rng.gamma(1.5, 0.12)
        direction = rng.uniform(0, 2 * np.pi)
        jitter = np.cumsum(rng.normal(0, 0.004 * (rng.random() < 0.3), (2, self._frames)), 1)
        angle = rng.uniform(-0.2, 0.2) + rng.normal(0, 0.1 * (not still)) * ease
        scale = extent * np.exp(rng.normal(0, 0.2 * (not still)) * ease)
        room = max(0.0, 1 - extent)
        x = rng.uniform(-room, room) + amount * np.cos(direction) * ease + jitter[0]
        y = rng.uniform(-room, room) + amount * np.sin(direction) * ease + jitter[1]
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        rows = np.stack([np.stack([cos, -sin, x], -1), np.stack([sin, cos, y], -1)], 1)
        return torch.from_numpy(rows.astype(np.float32))

    def _render(self, picture: list[Tensor], path: Tensor) -> list[Tensor]:
        """The picture seen along a path: y (T, 1, S, S), u and v (T, 1, S/2, S/2)."""
        height, width = picture[0].shape[-2:]
        short = min(height, width)
        aspect = torch.tensor([short / width, short / height])[None, :, None]
        across = float(path[:, :, :2].square().sum(1).amax().sqrt())  # share of the short side
        finer = 2 if across * short > self._size else 1  # grid_sample does not filter
        grids = [_grid(path * aspect, side * finer) for side in (self._size, self._size // 2)]
        out = []
        for index, plane in enumerate(picture):
            grid = grids[min(index, 1)]
            seen = functional.grid_sample(
                plane, grid.flatten(0, 1)[None], padding_mode="reflection", align_corners=False
            )
            seen = seen.reshape(self._frames, 1, *grid.shape[1:3])
            out.append(functional.avg_pool2d(seen, finer))
        return out

    def _mask(self, rng: np.random.Generator) -> list[Tensor]:
        """A soft-edged moving ellipse, 0..1, in the three planes' sizes."""
        time = np.linspace(-0.5, 0.5, self._frames)
        centre = rng.uniform(-0.6, 0.6, 2)[:, None] + rng.normal(0, 0.9, 2)[:, None] * time
        radius = rng.uniform(0.15, 0.6, 2)
        swing = rng.uniform(0, np.pi) + rng.normal(0, 1.0) * time
        edge = rng.uniform(6.0, 30.0)
        out = []
        for side in (self._size, self._size // 2, self._size // 2):
            out.append(_ellipse(side, centre, radius, swing, edge))
        return out


def _grid(path: Tensor, side: int) -> Tensor:
    """Affine maps (T, 2, 3) -> where a side x side view looks, (T, side, side, 2)."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = axis[None, None, :], axis[None, :, None]
    a = path[:, :, :, None, None]
    return torch.stack([a[:, k, 0] * x + a[:, k, 1] * y + a[:, k, 2] for k in (0, 1)], -1)


def _ellipse(
    side: int,
    centre: NDArray[np.float64],
    radius: NDArray[np.float64],
    angle: NDArray[np.float64],
    edge: float,
) -> Tensor:
    """(T, 1, side, side) weights of an ellipse at `centre` (2, T), turned by `angle` (T,)."""
    axis = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    centre, angle = centre.astype(np.float32), angle.astype(np.float32)
    x = axis[None, None, :] - centre[0][:, None, None]
    y = axis[None, :, None] - centre[1][:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    wide, tall = (np.float32(1 / r) for r in radius)
    distance = np.hypot((cos * x + sin * y) * wide, (cos * y - sin * x) * tall)
    return torch.sigmoid(torch.from_numpy(distance).sub_(1).mul_(-edge))[:, None]
