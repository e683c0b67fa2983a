"""LPIPS frame by frame, and tLPIPS: whether the picture changes as much as it should.

Sources: Zhang et al., CVPR 2018 (LPIPS, AlexNet, version 0.1); Chu et al., "Learning Temporal
Coherence via Self-Supervision for GAN-based Video Generation", ACM TOG 2020 (tLP).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gistcast.models.lpips import ALEX, Lpips, load_lpips

_BATCH_PIXELS = 1 << 18  # frames are analysed in batches of about this many pixels


class PerceptualMeter:
    """LPIPS-AlexNet against one reference, whose features are computed once.

    Args:
        reference: RGB, uint8 (T, H, W, 3).
        network: to share between references; loaded when None.
    """

    def __init__(self, reference: NDArray[np.uint8], network: Lpips | None = None) -> None:
        self._network = network or load_lpips()
        self._features = self._analyse(reference)
        self._changes = self._steps(self._features)

    @staticmethod
    def fits(height: int, width: int) -> bool:
        """Whether frames of this size are large enough for the network."""
        return min(height, width) >= ALEX.smallest

    @torch.no_grad()
    def measure(self, decoded: NDArray[np.uint8]) -> tuple[float, float]:
        """Mean LPIPS over frames, and tLPIPS: the mean of |step - reference's step|, where a
        step is the LPIPS between consecutive frames (0 for a single frame)."""
        features = self._analyse(decoded)
        distance = self._network.compare(features, self._features).mean()
        if len(decoded) < 2:
            return float(distance), 0.0
        change = (self._steps(features) - self._changes).abs().mean()
        return float(distance), float(change)

    @torch.no_grad()
    def _analyse(self, frames: NDArray[np.uint8]) -> list[Tensor]:
        """Features of every frame; repeated frames (a held picture) are analysed once."""
        flat = frames.reshape(len(frames), -1)
        new = np.concatenate([[True], (flat[1:] != flat[:-1]).any(1)])
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
