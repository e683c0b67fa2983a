"""Clips made by arithmetic, so that the tests need no data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip

MakeClip = Callable[..., Clip]


def _scene(frames: int = 32, height: int = 64, width: int = 64, seed: int = 0) -> Clip:
    """A textured background, slowly panning, and a bright disc that crosses it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = rng.uniform(0.03, 0.35, (8, 2))
    phase = rng.uniform(0, 6.3, 8)
    out = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        plain = sum(
            np.sin(a * (x + 0.3 * t) + b * y + p) for (a, b), p in zip(waves, phase, strict=True)
        )
        disc = (x - width * t / frames) ** 2 + (y - height / 2) ** 2 < (height / 5) ** 2
        for channel, gain in enumerate((22, 18, 12)):
            picture = np.where(disc, 220 - 40 * channel, 110 + gain * plain)
            out[t, ..., channel] = np.clip(picture, 0, 255)
    return rgb_to_clip(out)


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    return _scene
