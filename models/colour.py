"""The torch twin of `gistcast.codec.colour`: planes to RGB, differentiable and on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from gistcast.codec.colour import TO_RGB


def upsample(chroma: Tensor, height: int, width: int) -> Tensor:
    """4:2:0 -> 4:4:4: (..., ceil(H/2), ceil(W/2)) -> (..., H, W); see `codec.colour.upsample`."""
    above = torch.cat([chroma[..., :1, :], chroma[..., :-1, :]], -2)
    below = torch.cat([chroma[..., 1:, :], chroma[..., -1:, :]], -2)
    rows = torch.stack([0.75 * chroma + 0.25 * above, 0.75 * chroma + 0.25 * below], -2)
    rows = rows.flatten(-3, -2)[..., :height, :]
    right = torch.cat([rows[..., 1:], rows[..., -1:]], -1)
    return torch.stack([rows, 0.5 * (rows + right)], -1).flatten(-2, -1)[..., :width]


def planes_to_rgb(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Float planes on the 8-bit scale, y (..., H, W) and u, v at half size -> RGB (..., 3, H, W).

    On the 8-bit scale too, not rounded or clipped.
    """
    height, width = y.shape[-2:]
    yuv = torch.stack(
        [y - 16, upsample(u, height, width) - 128, upsample(v, height, width) - 128], -3
    )
    matrix = torch.as_tensor(TO_RGB, dtype=y.dtype, device=y.device)
    return torch.einsum("ij,...jhw->...ihw", matrix, yuv)
