"""A small recogniser of actions: what the lab's Fréchet distance compares clips by.

    clip --64 x 64, RGB and luma change--> patches --> two (2+1)-D stages --mean, maximum-->
        24 features --GELU, linear--> kind of scene or action
                    '-------------> whether the frames are in order, still, or shuffled

The features are a network of our own: they are no I3D, and a distance between them is no FVD.
Source of the convolutions in space, then time: Tran et al., "A Closer Look at Spatiotemporal
Convolutions for Action Recognition", CVPR 2018. Of the order of frames as a task that makes a
network look at motion: Misra et al., "Shuffle and Learn", ECCV 2016.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import ModelError, UsageError

RECOGNISER = Path(__file__).parent / "weights" / "recogniser-2.safetensors"
SIDE = 64  #: pixels a side that the network sees
SMALLEST_SIDE, FEWEST_FRAMES = 32, 8
ORDERS = ("normal", "still", "shuffled")

_CHANGE_GAIN = 4.0  # luma differences are small: brings them to the scale of the colours
_LUMA = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class RecogniserConfig:
    """Shape of the network.

    Attributes:
        labels: the kinds that the network tells apart, in the order of its outputs.
        features: length of the vector that clips are compared by.
        widths: channels after the patches (2 x 6 x 6) and after each of two stages.
    """

    labels: tuple[str, ...]
    features: int = 24
    widths: tuple[int, ...] = (24, 64, 96)

    def __post_init__(self) -> None:
        if len(self.widths) != 3 or not self.labels or self.features < 1:
            raise UsageError("a recogniser has labels, features and three widths")


def _stage(inputs: int, outputs: int, temporal_stride: int) -> nn.Sequential:
    """A convolution in space, which halves it, then one in time; (N, C, T, H, W)."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        nn.BatchNorm3d(outputs),
        nn.ReLU(),
        nn.Conv3d(outputs, outputs, (3, 1, 1), stride=(temporal_stride, 1, 1), padding=(1, 0, 0)),
        nn.BatchNorm3d(outputs),
        nn.ReLU(),
    )


class Recogniser(nn.Module):
    """Clips -> features -> kinds and orders."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        self.stages = nn.Sequential(
            nn.Conv3d(4, first, (2, 6, 6), stride=(2, 4, 4), padding=(0, 1, 1)),
            nn.BatchNorm3d(first),
            nn.ReLU(),
            _stage(first, second, 2),
            _stage(second, third, 1),
        )
        self.embed = nn.Linear(2 * third, config.features)
        self.kind = nn.Linear(config.features, len(config.labels))
        self.order = nn.Linear(config.features, len(ORDERS))

    def features(self, clips: Tensor) -> Tensor:
        """`prepare`d clips (N, 4, T, 64, 64) -> (N, features)."""
        by_time = self.stages(clips).mean((3, 4))
        out: Tensor = self.embed(torch.cat([by_time.mean(2), by_time.amax(2)], 1))
        return out

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the kinds (N, labels) and of the orders (N, 3)."""
        hidden = functional.gelu(self.features(clips))
        return self.kind(hidden), self.order(hidden)


def prepare(rgb: NDArray[np.uint8]) -> Tensor:
    """uint8 RGB (T, H, W, 3) -> the network's input (1, 4, T, 64, 64)."""
    x = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2).float()
    if x.shape[2:] != (SIDE, SIDE):
        x = functional.interpolate(
            x, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
        )
    return with_change(x.transpose(0, 1)[None])


def with_change(rgb: Tensor) -> Tensor:
    """RGB on 0..255 (N, 3, T, H, W) -> colours in [-1, 1] and the change of luma (N, 4, ...)."""
    x = rgb / 127.5 - 1
    luma = torch.einsum("ncthw,c->nthw", x, x.new_tensor(_LUMA))[:, None]
    change = torch.diff(luma, dim=2, prepend=luma[:, :, :1]) * _CHANGE_GAIN
    return torch.cat([x, change], 1)


def fits(clip: Clip) -> bool:
    """Whether a clip is large and long enough to be recognised."""
    return min(clip.height, clip.width) >= SMALLEST_SIDE and clip.frames >= FEWEST_FRAMES


@torch.no_grad()
def clip_features(network: Recogniser, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Features of clips, (N, features).

    Raises:
        UsageError: a clip has fewer than 8 frames, or a side under 32 pixels.
    """
    rows = []
    for clip in clips:
        if not fits(clip):
            raise UsageError(f"clips need {FEWEST_FRAMES} frames of {SMALLEST_SIDE} pixels a side")
        rows.append(network.features(prepare(clip_to_rgb(clip)))[0].double().numpy())
    return np.stack(rows)


def load_recogniser(path: Path = RECOGNISER) -> Recogniser:
    """The network with its weights, on the CPU.

    Raises:
        ModelError: the file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise ModelError(f"no weights at {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            config = json.loads((file.metadata() or {})["config"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        shape = RecogniserConfig(
            tuple(config["labels"]), int(config["features"]), tuple(config["widths"])
        )
        network = Recogniser(shape)
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold a recogniser: {error}") from error
    return network.eval().requires_grad_(False)
