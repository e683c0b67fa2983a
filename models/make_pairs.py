"""Fill a folder with shards of training pairs (models/pairs.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gistcast.models.data import ClipSampler, build_store
from gistcast.models.pairs import SketchMaker, quantised_sketch, write_shard
from gistcast.models.stills import StillSampler

#: clip lengths of the shards and how often each is made; short clips are the low-delay mode
_LENGTHS = (32, 32, 32, 32, 32, 16, 32, 32, 32, 8)


def make_pairs(
    data: Path,
    cache: Path,
    *,
    shards: int,
    first: int = 0,
    clips: int = 64,
    sketches: int = 2,
    maker: SketchMaker = quantised_sketch,
    prefix: str = "pairs",
) -> None:
    """Write `shards` shards `cache`/pairs/`prefix`-NNNN.safetensors; existing ones are kept.

    Args:
        data: folder with `train/`, `stills/` and `manifest.json`.
        cache: folder for the decoded frames and the shards.
        shards, first: how many, and the number (also the seed) of the first.
        clips, sketches: clips in a shard, sketches of each.
        maker: turns a clip and a step into a sketch.
        prefix: of the file names.
    """
    real = build_store(data, "train", cache / "train")
    stills = build_store(data, "stills", cache / "stills")
    for number in range(first, first + shards):
        path = cache / "pairs" / f"{prefix}-{number:04}.safetensors"
        if path.is_file():
            continue
        rng = np.random.default_rng([number, len(prefix)])
        length = _LENGTHS[number % len(_LENGTHS)]
        samplers = (ClipSampler(real, frames=length), StillSampler(stills, frames=length))
        write_shard(path, samplers, rng, clips=clips, sketches=sketches, maker=maker)
