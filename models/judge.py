"""The judge of scenes: which action, and in which surroundings.

    8 of 32 frames --packed planes, change of luma--> 2-D stages --a temporal convolution--> mean,
        maximum over space and time --> action (10), surroundings (10)

It reads 4:2:0 planes as the codec has them, so that renders, generated and decoded clips are seen
alike. What a generator is trained with must not judge it: its guide is another network
(`train_judge.GUIDE`).
Source of judging generated video by a classifier of the text's content: Li et al., "Video
Generation from Text", AAAI 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gistcast.codec.errors import UsageError
from gistcast.models.scenes import ACTIONS, SURROUNDINGS

FRAMES = 8  #: that it looks at, spread over the clip
_LUMA_GAIN = 1 / 64
_CHANGE_GAIN = 1 / 24


@dataclass(frozen=True)
class JudgeConfig:
    """Shape of the network.

    Attributes:
        widths: channels at 32, 16, 8 and 4 samples a side.
    """

    widths: tuple[int, int, int, int] = (24, 48, 96, 128)

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or min(self.widths) < 1:
            raise UsageError("a judge has four positive widths")


class Verdict(NamedTuple):
    """Logits of the actions (N, 10) and of the surroundings (N, 10)."""

    action: Tensor
    surroundings: Tensor


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Judge(nn.Module):
    """Packed clips -> verdicts."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.space = nn.Sequential(
            _stage(10, a, 1), _stage(a, b, 2), _stage(b, b, 1), _stage(b, c, 2), _stage(c, c, 1)
        )
        self.time = nn.Conv2d(c, c, (3, 1), padding=(1, 0), bias=False)
        self.last = _stage(c, d, 2)
        self.action = nn.Linear(2 * d, len(ACTIONS))
        self.surroundings = nn.Linear(2 * d, len(SURROUNDINGS))

    def forward(self, clips: Tensor) -> Verdict:
        """Packed planes (N, 8, 32, 32, 6) on the 8-bit scale -> logits."""
        n, t = clips.shape[:2]
        x = self.maps(clips)[-1]
        _, c, h, w = x.shape
        moving = self.time(x.reshape(n, t, c, h * w).transpose(1, 2))
        x = x + functional.relu(moving.transpose(1, 2).reshape(n * t, c, h, w))
        x = self.last(x).reshape(n, t, -1, (h // 2) * (w // 2))
        pooled = torch.cat([x.mean((1, 3)), x.amax((1, 3))], 1)
        return Verdict(self.action(pooled), self.surroundings(pooled))

    def maps(self, clips: Tensor) -> list[Tensor]:
        """What it sees in single frames: (N * T, C, h, w) after each of the first five stages."""
        out = [with_change(clips).flatten(0, 1).permute(0, 3, 1, 2)]
        for stage in self.space:
            out.append(stage(out[-1]))
        return out[1:]


def with_change(clips: Tensor) -> Tensor:
    """Planes (N, T, h, w, 6) -> centred planes and the change of luma, (N, T, h, w, 10)."""
    luma = clips[..., :4]
    change = torch.diff(luma, dim=1, prepend=luma[:, :1])
    return torch.cat([(clips - 128) * _LUMA_GAIN, change * _CHANGE_GAIN], -1)


def looked_at(frames: int) -> NDArray[np.intp]:
    """Numbers of the frames that the judge sees, (8,), for clips of any length."""
    return np.arange(FRAMES) * frames // FRAMES


class Answer(NamedTuple):
    """What the judge says of clips: indices into `ACTIONS` and `SURROUNDINGS`, (N,) each."""

    action: NDArray[np.int64]
    surroundings: NDArray[np.int64]


@torch.inference_mode()
def ask(judge: Judge, clips: Sequence[NDArray[np.uint8]], batch: int = 32) -> Answer:
    """Judge packed clips (T, 32, 32, 6), T at least 8."""
    answers = []
    for start in range(0, len(clips), batch):
        seen = [clip[looked_at(len(clip))] for clip in clips[start : start + batch]]
        verdict = judge(torch.from_numpy(np.stack(seen)).float())
        answers.append(torch.stack([v.argmax(1) for v in verdict], 1).numpy())
    both = np.concatenate(answers)
    return Answer(both[:, 0], both[:, 1])


@dataclass(frozen=True)
class Accuracy:
    """Shares of clips whose label the judge names.

    Attributes:
        joint: both right.
        action, surroundings: each.
        clips: how many.
    """

    joint: float
    action: float
    surroundings: float
    clips: int


def accuracy(answer: Answer, actions: Sequence[str], surroundings: Sequence[str]) -> Accuracy:
    """Compare answers with the labels asked for."""
    action = answer.action == [ACTIONS.index(name) for name in actions]
    place = answer.surroundings == [SURROUNDINGS.index(name) for name in surroundings]
    joint, first, second = (float(right.mean()) for right in (action & place, action, place))
    return Accuracy(joint, first, second, len(action))
