"""LPIPS: the learned perceptual distance, as a metric and as a training loss.

    RGB in [-1, 1] --shift, scale--> backbone --5 stages--> unit length over channels
        --squared difference, weighted per channel--> mean over space, sum over stages

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, version 0.1 of the published weights (`weights/lpips_alex.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models.lpips_weights import HOW, vgg_weights

ALEX_WEIGHTS = Path(__file__).parent / "weights" / "lpips_alex.safetensors"

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_TINY = 1e-8  # under the root: keeps the gradient finite where no channel is active


@dataclass(frozen=True)
class _Conv:
    """One convolution: channels in and out, kernel, stride, padding, pooling before it, and
    whether its rectified output is one of the five compared stages."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    pool: int = 0  # window of the stride-2 maximum taken before the convolution; 0: none
    stage: bool = True


@dataclass(frozen=True)
class Backbone:
    """A feature network; `smallest` is the least image side that it accepts, in pixels."""

    layers: tuple[_Conv, ...]
    smallest: int


def _vgg_layers() -> tuple[_Conv, ...]:
    layers: list[_Conv] = []
    inputs = 3
    for block, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        for index in range(depth):
            pool = 2 if block and index == 0 else 0
            layers.append(_Conv(inputs, width, 3, 1, 1, pool, index == depth - 1))
            inputs = width
    return tuple(layers)


ALEX = Backbone(
    (
        _Conv(3, 64, 11, 4, 2),
        _Conv(64, 192, 5, 1, 2, pool=3),
        _Conv(192, 384, 3, 1, 1, pool=3),
        _Conv(384, 256, 3, 1, 1),
        _Conv(256, 256, 3, 1, 1),
    ),
    smallest=31,
)
VGG16 = Backbone(_vgg_layers(), smallest=16)
BACKBONES = {"alex": ALEX, "vgg": VGG16}


class Lpips(nn.Module):
    """LPIPS distance of image pairs; the weights are constants, gradients reach the images.

    Args:
        backbone: `ALEX` or `VGG16`.
        weights: `convolution.{i}.weight`, `convolution.{i}.bias` and `head.{k}` (the channel
            weights of stage k), floating point of any precision.

    Raises:
        ModelError: a weight is missing or of another shape.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.backbone = backbone
        self.convolution = nn.ModuleList(
            nn.Conv2d(c.inputs, c.outputs, c.kernel, c.stride, c.padding) for c in backbone.layers
        )
        stages = [c.outputs for c in backbone.layers if c.stage]
        self.head = nn.ParameterList(torch.zeros(width) for width in stages)
        try:
            self.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        except RuntimeError as error:
            raise ModelError(f"these are not LPIPS weights of this backbone: {error}") from error
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """RGB in [-1, 1] (N, 3, H, W) -> five stages (N, C, h, w), unit length over C."""
        if image.ndim != 4 or image.shape[1] != 3:
            raise UsageError(f"images must be (N, 3, H, W), not {tuple(image.shape)}")
        if min(image.shape[2:]) < self.backbone.smallest:
            raise UsageError(f"LPIPS needs sides of {self.backbone.smallest} pixels or more")
        x = (image - self.shift) / self.scale
        stages = []
        for layer, convolution in zip(self.backbone.layers, self.convolution, strict=True):
            if layer.pool:
                x = functional.max_pool2d(x, layer.pool, 2)
            x = functional.relu(convolution(x))
            if layer.stage:
                stages.append(x * torch.rsqrt(x.square().sum(1, keepdim=True) + _TINY))
        return stages

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Distances (N,) of two batches of RGB in [-1, 1], each (N, 3, H, W); 0 is identical."""
        return self.compare(self.features(image), self.features(reference))

    def compare(self, image: list[Tensor], reference: list[Tensor]) -> Tensor:
        """Distances (N,) of two lists of `features`, so that a reference is analysed once."""
        total = torch.zeros((), device=image[0].device)
        for head, a, b in zip(self.head, image, reference, strict=True):
            weighted = functional.conv2d((a - b).square(), head.view(1, -1, 1, 1))
            total = total + weighted.mean((1, 2, 3))
        return total


def load_lpips(backbone: str = "alex", path: str | Path | None = None) -> Lpips:
    """LPIPS with its published weights, on the CPU.

    Args:
        backbone: "alex" (bundled; the usual metric) or "vgg" (not bundled: `lpips_weights`).
        path: a safetensors file; None takes the bundled one, or the one that the user converted.

    Raises:
        UsageError: unknown backbone.
        ModelError: the file is missing or holds something else.
    """
    if backbone not in BACKBONES:
        raise UsageError(f"LPIPS has the backbones {', '.join(BACKBONES)}, not {backbone!r}")
    if path is None:
        path = ALEX_WEIGHTS if backbone == "alex" else vgg_weights()
        if not path.is_file():
            raise ModelError(f"LPIPS-{backbone}'s weights are not bundled: {HOW}")
    if not Path(path).is_file():
        raise ModelError(f"no LPIPS weights at {path}")
    try:
        weights = load_file(str(path))
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from error
    return Lpips(BACKBONES[backbone], weights)
