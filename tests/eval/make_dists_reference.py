"""Writes the expected figures of test_metrics_deep.py with the authors' own DISTS.

    pip install --target /tmp/dists --no-deps DISTS-pytorch==0.1 pillow
    PYTHONPATH=/tmp/dists python tests/eval/make_dists_reference.py

Their code asks torchvision for VGG16; it gets the same network with the test's weights.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from test_metrics_deep import pictures, vgg_like

WEIGHTS = vgg_like()


def vgg16(pretrained: bool) -> types.SimpleNamespace:
    """torchvision's `vgg16`, of which only `features` is asked for."""
    layers: list[nn.Module] = []
    widths = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
    index = 0
    for width in widths:
        if width == 0:
            layers.append(nn.MaxPool2d(2, 2))
            continue
        kernel = WEIGHTS[f"convolution.{index}.weight"]
        layer = nn.Conv2d(kernel.shape[1], width, 3, padding=1)
        layer.weight.data, layer.bias.data = kernel, WEIGHTS[f"convolution.{index}.bias"]
        layers += [layer, nn.ReLU()]
        index += 1
    return types.SimpleNamespace(features=nn.Sequential(*layers))


def main() -> None:
    torchvision: Any = types.ModuleType("torchvision")
    torchvision.models = types.SimpleNamespace(vgg16=vgg16)
    torchvision.transforms = types.SimpleNamespace()
    sys.modules["torchvision"] = torchvision
    import DISTS_pytorch

    weights = Path(DISTS_pytorch.__file__).parent / "weights.pt"
    load = torch.load
    torch.load = lambda *_, **__: load(weights, weights_only=True)  # type: ignore[assignment]
    image, reference = pictures()
    distance = DISTS_pytorch.DISTS()((image + 1) / 2, (reference + 1) / 2)
    print([round(float(d), 6) for d in distance])


if __name__ == "__main__":
    main()
