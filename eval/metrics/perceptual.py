"""LPIPS frame by frame, and tLPIPS: whether the picture changes as much as it should.

Sources: Zhang et al., CVPR 2018 (LPIPS, version 0.1); Chu et al., "Learning Temporal Coherence
via Self-Supervision for GAN-based Video Generation", ACM TOG 2020 (tLP).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gistcast.eval.metrics.view import Instrument, Value, View, changed
from gistcast.models.lpips import ALEX, Lpips, load_lpips

_BATCH_PIXELS = 1 << 18  # frames are analysed in batches of about this many pixels


@cache
def network(backbone: str) -> Lpips:
    """LPIPS, loaded once in a process."""
    return load_lpips(backbone)


def alex(reference: View, fps: Fraction) -> Instrument:
    """LPIPS and tLPIPS with AlexNet; neither where frames are too small for it."""
    clip = reference.clip
    return Perceptual(reference) if min(clip.height, clip.width) >= ALEX.smallest else _TooSmall()


class _TooSmall:
    """Nothing can be measured."""

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        return dict.fromkeys(wanted)


class Perceptual:
    """LPIPS-AlexNet against one reference, whose features are computed once."""

    def __init__(self, reference: View) -> None:
        self._network = network("alex")
        self._features = self._analyse(reference.rgb)
        self._changes = self._steps(self._features)

    @torch.no_grad()
    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """Mean LPIPS over frames, and tLPIPS: the mean of |step - reference's step|, where a
        step is the LPIPS between consecutive frames (0 for a single frame)."""
        features = self._analyse(decoded.rgb)
        found: dict[str, Value] = {
            "lpips_alex": float(self._network.compare(features, self._features).mean()),
            "tlpips": 0.0,
        }
        if "tlpips" in wanted and decoded.clip.frames > 1:
            found["tlpips"] = float((self._steps(features) - self._changes).abs().mean())
        return found

    @torch.no_grad()
    def _analyse(self, frames: NDArray[np.uint8]) -> list[Tensor]:
        """Features of every frame; repeated frames (a held picture) are analysed once."""
        new = changed(frames)
        image = torch.from_numpy(np.ascontiguousarray(frames[new])).permute(0, 3, 1, 2)
        batch = max(1, _BATCH_PIXELS // (frames.shape[1] * frames.shape[2]))
        parts = [
            self._network.features(image[at : at + batch].float() / 127.5 - 1)
            for at in range(0, len(image), batch)
        ]
        where = torch.from_numpy(np.cumsum(new) - 1)
        return [torch.cat(stage)[where] for stage in zip(*parts, strict=True)]

    @torch.no_grad()
    def _steps(self, features: list[Tensor]) -> Tensor:
        return self._network.compare([f[1:] for f in features], [f[:-1] for f in features])
