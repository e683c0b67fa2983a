"""What stage 2 learns from: clips drawn while it trains, and sketches made of them on the device.

    recordings, photographs in motion --worker processes--> clips --copy--> device
        --imitated sketch--> pairs --random windows--> packed planes

    pairs that the codec itself made (models/coded.py) -----------^

All but the last are made as they are needed: every step sees new crops, speeds and quantiser
steps. What a step sees is a function of the seed and its number alone, so that a resumed run goes
on as if it had not stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gistcast.codec.clip import Clip, Plane
from gistcast.codec.fade import kept_frames
from gistcast.models.data import ClipSampler, FrameStore
from gistcast.models.stills import StillSampler

_Item = tuple[Any, ...]  # y, u, v of a clip, maybe of its sketch; its step and kept (or 0); caption
_Key = tuple[int, int]  # step, row


@dataclass(frozen=True)
class Sketch:
    """What a decoder has before stage 2.

    Attributes:
        clip: its frames; in pairs to learn from, carried along the motion already (`carry`).
        step: luma step on the 8-bit scale.
        kept: the frames that were decoded, where it came as video; () for a residual. What is
            written to disk is a whole video.
    """

    clip: Clip
    step: float
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A clip, its sketch as the codec made it, and a caption, maybe empty."""

    clip: Clip
    sketch: Sketch
    caption: str


@dataclass(frozen=True)
class ClipBatch:
    """N clips of one shape, uint8.

    Attributes:
        clip: y (N, T, H, W), u and v (N, T, H/2, W/2).
        sketch: the same of their sketches, where the codec made them; else None.
        steps, kept: (N,) luma steps of these, and how many frames came as video.
        captions: N sentences, maybe empty.
    """

    clip: list[Tensor]
    sketch: list[Tensor] | None
    steps: Tensor
    kept: Tensor
    captions: list[str]


@dataclass(frozen=True)
class ClipShapes:
    """What shapes of clips are drawn, and how often; all clips of a step share one.

    Attributes:
        sizes: sides of the square clips, luma samples, and their chances.
        lengths: frames and their chances; short clips are the low-delay mode.
        stills: share of the clips made of photographs.
        coded: share of the steps that take pairs of the codec's own, where there are any of the
            step's size; their lengths are their own.
    """

    sizes: tuple[tuple[int, float], ...] = ((64, 0.7), (128, 0.3))
    lengths: tuple[tuple[int, float], ...] = ((32, 0.84), (16, 0.08), (8, 0.08))
    stills: float = 0.35
    coded: float = 0.8

    def of(self, seed: int, step: int) -> tuple[int, int]:
        """(side, frames) of a step's clips."""
        rng = np.random.default_rng([seed, step, 1])
        return _pick(self.sizes, rng), _pick(self.lengths, rng)


def _pick(choices: tuple[tuple[int, float], ...], rng: np.random.Generator) -> int:
    chances = np.array([chance for _, chance in choices])
    return choices[int(rng.choice(len(choices), p=chances / chances.sum()))][0]


class CodedPairs:
    """Clips and the codec's sketches of them, as `gistcast.models.coded` keeps them.

    Args:
        folder: of the files; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.safetensors"))

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, number: int) -> Pair:
        """One of them."""
        with safe_open(str(self._paths[number]), framework="numpy") as file:
            meta = file.metadata()
            clip = Clip(*(file.get_tensor(key) for key in ("y", "u", "v")))
            sketch = Clip(*(file.get_tensor(f"sketch_{key}") for key in ("y", "u", "v")))
        made = Sketch(sketch, float(meta["step"]), whole(clip.frames, int(meta["kept"])))
        return Pair(clip, made, meta["caption"])


def whole(frames: int, kept: int) -> tuple[int, ...]:
    """The frames that a whole video of so many decodes to; () of none, for a residual."""
    return tuple(kept_frames(frames, kept)) if kept else ()


def coded_folder(cache: Path, size: int) -> Path:
    """Where a cache holds the codec's own pairs of square clips of a size."""
    return cache / f"coded-{size}"


def coded_pairs(cache: Path) -> dict[int, CodedPairs]:
    """All of the codec's own pairs that a cache holds, by size."""
    folders = sorted(cache.glob("coded-*[0-9]"))
    found = {int(folder.name.partition("-")[2]): CodedPairs(folder) for folder in folders}
    return {size: pairs for size, pairs in found.items() if len(pairs)}


