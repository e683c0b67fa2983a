"""Clips made by arithmetic, so that the tests need no data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.models.data import FrameStore, Source

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


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder with a decoded `train` of clips and `stills` of single frames."""
    _write_store(tmp_path / "train", [_scene(32, 36, 50, seed) for seed in range(3)])
    _write_store(tmp_path / "stills", [_scene(1, 60, 80, seed) for seed in range(3)])
    return tmp_path


def _write_store(base: Path, clips: list[Clip]) -> FrameStore:
    # a group that the internal split does not hold out
    group = next(g for g in "abcdef" if not Source("", 0, 0, 0, 0, "", "", g).held_out)
    sources: list[Source] = []
    with open(base.with_suffix(".yuv"), "wb") as out:
        for number, clip in enumerate(clips):
            shape = (clip.frames, clip.height, clip.width, out.tell())
            sources.append(Source(f"{number}", *shape, "scene", f"scene {number}", group))
            for plane in clip.planes:
                out.write(plane.tobytes())
    base.with_suffix(".json").write_text(json.dumps([asdict(s) for s in sources]))
    return FrameStore(base)
