"""Deep distances frame by frame, and tLPIPS: whether the picture changes as much as it should.

Sources: Zhang et al., CVPR 2018 (LPIPS, version 0.1); Ding et al., IEEE T-PAMI 2020 (DISTS); Chu
et al., "Learning Temporal Coherence via Self-Supervision for GAN-based Video Generation", ACM TOG
2020 (tLP).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gistcast.eval.metrics.view import Instrument, Value, View, changed
from gistcast.models.dists import SMALLEST as DISTS_SMALLEST
from gistcast.models.dists import Dists, load_dists
from gistcast.models.lpips import ALEX, VGG16, Lpips, load_lpips

_BATCH_PIXELS = 1 << 18  # AlexNet analyses frames in batches of about this many pixels
_CHUNK_PIXELS = 1 << 17  # and VGG16, whose features are 500 bytes a pixel
_KEEP_PIXELS = 1 << 19  # of a reference whose VGG16 features are kept: a quarter of a gigabyte


class Network(Protocol):
    """Pictures -> features -> distances."""

    def features(self, image: Tensor) -> list[Tensor]: ...

    def compare(self, image: list[Tensor], reference: list[Tensor]) -> Tensor: ...


@cache
def lpips(backbone: str) -> Lpips:
    """LPIPS, loaded once in a process."""
    return load_lpips(backbone)


@cache
def dists() -> Dists:
    """DISTS, loaded once in a process."""
    return load_dists()


def alex(reference: View, fps: Fraction) -> Instrument:
    """LPIPS and tLPIPS with AlexNet."""
    return Perceptual(reference) if _fits(reference, ALEX.smallest) else _TooSmall()


def vgg(reference: View, fps: Fraction) -> Instrument:
    """LPIPS with VGG16."""
    if not _fits(reference, VGG16.smallest):
        return _TooSmall()
    return FrameDistance("lpips_vgg", lpips("vgg"), reference)


def texture(reference: View, fps: Fraction) -> Instrument:
    """DISTS."""
    if not _fits(reference, DISTS_SMALLEST):
        return _TooSmall()
    return FrameDistance("dists", dists(), reference)


def _fits(reference: View, smallest: int) -> bool:
    return min(reference.clip.height, reference.clip.width) >= smallest


def analyse(network: Network, frames: NDArray[np.uint8], batch_pixels: int) -> list[Tensor]:
    """Features of RGB frames (T, H, W, 3); a repeated frame (a held picture) is analysed once."""
    new = changed(frames)
    image = torch.from_numpy(np.ascontiguousarray(frames[new])).permute(0, 3, 1, 2)
    batch = max(1, batch_pixels // (frames.shape[1] * frames.shape[2]))
    parts = [
        network.features(image[at : at + batch].float() / 127.5 - 1)
        for at in range(0, len(image), batch)
    ]
    where = torch.from_numpy(np.cumsum(new) - 1)
    return [torch.cat(stage)[where] for stage in zip(*parts, strict=True)]


class _TooSmall:
    """Nothing can be measured."""

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        return dict.fromkeys(wanted)


class Perceptual:
    """LPIPS-AlexNet against one reference, whose features are computed once."""

    def __init__(self, reference: View) -> None:
        self._network = lpips("alex")
        self._features = self._analyse(reference)
        self._changes = self._steps(self._features)

    @torch.no_grad()
    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """Mean LPIPS over frames, and tLPIPS: the mean of |step - reference's step|, where a
        step is the LPIPS between consecutive frames (0 for a single frame)."""
        features = self._analyse(decoded)
        found: dict[str, Value] = {
            "lpips_alex": float(self._network.compare(features, self._features).mean()),
            "tlpips": 0.0,
        }
        if "tlpips" in wanted and decoded.clip.frames > 1:
            found["tlpips"] = float((self._steps(features) - self._changes).abs().mean())
        return found

    @torch.no_grad()
    def _analyse(self, view: View) -> list[Tensor]:
        return analyse(self._network, view.rgb, _BATCH_PIXELS)

    @torch.no_grad()
    def _steps(self, features: list[Tensor]) -> Tensor:
        return self._network.compare([f[1:] for f in features], [f[:-1] for f in features])


class FrameDistance:
    """The mean over frames of one deep distance, a few frames at a time.

    Args:
        name: of the metric.
        network: what measures it.
        reference: its features are kept where they are small enough.
    """

    def __init__(self, name: str, network: Network, reference: View) -> None:
        self._name, self._network, self._reference = name, network, reference
        pixels = reference.clip.height * reference.clip.width
        self._chunk = max(1, _CHUNK_PIXELS // pixels)
        self._keep = pixels * reference.clip.frames <= _KEEP_PIXELS
        self._kept: dict[int, list[Tensor]] = {}

    @torch.no_grad()
    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """The one metric."""
        total, frames = 0.0, decoded.clip.frames
        for start in range(0, frames, self._chunk):
            features = self._analyse(decoded, start)
            total += float(self._network.compare(features, self._of_reference(start)).sum())
        # identical pictures may come out a rounding error below zero
        return {self._name: max(0.0, total / frames)}

    def _of_reference(self, start: int) -> list[Tensor]:
        if start in self._kept:
            return self._kept[start]
        features = self._analyse(self._reference, start)
        if self._keep:
            self._kept[start] = features
        return features

    def _analyse(self, view: View, start: int) -> list[Tensor]:
        frames = view.rgb[start : start + self._chunk]
        return analyse(self._network, frames, _CHUNK_PIXELS)
