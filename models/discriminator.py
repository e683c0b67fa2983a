"""Stage 2, the critic: is this a real clip, and is it the clip that the text and sketch describe?

    clip -----------> trunk --------------> video logits (per patch)
    clip - sketch --> small stem --(+)----> match logits (per patch)
    text --linear--> dot product with the trunk's mean over space and time --(+)--^

Real clips with another clip's text count as fakes of the match head. Source of that trick: Reed et
al., "Generative Adversarial Text to Image Synthesis", ICML 2016; of the hinge loss: Lim and Ye,
"Geometric GAN" (2017); of the projection: Miyato and Koyama, "cGANs with Projection
Discriminator", ICLR 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from gistcast.models.refiner import spatial
from gistcast.models.text import TextEncoder


class _Stage(nn.Module):
    """Halve space, then mix three frames and (optionally) halve time."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.space = spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1))
        self.time = spectral_norm(
            nn.Conv2d(outputs, outputs, (3, 1), stride=(stride, 1), padding=(1, 0))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, H, W, C) -> (N, T / stride, H / 2, W / 2, C')."""
        x = functional.leaky_relu(spatial(self.space, x), 0.2)
        n, t, h, w, c = x.shape
        x = self.time(x.reshape(n, t, h * w, c).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return functional.leaky_relu(x.reshape(n, x.shape[1], h, w, c), 0.2)


class Discriminator(nn.Module):
    """Two heads over clips at half resolution (see `gistcast.models.refiner.pack`).

    Args:
        width: channels of the first stage.
        text: length of the text embedding.
    """

    def __init__(self, width: int = 40, text: int = 32) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _Stage(6, width, 1), _Stage(width, 2 * width, 2), _Stage(2 * width, 3 * width, 2)
        )
        self.difference = nn.Sequential(
            _Stage(6, width // 2, 2), _Stage(width // 2, width, 2), _Stage(width, width, 1)
        )
        self.video = spectral_norm(nn.Conv2d(3 * width, 1, 1))
        self.match = spectral_norm(nn.Conv2d(4 * width, 1, 1))
        self.text = TextEncoder(text)
        self.project = spectral_norm(nn.Linear(text, 3 * width))

    def forward(
        self, clip: Tensor, sketch: Tensor, texts: list[str | None]
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, t, h, w, 1) of both heads, positive where it looks real.

        Args:
            clip, sketch: (N, T, H, W, 6) on the 8-bit scale, sides at half resolution.
            texts: N sentences or None (then the text says nothing).
        """
        features = self.trunk((clip - 128) / 64)
        apart = self.difference((clip - sketch) / 32)
        video = spatial(self.video, features)
        match = spatial(self.match, torch.cat([features, apart], -1))
        agreement = (self.project(self.text(texts)) * features.mean((1, 2, 3))).sum(1)
        return video, match + agreement[:, None, None, None, None] / features.shape[-1] ** 0.5
