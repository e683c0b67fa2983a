"""Training of stage 1 on scenes.

renders --encoder--+ noise or rounding--> z --> figure, mask, canvas, camera --> gist
loss = squared error of the gist, more where people are + rate_weight * bits(z | action, place)
       + the mask's cross-entropy + squared error of the camera, both against the renderer's truth
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gistcast.models.parallel import Group, own_device
from gistcast.models.scene_batches import Batch, SceneData, gist_of
from gistcast.models.scene_gist import Layers, SceneGist, SceneGistConfig, ScenePrior
from gistcast.models.scene_pool import build_pool
from gistcast.models.steps import RunSettings, run_steps
from gistcast.models.training import (
    Average,
    Trained,
    learning_rate,
    load_checkpoint,
    pick_device,
    placed,
    save_checkpoint,
)

#: squared RGB error of a unit of squared error in each packed plane (four luma phases, Cb, Cr)
_RGB_WEIGHT = (0.339, 0.339, 0.339, 0.339, 1.50, 1.17)


@dataclass(frozen=True, kw_only=True)
class SceneTraining(RunSettings):
    """Everything a run of either stage depends on.

    Attributes:
        world: seed of the scenes; only the split `train` is seen.
        clips: renders to learn from.
        frames: of each clip that a step looks at.
        rate_weight: squared 8-bit RGB levels that a bit of z is worth.
        people: how much more an error counts where people are.
        plan: minutes, over all calls, that take the place of `steps` where they are given.
        network: shape of stage 1.
    """

    world: int = 1
    clips: int = 6000
    steps: int = 4000
    plan: float | None = None
    batch: int = 24
    frames: int = 4
    rate: float = 1.5e-3
    rate_weight: float = 1.0
    people: float = 5.0
    network: SceneGistConfig = field(default_factory=SceneGistConfig)

    def data(self) -> SceneData:
        """The training renders."""
        return SceneData.of(build_pool(self.cache, self.world, "train", self.clips, masks=True))


class GistLoss(NamedTuple):
    """Means over clips.

    Attributes:
        error: weighted squared RGB error.
        bits: of z.
        mask, camera: see the module.
    """

    error: Tensor
    bits: Tensor
    mask: Tensor
    camera: Tensor


def gist_loss(layers: Layers, bits: Tensor, batch: Batch, people: float) -> GistLoss:
    """Compare what stage 1 drew with the renders."""
    target = gist_of(batch.window)
    where = functional.avg_pool2d(batch.mask[..., 0], 2)[..., None]
    weight = 1 + (people - 1) * where
    plane = target.new_tensor(_RGB_WEIGHT)
    error = ((layers.gist - target).square() @ plane)[..., None] * weight
    return GistLoss(
        error.sum() / weight.sum(),
        bits.sum(1).mean(),
        functional.binary_cross_entropy_with_logits(layers.mask, where),
        (layers.camera - batch.camera).square().mean(),
    )


class GistTrainer:
    """One run; `step()` trains on one batch."""

    def __init__(self, config: SceneTraining, device: torch.device) -> None:
        self.config, self.device, self.group = config, device, Group(device)
        torch.manual_seed(config.seed)
        self.network = placed(SceneGist(config.network), device)
        self.prior = ScenePrior(config.network).to(device)
        self.average = Average(self.network, 0.999)
        gist = torch.optim.AdamW(self.network.parameters(), config.rate, weight_decay=1e-2)
        prior = torch.optim.AdamW(self.prior.parameters(), 1e-2, weight_decay=1e-3)
        self.parts = {
            "gist": Trained(self.network, gist, self.average),
            "prior": Trained(self.prior, prior),
        }
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)
        self.data = config.data()

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.progress.step, self.group.rank])
        batch = self.data.sample(config.batch, config.frames, rng, apart=True).to(self.device)
        z = self.network.encoder(batch.anchors, batch.said)
        noise = torch.from_numpy(rng.random(z.shape, np.float32)).to(self.device) - 0.5
        noisy = z + noise
        layers = self.network.decode(noisy, batch.said, batch.times)
        bits = self.prior.bits(noisy, batch.said)
        share = self.progress.share(config.steps, config.plan)
        parts = gist_loss(layers, bits, batch, config.people)
        # bits are free at first: a latent that is dear before it is understood is never used
        rate = config.rate_weight * min(1.0, 3 * share)
        loss = (parts.error + rate * parts.bits) / 200 + 5 * parts.mask + parts.camera
        for name, part in self.parts.items():
            peak = config.rate if name == "gist" else 1e-2
            for group in part.optimizer.param_groups:
                group["lr"] = learning_rate(self.progress.step, share, peak)
            part.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        everything = [*self.network.parameters(), *self.prior.parameters()]
        self.group.average(everything)
        torch.nn.utils.clip_grad_norm_(everything, 2.0)
        for part in self.parts.values():
            part.optimizer.step()
        self.average.update(self.network)
        self.progress.step += 1
        return {name: float(value.detach()) for name, value in parts._asdict().items()}

    def save(self) -> None:
        """Write the checkpoint."""
        if self.group.first:
            save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)


def train_scene_gist(config: SceneTraining, *, minutes: float, device: str = "auto") -> int:
    """Train, or go on training, for some minutes or until `config.steps`.

    Returns:
        The number of steps done in all.
    """
    trainer = GistTrainer(config, pick_device(own_device(device)))
    return run_steps(trainer, config, minutes, plan=config.plan, group=trainer.group)
