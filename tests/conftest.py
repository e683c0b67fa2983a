"""Shared: the bundled real clip at small sizes, and synthetic clips."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.media import VideoInfo, load_clip
from gistcast.codec.protocol import FloatPlanes

# a busy machine is slow, not wrong
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parent.parent
STREET = ROOT / "app" / "assets" / "street.mp4"


@pytest.fixture(scope="session")
def street() -> Clip:
    """32 frames of real video at 64x64."""
    return load_clip(STREET, size=(64, 64))[0]


@pytest.fixture(scope="session")
def info() -> VideoInfo:
    """Geometry of `street`."""
    return VideoInfo(64, 64, Fraction(25))


@pytest.fixture(scope="session")
def moving_clip() -> Callable[..., Clip]:
    """Makes synthetic clips: (frames, height, width, seed=0) -> Clip."""
    return _moving_clip


def _moving_clip(frames: int, height: int, width: int, seed: int = 0) -> Clip:
    """A textured disc that moves over a gradient, with some noise: cheap, but not trivial."""
    rng = np.random.default_rng(seed)
    t, y, x = np.ogrid[:frames, :height, :width]
    centre_x, centre_y = width * (0.3 + 0.4 * t / max(1, frames)), height * 0.5
    disc = ((x - centre_x) ** 2 + (y - centre_y) ** 2) < (0.25 * min(height, width)) ** 2
    luma = 60 + 100 * x / width + 40 * disc * np.sin(0.9 * x + 0.5 * y) + 0 * t
    luma = luma + rng.normal(0, 2, (frames, height, width))
    chroma = (frames, (height + 1) // 2, (width + 1) // 2)
    u = 118 + 20 * disc[:, ::2, ::2] + np.zeros(chroma)
    v = 135 + rng.normal(0, 1, chroma)
    return Clip(*(np.clip(np.rint(p), 16, 235).astype(np.uint8) for p in (luma, u, v)))


class Knowing:
    """A gist model that knows the clip: so much of it, the rest grey.

    Args:
        share: 0..1 of the clip.
        of: the only text of which it knows anything, and no latent; None: it always does.
    """

    model_id = 255
    weights_hash = b"know"
    latent_frequencies = np.full((32, 257), 127, np.uint16)
    latent_frequencies[:, 0] += np.uint16(32768 - 127 * 257)

    def __init__(self, clip: Clip, share: float, of: str | None = None) -> None:
        self._clip, self._share, self._of = clip, share, of

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        """The same of every clip."""
        return np.arange(32, dtype=np.int32)

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
        """What it knows."""
        known = self._of is None or (latent is None and text == self._of)
        share = self._share if known else 0.0
        y, u, v = (128 + share * (p.astype(np.float32) - 128) for p in self._clip.planes)
        return y, u, v


@pytest.fixture(scope="session")
def knowing() -> type[Knowing]:
    """`Knowing`: test files are imported on their own and cannot name this module."""
    return Knowing
