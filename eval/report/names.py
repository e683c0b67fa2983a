"""What metrics are called, and how their figures are written."""

from __future__ import annotations

from gistcast.eval.metrics import METRICS
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER

KEY = ("psnr_rgb", "lpips_alex", "motion_error")  #: drawn first

_TITLES = {
    "psnr_rgb": "RGB-PSNR, dB",
    "psnr_yuv": "YUV-PSNR, dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "lpips_alex": "LPIPS (Alex)",
    "lpips_vgg": "LPIPS (VGG)",
    "dists": "DISTS",
    "vmaf": "VMAF",
    "vmaf_neg": "VMAF-NEG",
    "xpsnr": "XPSNR, dB",
    "tlpips": "tLPIPS",
    "tdiff": "temporal error",
    "motion_error": "motion error",
    "flow_error": "optical-flow error",
    "warp_error": "warping error",
}
_DIGITS = {"psnr_rgb": 2, "psnr_yuv": 2, "xpsnr": 2, "tdiff": 2, "vmaf": 1, "vmaf_neg": 1}
_DIGITS["tlpips"] = 4


def title(metric: str) -> str:
    """The metric's name for people."""
    return _TITLES.get(metric, metric)


def digits(metric: str) -> int:
    """How many digits of a figure mean anything."""
    return _DIGITS.get(metric, 3)


def about(metric: str) -> str:
    """What the metric measures, in a sentence."""
    return METRICS[metric].about if metric in METRICS else ""


def direction(metric: str) -> str:
    """Which way is better."""
    return "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"


def figure(value: float | None, metric: str) -> str:
    """A value of the metric, or a dash."""
    return "–" if value is None else f"{value:.{digits(metric)}f}"