def write_pair(path: Path, pair: Pair) -> None:
    """Write what `CodedPairs` reads; half a file is never seen."""
    planes = dict(zip(("y", "u", "v"), pair.clip.planes, strict=True))
    names = ("sketch_y", "sketch_u", "sketch_v")
    planes |= dict(zip(names, pair.sketch.clip.planes, strict=True))
    temporary = path.with_suffix(".tmp")
    told = {"step": str(pair.sketch.step), "kept": str(len(pair.sketch.kept))}
    meta = {**told, "caption": pair.caption}
    save_file({k: np.ascontiguousarray(p) for k, p in planes.items()}, str(temporary), meta)
    temporary.rename(path)


class TrainingClips(Dataset[_Item]):
    """Random augmented clips; the key is (step, row).

    Args:
        recordings, stills: decoded sources.
        seed: of everything that is drawn.
        shapes: of the clips.
        coded: pairs of the codec's own, by size; maybe none.
    """

    def __init__(
        self,
        recordings: FrameStore,
        stills: FrameStore,
        seed: int,
        shapes: ClipShapes,
        coded: Mapping[int, CodedPairs] | None = None,
    ) -> None:
        self._seed, self._shapes = seed, shapes
        self._coded = coded or {}
        self._samplers: dict[_Key, tuple[ClipSampler, StillSampler]] = {}
        for size, _ in shapes.sizes:
            for frames, _ in shapes.lengths:
                self._samplers[size, frames] = (
                    ClipSampler(recordings, size=size, frames=frames),
                    StillSampler(stills, size=size, frames=frames),
                )

    def __getitem__(self, key: _Key) -> _Item:
        step, row = key
        rng = np.random.default_rng([self._seed, step, 2, row])
        share = np.random.default_rng([self._seed, step, 4]).random()
        size, frames = self._shapes.of(self._seed, step)
        if size in self._coded and share < self._shapes.coded:
            return self._pair(self._coded[size], rng)
        real, still = self._samplers[size, frames]
        sample = (still if rng.random() < self._shapes.stills else real).sample(rng)
        return (*augment(sample.clip, rng).planes, 0.0, 0, sample.caption)

    def _pair(self, coded: CodedPairs, rng: np.random.Generator) -> _Item:
        pair = coded.read(int(rng.integers(len(coded))))
        seed = int(rng.integers(2**32))  # both are turned alike
        both = (
            augment(c, np.random.default_rng(seed), stretch=False)
            for c in (pair.clip, pair.sketch.clip)
        )
        planes = (plane for c in both for plane in c.planes)
        return (*planes, pair.sketch.step, len(pair.sketch.kept), pair.caption)


def clip_batches(
    clips: TrainingClips, batch: int, *, start: int = 0, workers: int = 0, pin: bool = False
) -> Iterator[ClipBatch]:
    """The batches of the steps from `start` on, without end.

    Args:
        batch: clips a step.
        workers: processes that draw clips ahead; 0 draws them when they are asked for.
        pin: page-locked memory, for faster copies to a GPU.
    """
    keys = ([(step, row) for row in range(batch)] for step in count(start))
    loader: DataLoader[_Item] = DataLoader(
        clips,
        batch_sampler=keys,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )
    for *planes, steps, kept, captions in loader:
        sketch = planes[3:] if len(planes) == 6 else None
        yield ClipBatch(planes[:3], sketch, steps.float(), kept.float(), list(captions))


def augment(clip: Clip, rng: np.random.Generator, *, stretch: bool = True) -> Clip:
    """Mirror, transpose and reverse at random, and (or not) stretch contrast and colours."""
    flips = rng.random(3) < (0.5, 0.25, 0.25)  # left-right, transpose, time
    gain = float(np.exp(rng.normal(0, 0.15)))
    offset = float(rng.normal(0, 8))
    swap, signs = rng.random() < 0.25, np.where(rng.random(2) < 0.15, -1.0, 1.0)
    colour = gain * float(np.exp(rng.normal(0, 0.2))) * signs
    y, u, v = (_turn(p, flips) for p in clip.planes)
    if not stretch:
        return Clip(y, u, v)
    u, v = _stretch(u, colour[0], 0), _stretch(v, colour[1], 0)
    return Clip(_stretch(y, gain, offset), *((v, u) if swap else (u, v)))


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


def windows(
    clip: Tensor, sketch: Tensor, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """One random window of each pair, both cut alike.

    Args:
        clip, sketch: packed planes (N, T, h, w, 6).
        side: of the window at half resolution; 0 for the whole.
    """
    height, width = clip.shape[2:4]
    tall, wide = min(height, side or height), min(width, side or width)
    cut: tuple[list[Tensor], list[Tensor]] = ([], [])
    for row in range(clip.shape[0]):
        y, x = (int(rng.integers(0, n + 1)) for n in (height - tall, width - wide))
        for out, whole in zip(cut, (clip, sketch), strict=True):
            out.append(whole[row, :, y : y + tall, x : x + wide])
    return torch.stack(cut[0]), torch.stack(cut[1])
