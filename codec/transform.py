"""The 3-D transform: an orthonormal DCT over time, a CDF 9/7 wavelet over space.

    plane (T, H, W) --DCT-II over T--> --L levels of CDF 9/7 over H, W--> bands

Signals of any length are extended symmetrically, so that odd and tiny sizes need no padding.
Source: Daubechies and Sweldens, "Factoring wavelet transforms into lifting steps" (1998).
Everything here is floating point: it touches pixels, never symbols.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

Float = NDArray[np.float32]

_LIFTING = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
_LOW_GAIN = 1.149604398860241  # makes the DC gain of the low band sqrt(2)

#: Orientation codes, also the order in which the bands of one level are coded.
LL, HL, LH, HH = 0, 1, 2, 3

#: (level, orientation); level 1 is the finest.
BandKey = tuple[int, int]


def spatial_levels(height: int, width: int) -> int:
    """Wavelet levels for a luma plane: down to a side of 1, at most 7."""
    levels, side = 0, min(height, width)
    while side >= 2 and levels < 7:
        side = (side + 1) // 2
        levels += 1
    return levels


def _lift(target: Float, source: Float, weight: float, source_is_low: bool) -> None:
    """target[i] += weight * (its two neighbours in source), over the last axis, symmetric."""
    n_target, n_source = target.shape[-1], source.shape[-1]
    if source_is_low:  # odd sample i lies between even samples i and i + 1
        target += weight * source[..., :n_target]
        target[..., : n_source - 1] += weight * source[..., 1:]
        if n_source == n_target:
            target[..., -1] += weight * source[..., -1]
    else:  # even sample i lies between odd samples i - 1 and i
        target[..., :n_source] += weight * source
        target[..., 1:] += weight * source[..., : n_target - 1]
        target[..., 0] += weight * source[..., 0]
        if n_target > n_source:
            target[..., -1] += weight * source[..., -1]


def _split(signal: Float) -> tuple[Float, Float]:
    """Analysis of the last axis (length >= 2) into (low, high)."""
    low, high = signal[..., 0::2].copy(), signal[..., 1::2].copy()
    for step, weight in enumerate(_LIFTING):
        if step % 2 == 0:
            _lift(high, low, weight, source_is_low=True)
        else:
            _lift(low, high, weight, source_is_low=False)
    low *= np.float32(_LOW_GAIN)
    high *= np.float32(1.0 / _LOW_GAIN)
    return low, high


def _merge(low: Float, high: Float) -> Float:
    """Inverse of `_split`."""
    low = low * np.float32(1.0 / _LOW_GAIN)
    high = high * np.float32(_LOW_GAIN)
    for step in range(3, -1, -1):
        if step % 2 == 0:
            _lift(high, low, -_LIFTING[step], source_is_low=True)
        else:
            _lift(low, high, -_LIFTING[step], source_is_low=False)
    out = np.empty((*low.shape[:-1], low.shape[-1] + high.shape[-1]), np.float32)
    out[..., 0::2], out[..., 1::2] = low, high
    return out


def _swap(a: Float) -> Float:
    return np.ascontiguousarray(np.swapaxes(a, -1, -2))


def forward(plane: Float, levels: int) -> dict[BandKey, Float]:
    """Transform a plane (T, H, W) of samples into bands, each (T, band height, band width)."""
    low = dct(plane, type=2, axis=0, norm="ortho").astype(np.float32)
    bands: dict[BandKey, Float] = {}
    for level in range(1, levels + 1):
        left, right = _split(low)
        ll, lh = _split(_swap(left))
        hl, hh = _split(_swap(right))
        bands[level, HL], bands[level, LH], bands[level, HH] = _swap(hl), _swap(lh), _swap(hh)
        low = _swap(ll)
    bands[levels, LL] = low
    return bands


def inverse(bands: Mapping[BandKey, Float], levels: int) -> Float:
    """Inverse of `forward`: float32 samples (T, H, W)."""
    low = bands[levels, LL]
    for level in range(levels, 0, -1):
        left = _swap(_merge(_swap(low), _swap(bands[level, LH])))
        right = _swap(_merge(_swap(bands[level, HL]), _swap(bands[level, HH])))
        low = _merge(left, right)
    return np.asarray(idct(low, type=2, axis=0, norm="ortho"), dtype=np.float32)
