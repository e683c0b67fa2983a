"""Scenes in number: which ones a split holds, a stream of clips to train on, and manifest rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import UsageError
from gistcast.models.scenes.labels import (
    ACTIONS,
    HELD_OUT,
    SPLITS,
    SURROUNDINGS,
    Split,
    combination,
    split,
)
from gistcast.models.scenes.rendering import FPS, render
from gistcast.models.scenes.scene import Scene, sample_scene


class Example(NamedTuple):
    """One clip to learn from.

    Attributes:
        clip: uint8 RGB (T, H, W, 3).
        caption: a sentence about it.
        action, surroundings: its labels.
    """

    clip: NDArray[np.uint8]
    caption: str
    action: str
    surroundings: str


def choose(
    seed: int,
    part: Split | None = None,
    *,
    action: str | None = None,
    surroundings: str | None = None,
    start: int = 0,
    step: int = 1,
) -> Iterator[Scene]:
    """Scenes `start`, `start + step`, ... of a world, without end, as far as they are in a split.

    Args:
        seed: the world.
        part: the split; None takes all.
        action, surroundings: fix these.
        step: so that several processes share the work: process k of n takes (k, n).

    Raises:
        UsageError: an unknown name, or a split that holds no such scene.
    """
    if part is not None and part not in SPLITS:
        raise UsageError(f"unknown split {part!r}: one of {', '.join(SPLITS)}")
    combination(seed, start, action, surroundings)  # refuses unknown names at once
    actions = ACTIONS if action is None else (action,)
    places = SURROUNDINGS if surroundings is None else (surroundings,)
    held_out = [(a, s) in HELD_OUT for a in actions for s in places]
    if part is not None and not any(held == (part == "held-out") for held in held_out):
        raise UsageError(f"no scene with {action} and {surroundings} is in the split {part}")
    return _choose(seed, part, action, surroundings, start, step)


def _choose(
    seed: int,
    part: Split | None,
    action: str | None,
    surroundings: str | None,
    index: int,
    step: int,
) -> Iterator[Scene]:
    while True:
        if part is None or split(seed, index, action, surroundings) == part:
            yield sample_scene(seed, index, action=action, surroundings=surroundings)
        index += step


def stream(
    seed: int,
    part: Split | None = "train",
    size: tuple[int, int] = (64, 64),
    *,
    frames: int = 32,
    start: int = 0,
    step: int = 1,
) -> Iterator[Example]:
    """Clips of a split without end, rendered as they are asked for.

    Args:
        seed, part, start, step: as for `choose`.
        size: (width, height).
        frames: in each clip, at 25 a second.
    """
    for scene in choose(seed, part, start=start, step=step):
        clip = render(scene, frames, size)
        yield Example(clip, scene.caption, scene.action, scene.surroundings)


def manifest_row(
    scene: Scene, file: str, frames: int, size: tuple[int, int]
) -> dict[str, str | int | float]:
    """What a manifest says about a clip; the form is that of every training folder."""
    return {
        "file": file,
        "frames": frames,
        "width": size[0],
        "height": size[1],
        "fps": float(FPS),
        "label": scene.label,
        "caption": scene.caption,
        "source": "gistcast scenes",
        "licence": "Apache-2.0",
        "group": f"scenes:{scene.seed}:{scene.index}",
        "action": scene.action,
        "surroundings": scene.surroundings,
        "weather": scene.weather,
        "split": scene.split,
        "seed": scene.seed,
        "index": scene.index,
    }
