"""The critics of scenes: of single frames, of motion, and of whether the words fit.

    frames, change of luma --2-D stages--> frame logits (per patch)
                                '--two stages in time--> video logits (per patch)
    words --linear--> dot product with the mean over space and time --> match logit

Real clips beside another clip's words count as fakes of the match head. Sources: Li et al., "Video
Generation from Text", AAAI 2018 (mismatched pairs after Reed et al., ICML 2016); Lim and Ye,
"Geometric GAN" (2017) for the hinge; Miyato and Koyama, "cGANs with Projection Discriminator",
ICLR 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from gistcast.models.judge import with_change
from gistcast.models.scene_gist import Embedding
from gistcast.models.sentence import FACTORS


class Opinion(NamedTuple):
    """Logits, positive where it looks real: frame and video (N, ...) per patch, match (N,)."""

    frame: Tensor
    video: Tensor
    match: Tensor


class SceneCritic(nn.Module):
    """Three heads over packed clips.

    Args:
        width: channels of the first stage.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 3 * width
        self.stages = nn.ModuleList(
            spectral_norm(nn.Conv2d(i, o, 4, 2, 1)) for i, o in ((10, a), (a, b), (b, c))
        )
        self.moves = nn.ModuleList(
            spectral_norm(nn.Conv2d(c, c, (3, 1), stride=(2, 1), padding=(1, 0))) for _ in range(2)
        )
        self.frame = spectral_norm(nn.Conv2d(c, 1, 1))
        self.video = spectral_norm(nn.Conv2d(c, 1, 1))
        self.told = Embedding(tuple(FACTORS))
        self.project = spectral_norm(nn.Linear(self.told.length, c))
        self.match = spectral_norm(nn.Linear(c, 1))

    def forward(self, clips: Tensor, said: Tensor) -> Opinion:
        """Packed planes (N, T, 32, 32, 6) on the 8-bit scale, class numbers (N, 6)."""
        n, t = clips.shape[:2]
        x = with_change(clips).flatten(0, 1).permute(0, 3, 1, 2)
        for stage in self.stages:
            x = functional.leaky_relu(stage(x), 0.2)
        frame = self.frame(x)
        c, h, w = x.shape[1:]
        x = x.reshape(n, t, c, h * w).transpose(1, 2)
        for move in self.moves:
            x = functional.leaky_relu(move(x), 0.2)
        mean = x.mean((2, 3))
        agreement = (self.project(self.told(said)) * mean).sum(1) + self.match(mean)[:, 0]
        return Opinion(frame.reshape(n, t, h, w), self.video(x)[:, 0], agreement)


def critic_loss(real: Opinion, fake: Opinion, mismatched: Tensor) -> Tensor:
    """Hinge loss of the critic.

    Args:
        real, fake: of renders and of drawn clips, each with its own words.
        mismatched: match logits of renders with another clip's words.
    """
    loss = functional.relu(1 + mismatched).mean()
    for r, f in zip(real, fake, strict=True):
        loss = loss + functional.relu(1 - r).mean() + functional.relu(1 + f).mean()
    return loss


def painter_loss(fake: Opinion) -> Tensor:
    """Hinge loss of who draws."""
    return -torch.stack([logits.mean() for logits in fake]).mean()
