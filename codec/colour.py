"""The one place where colour is converted: RGB <-> 8-bit 4:2:0 BT.709 limited range.

    RGB --matrix--> Y'CbCr 4:4:4 --[1 2 1]/4 across, mean down--> 4:2:0 (chroma sited left)

Source: ITU-R BT.709-6 (matrix), BT.601/709 quantisation to 16..235 / 16..240, H.264 Annex E
for the left chroma siting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import UsageError

Float = NDArray[np.float32]

_KR, _KB = 0.2126, 0.0722
_KG = 1.0 - _KR - _KB
_Y_SCALE, _C_SCALE = 219.0 / 255.0, 224.0 / 255.0

#: R'G'B' on 0..255 -> Y', Cb, Cr on the 8-bit scale without their offsets, rows of weights
TO_YUV = np.array(
    [
        [_KR * _Y_SCALE, _KG * _Y_SCALE, _KB * _Y_SCALE],
        [-_KR / (2 * (1 - _KB)) * _C_SCALE, -_KG / (2 * (1 - _KB)) * _C_SCALE, 0.5 * _C_SCALE],
        [0.5 * _C_SCALE, -_KG / (2 * (1 - _KR)) * _C_SCALE, -_KB / (2 * (1 - _KR)) * _C_SCALE],
    ],
    np.float32,
)
#: and back
TO_RGB = np.linalg.inv(TO_YUV.astype(np.float64)).astype(np.float32)


def _round8(a: Float) -> Plane:
    return np.clip(np.rint(a), 0, 255).astype(np.uint8)


def subsample(chroma: Float) -> Float:
    """4:4:4 -> 4:2:0: (..., H, W) -> (..., ceil(H/2), ceil(W/2)), sited left."""
    padded = np.concatenate([chroma[..., :1], chroma, chroma[..., -1:]], -1)
    across = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:])[..., ::2] / 4
    if across.shape[-2] % 2:
        across = np.concatenate([across, across[..., -1:, :]], -2)
    return np.asarray((across[..., 0::2, :] + across[..., 1::2, :]) / 2, dtype=np.float32)


def upsample(chroma: Float, height: int, width: int) -> Float:
    """4:2:0 -> 4:4:4 by linear interpolation, the counterpart of `subsample`."""
    above = np.concatenate([chroma[..., :1, :], chroma[..., :-1, :]], -2)
    below = np.concatenate([chroma[..., 1:, :], chroma[..., -1:, :]], -2)
    rows = np.empty((*chroma.shape[:-2], 2 * chroma.shape[-2], chroma.shape[-1]), np.float32)
    rows[..., 0::2, :] = 0.75 * chroma + 0.25 * above
    rows[..., 1::2, :] = 0.75 * chroma + 0.25 * below
    return upsample_across(rows[..., :height, :], width)


def upsample_across(rows: Float, width: int) -> Float:
    """(..., H, ceil(W/2)) -> (..., H, W) by linear interpolation, sited left."""
    right = np.concatenate([rows[..., 1:], rows[..., -1:]], -1)
    out = np.empty((*rows.shape[:-1], 2 * rows.shape[-1]), np.float32)
    out[..., 0::2] = rows
    out[..., 1::2] = 0.5 * (rows + right)
    return out[..., :width]


def rgb_to_clip(rgb: NDArray[np.uint8]) -> Clip:
    """uint8 RGB (T, H, W, 3) -> `Clip`."""
    if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
        raise UsageError(f"frames must be uint8 (T, H, W, 3), not {rgb.dtype} {rgb.shape}")
    return float_rgb_to_clip(rgb.astype(np.float32))


def float_rgb_to_clip(rgb: Float) -> Clip:
    """float32 RGB (T, H, W, 3) on 0..255, not rounded before -> `Clip`."""
    yuv = rgb @ TO_YUV.T
    return Clip(
        _round8(yuv[..., 0] + 16),
        _round8(subsample(yuv[..., 1]) + 128),
        _round8(subsample(yuv[..., 2]) + 128),
    )


def clip_to_rgb(clip: Clip) -> NDArray[np.uint8]:
    """`Clip` -> uint8 RGB (T, H, W, 3)."""
    return _round8(planes_to_rgb(*(p.astype(np.float32) for p in clip.planes)))


def planes_to_rgb(y: Float, u: Float, v: Float) -> Float:
    """Float planes on the 8-bit scale -> float32 RGB (T, H, W, 3), not rounded or clipped."""
    height, width = y.shape[-2:]
    yuv = np.stack([y - 16, upsample(u, height, width) - 128, upsample(v, height, width) - 128], -1)
    return np.asarray(yuv @ TO_RGB.T, dtype=np.float32)
