"""The codec's sketch, imitated on any device, a batch at a time.

    planes --DCT over time, 9/7 wavelet over space--> bands --dead zone--> levels --inverse-->

The codec zeroes a coefficient where its bits cost more than its error. Here the bits are guessed
from how many neighbours are non-zero instead of asked of the context model; on the validation
clips the PSNR at a step is within 0.2 dB of the codec's. Both transforms are matrices here: on a
GPU nothing is faster, and a matrix taken from the codec's own transform cannot drift from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gistcast.codec import transform
from gistcast.codec.clip import Clip

STEPS = (20.0, 480.0)  #: luma quantiser steps to learn, drawn log-uniformly
#: steps of the planes relative to luma's, as of `codec.quantiser`, which a machine that only
#: trains cannot import: it takes the range coder
PLANE_STEPS = (1.0, 0.5, 0.55)
_WEIGHT = 0.14  #: lambda of the imitated rate-distortion choice, squared steps a bit

Planes = tuple[Tensor, Tensor, Tensor]
#: (clip, luma step) -> the sketch a decoder would have
SketchMaker = Callable[[Clip, float], Clip]


@lru_cache(maxsize=32)
def _time(frames: int) -> NDArray[np.float32]:
    """(T, T): the codec's temporal transform; row k is basis function k."""
    pulses = np.eye(frames, dtype=np.float32)[:, :, None]
    return transform.forward(pulses, 0)[0, transform.LL][:, :, 0]


@lru_cache(maxsize=64)
def _split(side: int) -> NDArray[np.float32]:
    """(n, n): one level of the wavelet over n samples, the low half first."""
    pulses = np.repeat(np.eye(side, dtype=np.float32)[:, :, None], 2, axis=2)
    bands = [transform.forward(pulse[None], 1) for pulse in pulses]
    # the picture is constant along x, so its horizontal low pass is the pulse times root two
    parts = [np.concatenate([b[1, transform.LL], b[1, transform.LH]], 1)[0, :, 0] for b in bands]
    return np.asarray(np.stack(parts, 1) / np.sqrt(2), np.float32)


@lru_cache(maxsize=64)
def _merge(side: int) -> NDArray[np.float32]:
    return np.asarray(np.linalg.inv(_split(side).astype(np.float64)), np.float32)


def random_steps(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """(count,) luma steps, log-uniform over `STEPS`."""
    low, high = np.log(STEPS)
    return np.asarray(np.exp(rng.uniform(low, high, count)), np.float32)


def imitate(planes: Planes, steps: Tensor) -> Planes:
    """What the codec would send of clips against a mid-grey gist.

    Args:
        planes: y (N, T, H, W), u and v at half size, on the 8-bit scale.
        steps: (N,) luma steps in units of the orthonormal transform.

    Returns:
        Planes of whole numbers, 0..255.
    """
    out = []
    for index, plane in enumerate(planes):
        width = steps * PLANE_STEPS[index]
        time = torch.from_numpy(_time(plane.shape[1])).to(plane.device)
        spectrum = torch.einsum("kt,nthw->nkhw", time, plane.float() - 128)
        levels = transform.spatial_levels(planes[0].shape[2], planes[0].shape[3]) - (index > 0)
        coded = _code(spectrum, width[:, None, None, None], max(0, levels))
        samples = torch.einsum("kt,nkhw->nthw", time, coded) + 128
        out.append(samples.round().clamp(0, 255))
    return out[0], out[1], out[2]


def _code(x: Tensor, step: Tensor, levels: int) -> Tensor:
    """Quantise the wavelet coefficients of x (N, T, h, w), level by level."""
    height, width = x.shape[2:]
    if levels == 0 or min(height, width) < 2:
        return _quantise(x / step) * step
    rows, columns = (torch.from_numpy(_split(n)).to(x.device) for n in (height, width))
    bands = rows @ x @ columns.T
    half = ((height + 1) // 2, (width + 1) // 2)
    low = _code(bands[:, :, : half[0], : half[1]], step, levels - 1)
    hl = _quantise(bands[:, :, : half[0], half[1] :] / step) * step
    lh = _quantise(bands[:, :, half[0] :, : half[1]] / step) * step
    hh = _quantise(bands[:, :, half[0] :, half[1] :] / step) * step
    coded = torch.cat([torch.cat([low, hl], 3), torch.cat([lh, hh], 3)], 2)
    rows, columns = (torch.from_numpy(_merge(n)).to(x.device) for n in (height, width))
    return rows @ coded @ columns.T


def _quantise(band: Tensor) -> Tensor:
    """Coefficients in steps (N, T, h, w) -> levels, isolated small ones set to zero."""
    size = band.abs()
    busy = (size + 0.4).floor().clamp(max=2)[:, None]
    near = functional.avg_pool3d(functional.pad(busy, (1,) * 6), 3, 1)[:, 0]
    bits = 1 - torch.log2((0.003 + 0.5 * near).clamp(max=0.6))
    kept = size >= 0.5 + _WEIGHT / 2 * bits
    return band.sign() * (size + 0.45).floor().clamp(min=1) * kept


def imitated_sketch(clip: Clip, step: float) -> Clip:
    """`imitate` for one clip."""
    y, u, v = (torch.from_numpy(np.ascontiguousarray(p))[None] for p in clip.planes)
    made = imitate((y, u, v), torch.tensor([step]))
    planes = [p[0].to(torch.uint8).numpy() for p in made]
    return Clip(planes[0], planes[1], planes[2])
