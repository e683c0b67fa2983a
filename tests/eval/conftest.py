"""Small clips made on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.eval.cache import Cache
from gistcast.eval.inputs import Source
from gistcast.eval.sweep import Case, load_case
from gistcast.models.lpips import Lpips, load_lpips

torch.set_num_threads(1)


def scene(frames: int = 32, side: int = 64, speed: int = 1) -> NDArray[np.uint8]:
    """A textured disc crossing a textured ground, uint8 RGB (T, H, W, 3); integers only."""
    rng = np.random.default_rng(7)
    ground = np.kron(rng.integers(40, 200, (side // 8, side // 8, 3)), np.ones((8, 8, 1), int))
    object_ = np.kron(rng.integers(0, 256, (side // 4, side // 4, 3)), np.ones((4, 4, 1), int))
    y, x = np.mgrid[:side, :side]
    out = np.empty((frames, side, side, 3), np.uint8)
    for t in range(frames):
        centre = (side // 4 + speed * t) % side
        inside = (x - centre) ** 2 + (y - side // 2) ** 2 < (side // 5) ** 2
        out[t] = np.where(inside[..., None], np.roll(object_, speed * t, 1), ground)
    return out


@pytest.fixture(scope="session")
def clip() -> Clip:
    """32 frames of 64 x 64 with motion."""
    return rgb_to_clip(scene())


@pytest.fixture(scope="session")
def short_clip() -> Clip:
    """8 frames of 64 x 64 with motion."""
    return rgb_to_clip(scene(8))


@pytest.fixture(scope="session")
def network() -> Lpips:
    """LPIPS-AlexNet, loaded once."""
    return load_lpips()


@pytest.fixture(scope="session")
def source(short_clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """`short_clip` as a file."""
    path = tmp_path_factory.mktemp("sources") / "disc.y4m"
    writer = VideoWriter(path, VideoInfo(64, 64, Fraction(25)))
    writer.write(short_clip)
    writer.close()
    return Source("disc", path)


@pytest.fixture(scope="session")
def case(source: Source) -> Case:
    """A case to sweep."""
    return load_case(source, (64, 64))


def noisy(rgb: NDArray[np.uint8], amount: int) -> NDArray[np.uint8]:
    """Uniform integer noise of at most `amount`, the same on every machine."""
    noise = np.random.default_rng(3).integers(-amount, amount + 1, rgb.shape)
    return np.asarray(np.clip(rgb.astype(int) + noise, 0, 255), np.uint8)


@pytest.fixture(scope="session")
def noisy_clip() -> Clip:
    """`clip` with noise."""
    return rgb_to_clip(noisy(scene(), 24))


@pytest.fixture(scope="session")
def shifted_clip() -> Clip:
    """`clip`, two pixels to the right."""
    return rgb_to_clip(np.roll(scene(), 2, 2))


@pytest.fixture(autouse=True)
def closed_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Caches that a test opens are closed behind it; Python 3.13 warns of open ones."""
    opened: list[Cache] = []
    begin = Cache.__init__

    def remembered(self: Cache, path: Path | None) -> None:
        begin(self, path)
        opened.append(self)

    monkeypatch.setattr(Cache, "__init__", remembered)
    yield
    for cache in opened:
        cache.close()
