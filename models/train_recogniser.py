"""Training of the recogniser: what a clip shows, and whether its frames are in order.

recordings --crop, scale, speed--> pool --flip, noise, shuffle--> recogniser --> kind, order
loss = cross-entropy of the kind + order_weight * cross-entropy of the order
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import UsageError
from gistcast.models.data import ClipSampler, FrameStore, Sample, build_store, validation_clips
from gistcast.models.recogniser import ORDERS, Recogniser, RecogniserConfig, prepare, with_change
from gistcast.models.steps import RunSettings, run_steps
from gistcast.models.training import (
    Average,
    Trained,
    learning_rate,
    load_checkpoint,
    pick_device,
    save_checkpoint,
)

OTHER = "other"  #: the kind of whatever is too rare to be learnt
_BLOCKS = 8  # a shuffled clip is cut into so many stretches


class Sampler(Protocol):
    """Draws labelled clips."""

    def sample(self, rng: np.random.Generator) -> Sample: ...


@dataclass(frozen=True, kw_only=True)
class RecogniserTraining(RunSettings):
    """Everything a run depends on.

    Attributes:
        data: folder with `train/` and `manifest.json`.
        pool: clips drawn from the recordings; every step picks among them, all kinds alike.
        order_weight: what the order of frames counts against the kind.
        fewest: recordings that a kind needs; rarer ones are `OTHER`.
        noise: most grey levels (standard deviation) of noise added to a clip.
        features, widths: of the network.
    """

    data: Path
    steps: int = 1200
    batch: int = 16
    rate: float = 2e-3
    pool: int = 1600
    order_weight: float = 0.5
    fewest: int = 8
    noise: float = 5.0
    features: int = 24
    widths: tuple[int, ...] = (24, 64, 96)


def kinds(store: FrameStore, fewest: int) -> tuple[str, ...]:
    """Labels with `fewest` recordings or more, sorted, and `OTHER`."""
    counts = Counter(source.label for source in store.sources)
    return (*sorted(label for label, n in counts.items() if n >= fewest), OTHER)


def disorder(frames: int, kind: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which frames a clip shows in place of 0..`frames`-1: in order, one of them, or shuffled."""
    order = np.arange(frames)
    if kind == "still":
        return np.full(frames, rng.integers(frames))
    if kind == "shuffled":
        blocks = np.array_split(order, min(_BLOCKS, frames))
        return np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
    return order


def augment(x: Tensor, noise: float, rng: np.random.Generator) -> Tensor:
    """Flip, stretch the contrast and add fresh noise to every frame of (N, 3, T, H, W), 0..255.

    The noise keeps a still clip from being told by differences that are exactly zero.
    """
    shape = (len(x), 1, 1, 1, 1)
    flip = torch.from_numpy(rng.random(len(x)) < 0.5)
    x = torch.where(flip.view(shape), x.flip(4), x)
    gain, offset = np.exp(rng.normal(0, 0.15, shape)), rng.normal(0, 8, shape)
    amount = rng.uniform(0, noise, shape)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    x = (x - 128) * torch.from_numpy(gain).float() + 128 + torch.from_numpy(offset).float()
    x = x + torch.randn(x.shape, generator=generator) * torch.from_numpy(amount).float()
    return x.round().clamp(0, 255)


