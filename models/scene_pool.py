"""Renders of scenes kept on disk, so that training does not wait for the renderer.

    scenes seed:index of a split --render every second frame--> 4:2:0 --pack--> chunks of 250 clips

A chunk is written whole or not at all; a pool that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.models.scenes import Scene, choose, render, sample_scene
from gistcast.models.scenes.labels import Split

FRAMES, STRIDE, SIDE = 16, 2, 64  #: of a clip: every second of 32 frames, 64x64
_CHUNK = 250


@dataclass(frozen=True)
class Pool:
    """Clips and what they show.

    Attributes:
        planes: uint8 (N, 16, 32, 32, 6), packed as by `gistcast.models.refiner.pack`.
        scenes: N scenes.
    """

    planes: NDArray[np.uint8]
    scenes: list[Scene]

    def labels(self, kind: str) -> list[str]:
        """`action`, `surroundings`, `weather` or `caption` of every clip."""
        return [str(getattr(scene, kind)) for scene in self.scenes]


def pack_clip(clip: Clip) -> NDArray[np.uint8]:
    """Clip of even sides -> uint8 (T, H/2, W/2, 6): four luma phases, Cb, Cr."""
    t, h, w = clip.y.shape
    phases = clip.y.reshape(t, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4)
    luma = phases.reshape(t, h // 2, w // 2, 4)
    return np.concatenate([luma, clip.u[..., None], clip.v[..., None]], -1)


def unpack_clip(planes: NDArray[np.uint8]) -> Clip:
    """The inverse of `pack_clip`."""
    t, h, w, _ = planes.shape
    phases = planes[..., :4].reshape(t, h, w, 2, 2).transpose(0, 1, 3, 2, 4)
    y = np.ascontiguousarray(phases.reshape(t, 2 * h, 2 * w))
    return Clip(y, np.ascontiguousarray(planes[..., 4]), np.ascontiguousarray(planes[..., 5]))


def render_packed(scene: Scene) -> NDArray[np.uint8]:
    """A scene as a pool keeps it, (16, 32, 32, 6)."""
    return pack_clip(rgb_to_clip(render(scene, FRAMES, (SIDE, SIDE), stride=STRIDE)))


def build_pool(folder: Path, seed: int, split: Split | None, count: int) -> Pool:
    """The first `count` clips of a split of the world `seed`, rendered once (32 ms each).

    Args:
        folder: of the chunks; worlds and splits have folders of their own in it.
        split: None takes all combinations.
    """
    base = folder / f"scenes-{seed}-{split or 'all'}"
    base.mkdir(parents=True, exist_ok=True)
    wanted = choose(seed, split)
    chunks = [
        _chunk(base / f"{number:03}.safetensors", wanted) for number in range(-(-count // _CHUNK))
    ]
    planes = np.concatenate([chunk["planes"] for chunk in chunks])[:count]
    indices = np.concatenate([chunk["indices"] for chunk in chunks])[:count]
    return Pool(planes, [sample_scene(seed, int(index)) for index in indices])


def _chunk(path: Path, wanted: Iterator[Scene]) -> dict[str, NDArray[np.generic]]:
    """The next `_CHUNK` scenes, from disk where they are there already."""
    scenes = list(islice(wanted, _CHUNK))
    if not path.is_file():
        planes = np.stack([render_packed(scene) for scene in scenes])
        temporary = path.with_suffix(".tmp")
        indices = np.array([scene.index for scene in scenes])
        save_file({"planes": planes, "indices": indices}, str(temporary))
        os.replace(temporary, path)
    return load_file(str(path))
