"""Quality of stage 2 on clips that it was not trained on: refined against unrefined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.protocol import Refiner
from gistcast.models.data import Sample
from gistcast.models.imitate import SketchMaker, imitated_sketch
from gistcast.models.lpips import Lpips


@dataclass(frozen=True)
class Quality:
    """Means over clips.

    Attributes:
        psnr: dB in RGB.
        lpips: distance frame by frame; None without a network.
        motion: mean absolute error of the differences between successive frames, RGB levels.
        tlpips: mean absolute error of the LPIPS distance between successive frames (Chu et al.,
            "Learning Temporal Coherence via Self-Supervision for GAN-based Video Generation",
            2020); None without a network, or of one frame.
    """

    psnr: float
    lpips: float | None
    motion: float
    tlpips: float | None = None


def measure(made: Clip, real: Clip, lpips: Lpips | None, every: int = 4) -> Quality:
    """Quality of one clip; LPIPS looks at every `every`-th frame (tLPIPS at the next one too)."""
    a, b = clip_to_rgb(made).astype(np.float32), clip_to_rgb(real).astype(np.float32)
    error = float(np.mean((a - b) ** 2))
    psnr = 10 * np.log10(255**2 / max(error, 1e-6))
    motion = float(np.abs(np.diff(a, axis=0) - np.diff(b, axis=0)).mean()) if len(a) > 1 else 0.0
    if lpips is None:
        return Quality(float(psnr), None, motion)
    with torch.inference_mode():
        x, y = (lpips.features(_image(rgb[::every])) for rgb in (a, b))
        distance = float(lpips.compare(x, y).mean())
        if len(a) < 2:
            return Quality(float(psnr), distance, motion)
        p, q = (
            lpips.compare(
                [f[: len(rgb[1::every])] for f in now], lpips.features(_image(rgb[1::every]))
            )
            for rgb, now in ((a, x), (b, y))
        )
    return Quality(float(psnr), distance, motion, float((p - q).abs().mean()))


def _image(rgb: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(0, 3, 1, 2) / 127.5 - 1


def mean(rows: Sequence[Quality]) -> Quality:
    """Means over clips."""
    return Quality(
        float(np.mean([row.psnr for row in rows])),
        _mean([row.lpips for row in rows]),
        float(np.mean([row.motion for row in rows])),
        _mean([row.tlpips for row in rows]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def validate(
    refiner: Refiner,
    samples: Sequence[Sample],
    step: float,
    modes: Sequence[str],
    lpips: Lpips | None,
    maker: SketchMaker = imitated_sketch,
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
