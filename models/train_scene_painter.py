"""Training of stage 2 on scenes, with stage 1 going along slowly.

renders --encoder--> z --stage 1, 2--> the same clip again:  error + the guide's features
prior(words) ------> z --stage 1, 2--> a new clip:           critics + the guide's verdict
loss of the critics: hinge; renders beside other clips' words are fakes of the match head

The guides are classifiers of their own, trained on the split `train` alone (`JudgeTraining.guide`);
steps take turns between them, because what pleases a single one soon means little to any other.
None is the judge that the results are measured with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gistcast.models.judge import FRAMES, Judge
from gistcast.models.parallel import Group, own_device
from gistcast.models.scene_batches import Batch
from gistcast.models.scene_critic import SceneCritic, critic_loss, painter_loss
from gistcast.models.scene_gist import SceneGist, ScenePrior
from gistcast.models.scene_painter import NOISE, ScenePainter, ScenePainterConfig
from gistcast.models.steps import run_steps
from gistcast.models.train_scene_gist import GistTrainer, SceneTraining
from gistcast.models.training import (
    Average,
    Trained,
    learning_rate,
    load_checkpoint,
    pick_device,
    placed,
    save_checkpoint,
)

_PLANE_WEIGHT = (0.2, 0.2, 0.2, 0.2, 0.35, 0.35)
_BETAS = (0.5, 0.9)
_CRITICS_JOIN = 0.5  # of the schedule: first it learns to enlarge


@dataclass(frozen=True)
class Weights:
    """What each loss counts.

    Attributes:
        error: mean absolute error of planes, in units of 64 levels.
        features: mean absolute error of the guide's features.
        critics: hinge loss of all three heads, of new clips.
        guide: the guide's cross-entropy on new clips, where action and surroundings are said.
    """

    error: float = 3.0
    features: float = 1.0
    critics: float = 0.1
    guide: float = 0.1


class PainterParts(NamedTuple):
    """Where a run of stage 2 begins.

    Attributes:
        gist: run of stage 1.
        guides: at least one.
    """

    gist: SceneTraining
    guides: tuple[Judge, ...]


class PainterTrainer:
    """One run; `step()` trains generator and critics on one batch."""

    def __init__(
        self,
        config: SceneTraining,
        parts: PainterParts,
        device: torch.device,
        *,
        shape: ScenePainterConfig | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.config, self.device, self.group = config, device, Group(device)
        self.weights = weights or Weights()
        start = GistTrainer(parts.gist, device)
        self.gist, self.prior, self.data = averaged(start), start.prior, start.data
        self.encoder = start.network.encoder  # that of the checkpoint: it stays as it is
        self.encoder.load_state_dict(self.gist.encoder.state_dict())
        self.guides = [g.to(device).eval().requires_grad_(False) for g in parts.guides]
        torch.manual_seed(config.seed)
        painter = ScenePainter(shape or ScenePainterConfig(), config.network)
        self.painter = placed(painter, device)
        self.critic = placed(SceneCritic(), device)
        self.parts = {
            name: Trained(module, torch.optim.Adam(module.parameters(), 1e-3, _BETAS), average)
            for name, module, average in (
                ("gist", self.gist, Average(self.gist, 0.998)),
                ("painter", self.painter, Average(self.painter, 0.998)),
                ("critic", self.critic, None),
            )
        }
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)

    @property
    def guide(self) -> Judge:
        """The one whose turn it is."""
        return self.guides[self.progress.step % len(self.guides)]

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.progress.step, self.group.rank])
        batch = self.data.sample(config.batch, config.frames, rng, apart=False).to(self.device)
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        share = self.progress.share(config.steps, config.plan)
        for name, peak in (("gist", 0.5), ("painter", 1.0), ("critic", 0.5)):
            for group in self.parts[name].optimizer.param_groups:
                group["lr"] = learning_rate(self.progress.step, share, peak * config.rate)
        with torch.no_grad():
            z = self.encoder(batch.anchors, batch.said).round()
            drawn = sample(self.prior, batch.said, generator)
        logged, loss = self._again(z, batch, generator)
        fake = self._draw(drawn, batch, generator)
        critical = share > _CRITICS_JOIN
        if critical:
            logged["critic"] = self._train_critic(batch, fake.detach())
        loss = loss + self._new(fake, batch, logged, generator, critical=critical)
        self._descend(loss, [self.gist, self.painter], ("gist", "painter"))
        for part in self.parts.values():
            if part.average is not None:
                part.average.update(part.module)
        self.progress.step += 1
        return logged

    def _draw(self, z: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        noise = torch.randn((len(z), NOISE, 32, 64), generator=generator).to(self.device)
        layers = self.gist.decode(z, batch.said, batch.times)
        out: Tensor = self.painter(layers, z, batch.said, batch.times, noise)
        return out

    def _again(
        self, z: Tensor, batch: Batch, generator: torch.Generator
    ) -> tuple[dict[str, float], Tensor]:
        """The losses of clips drawn from their own latents."""
        made = self._draw(z, batch, generator)
        weight = 1 + (self.config.people - 1) * batch.mask
        plane = made.new_tensor(_PLANE_WEIGHT)
        error = ((made - batch.window).abs() / 64 @ plane)[..., None] * weight
        error = error.sum() / weight.sum()
        with torch.no_grad():
            wanted = self.guide.maps(batch.window)
        seen = self.guide.maps(made)
        features = torch.stack(
            [functional.l1_loss(s, w) for s, w in zip(seen[1:], wanted[1:], strict=True)]
        ).mean()
        loss = self.weights.error * error + self.weights.features * features
        return {"error": float(error.detach()), "features": float(features.detach())}, loss

    def _new(
        self,
        fake: Tensor,
        batch: Batch,
        logged: dict[str, float],
        generator: torch.Generator,
        *,
        critical: bool,
    ) -> Tensor:
        """The losses of clips drawn from the words."""
        verdict = self.guide(_spoilt(fake, generator))
        said = batch.said[:, :2] - 1
        told = functional.cross_entropy(verdict.action, said[:, 0], ignore_index=-1)
        told = told + functional.cross_entropy(verdict.surroundings, said[:, 1], ignore_index=-1)
        right = (verdict.action.argmax(1) == said[:, 0])[said[:, 0] >= 0]
        logged |= {"told": float(told.detach()), "recognised": float(right.float().mean())}
        if not critical:
            return self.weights.guide * told
        self.critic.requires_grad_(False)
        critics = painter_loss(self.critic(fake, batch.said))
        self.critic.requires_grad_(True)
        logged["critics"] = float(critics.detach())
        return self.weights.guide * told + self.weights.critics * critics

    def _train_critic(self, batch: Batch, fake: Tensor) -> float:
        real = self.critic(batch.window, batch.said)
        drawn = self.critic(fake, batch.said)
        other = self.critic(batch.window, batch.said.roll(1, 0)).match
        # a clip whose words happen to be the same is no mismatch
        same = (batch.said == batch.said.roll(1, 0)).all(1)
        loss = critic_loss(real, drawn, other.masked_fill(same, -1.0))
        self._descend(loss, [self.critic], ("critic",))
        return float(loss.detach())

    def _descend(self, loss: Tensor, modules: list[nn.Module], names: tuple[str, ...]) -> None:
        for name in names:
            self.parts[name].optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for module in modules for p in module.parameters()]
        self.group.average(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 2.0)
        for name in names:
            self.parts[name].optimizer.step()

    def save(self) -> None:
        """Write the checkpoint."""
        if self.group.first:
            save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)


def _spoilt(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Packed planes with noise, luma's four phases drawn towards their mean by a random share.

    Seen as it is, a clip is soon drawn as a checkerboard that the guide takes for any action.
    """
    share = torch.rand((len(clips), 1, 1, 1, 1), generator=generator).to(clips.device)
    luma = clips[..., :4]
    blurred = torch.cat([luma.lerp(luma.mean(-1, keepdim=True), share), clips[..., 4:]], -1)
    return blurred + 4 * torch.randn(clips.shape, generator=generator).to(clips.device)


