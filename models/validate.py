"""Figures of stage 2 on the validation clips: refined against unrefined, at equal bytes.

    python -m gistcast.models.validate DATA [--size 64] [--every 1] [--vgg FILE]

prints one JSON object per luma step and mode: means over the clips, and on how many of them the
refined clip is better than its sketch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.protocol import Refiner
from gistcast.models.data import Sample, validation_clips
from gistcast.models.lpips import Lpips, load_lpips
from gistcast.models.pairs import CodecSketcher, SketchMaker, quantised_sketch
from gistcast.models.refiner import DIALS
from gistcast.models.zoo import REFINER, load_refiner


@dataclass(frozen=True)
class Quality:
    """Means over clips.

    Attributes:
        psnr: dB in RGB.
        lpips: AlexNet distance frame by frame; None without a network.
        motion: mean absolute error of the differences between successive frames, RGB levels.
    """

    psnr: float
    lpips: float | None
    motion: float


def measure(made: Clip, real: Clip, lpips: Lpips | None, every: int = 4) -> Quality:
    """Quality of one clip; LPIPS looks at every `every`-th frame."""
    a, b = clip_to_rgb(made).astype(np.float32), clip_to_rgb(real).astype(np.float32)
    error = float(np.mean((a - b) ** 2))
    psnr = 10 * np.log10(255**2 / max(error, 1e-6))
    motion = float(np.abs(np.diff(a, axis=0) - np.diff(b, axis=0)).mean()) if len(a) > 1 else 0.0
    distance = None
    if lpips is not None:
        with torch.inference_mode():
            distance = float(lpips(_image(a[::every]), _image(b[::every])).mean())
    return Quality(float(psnr), distance, motion)


def _image(rgb: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(0, 3, 1, 2) / 127.5 - 1


def mean(rows: Sequence[Quality]) -> Quality:
    """Means over clips."""
    distances = [row.lpips for row in rows if row.lpips is not None]
    return Quality(
        float(np.mean([row.psnr for row in rows])),
        float(np.mean(distances)) if distances else None,
        float(np.mean([row.motion for row in rows])),
    )


def validate(
    refiner: Refiner,
    samples: Sequence[Sample],
    step: float,
    modes: Sequence[str],
    lpips: Lpips | None,
    maker: SketchMaker = quantised_sketch,
) -> dict[str, list[Quality]]:
    """Quality of every clip's sketch at one luma step (under the key "sketch") and of each mode.

    Args:
        refiner: stage 2.
        samples: clips.
        step: luma quantiser step.
        modes: fidelity, balanced, detail.
        lpips: AlexNet metric, or None to leave it out.
        maker: turns a clip and a step into a sketch.
    """
    out: dict[str, list[Quality]] = {key: [] for key in ("sketch", *modes)}
    for sample in samples:
        sketch = maker(sample.clip, step)
        out["sketch"].append(measure(sketch, sample.clip, lpips))
        for mode in modes:
            made = refiner.refine(sketch, step=step, latent=None, text=None, seed=0, mode=mode)
            out[mode].append(measure(made, sample.clip, lpips))
    return out


def _table(refiner: Refiner, samples: Sequence[Sample], step: float, nets: list[Lpips]) -> None:
    sketcher = CodecSketcher()
    coded = [sketcher.code(sample.clip, step) for sample in samples]
    size = float(np.mean([cost for _, cost in coded]))
    before: list[list[Quality]] = []
    for mode in ("sketch", *DIALS):
        rows = []
        for sample, (sketch, _) in zip(samples, coded, strict=True):
            made = sketch
            if mode != "sketch":
                made = refiner.refine(sketch, step=step, latent=None, text=None, seed=0, mode=mode)
            rows.append([measure(made, sample.clip, net) for net in nets])
        before = before or rows
        pairs = list(zip(rows, before, strict=True))
        fields: dict[str, object] = {"step": step, "bytes": round(size, 1), "mode": mode}
        fields |= {k: round(v, 4) for k, v in asdict(mean([r[0] for r in rows])).items()}
        if len(nets) > 1:
            fields["lpips_vgg"] = round(mean([r[1] for r in rows]).lpips or 0.0, 4)
        fields["psnr_up"] = sum(a[0].psnr > b[0].psnr for a, b in pairs)
        fields["lpips_down"] = sum((a[0].lpips or 0) < (b[0].lpips or 0) for a, b in pairs)
        print(json.dumps(fields | {"clips": len(samples)}), flush=True)


def main() -> None:
    """Print the table (see the module's docstring)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with val/ and manifest.json")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--every", type=int, default=1, help="take every n-th clip")
    parser.add_argument("--steps", default="48,72,102,144,203,287", help="luma quantiser steps")
    parser.add_argument("--weights", type=Path, default=REFINER)
    parser.add_argument("--vgg", type=Path, help="LPIPS-VGG weights, for its column")
    given = parser.parse_args()
    nets = [load_lpips("alex")] + ([load_lpips("vgg", given.vgg)] if given.vgg else [])
    refiner = load_refiner(path=given.weights)
    samples = validation_clips(given.data, (given.size, given.size))[:: given.every]
    for step in given.steps.split(","):
        _table(refiner, samples, float(step), nets)


if __name__ == "__main__":
    main()
