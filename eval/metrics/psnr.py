"""Peak signal-to-noise ratios, in dB, of 8-bit pictures.

A clip has one figure: the PSNR of the mean squared error over all of its frames (not the mean
of the frames' PSNRs, which one perfect frame can lift without limit).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.eval.metrics.view import Value, View

CEILING = 100.0  #: dB given to identical pictures, so that every figure is a JSON number

_YUV_WEIGHTS = (6, 1, 1)


def psnr_of_mse(mse: float) -> float:
    """Mean squared error on the 8-bit scale -> dB."""
    return CEILING if mse <= 0 else min(CEILING, float(10 * np.log10(255.0**2 / mse)))


def frame_mse(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared error of each frame: two uint8 (T, ...) -> (T,)."""
    difference = (a.astype(np.float32) - b.astype(np.float32)).reshape(len(a), -1)
    return (
        np.asarray(np.einsum("ti,ti->t", difference, difference), np.float64)
        / (difference.shape[1])
    )


def psnr_rgb(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """PSNR of two RGB clips, uint8 (T, H, W, 3)."""
    return psnr_of_mse(float(frame_mse(a, b).mean()))


def psnr_yuv(a: Clip, b: Clip) -> float:
    """(6 Y + Cb + Cr) / 8, each a PSNR over the whole clip.

    Source: Ohm et al., "Comparison of the Coding Efficiency of Video Coding Standards", IEEE
    T-CSVT 2012, section IV.
    """
    figures = [
        psnr_of_mse(float(frame_mse(p, q).mean())) for p, q in zip(a.planes, b.planes, strict=True)
    ]
    return float(np.average(figures, weights=_YUV_WEIGHTS))


class SquaredError:
    """PSNR of RGB and of the coded planes."""

    def __init__(self, reference: View, fps: Fraction) -> None:
        self._reference = reference

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """`psnr_rgb` and `psnr_yuv`."""
        found: dict[str, Value] = {}
        if "psnr_rgb" in wanted:
            found["psnr_rgb"] = psnr_rgb(self._reference.rgb, decoded.rgb)
        if "psnr_yuv" in wanted:
            found["psnr_yuv"] = psnr_yuv(self._reference.clip, decoded.clip)
        return found
