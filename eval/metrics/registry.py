"""The metrics by name: what each one says, what it needs, and the version of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from gistcast.codec.errors import UsageError
from gistcast.models.lpips_weights import HOW, vgg_weights

VGG = "vgg16"
EXTRA = {"imageio_ffmpeg": "imageio-ffmpeg"}


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as in rows of `results.json`.
        version: raised whenever a figure changes its meaning, so that no cached figure survives.
        higher: whether more is better.
        group: "standard" (cheap, no extras), "motion", "ffmpeg", "heavy" (seconds a clip), or
            "vector" (a list of numbers a clip, of which only a set of clips makes a figure).
        instrument: who measures it (`meter.INSTRUMENTS`); metrics of one instrument share work.
        needs: importable packages beyond gistcast's own dependencies, and "vgg16" for weights
            that the user fetches.
        about: one line for people, with the unit.
    """

    name: str
    version: int
    higher: bool
    group: str
    instrument: str
    needs: tuple[str, ...]
    about: str

    def available(self) -> str:
        """Empty, or why this metric cannot be measured here and what to install."""
        for package in self.needs:
            if package == VGG:
                if not vgg_weights().is_file():
                    return f"{self.name} needs VGG16's weights: {HOW}"
            elif find_spec(package) is None:
                return (
                    f"{self.name} needs {EXTRA.get(package, package)}: pip install gistcast[eval]"
                )
        return ""


def _table(*metrics: Metric) -> dict[str, Metric]:
    table = {metric.name: metric for metric in metrics}
    if len(table) != len(metrics):
        raise UsageError("two metrics of one name")
    return table


METRICS = _table(
    Metric("psnr_rgb", 1, True, "standard", "error", (), "PSNR of RGB, dB"),
    Metric("psnr_yuv", 1, True, "standard", "error", (), "PSNR of Y, Cb, Cr weighted 6:1:1, dB"),
    Metric("ssim", 1, True, "standard", "structure", (), "SSIM of luma"),
    Metric("ms_ssim", 1, True, "standard", "structure", (), "multi-scale SSIM of luma"),
    Metric("lpips_alex", 1, False, "standard", "alex", (), "LPIPS, AlexNet"),
    Metric("tlpips", 1, False, "standard", "alex", (), "error of LPIPS between frames"),
    Metric("tdiff", 1, False, "standard", "change", (), "RMS error of frame differences, levels"),
    Metric("motion_error", 1, False, "standard", "change", (), "tdiff; 0 exact, 1 frozen"),
    Metric("flow_error", 1, False, "motion", "flow", (), "end-point error of flow, pixels"),
    Metric("warp_error", 1, False, "motion", "flow", (), "change along the source's flow, levels"),
    Metric(
        "warp_excess",
        1,
        False,
        "motion",
        "flow",
        (),
        "of it, what the source has not, levels",
    ),
    Metric("lpips_vgg", 1, False, "heavy", "vgg", (VGG,), "LPIPS, VGG16"),
    Metric("dists", 1, False, "heavy", "texture", (VGG,), "DISTS: structure and texture"),
    Metric("vmaf", 1, True, "ffmpeg", "ffmpeg", ("imageio_ffmpeg",), "VMAF 0.6.1, 0 to 100"),
    Metric("vmaf_neg", 1, True, "ffmpeg", "ffmpeg", ("imageio_ffmpeg",), "VMAF 0.6.1 NEG"),
    Metric("xpsnr", 1, True, "ffmpeg", "ffmpeg", ("imageio_ffmpeg",), "XPSNR, least plane, dB"),
    Metric("features", 2, False, "vector", "features", (), "what frechet_gistcast compares"),
)
DEFAULT = tuple(metric.name for metric in METRICS.values() if metric.group == "standard")
HIGHER_IS_BETTER = frozenset(metric.name for metric in METRICS.values() if metric.higher)


def check_metrics(names: tuple[str, ...]) -> None:
    """Refuse what cannot be measured.

    Raises:
        UsageError: an unknown metric, or one whose packages or weights are missing.
    """
    for name in names:
        if name not in METRICS:
            raise UsageError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
        if missing := METRICS[name].available():
            raise UsageError(missing)
