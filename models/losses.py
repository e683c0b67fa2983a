"""What stage 2 is trained for. Pictures are RGB (N, T, 3, H, W) on the 8-bit scale."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gistcast.models.lpips import Lpips
from gistcast.models.refiner import unpack

#: what a squared error of each packed plane adds to the RGB error: the squared columns of the
#: YCbCr to RGB matrix, averaged; luma's is shared by its four phases
_RGB_SHARE = (0.339, 0.339, 0.339, 0.339, 1.50, 1.17)
_FLOOR = 2.0  #: squared 8-bit levels; errors below rounding are not worth chasing


def relative_error(image: Tensor, reference: Tensor, scale: Tensor) -> Tensor:
    """(N,) mean squared error of each clip as a share of `scale` (N,), the sketch's own.

    Near 1 its changes are those of the logarithm, hence of the PSNR (0.1 is 0.43 dB), so that
    coarse sketches do not drown fine ones; unlike the logarithm it is not ruled by flat windows
    that are right already.
    """
    return (image - reference).square().mean((1, 2, 3, 4)) / (scale + _FLOOR)


def plane_error(image: Tensor, reference: Tensor) -> Tensor:
    """(N,) squared RGB error of packed planes (N, T, h, w, 6), as if chroma were not smoothed."""
    error = (image - reference).square().mean((1, 2, 3))
    return error @ error.new_tensor(_RGB_SHARE)


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


def texture_error(image: Tensor, reference: Tensor) -> Tensor:
    """(N,) error of the local strength of fine detail in luma, 8-bit levels.

    A blur matches no texture, a picture with the right amount of it does, whether or not each
    grain is in its place: unlike a pixelwise loss this asks for detail that was never sent.

    Args:
        image, reference: packed planes (N, T, h, w, 6).
    """
    total = image.new_zeros(image.shape[0])
    for detail in zip(*(_details(x) for x in (image, reference)), strict=True):
        made, real = (functional.avg_pool2d(d.square(), 8, 4).add(_FLOOR).sqrt() for d in detail)
        total = total + (made - real).abs().reshape(image.shape[0], -1).mean(1)
    return total


def _details(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Luma of packed planes above two blurs, (N T, 1, H, W): the finest octave, and the next."""
    luma = unpack(packed)[0].flatten(0, 1)[:, None]
    fine = luma - _blur(luma)
    half = functional.avg_pool2d(luma, 2)
    coarse = functional.interpolate(half - _blur(half), scale_factor=2)
    return fine, coarse


def _blur(image: Tensor) -> Tensor:
    return functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)


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
