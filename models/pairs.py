"""Training pairs for stage 2: a clip and what the decoder would have of it, on disk.

    random clip --quantised 3-D transform at random steps--> sketches --> pairs-0001.safetensors

A shard holds N clips and, of each, K sketches at different steps. Sketches are made once because
coding costs more than a training step; flips, turns and colour changes are added on reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from gistcast.codec import transform
from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import UsageError
from gistcast.models.data import ClipSampler, Sample
from gistcast.models.stills import StillSampler

#: (clip, luma step) -> the sketch a decoder would have
SketchMaker = Callable[[Clip, float], Clip]

STEPS = (14.0, 200.0)  #: luma quantiser steps to learn, drawn log-uniformly
CHROMA_STEP = 0.5  #: chroma step as a share of the luma step
DEAD_ZONE = 0.6  #: magnitudes below this share of a step become zero, and so on up


def quantised_sketch(clip: Clip, step: float) -> Clip:
    """Transform, quantise with a dead zone, and reconstruct a clip against a mid-grey gist.

    The codec's residual without its entropy coding and its rate-distortion search.

    Args:
        clip: what is sent.
        step: luma step in units of the orthonormal transform on the 8-bit scale.
    """
    out: list[Plane] = []
    levels = transform.spatial_levels(clip.height, clip.width)
    for index, plane in enumerate(clip.planes):
        width = step if index == 0 else step * CHROMA_STEP
        depth = levels if index == 0 else max(0, levels - 1)
        bands = transform.forward(plane.astype(np.float32) - 128, depth)
        for key, band in bands.items():
            magnitude = np.floor(np.abs(band) / width + (1 - DEAD_ZONE))
            bands[key] = np.asarray(np.sign(band) * magnitude * width, np.float32)
        pixels = transform.inverse(bands, depth) + 128
        out.append(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return Clip(out[0], out[1], out[2])


def random_step(rng: np.random.Generator) -> float:
    """A luma step, log-uniform over `STEPS`."""
    return float(np.exp(rng.uniform(np.log(STEPS[0]), np.log(STEPS[1]))))


def _caption(sample: Sample) -> str:
    return sample.caption


def write_shard(
    path: Path,
    samplers: tuple[ClipSampler, StillSampler],
    rng: np.random.Generator,
    *,
    clips: int = 64,
    sketches: int = 2,
    stills: float = 0.3,
    maker: SketchMaker = quantised_sketch,
) -> None:
    """Write one shard of pairs.

    Args:
        path: file to write (through a temporary file, so that readers never see half of it).
        samplers: sources of real clips and of moving stills.
        rng: draws clips and steps.
        clips, sketches: clips in the shard, sketches of each.
        stills: share of the clips made of stills.
        maker: turns a clip and a step into a sketch.
    """
    columns: dict[str, list[Plane]] = {k: [] for k in ("y", "u", "v", "sy", "su", "sv")}
    steps: list[list[float]] = []
    captions: list[str] = []
    for _ in range(clips):
        sample = samplers[int(rng.random() < stills)].sample(rng)
        row = [random_step(rng) for _ in range(sketches)]
        made = [maker(sample.clip, step) for step in row]
        for key, plane in zip(("y", "u", "v"), sample.clip.planes, strict=True):
            columns[key].append(plane)
        for index, key in enumerate(("sy", "su", "sv")):
            columns[key].append(np.stack([m.planes[index] for m in made]))
        steps.append(row)
        captions.append(_caption(sample))
    arrays: dict[str, NDArray[np.generic]] = {k: np.stack(v) for k, v in columns.items()}
    arrays["step"] = np.array(steps, np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(arrays, str(temporary), metadata={"captions": json.dumps(captions)})
    temporary.rename(path)


@dataclass(frozen=True)
class Pair:
    """A clip, one sketch of it, the sketch's luma step and a caption (may be empty)."""

    clip: Clip
    sketch: Clip
    step: float
    caption: str


class PairReader:
    """Random augmented pairs from a folder of shards; new shards are seen as they appear.

    Args:
        folder: where `write_shard` put its files.
        pattern: which files to read.
    """

    def __init__(self, folder: Path, pattern: str = "pairs-*.safetensors") -> None:
        self._folder, self._pattern = folder, pattern

    def batch(self, rng: np.random.Generator, size: int) -> list[Pair]:
        """`size` pairs of one shape, all from one shard.

        Raises:
            UsageError: no shard.
        """
        paths = sorted(self._folder.glob(self._pattern))
        if not paths:
            raise UsageError(f"no {self._pattern} in {self._folder}")
        path = paths[int(rng.integers(len(paths)))]
        with safe_open(str(path), framework="numpy") as shard:
            captions = json.loads(shard.metadata()["captions"])
            steps = shard.get_tensor("step")
            rows = rng.integers(0, steps.shape[0], size)
            pairs = []
            for row in rows.tolist():
                k = int(rng.integers(steps.shape[1]))
                clip = [shard.get_slice(key)[row] for key in ("y", "u", "v")]
                sketch = [shard.get_slice(key)[row, k] for key in ("sy", "su", "sv")]
                pairs.append(
                    Pair(Clip(*clip), Clip(*sketch), float(steps[row, k]), captions[row])
                )
        return _augment(pairs, rng)


def _augment(pairs: list[Pair], rng: np.random.Generator) -> list[Pair]:
    """Turn each pair alike in space and time, and stretch its colours.

    The transform commutes with flips, transposition and time reversal, and scales with contrast,
    so a sketch stays a sketch of its clip.
    """
    out = []
    for pair in pairs:
        flips = rng.random(3) < (0.5, 0.25, 0.25)  # left-right, transpose, time
        gain = float(np.exp(rng.normal(0, 0.15)))
        offset = float(rng.normal(0, 8))
        swap, signs = rng.random() < 0.25, np.where(rng.random(2) < 0.15, -1.0, 1.0)
        colour = float(np.exp(rng.normal(0, 0.2))) * signs

        def change(
            clip: Clip,
            flips: NDArray[np.bool_] = flips,
            gain: float = gain,
            offset: float = offset,
            swap: bool = swap,
            colour: NDArray[np.float64] = colour,
        ) -> Clip:
            y, u, v = (_turn(p, flips) for p in clip.planes)
            u, v = _stretch(u, gain * colour[0], 0), _stretch(v, gain * colour[1], 0)
            return Clip(_stretch(y, gain, offset), *((v, u) if swap else (u, v)))

        out.append(Pair(change(pair.clip), change(pair.sketch), pair.step * gain, pair.caption))
    return out


def _turn(plane: Plane, flips: NDArray[np.bool_]) -> Plane:
    if flips[0]:
        plane = plane[:, :, ::-1]
    if flips[1] and plane.shape[1] == plane.shape[2]:
        plane = plane.transpose(0, 2, 1)
    if flips[2]:
        plane = plane[::-1]
    return np.ascontiguousarray(plane)


def _stretch(plane: Plane, gain: float, offset: float) -> Plane:
    values = np.arange(256, dtype=np.float64)
    table = np.clip(np.rint((values - 128) * gain + 128 + offset), 0, 255).astype(np.uint8)
    return np.asarray(table[plane])
