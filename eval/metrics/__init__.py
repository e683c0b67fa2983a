"""What is measured of a decoded clip, and how: one `Meter` a reference clip."""

from __future__ import annotations

from gistcast.eval.metrics.meter import METRICS, Meter
from gistcast.eval.metrics.perceptual import PerceptualMeter

__all__ = ["METRICS", "Meter", "PerceptualMeter"]
