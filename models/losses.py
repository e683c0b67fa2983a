"""What stage 2 is trained for. Pictures are RGB (N, T, 3, H, W) on the 8-bit scale."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gistcast.codec.clip import Clip
from gistcast.models.lpips import Lpips

_FLOOR = 2.0  #: squared 8-bit levels; errors below rounding are not worth chasing


def relative_error(image: Tensor, reference: Tensor, scale: Tensor) -> Tensor:
    """(N,) mean squared error of each clip as a share of `scale` (N,), the sketch's own.

    Near 1 its changes are those of the logarithm, hence of the PSNR (0.1 is 0.43 dB), so that
    coarse sketches do not drown fine ones; unlike the logarithm it is not ruled by flat windows
    that are right already.
    """
    return (image - reference).square().mean((1, 2, 3, 4)) / (scale + _FLOOR)


def plane_error(image: Clip, reference: Clip) -> float:
    """Squared RGB error of a clip, estimated plane by plane (chroma as if it were not smoothed)."""
    weights = (1.356, 1.50, 1.17)  # squared columns of the YCbCr to RGB matrix, averaged
    total = 0.0
    for weight, a, b in zip(weights, image.planes, reference.planes, strict=True):
        total += weight * float(np.mean((a.astype(np.float32) - b) ** 2))
    return total


def temporal_error(image: Tensor, reference: Tensor) -> Tensor:
    """(N,) mean absolute error of the differences between successive frames, 8-bit levels."""
    if image.shape[1] < 2:
        return image.new_zeros(image.shape[0])
    return (image.diff(dim=1) - reference.diff(dim=1)).abs().mean((1, 2, 3, 4))


def perceptual_error(net: Lpips, image: Tensor, reference: Tensor, frames: list[int]) -> Tensor:
    """(N,) LPIPS distance averaged over the frames `frames` of each clip."""
    n = image.shape[0]
    a = image[:, frames].flatten(0, 1) / 127.5 - 1
    with torch.no_grad():
        features = net.features(reference[:, frames].flatten(0, 1) / 127.5 - 1)
    distance = net.compare(net.features(a), features)
    return distance.reshape(n, len(frames)).mean(1)


def critic_loss(
    real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], mismatched: Tensor | None
) -> Tensor:
    """Hinge loss of the discriminator's (video, match) logits.

    Args:
        real, fake: of real clips and of generated ones.
        mismatched: match logits of real clips beside another clip's text.
    """
    loss = torch.zeros((), device=real[0].device)
    for r, f in zip(real, fake, strict=True):
        loss = loss + functional.relu(1 - r).mean() + functional.relu(1 + f).mean()
    if mismatched is not None:
        loss = loss + functional.relu(1 + mismatched).mean()
    return loss


def generator_loss(fake: tuple[Tensor, Tensor]) -> Tensor:
    """(N,) hinge loss of the generator."""
    video, match = fake
    return -(video.flatten(1).mean(1) + match.flatten(1).mean(1)) / 2
