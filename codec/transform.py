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

Float = NDArray[np.float32]

#: Orientation codes, also the order in which the bands of one level are coded.
LL, HL, LH, HH = 0, 1, 2, 3

#: orientation -> whether its samples are the odd ones, over rows and over columns
_PLACES = {LL: (0, 0), HL: (0, 1), LH: (1, 0), HH: (1, 1)}

#: (level, orientation); level 1 is the finest.
BandKey = tuple[int, int]


def spatial_levels(height: int, width: int) -> int:
    """Wavelet levels for a luma plane: down to a side of 1, at most 7."""
    levels, side = 0, min(height, width)
    while side >= 2 and levels < 7:
        side = (side + 1) // 2
        levels += 1
    return levels


def forward(plane: Float, levels: int) -> dict[BandKey, Float]:
    """Transform a plane (T, H, W) of samples into bands, each (T, band height, band width)."""
    from scipy.fft import dct  # takes a while to load: not before it is needed

    from gistcast.codec.kernels.wavelet import split

    low = dct(plane, type=2, axis=0, norm="ortho").astype(np.float32)
    bands: dict[BandKey, Float] = {}
    for level in range(1, levels + 1):
        split(low)
        for orientation, (y, x) in _PLACES.items():
            bands[level, orientation] = np.ascontiguousarray(low[:, y::2, x::2])
        low = bands.pop((level, LL))
    bands[levels, LL] = low
    return bands


def inverse(bands: Mapping[BandKey, Float], levels: int) -> Float:
    """Inverse of `forward`: float32 samples (T, H, W)."""
    from scipy.fft import idct

    from gistcast.codec.kernels.wavelet import merge

    low = np.array(bands[levels, LL], np.float32)
    for level in range(levels, 0, -1):
        high = bands[level, HH]
        sides = (a + b for a, b in zip(low.shape[1:], high.shape[1:], strict=True))
        merged = np.empty((len(low), *sides), np.float32)
        for orientation, (y, x) in _PLACES.items():
            merged[:, y::2, x::2] = bands[level, orientation] if orientation else low
        merge(merged)
        low = merged
    return np.asarray(idct(low, type=2, axis=0, norm="ortho"), dtype=np.float32)
