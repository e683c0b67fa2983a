"""DISTS: structure and texture similarity, tolerant of texture that is drawn anew.

    RGB --VGG16 with L2 pooling--> picture and 5 stages --means and (co)variances over space-->
        per channel: texture (2 m m' + c) / (m^2 + m'^2 + c), structure (2 s + c) / (v + v' + c)
        --weights alpha, beta--> 1 - sum

Source: Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE
T-PAMI 2020. The weights alpha and beta are the published ones (`weights/dists.md`); the backbone
is LPIPS-VGG's (`lpips_weights`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models.lpips import VGG16
from gistcast.models.lpips_weights import HOW, vgg_weights

DISTS_WEIGHTS = Path(__file__).parent / "weights" / "dists.safetensors"
SMALLEST = 32  #: pixels a side: two in the last stage, so that there is a variance

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_C = 1e-6
_POOL = np.hanning(5)[1:-1]


class Dists(nn.Module):
    """DISTS distance of picture pairs; the weights are constants.

    Args:
        backbone: `convolution.{0..12}.weight` and `.bias` of VGG16, any floating point.
        alpha, beta: (1475,) each, weights of texture and structure of every channel.

    Raises:
        ModelError: a weight is missing or of another shape.
    """

    mean: Tensor
    std: Tensor
    pool: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, backbone: dict[str, Tensor], alpha: Tensor, beta: Tensor) -> None:
        super().__init__()
        self.convolution = nn.ModuleList(
            nn.Conv2d(c.inputs, c.outputs, c.kernel, c.stride, c.padding) for c in VGG16.layers
        )
        prefix = "convolution."
        named = {k.removeprefix(prefix): v for k, v in backbone.items() if k.startswith(prefix)}
        channels = 3 + sum(layer.outputs for layer in VGG16.layers if layer.stage)
        if alpha.shape != (channels,) or beta.shape != (channels,):
            raise ModelError(f"DISTS has {channels} weights a kind, not {tuple(alpha.shape)}")
        try:
            self.convolution.load_state_dict({k: v.float() for k, v in named.items()})
        except RuntimeError as error:
            raise ModelError(f"these are not VGG16's weights: {error}") from error
        total = alpha.sum() + beta.sum()
        window = torch.from_numpy(np.outer(_POOL, _POOL) / _POOL.sum() ** 2).float()
        constants = {
            "alpha": alpha / total,
            "beta": beta / total,
            "pool": window.view(1, 1, 3, 3),
            "mean": torch.tensor(_MEAN).view(1, 3, 1, 1),
            "std": torch.tensor(_STD).view(1, 3, 1, 1),
        }
        for name, tensor in constants.items():
            self.register_buffer(name, tensor, persistent=False)
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """RGB in [-1, 1] (N, 3, H, W) -> the picture and five stages, (N, C, h, w) each."""
        if image.ndim != 4 or image.shape[1] != 3:
            raise UsageError(f"images must be (N, 3, H, W), not {tuple(image.shape)}")
        if min(image.shape[2:]) < SMALLEST:
            raise UsageError(f"DISTS needs sides of {SMALLEST} pixels or more")
        image = (image + 1) / 2
        stages, x = [image], (image - self.mean) / self.std
        for layer, convolution in zip(VGG16.layers, self.convolution, strict=True):
            if layer.pool:
                x = self._pooled(x)
            x = functional.relu(convolution(x))
            if layer.stage:
                stages.append(x)
        return stages

    def compare(self, image: list[Tensor], reference: list[Tensor]) -> Tensor:
        """Distances (N,) of two lists of `features`; 0 is identical."""
        texture, structure = [], []
        for a, b in zip(image, reference, strict=True):
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            apart_a, apart_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
            together = (apart_a * apart_b).mean((2, 3))
            spread = apart_a.square().mean((2, 3)) + apart_b.square().mean((2, 3))
            texture.append((2 * mean_a * mean_b + _C) / (mean_a**2 + mean_b**2 + _C))
            structure.append((2 * together + _C) / (spread + _C))
        similar = torch.cat(texture, 1) @ self.alpha + torch.cat(structure, 1) @ self.beta
        return 1 - similar

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Distances (N,) of two batches of RGB in [-1, 1], each (N, 3, H, W)."""
        return self.compare(self.features(image), self.features(reference))

    def _pooled(self, x: Tensor) -> Tensor:
        """Root of the windowed mean of squares, halving the sides."""
        window = self.pool.expand(x.shape[1], -1, -1, -1)
        squares = functional.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1])
        return torch.sqrt(squares + 1e-12)


def load_dists(path: str | Path | None = None) -> Dists:
    """DISTS with its published weights, on the CPU.

    Args:
        path: LPIPS-VGG's safetensors file; None looks where `lpips_weights` puts it.

    Raises:
        ModelError: the file is missing or holds something else.
    """
    backbone = Path(path or vgg_weights())
    if not backbone.is_file():
        raise ModelError(f"no VGG16 weights at {backbone}: {HOW}")
    try:
        own = load_file(str(DISTS_WEIGHTS))
        return Dists(load_file(str(backbone)), own["alpha"], own["beta"])
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{backbone} does not hold VGG16: {error}") from error
