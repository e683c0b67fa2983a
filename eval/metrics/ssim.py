"""Structural similarity of luma, and its multi-scale form.

Sources: Wang, Bovik, Sheikh, Simoncelli, IEEE T-IP 2004 (Gaussian window of 11 with sigma 1.5,
K1 = 0.01, K2 = 0.03, only windows that fit the picture); Wang, Simoncelli, Bovik, Asilomar 2003
(five scales).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gistcast.eval.metrics.view import Value, View

WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def scales_for(height: int, width: int) -> int:
    """Scales that MS-SSIM uses: halvings that leave the window room, five at most.

    A frame of 64 x 64 has three (64, 32, 16 pixels), one of 256 x 256 five.
    """
    scales, side = 0, min(height, width)
    while scales < len(_SCALE_WEIGHTS) and side >= WINDOW:
        scales, side = scales + 1, side // 2
    return scales


def _blur(x: Tensor) -> Tensor:
    """Gaussian window over (N, 1, H, W), valid positions only."""
    at = torch.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    weights = torch.exp(-(at**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    return functional.conv2d(
        functional.conv2d(x, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1)
    )


def _similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure term of each frame: (N,) and (N,)."""
    count = len(a)
    # the squares' windows are taken about mid-grey: the variances keep their digits in float32
    a, b = a - 128, b - 128
    blurred = _blur(torch.cat([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, aa, bb, ab = torch.split(blurred, count)
    contrast = (2 * (ab - mean_a * mean_b) + _C2) / (aa - mean_a**2 + bb - mean_b**2 + _C2)
    mean_a, mean_b = mean_a + 128, mean_b + 128
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def ssim_and_ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[float, float]:
    """SSIM and MS-SSIM, the mean over frames of two luma planes, uint8 (T, H, W).

    MS-SSIM's weights are those of the scales in use, scaled to sum to one; a negative
    contrast-structure term counts as zero. Both are NaN where a side is under 11 pixels.
    """
    scales = scales_for(*a.shape[1:])
    if scales == 0:
        return float("nan"), float("nan")
    weights = np.array(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS[:scales])
    x, y = (torch.from_numpy(p.astype(np.float32))[:, None] for p in (a, b))
    single, multi = 0.0, torch.ones(len(a))
    for scale, weight in enumerate(weights):
        whole, contrast = _similarity(x, y)
        if scale == 0:
            single = float(whole.mean())
        term = whole if scale == scales - 1 else contrast
        multi = multi * term.clamp(min=0) ** float(weight)
        if scale < scales - 1:
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return single, float(multi.mean())


class Structure:
    """SSIM and MS-SSIM of luma."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._reference = reference

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`ssim` and `ms_ssim`."""
        single, multi = ssim_and_ms_ssim(self._reference.clip.y, decoded.clip.y)
        return {"ssim": single, "ms_ssim": multi}