class RecogniserTrainer:
    """One run; `step()` trains on one batch."""

    def __init__(
        self,
        config: RecogniserTraining,
        device: torch.device,
        sampler: Sampler,
        labels: tuple[str, ...],
    ) -> None:
        self.config, self.device = config, device
        rng = np.random.default_rng(config.seed)
        samples = [sampler.sample(rng) for _ in range(config.pool)]
        self._pool = np.stack([clip_to_rgb(sample.clip) for sample in samples])
        named = (sample.label if sample.label in labels else OTHER for sample in samples)
        self._kinds = np.array([labels.index(name) for name in named])
        torch.manual_seed(config.seed)
        shape = RecogniserConfig(labels, config.features, config.widths)
        self.network = Recogniser(shape).to(device)
        self.average = Average(self.network, 0.995)
        optimizer = torch.optim.AdamW(self.network.parameters(), config.rate, weight_decay=0.05)
        self.parts = {"recogniser": Trained(self.network, optimizer, self.average)}
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Clips (N, 4, T, 64, 64), their kinds (N,) and orders (N,)."""
        chosen = rng.choice(np.unique(self._kinds), self.config.batch)  # rare ones as often
        rows = [int(rng.choice(np.flatnonzero(self._kinds == kind))) for kind in chosen]
        order = rng.choice(len(ORDERS), self.config.batch, p=(0.5, 0.2, 0.3))
        frames = self._pool.shape[1]
        clips = np.stack(
            [
                self._pool[row][disorder(frames, ORDERS[way], rng)]
                for row, way in zip(rows, order, strict=True)
            ]
        )
        x = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).float()
        x = with_change(augment(x, self.config.noise, rng))
        return x, torch.from_numpy(chosen), torch.from_numpy(order)

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.progress.step])
        clips, kind, order = (x.to(self.device) for x in self.batch(rng))
        kinds, orders = self.network(clips)
        kind_loss = functional.cross_entropy(kinds, kind, label_smoothing=0.1)
        order_loss = functional.cross_entropy(orders, order)
        optimizer = self.parts["recogniser"].optimizer
        for group in optimizer.param_groups:
            share = self.progress.share(config.steps)
            group["lr"] = learning_rate(self.progress.step, share, config.rate)
        optimizer.zero_grad(set_to_none=True)
        loss: Tensor = kind_loss + config.order_weight * order_loss
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimizer.step()
        self.average.update(self.network)
        self.progress.step += 1
        return {
            "kind_loss": float(kind_loss.detach()),
            "order_loss": float(order_loss.detach()),
            "kind_right": float((kinds.argmax(1) == kind).float().mean()),
            "order_right": float((orders.argmax(1) == order).float().mean()),
        }

    def averaged(self) -> Recogniser:
        """The network with its averaged weights, on the CPU."""
        network = Recogniser(self.network.config)
        network.load_state_dict({k: v.cpu() for k, v in self.average.state.items()})
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)


@torch.no_grad()
def accuracy(network: Recogniser, samples: Sequence[Sample], seed: int = 0) -> dict[str, float]:
    """Shares of right answers.

    Returns:
        `kind`: over clips whose kind is known to the network by name, `clips` many;
        `order`: over every clip once in order, once still and once shuffled, with noise.
    """
    labels, rng = network.config.labels, np.random.default_rng(seed)
    kind, order = [], []
    for sample in samples:
        rgb = clip_to_rgb(sample.clip)
        for way, name in enumerate(ORDERS):
            frames = rgb[disorder(len(rgb), name, rng)].astype(np.float32)
            noisy = frames + 2 * rng.standard_normal(frames.shape, np.float32)
            answer = network(prepare(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)))
            order.append(int(answer[1].argmax()) == way)
        if sample.label in labels:
            answer = network(prepare(rgb))
            kind.append(labels[int(answer[0].argmax())] == sample.label)
    known = float(np.mean(kind)) if kind else 0.0
    return {"kind": known, "clips": len(kind), "order": float(np.mean(order))}


def _trainer(config: RecogniserTraining, device: torch.device) -> RecogniserTrainer:
    store = build_store(config.data, "train", config.cache / "train")
    if not any(source.label for source in store.sources):
        raise UsageError(f"{config.data}: a recogniser takes labels, in manifest.json")
    return RecogniserTrainer(config, device, ClipSampler(store), kinds(store, config.fewest))


def train_recogniser(config: RecogniserTraining, *, minutes: float, device: str = "auto") -> int:
    """Train, or go on training, for some minutes or until `config.steps`.

    Returns:
        The number of steps done in all.
    """
    return run_steps(_trainer(config, pick_device(device)), config, minutes)


def export_recogniser(config: RecogniserTraining, path: Path) -> dict[str, float]:
    """Write the averaged network of a run; its accuracy on the validation clips, if any.

    Raises:
        UsageError: no checkpoint.
    """
    trainer = _trainer(config, torch.device("cpu"))
    if trainer.progress.step == 0:
        raise UsageError(f"no checkpoint in {config.run}")
    write_recogniser(trainer.averaged(), path)
    if not (config.data / "val").is_dir():
        return {}
    return accuracy(trainer.averaged(), validation_clips(config.data))


def write_recogniser(network: Recogniser, path: Path) -> None:
    """Write a network in half precision, with its shape beside the weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {
        k: (v.half() if v.is_floating_point() else v).contiguous()
        for k, v in network.state_dict().items()
    }
    save_file(stored, str(path), metadata={"config": json.dumps(asdict(network.config))})
