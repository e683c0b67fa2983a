"""Renders of scenes kept on disk, so that training does not wait for the renderer.

    scenes seed:index of a split --render every second frame--> 4:2:0 --pack--> chunks of 250 clips

A chunk is written whole or not at all; a pool that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
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
_UNSEEN = 4  # 8-bit levels that a mask does not count


@dataclass(frozen=True)
class Pool:
    """Clips and what they show.

    Attributes:
        planes: uint8 (N, 16, 32, 32, 6), packed as by `gistcast.models.refiner.pack`.
        scenes: N scenes.
        masks: uint8 (N, 16, 32, 32), 255 where people and what they do are seen; if asked for.
    """

    planes: NDArray[np.uint8]
    scenes: list[Scene]
    masks: NDArray[np.uint8] | None = None

    def labels(self, kind: str) -> list[str]:
        """`action`, `surroundings`, `weather` or `caption` of every clip."""
        return [str(getattr(scene, kind)) for scene in self.scenes]


def pack_clip(clip: Clip) -> NDArray[np.uint8]:
    """Clip of even sides -> uint8 (T, H/2, W/2, 6): four luma phases, Cb, Cr."""
    t, h, w = clip.y.shape
    phases = clip.y.reshape(t, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4)
    luma = phases.reshape(t, h // 2, w // 2, 4)
    return np.concatenate([luma, clip.u[..., None], clip.v[..., None]], -1)


def render_packed(scene: Scene) -> NDArray[np.uint8]:
    """A scene as a pool keeps it, (16, 32, 32, 6)."""
    return pack_clip(rgb_to_clip(render(scene, FRAMES, (SIDE, SIDE), stride=STRIDE)))


def render_mask(scene: Scene, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where a rendered scene differs from the same scene without people, (16, 32, 32)."""
    empty = render_packed(replace(scene, people=()))
    apart = np.abs(planes.astype(np.int16) - empty).max(-1)
    return np.asarray(np.clip((apart - _UNSEEN) * 16, 0, 255), np.uint8)


def build_pool(
    folder: Path, seed: int, split: Split | None, count: int, *, masks: bool = False
) -> Pool:
    """The first `count` clips of a split of the world `seed`, rendered once (32 ms each).

    Args:
        folder: of the chunks; worlds and splits have folders of their own in it.
        split: None takes all combinations.
        masks: render each scene without people too, and keep where that differs.
    """
    base = folder / f"scenes-{seed}-{split or 'all'}"
    base.mkdir(parents=True, exist_ok=True)
    wanted = choose(seed, split)
    parts: list[dict[str, NDArray[np.generic]]] = []
    for number in range(-(-count // _CHUNK)):
        scenes = list(islice(wanted, _CHUNK))
        part = _kept(base / f"{number:03}.safetensors", lambda: _planes(scenes))  # noqa: B023
        if masks:
            path, planes = (
                base / f"{number:03}-masks.safetensors",
                np.asarray(part["planes"], np.uint8),
            )
            part |= _kept(path, lambda: _masks(scenes, planes))  # noqa: B023
        parts.append(part)
    whole = {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}
    known = [sample_scene(seed, int(index)) for index in whole["indices"]]
    return Pool(whole["planes"], known, whole.get("masks"))


def _planes(scenes: list[Scene]) -> dict[str, NDArray[np.generic]]:
    indices = np.array([scene.index for scene in scenes])
    return {"planes": np.stack([render_packed(scene) for scene in scenes]), "indices": indices}


def _masks(scenes: list[Scene], planes: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    pairs = zip(scenes, planes, strict=True)
    return {"masks": np.stack([render_mask(scene, clip) for scene, clip in pairs])}


def _kept(
    path: Path, make: Callable[[], dict[str, NDArray[np.generic]]]
) -> dict[str, NDArray[np.generic]]:
    """What is on disk at `path`, made and written first where it is not."""
    if not path.is_file():
        temporary = path.with_suffix(".tmp")
        save_file(make(), str(temporary))
        os.replace(temporary, path)
    return load_file(str(path))