def averaged(trainer: GistTrainer) -> SceneGist:
    """Stage 1 with its averaged weights."""
    network = SceneGist(trainer.config.network)
    network.load_state_dict(trainer.average.state)
    return placed(network, trainer.device)


def sample(prior: ScenePrior, said: Tensor, generator: torch.Generator) -> Tensor:
    """Latents (N, n) drawn from the prior given class numbers (N, 6)."""
    table = prior.tables(said).exp()
    spots = torch.rand(table.shape[:2], generator=generator).to(table.device)
    index = (table.cumsum(-1) < spots[..., None]).sum(-1)
    return (index - prior.config.latent_range).clamp(max=prior.config.latent_range).float()


def train_scene_painter(
    config: SceneTraining, parts: PainterParts, *, minutes: float, device: str = "auto"
) -> int:
    """Train, or go on training, for some minutes or until the schedule's end.

    Returns:
        The number of steps done in all.
    """
    trainer = PainterTrainer(config, parts, pick_device(own_device(device)))
    return run_steps(trainer, config, minutes, plan=config.plan, group=trainer.group)


def run_of(cache: Path, run: Path, **settings: int) -> SceneTraining:
    """A run of stage 2: fewer clips a step than stage 1's, with as many frames as a judge sees:
    guides that saw four, eight frames apart, were pleased by what no judge of eight recognised."""
    shape = {"batch": 4, "frames": FRAMES, "steps": 1000, **settings}
    return SceneTraining(cache=cache, run=run, rate=1e-3, **shape)  # type: ignore[arg-type]
