"""The generator of scenes from nothing: renders, stage 1, the guides, stage 2, weights.

    RUN/gist --> RUN/guide-0, guide-1, guide-2 --> RUN/painter --> scenes.safetensors

Each is a run of its own with a checkpoint and a log; a call goes on with what is not done.
Under `torchrun` every process takes clips of its own, and the first one writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import UsageError
from gistcast.models.judge import Judge
from gistcast.models.parallel import Group
from gistcast.models.scene_model import SceneModel, prior_tables, save_scene_model
from gistcast.models.train_judge import JudgeTrainer, JudgeTraining, train_judge
from gistcast.models.train_scene_gist import SceneTraining, train_scene_gist
from gistcast.models.train_scene_painter import (
    PainterParts,
    PainterTrainer,
    run_of,
    train_scene_painter,
)
from gistcast.models.train_sentence import train_sentence
from gistcast.models.training import Clock, pick_device

PROMPTS = (
    "a person plays golf in the pool", "a man sails on snow", "a woman bikes on the sea",
    "a person jogs on the track", "two people play hockey on ice",
)  # fmt: skip


@dataclass(frozen=True)
class SceneRun:
    """A whole training.

    Attributes:
        cache: folder for renders.
        run: folder for the runs.
        world: seed of the scenes.
        clips: renders to learn from.
        guides: how many.
        gist_steps, guide_steps, painter_steps: lengths of the schedules.
        gist_batch, painter_batch: clips a step (of each process).
    """

    cache: Path
    run: Path
    world: int = 1
    clips: int = 6000
    guides: int = 3
    gist_steps: int = 5800
    guide_steps: int = 2200
    painter_steps: int = 5500
    gist_batch: int = 24
    painter_batch: int = 4

    @property
    def gist(self) -> SceneTraining:
        """Stage 1."""
        return SceneTraining(
            cache=self.cache,
            run=self.run / "gist",
            world=self.world,
            clips=self.clips,
            steps=self.gist_steps,
            batch=self.gist_batch,
        )

    def guide(self, number: int) -> JudgeTraining:
        """One of the guides: they differ in their seed."""
        shape = {"clips": self.clips, "steps": self.guide_steps, "seed": 11 + number}
        return JudgeTraining.guide(self.cache, self.run / f"guide-{number}", self.world, **shape)

    @property
    def painter(self) -> SceneTraining:
        """Stage 2."""
        size = {"clips": self.clips, "steps": self.painter_steps, "batch": self.painter_batch}
        return run_of(self.cache, self.run / "painter", world=self.world, **size)


class Reached(NamedTuple):
    """What was trained last, and how far it is."""

    part: str
    run: Path
    steps: int
    of: int

    def __str__(self) -> str:
        return f"{self.part}: {self.steps} of {self.of} steps"


def train_scenes(run: SceneRun, *, minutes: float, device: str = "auto") -> Reached:
    """Go on with what is not done yet, for some minutes."""
    clock = Clock(minutes)

    def left() -> float:
        return max(0.0, minutes - clock.elapsed / 60)

    done = train_scene_gist(run.gist, minutes=left(), device=device)
    if done < run.gist_steps:
        return Reached("stage 1", run.gist.run, done, run.gist_steps)
    group = Group(pick_device(device))
    for number in range(run.guides):
        if group.first:
            train_judge(run.guide(number), minutes=left(), device=device)
        group.wait()
        done = _steps(run.guide(number).run)
        if done < run.guide_steps:
            return Reached(f"guide {number}", run.guide(number).run, done, run.guide_steps)
    parts = PainterParts(run.gist, load_guides(run))
    done = train_scene_painter(run.painter, parts, minutes=left(), device=device)
    return Reached("stage 2", run.painter.run, done, run.painter_steps)


def _steps(run: Path) -> int:
    """Steps of a run's checkpoint."""
    state = run / "checkpoint" / "state.json"
    return int(json.loads(state.read_text())["step"]) if state.is_file() else 0


def load_guides(run: SceneRun) -> tuple[Judge, ...]:
    """The guides with their averaged weights, on the CPU.

    Raises:
        UsageError: one is not trained yet.
    """
    trainers = [JudgeTrainer(run.guide(k), torch.device("cpu")) for k in range(run.guides)]
    for trainer in trainers:
        if trainer.progress.step == 0:
            raise UsageError(f"no guide in {trainer.config.run}")
    return tuple(trainer.averaged() for trainer in trainers)


def trained(run: SceneRun, path: Path | None = None) -> SceneModel:
    """The model as far as it is trained, its weights averaged; written to `path` if given.

    Raises:
        UsageError: stage 2 has not begun.
    """
    cpu = torch.device("cpu")
    trainer = PainterTrainer(run.painter, PainterParts(run.gist, load_guides(run)), cpu)
    if trainer.progress.step == 0:
        raise UsageError(f"no checkpoint in {run.painter.run}")
    for name, module in (("gist", trainer.gist), ("painter", trainer.painter)):
        average = trainer.parts[name].average
        assert average is not None
        module.load_state_dict(average.state)
    sentence = train_sentence()
    if path is not None:
        save_scene_model(path, sentence, trainer.gist, trainer.painter, trainer.prior)
    return SceneModel(sentence, trainer.gist, trainer.painter, prior_tables(trainer.prior))


def strip(
    model: SceneModel,
    texts: tuple[str, ...] = PROMPTS,
    *,
    seed: int = 0,
    frames: tuple[int, ...] = (0, 6, 12, 18, 24, 30),
    side: int = 64,
) -> NDArray[np.uint8]:
    """A film strip a text, one below the other: uint8 RGB (n * side, frames * side, 3)."""
    rows = []
    for number, text in enumerate(texts):
        symbols = model.symbols(text, seed + number)
        clip = model.paint(symbols, frames=32, height=side, width=side, seed=seed + number)
        rows.append(np.concatenate(list(clip_to_rgb(clip)[list(frames)]), 1))
    return np.concatenate(rows, 0)
