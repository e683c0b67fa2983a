"""The rendered timeline: what a viewer sees at every instant, against what was to be seen.

deliveries (frame, when it was there) --playout delay--> the frame on show at every instant
                                      --> PSNR, LPIPS, stalls, frames never shown

A player with a fixed playout delay D shows, at the instant frame i is due (its capture + D), the
newest frame up to i that is there, and never goes back; until the first one, mid-grey. So a frame
that comes too late costs what a frozen picture costs, and one that comes early gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.eval.metrics.perceptual import lpips
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse

STALL_SECONDS = 0.2  #: a picture that stands still so long beyond its own time is a stall
_GREY = 128
_BATCH = 16  # frames

Pictures = NDArray[np.uint8]  #: RGB, (T, H, W, 3)


@dataclass(frozen=True)
class Shown:
    """A timeline.

    Attributes:
        frames: for every instant, place in the deliveries of the frame on show; -1: none yet.
        numbers: the same as frame numbers of the source.
    """

    frames: NDArray[np.int64]
    numbers: NDArray[np.int64]


def render(
    numbers: Sequence[int], times: Sequence[float], count: int, fps: Fraction, playout: float
) -> Shown:
    """What is on show at each of `count` instants.

    Args:
        numbers: of the delivered frames, 0 to `count` - 1.
        times: when each was there, seconds after the capture of frame 0.
        count: frames of the source.
        fps: frames a second.
        playout: seconds from a frame's capture to its instant.
    """
    order = sorted(range(len(numbers)), key=lambda k: times[k])
    frames = np.full(count, -1, np.int64)
    shown = np.full(count, -1, np.int64)
    ready: dict[int, int] = {}  # frame number -> place, not shown yet
    taken, current = 0, (-1, -1)
    for instant in range(count):
        due = float(instant / fps) + playout
        while taken < len(order) and times[order[taken]] <= due:
            ready[numbers[order[taken]]] = order[taken]
            taken += 1
        best = max((n for n in ready if n <= instant), default=-1)
        if best > current[0]:
            current = best, ready[best]
        ready = {n: k for n, k in ready.items() if n > instant}
        shown[instant], frames[instant] = current
    return Shown(frames, shown)


def stalls(shown: Shown, fps: Fraction) -> tuple[int, float]:
    """(how many stalls, share of the time that the picture stood still in them)."""
    count, still = 0, 0.0
    start = 0
    numbers = shown.numbers
    for instant in range(1, len(numbers) + 1):
        if instant < len(numbers) and numbers[instant] == numbers[start]:
            continue
        seconds = float((instant - start - 1) / fps)  # beyond the frame's own time
        if seconds >= STALL_SECONDS:
            count += 1
            still += seconds
        start = instant
    return count, still / float(len(numbers) / fps)


def rendered_ratio(shown: Shown) -> float:
    """Share of the source's frames that were ever on show."""
    return len(set(shown.numbers.tolist()) - {-1}) / len(shown.numbers)


def quality(shown: Shown, delivered: Pictures, reference: Pictures) -> dict[str, float]:
    """PSNR (of the mean error over all instants, in dB) and mean LPIPS (Alex) of a timeline.

    Args:
        shown: what is on show.
        delivered: pictures of the deliveries, in their order.
        reference: the source.
    """
    grey = np.full((1, *reference.shape[1:]), _GREY, np.uint8)
    pictures = np.concatenate([delivered, grey])  # -1 is the last
    network = lpips("alex")
    errors, distances = [], []
    for at in range(0, len(reference), _BATCH):
        seen = pictures[shown.frames[at : at + _BATCH]]
        truth = reference[at : at + _BATCH]
        errors.append(frame_mse(seen, truth))
        with torch.inference_mode():
            distances.append(network(_tensor(seen), _tensor(truth)).numpy())
    return {
        "psnr_rgb": psnr_of_mse(float(np.concatenate(errors).mean())),
        "lpips_alex": float(np.concatenate(distances).mean()),
    }


def _tensor(pictures: Pictures) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Nearest-rank p50, p95 and p98."""
    ordered = sorted(values)
    ranks = {p: -(-len(ordered) * p // 100) - 1 for p in (50, 95, 98)}
    return {f"p{p}": ordered[rank] if ordered else None for p, rank in ranks.items()}
