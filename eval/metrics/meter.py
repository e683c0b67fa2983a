"""All metrics of a decoded clip against its reference."""

from __future__ import annotations

import math

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import UsageError
from gistcast.eval.metrics.motion import temporal_error
from gistcast.eval.metrics.perceptual import PerceptualMeter
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse, psnr_rgb, psnr_yuv
from gistcast.eval.metrics.ssim import ssim_and_ms_ssim
from gistcast.models.lpips import Lpips

METRICS = (
    "psnr_rgb",
    "psnr_yuv",
    "ssim",
    "ms_ssim",
    "lpips_alex",
    "tlpips",
    "tdiff",
    "motion_error",
)
HIGHER_IS_BETTER = frozenset({"psnr_rgb", "psnr_yuv", "ssim", "ms_ssim"})
VERSION = 1  #: raised whenever a figure changes its meaning, so that no cached row survives


class Meter:
    """Measures decoded clips against one reference.

    RGB comes from `gistcast.codec.colour.clip_to_rgb` on both sides, never from a codec's own
    conversion. Structure and motion are measured on luma.

    Args:
        reference: the clip as it was before coding.
        metrics: names out of `METRICS`.
        network: LPIPS to share between meters; loaded when it is needed.

    Raises:
        UsageError: an unknown metric.
    """

    def __init__(
        self,
        reference: Clip,
        metrics: tuple[str, ...] = METRICS,
        network: Lpips | None = None,
    ) -> None:
        unknown = sorted(set(metrics) - set(METRICS))
        if unknown:
            raise UsageError(f"unknown metric {unknown[0]!r}; there are {', '.join(METRICS)}")
        self.metrics = metrics
        self._reference = reference
        self._rgb = clip_to_rgb(reference)
        self._perceptual: PerceptualMeter | None = None
        wanted = {"lpips_alex", "tlpips"} & set(metrics)
        if wanted and PerceptualMeter.fits(reference.height, reference.width):
            self._perceptual = PerceptualMeter(self._rgb, network)

    def measure(self, decoded: Clip) -> dict[str, float | None]:
        """The chosen metrics; None where the frames are too small for one.

        Raises:
            UsageError: `decoded` has another geometry than the reference.
        """
        reference = self._reference
        if decoded.y.shape != reference.y.shape:
            raise UsageError(f"decoded {decoded.y.shape}, but the reference is {reference.y.shape}")
        rgb = clip_to_rgb(decoded)
        found = {"psnr_rgb": psnr_rgb(self._rgb, rgb), "psnr_yuv": psnr_yuv(reference, decoded)}
        if {"ssim", "ms_ssim"} & set(self.metrics):
            found["ssim"], found["ms_ssim"] = ssim_and_ms_ssim(reference.y, decoded.y)
        found["tdiff"], found["motion_error"] = temporal_error(reference.y, decoded.y)
        if self._perceptual is not None:
            found["lpips_alex"], found["tlpips"] = self._perceptual.measure(rgb)
        return {name: _number(found.get(name)) for name in self.metrics}

    def psnr_by_frame(self, decoded: Clip) -> list[float]:
        """RGB-PSNR of each frame, in dB."""
        errors: list[float] = frame_mse(self._rgb, clip_to_rgb(decoded)).tolist()
        return [round(psnr_of_mse(error), 3) for error in errors]


def _number(value: float | None) -> float | None:
    """Six significant digits; None for what could not be measured."""
    if value is None or math.isnan(value):
        return None
    return float(np.format_float_positional(value, 6, fractional=False)) if value else 0.0
