"""All metrics of a decoded clip against its reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.eval.metrics.flow import OpticalFlow
from gistcast.eval.metrics.frechet import Features
from gistcast.eval.metrics.motion import Change
from gistcast.eval.metrics.perceptual import alex, texture, vgg
from gistcast.eval.metrics.psnr import SquaredError, frame_mse, psnr_of_mse
from gistcast.eval.metrics.registry import DEFAULT, HIGHER_IS_BETTER, METRICS, check_metrics
from gistcast.eval.metrics.ssim import Structure
from gistcast.eval.metrics.view import Instrument, Value, View
from gistcast.eval.metrics.vmaf import FfmpegFilters

__all__ = ["HIGHER_IS_BETTER", "INSTRUMENTS", "Meter"]

#: who measures what (`Metric.instrument`), made of a reference and its frames a second
INSTRUMENTS: Mapping[str, Callable[[View, Fraction], Instrument]] = {
    "error": SquaredError,
    "structure": Structure,
    "alex": alex,
    "change": Change,
    "flow": OpticalFlow,
    "ffmpeg": FfmpegFilters,
    "vgg": vgg,
    "texture": texture,
    "features": Features,
}


class Meter:
    """Measures decoded clips against one reference; work is done when a metric first needs it.

    Structure and motion are measured on luma.

    Args:
        reference: the clip as it was before coding.
        metrics: names out of `METRICS`.
        fps: frames a second.

    Raises:
        UsageError: an unknown metric, or one whose packages or weights are missing.
    """

    def __init__(
        self,
        reference: Clip,
        metrics: Sequence[str] = DEFAULT,
        fps: Fraction = Fraction(25),
    ) -> None:
        self.metrics = tuple(metrics)
        check_metrics(self.metrics)
        self._reference, self._fps = View(reference), fps
        self._instruments: dict[str, Instrument] = {}

    def measure(self, decoded: Clip, only: Sequence[str] | None = None) -> dict[str, Value]:
        """Metrics of `decoded`; None where the frames are too small (or too few) for one.

        Args:
            decoded: as large and as long as the reference.
            only: measure these of the meter's metrics; None takes all.

        Raises:
            UsageError: `decoded` has another geometry, or `only` names something else.
        """
        reference = self._reference.clip
        if decoded.y.shape != reference.y.shape:
            raise UsageError(f"decoded {decoded.y.shape}, but the reference is {reference.y.shape}")
        names = self.metrics if only is None else tuple(only)
        if other := sorted(set(names) - set(self.metrics)):
            raise UsageError(f"this meter does not measure {other[0]!r}")
        view, found = View(decoded), dict[str, Value]()
        for instrument in dict.fromkeys(METRICS[name].instrument for name in names):
            wanted = frozenset(n for n in names if METRICS[n].instrument == instrument)
            found |= self._instrument(instrument).measure(view, wanted)
        return {name: _rounded(found[name]) for name in names}

    def psnr_by_frame(self, decoded: Clip) -> list[float]:
        """RGB-PSNR of each frame, in dB."""
        errors: list[float] = frame_mse(self._reference.rgb, View(decoded).rgb).tolist()
        return [round(psnr_of_mse(error), 3) for error in errors]

    def _instrument(self, name: str) -> Instrument:
        if name not in self._instruments:
            self._instruments[name] = INSTRUMENTS[name](self._reference, self._fps)
        return self._instruments[name]


def _rounded(value: Value) -> Value:
    """Six significant digits; None for what could not be measured."""
    if isinstance(value, list):
        return [_digits(item) for item in value]
    return None if value is None or math.isnan(value) else _digits(value)


def _digits(value: float) -> float:
    return float(np.format_float_positional(value, 6, fractional=False)) if value else 0.0
