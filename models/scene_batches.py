"""Batches of rendered scenes for the generator: frames, masks, the camera's truth, what is said.

pool --rows--> anchors (8 frames) for the encoder, a window of frames to draw, class numbers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gistcast.models.judge import with_change
from gistcast.models.refiner import pack, unpack
from gistcast.models.scene_gist import ANCHORS
from gistcast.models.scene_pool import FRAMES, SIDE, STRIDE, Pool
from gistcast.models.scenes import FPS, Scene
from gistcast.models.scenes.camera import VIEW, View
from gistcast.models.train_sentence import full

_CLIP = FRAMES * STRIDE  # frames that time 0 to 1 spans
#: how often each factor is left unsaid
_UNSAID = {
    "action": 0.05, "surroundings": 0.05, "weather": 0.3, "number": 0.3, "kind": 0.3, "colour": 0.3
}  # fmt: skip


class Batch(NamedTuple):
    """N clips on the 8-bit scale.

    Attributes:
        anchors: (N, 8, 32, 32, 10) what the encoder reads.
        window: (N, T, 32, 32, 6) packed planes.
        mask: (N, T, 32, 32, 1) 0..1, where people are.
        times: (N, T) of the window, in clips.
        said: (N, 6) class numbers, some left unsaid.
        camera: (N, 3) the truth; see `gistcast.models.scene_gist.shifted`.
    """

    anchors: Tensor
    window: Tensor
    mask: Tensor
    times: Tensor
    said: Tensor
    camera: Tensor

    def to(self, device: torch.device) -> Batch:
        """On a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class SceneData:
    """A pool with masks, ready to be drawn from."""

    pool: Pool
    said: NDArray[np.int64]
    camera: NDArray[np.float32]

    @staticmethod
    def of(pool: Pool) -> SceneData:
        """What the scenes of a pool say, and how their cameras move."""
        said = np.array([full(scene) for scene in pool.scenes], np.int64)
        return SceneData(pool, said, np.stack([true_camera(scene) for scene in pool.scenes]))

    def rows(self, rows: NDArray[np.int64], numbers: NDArray[np.int64], said: Tensor) -> Batch:
        """Clips `rows` (N,), their frames `numbers` (N, T) of 0..15, what is told of them."""
        planes, masks = self.pool.planes, self.pool.masks
        window = planes[rows[:, None], numbers]
        known = window[..., 0] * 0 if masks is None else masks[rows[:, None], numbers]
        return Batch(
            anchors(torch.from_numpy(planes[rows, :: FRAMES // ANCHORS]).float()),
            torch.from_numpy(window).float(),
            torch.from_numpy(known).float()[..., None] / 255,
            torch.from_numpy(numbers).float() * STRIDE / _CLIP,
            said,
            torch.from_numpy(self.camera[rows]),
        )

    def sample(self, size: int, frames: int, rng: np.random.Generator, *, apart: bool) -> Batch:
        """Random clips, one in two mirrored.

        Args:
            size: N.
            frames: T.
            apart: any frames, in order; else successive ones, or every second.
        """
        rows = rng.integers(0, len(self.pool.planes), size)
        if apart:
            shuffled = rng.permuted(np.tile(np.arange(FRAMES), (size, 1)), axis=1)
            numbers = np.sort(shuffled[:, :frames], axis=1)
        else:
            step = int(rng.integers(1, FRAMES // frames + 1))
            first = rng.integers(0, FRAMES - step * (frames - 1), (size, 1))
            numbers = first + step * np.arange(frames)
        batch = self.rows(rows, numbers, torch.from_numpy(left_unsaid(self.said[rows], rng)))
        return _mirrored(batch, torch.from_numpy(rng.random(size) < 0.5))


def anchors(planes: Tensor) -> Tensor:
    """Packed planes (N, 8, 32, 32, 6) -> the encoder's input (N, 8, 32, 32, 10)."""
    return with_change(planes)


def times_of(frames: int, count: int = 1) -> Tensor:
    """Times (count, frames) of a clip's frames in clips of 32."""
    return (torch.arange(frames) / _CLIP).expand(count, frames)


def left_unsaid(said: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Class numbers (N, 6) with some factors unsaid, and in one clip of ten all."""
    keep = rng.random(said.shape) >= np.array(list(_UNSAID.values()))
    return said * keep * (rng.random((len(said), 1)) >= 0.1)


def gist_of(planes: Tensor) -> Tensor:
    """Packed planes (N, T, h, w, 6) -> the same at half the resolution."""
    y, u, v = unpack(planes)
    return pack(*(functional.avg_pool2d(plane, 2) for plane in (y, u, v)))


def true_camera(scene: Scene) -> NDArray[np.float32]:
    """(3,) what `gistcast.models.scene_gist.shifted` needs to move like the renderer."""
    times = np.arange(_CLIP) / FPS
    view = View(scene.camera, times, (SIDE, SIDE), speed=scene.speed * VIEW / scene.span)
    far = np.polyfit(np.arange(_CLIP) / _CLIP, np.broadcast_to(view.shift, _CLIP), 1)[0] / SIDE
    path = np.polyfit(np.arange(_CLIP) / _CLIP, np.broadcast_to(view.x, _CLIP), 1)[0]
    return np.array([far, -path / view.rise, np.mean(view.horizon) / SIDE], np.float32)


def _mirrored(batch: Batch, flip: Tensor) -> Batch:
    """Some clips from right to left."""
    swap = [1, 0, 3, 2, 4, 5]  # the phases of a cell change sides too
    for part, order in (
        (batch.anchors, [*swap, *(6 + k for k in swap[:4])]),
        (batch.window, swap),
        (batch.mask, [0]),
    ):
        part[flip] = part[flip].flip(3)[..., order]
    batch.camera[flip] *= batch.camera.new_tensor([-1.0, -1.0, 1.0])
    return batch
