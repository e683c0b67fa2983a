"""What is measured of a decoded clip, and how: one `Meter` a reference clip."""

from __future__ import annotations

from gistcast.eval.metrics.frechet import frechet
from gistcast.eval.metrics.meter import Meter
from gistcast.eval.metrics.registry import DEFAULT, HIGHER_IS_BETTER, METRICS, Metric
from gistcast.eval.metrics.view import Value

__all__ = ["DEFAULT", "HIGHER_IS_BETTER", "METRICS", "Meter", "Metric", "Value", "frechet"]
