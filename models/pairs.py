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
from scipy.ndimage import uniform_filter

from gistcast.codec import transform
from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import UsageError
from gistcast.codec.layout import make_layout
from gistcast.codec.protocol import FloatPlanes, GistModel
from gistcast.codec.quantiser import CHROMA_STEP, QUANTISERS, luma_step
from gistcast.codec.residual import ResidualEncoder
from gistcast.codec.sketch import analyse, synthesise
from gistcast.codec.tables import load_tables
from gistcast.models.data import ClipSampler
from gistcast.models.stills import StillSampler

#: (clip, luma step) -> the sketch a decoder would have
SketchMaker = Callable[[Clip, float], Clip]

STEPS = (20.0, 480.0)  #: luma quantiser steps to learn, drawn log-uniformly
_WEIGHT = 0.14  #: lambda of the imitated rate-distortion choice, squared steps a bit


def quantised_sketch(clip: Clip, step: float) -> Clip:
    """What the codec would send of a clip against a mid-grey gist, imitated ten times faster.

    The codec zeroes a coefficient where its bits cost more than its error. Here the bits of a
    coefficient are guessed from how many neighbours are non-zero instead of asked of the context
    model; on the validation clips the PSNR at a step is within 0.2 dB of the codec's.

    Args:
        clip: what is sent.
        step: luma step in units of the orthonormal transform on the 8-bit scale.
    """
    out: list[Plane] = []
    levels = make_layout(clip.frames, clip.height, clip.width).levels
    for index, plane in enumerate(clip.planes):
        width = np.float32(step * (1.0, *CHROMA_STEP)[index])
        bands = transform.forward(plane.astype(np.float32) - 128, levels[index])
        points = {key: _quantise(band / width) * width for key, band in bands.items()}
        pixels = transform.inverse(points, levels[index]) + 128
        out.append(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return Clip(out[0], out[1], out[2])


def _quantise(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients in steps (T, h, w) -> levels, isolated small ones set to zero."""
    size = np.abs(band)
    near = uniform_filter(np.minimum(np.floor(size + 0.4), 2), 3, mode="constant")
    bits = 1 - np.log2(np.minimum(0.6, 0.003 + 0.5 * near))
    kept = size >= 0.5 + _WEIGHT / 2 * bits
    levels = np.where(kept, np.maximum(np.floor(size + 0.45), 1), 0)
    return np.asarray(np.sign(band) * levels, np.float32)


class CodecSketcher:
    """The codec's own sketches: slower than `quantised_sketch`, and exact."""

    def __init__(self, gist: GistModel | None = None) -> None:
        self._encoder = ResidualEncoder(load_tables(), _WEIGHT)
        self._gist = gist

    def __call__(self, clip: Clip, step: float) -> Clip:
        """The sketch at the quantiser nearest to a luma step."""
        return self.code(clip, step)[0]

    def code(self, clip: Clip, step: float) -> tuple[Clip, float]:
        """The same sketch and what its residual costs in bytes, without packet headers."""
        layout = make_layout(clip.frames, clip.height, clip.width)
        quantiser = int(np.clip(np.rint(24 * np.log2(step / luma_step(0))), 0, QUANTISERS - 1))
        base: FloatPlanes | None = None
        if self._gist is not None:
            size = {"frames": clip.frames, "height": clip.height, "width": clip.width}
            base = self._gist.gist(self._gist.describe(clip), None, seed=0, **size)
        coefficients = analyse(clip, base, layout, quantiser)
        chosen = self._encoder.choose(layout, coefficients, quantiser)
        sketch = synthesise(chosen.points, base, layout, quantiser)
        return sketch, sum(chosen.group_bits()) / 8


def random_step(rng: np.random.Generator) -> float:
    """A luma step, log-uniform over `STEPS`."""
    return float(np.exp(rng.uniform(np.log(STEPS[0]), np.log(STEPS[1]))))


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
        captions.append(sample.caption)
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
                pairs.append(Pair(Clip(*clip), Clip(*sketch), float(steps[row, k]), captions[row]))
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
