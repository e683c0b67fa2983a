"""Training of the judge, and of the guide, on endless renders.

renders of scenes --mirror, gain, noise, blur--> classifier --> action, surroundings
loss = cross-entropy of both

The judge learns from all hundred combinations; a generator's guide is trained by the same code with
another seed, other renders and other widths, on the combinations that the generator may see.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from gistcast.codec.errors import UsageError
from gistcast.models.judge import FRAMES, Accuracy, Judge, JudgeConfig, accuracy, ask
from gistcast.models.scene_pool import Pool, build_pool
from gistcast.models.scenes import ACTIONS, SURROUNDINGS
from gistcast.models.scenes.labels import Split
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

#: a guide's shape: narrower than the judge, so that a generator cannot fit the judge's own ways
GUIDE = JudgeConfig((16, 32, 64, 96))


@dataclass(frozen=True, kw_only=True)
class JudgeTraining(RunSettings):
    """Everything a run depends on.

    Attributes:
        world: seed of the scenes.
        split: None for all combinations.
        test: world and split where accuracy is measured.
        clips: renders to learn from.
        frames: of each clip that a step looks at.
        loose: whether they lie as far apart as chance says, instead of over the whole clip.
        noise: most grey levels (standard deviation) of noise added.
        network: shape of the network.
    """

    world: int = 101
    split: Split | None = None
    test: tuple[int, Split | None] = (102, None)
    clips: int = 5000
    steps: int = 1500
    batch: int = 16
    rate: float = 2e-3
    frames: int = FRAMES
    loose: bool = False
    noise: float = 4.0
    network: JudgeConfig = field(default_factory=JudgeConfig)

    @staticmethod
    def guide(cache: Path, run: Path, world: int, **settings: int) -> JudgeTraining:
        """A generator's guide: the generator's own renders, so no pair that is held out, with the
        frames as far apart as the generator will show them."""
        shape = {"seed": 11, "steps": 600, **settings}
        return JudgeTraining(
            cache=cache, run=run, world=world, split="train", test=(world, "val"), loose=True,
            network=GUIDE, **shape,
        )  # fmt: skip


def augment(planes: NDArray[np.uint8], noise: float, rng: np.random.Generator) -> Tensor:
    """Mirror, stretch contrast and colour, add noise, blur one clip in four; (N, T, h, w, 6)."""
    n = len(planes)
    x = torch.from_numpy(planes).float()
    flip = torch.from_numpy(rng.random(n) < 0.5)
    x[flip] = x[flip].flip(3)[..., [1, 0, 3, 2, 4, 5]]  # the phases of a cell change sides too
    shape = (n, 1, 1, 1, 1)
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.08, shape))).float()
    offset = torch.zeros(n, 1, 1, 1, 6)
    offset[..., :4] = torch.from_numpy(rng.normal(0, 5, shape)).float()
    blur = torch.from_numpy(rng.random(n) < 0.25)
    if bool(blur.any()):
        x[blur] = _blurred(x[blur])
    amount = torch.from_numpy(rng.uniform(0, noise, shape)).float()
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    x = (x - 128) * gain + 128 + offset + amount * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 255)


def _blurred(x: Tensor) -> Tensor:
    """Luma's four phases half way to their mean: little more than half resolution."""
    luma = x[..., :4]
    return torch.cat([luma.lerp(luma.mean(-1, keepdim=True), 0.7), x[..., 4:]], -1)


class JudgeTrainer:
    """One run; `step()` trains on one batch."""

    def __init__(self, config: JudgeTraining, device: torch.device) -> None:
        self.config, self.device = config, device
        pool = build_pool(config.cache, config.world, config.split, config.clips)
        self._planes = pool.planes
        self._actions = np.array([ACTIONS.index(a) for a in pool.labels("action")])
        self._places = np.array([SURROUNDINGS.index(s) for s in pool.labels("surroundings")])
        torch.manual_seed(config.seed)
        self.network = placed(Judge(config.network), device)
        self.average = Average(self.network, 0.995)
        optimizer = torch.optim.AdamW(self.network.parameters(), config.rate, weight_decay=0.05)
        self.parts = {"judge": Trained(self.network, optimizer, self.average)}
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.progress.step])
        rows = rng.integers(0, len(self._planes), config.batch)
        x = augment(self._planes[rows][:, self._numbers(rng)], config.noise, rng).to(self.device)
        action = torch.from_numpy(self._actions[rows]).to(self.device)
        place = torch.from_numpy(self._places[rows]).to(self.device)
        verdict = self.network(x)
        loss = functional.cross_entropy(verdict.action, action, label_smoothing=0.05)
        loss = loss + functional.cross_entropy(verdict.surroundings, place, label_smoothing=0.05)
        optimizer = self.parts["judge"].optimizer
        for group in optimizer.param_groups:
            share = self.progress.share(config.steps)
            group["lr"] = learning_rate(self.progress.step, share, config.rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        optimizer.step()
        self.average.update(self.network)
        self.progress.step += 1
        return {
            "loss": float(loss.detach()),
            "action": float((verdict.action.argmax(1) == action).float().mean()),
            "surroundings": float((verdict.surroundings.argmax(1) == place).float().mean()),
        }

    def _numbers(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Which frames a step looks at."""
        kept, frames = self._planes.shape[1], self.config.frames
        step = int(rng.integers(1, kept // frames + 1)) if self.config.loose else kept // frames
        first = int(rng.integers(kept - step * (frames - 1) if self.config.loose else step))
        return first + step * np.arange(frames)

    def averaged(self) -> Judge:
        """The network with its averaged weights, on the CPU."""
        network = Judge(self.config.network)
        network.load_state_dict({k: v.cpu() for k, v in self.average.state.items()})
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)


def measure(judge: Judge, pool: Pool) -> Accuracy:
    """Accuracy of the judge on renders."""
    answer = ask(judge, list(pool.planes))
    return accuracy(answer, pool.labels("action"), pool.labels("surroundings"))


def train_judge(
    config: JudgeTraining,
    *,
    minutes: float,
    device: str = "auto",
    progress: Callable[[int], None] = lambda step: None,
) -> int:
    """Train, or go on training, for some minutes or until `config.steps`.

    Args:
        progress: called with the number of steps done.

    Returns:
        The number of steps done in all.
    """
    trainer = JudgeTrainer(config, pick_device(device))
    return run_steps(trainer, config, minutes, progress=progress)


def export_judge(config: JudgeTraining, path: Path, *, clips: int = 1000) -> Accuracy:
    """Write the averaged network of a run; returns its accuracy on the test's renders.

    Raises:
        UsageError: the run has no checkpoint.
    """
    trainer = JudgeTrainer(config, torch.device("cpu"))
    if trainer.progress.step == 0:
        raise UsageError(f"no checkpoint in {config.run}")
    network = trainer.averaged()
    tensors = {
        k: (v.half() if v.is_floating_point() else v).contiguous()
        for k, v in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"config": json.dumps(asdict(config.network))})
    return measure(network, build_pool(config.cache, *config.test, clips))
