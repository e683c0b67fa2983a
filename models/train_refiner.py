"""Training of stage 2: first for distortion, then also for the eye.

pairs --> generator (dial drawn at random per clip) --> RGB
    fidelity (dial 0): squared error, relative to the sketch's
    balanced, detail:  + LPIPS (VGG) + error of temporal differences + adversary

steps 0 .. perceptual_from: dial 0 only; later all dials; from adversarial_from the critic plays
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from gistcast.codec.errors import UsageError
from gistcast.models import losses
from gistcast.models.colour import planes_to_rgb
from gistcast.models.data import Sample, validation_clips
from gistcast.models.discriminator import Discriminator
from gistcast.models.gist import draw
from gistcast.models.lpips import Lpips, load_lpips
from gistcast.models.pairs import Pair, PairReader
from gistcast.models.refine import GanRefiner, noise, packed_planes
from gistcast.models.refiner import Condition, Generator, RefinerConfig, unpack
from gistcast.models.training import (
    Average,
    Clock,
    Log,
    Trained,
    learning_rate,
    load_checkpoint,
    pick_device,
    save_checkpoint,
)
from gistcast.models.validate import mean, validate
from gistcast.models.zoo import GIST, load_gist

_TELL_LATENT = 0.35  #: share of the clips whose latent the generator is told
_GIST_ALONE = 0.08  #: share of the batches that have no residual: the sketch is the gist


@dataclass(frozen=True)
class RefinerTraining:
    """Everything a run depends on.

    Attributes:
        cache: folder with `pairs/` (see `gistcast.models.make_pairs`).
        run: folder for the checkpoint and the log.
        steps: length of the learning-rate schedule.
        batch: clips a step.
        crop: side of the window that is cut from each pair, at half resolution; 0 for the whole.
            Four small windows of four clips teach more a second than one whole clip.
        rate: peak learning rate.
        seed: of data order, dials and noise; with the step number it decides everything.
        perceptual_from, adversarial_from: first step of each further loss.
        pattern: which shards of `pairs/` to read.
        gist: weights of stage 1, whose latents the generator learns to use; none without the file.
        validation: folder with `val/` to look at on the way, or None.
        validate_every: steps between such looks.
        vgg: LPIPS-VGG weights, averaged with AlexNet's; without the file AlexNet judges alone.
        checkpoint_minutes: between checkpoints.
        report_every: steps between log rows.
        perceptual, temporal, adversarial: weights of the losses at dial 1.
        network: shape of the generator.
    """

    cache: Path
    run: Path
    steps: int = 7000
    batch: int = 4
    crop: int = 16
    rate: float = 1e-3
    seed: int = 1
    perceptual_from: int = 1200
    adversarial_from: int = 4000
    pattern: str = "pairs-*.safetensors"
    gist: Path = GIST
    validation: Path | None = None
    validate_every: int = 500
    vgg: Path = Path("work/lpips_vgg.safetensors")
    checkpoint_minutes: float = 3.0
    report_every: int = 50
    perceptual: float = 16.0
    temporal: float = 0.05
    adversarial: float = 0.1
    network: RefinerConfig = field(default_factory=RefinerConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1:
            raise UsageError("a run needs at least one step of at least one clip")


@dataclass
class Batch:
    """Tensors of one step.

    Attributes:
        clip, sketch: packed planes (N, T, h, w, 6).
        noise: see `Generator.forward`.
        error: (N,) squared RGB error of the whole sketches that the windows were cut from.
        condition: what the generator is told.
    """

    clip: Tensor
    sketch: Tensor
    noise: Tensor
    error: Tensor
    condition: Condition


class RefinerTrainer:
    """One run; `step()` trains on one batch.

    Args:
        config: see `RefinerTraining`.
        device: where to train; bf16 is used for convolutions on either device.
    """

    def __init__(self, config: RefinerTraining, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.network = generator = Generator(config.network).to(
            device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        critic = Discriminator(text=config.network.text).to(device)
        self.generator = Trained(
            generator,
            torch.optim.AdamW(generator.parameters(), config.rate, betas=(0.9, 0.98)),
            Average(generator),
        )
        self.critic = Trained(
            critic, torch.optim.AdamW(critic.parameters(), 2e-4, betas=(0.5, 0.98))
        )
        self.parts = {"generator": self.generator, "critic": self.critic}
        self.pairs = PairReader(config.cache / "pairs", config.pattern)
        self.gist = load_gist(device, config.gist) if config.gist.is_file() else None
        self._lpips: list[Lpips] = []
        self.done = load_checkpoint(config.run / "checkpoint", self.parts)

    @property
    def lpips(self) -> list[Lpips]:
        """The perceptual losses, loaded when first needed."""
        if not self._lpips:
            nets = [load_lpips("alex")]
            if self.config.vgg.is_file():
                nets.append(load_lpips("vgg", self.config.vgg))
            self._lpips = [net.to(self.device) for net in nets]
        return self._lpips

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw a batch and its conditions."""
        pairs = self.pairs.batch(rng, self.config.batch)
        texts = _captions(pairs, rng)
        latent = torch.zeros(len(pairs), self.config.network.latents)
        if self.gist is not None:
            alone = rng.random() < _GIST_ALONE
            for row, pair in enumerate(pairs):
                if alone or rng.random() < _TELL_LATENT:
                    symbols = self.gist.describe(pair.clip)
                    latent[row] = torch.from_numpy(symbols.astype(np.float32))
                    if alone:
                        pairs[row] = replace(
                            pair, sketch=draw(self.gist, symbols, texts[row], pair.clip), step=0.0
                        )
        windows = [_window(p, self.config.crop, rng) for p in pairs]
        clip, sketch = (torch.cat(side) for side in zip(*windows, strict=True))
        grain = torch.cat(
            [noise(int(rng.integers(2**32)), clip.shape[2], clip.shape[3]) for _ in pairs]
        )
        perceptual = self.done >= self.config.perceptual_from
        dial = rng.choice([0.0, 0.5, 1.0], len(pairs)) if perceptual else np.zeros(len(pairs))
        condition = Condition(
            torch.tensor([p.step for p in pairs], dtype=torch.float32, device=self.device),
            torch.tensor(dial, dtype=torch.float32, device=self.device),
            latent.to(self.device),
            texts,
        )
        error = torch.tensor([losses.plane_error(p.sketch, p.clip) for p in pairs])
        clip, sketch, grain, error = (t.to(self.device) for t in (clip, sketch, grain, error))
        return Batch(clip, sketch, grain, error, condition)

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        if self.done == config.perceptual_from:
            self.network.open_gates()
        rng = np.random.default_rng([config.seed, self.done])
        batch = self.batch(rng)
        self.generator.module.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            made = self.generator.module(batch.sketch, batch.noise, batch.condition)
        loss, figures = self._distortion(batch, made)
        dial = batch.condition.dial
        if bool((dial > 0).any()):
            loss = loss + self._perception(batch, made, rng, figures)
        if self.done >= config.adversarial_from:
            loss = loss + self._adversary(batch, made, figures)
        optimizer = self.generator.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self.done, config.steps, config.rate)
        optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.generator.module.parameters(), 1.0)
        optimizer.step()
        if self.generator.average is not None:
            self.generator.average.update(self.generator.module)
        self.done += 1
        return figures

    def _distortion(self, batch: Batch, made: Tensor) -> tuple[Tensor, dict[str, float]]:
        real = _rgb(batch.clip)
        after = losses.relative_error(_rgb(made), real, batch.error)
        with torch.no_grad():
            before = losses.relative_error(_rgb(batch.sketch), real, batch.error)
        gain = (before - after.detach()) * 10 / math.log(10)
        figures = {}
        for dial in (0.0, 0.5, 1.0):
            chosen = batch.condition.dial == dial
            if bool(chosen.any()):
                figures[f"gain_db_{dial:g}"] = float(gain[chosen].mean())
        # the further from fidelity, the less the exact error counts
        return after * (1 - 0.5 * batch.condition.dial), figures

    def _perception(
        self, batch: Batch, made: Tensor, rng: np.random.Generator, figures: dict[str, float]
    ) -> Tensor:
        config, dial = self.config, batch.condition.dial
        chosen = dial > 0
        real, rgb = _rgb(batch.clip[chosen]), _rgb(made[chosen])
        count = min(2, real.shape[1])
        frames = sorted(rng.choice(real.shape[1], count, replace=False).tolist())
        with torch.autocast(self.device.type, torch.bfloat16):
            distances = [losses.perceptual_error(n, rgb, real, frames) for n in self.lpips]
        distance = torch.stack([d.float() for d in distances]).mean(0)
        motion = losses.temporal_error(rgb, real)
        figures["lpips"] = float(distance.detach().mean())
        figures["motion"] = float(motion.detach().mean())
        total = torch.zeros_like(dial)
        total[chosen] = dial[chosen] * (config.perceptual * distance + config.temporal * motion)
        return total

    def _adversary(self, batch: Batch, made: Tensor, figures: dict[str, float]) -> Tensor:
        """One step of the critic, then its verdict on the generator's clips."""
        critic, texts = self.critic.module, batch.condition.texts
        others = texts[1:] + texts[:1]
        pairs = zip(texts, others, strict=True)
        told_apart = [a is not None and b is not None and a != b for a, b in pairs]
        critic.requires_grad_(True)
        with torch.autocast(self.device.type, torch.bfloat16):
            real = critic(batch.clip, batch.sketch, texts)
            fake = critic(made.detach(), batch.sketch, texts)
            wrong = critic(batch.clip, batch.sketch, others)[1] if any(told_apart) else None
        if wrong is not None:
            wrong = wrong[torch.tensor(told_apart, device=self.device)]
        loss = losses.critic_loss(real, fake, wrong)
        self.critic.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic.optimizer.step()
        critic.requires_grad_(False)
        with torch.autocast(self.device.type, torch.bfloat16):
            verdict = losses.generator_loss(critic(made, batch.sketch, texts))
        figures["critic"] = float(loss.detach())
        weight = self.config.adversarial * batch.condition.dial
        return weight * verdict.float()

    def averaged(self) -> Generator:
        """A copy of the generator with the averaged weights."""
        generator = Generator(self.config.network)
        if self.generator.average is not None:
            generator.load_state_dict(self.generator.average.state)
        return generator

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(self.config.run / "checkpoint", self.done, self.parts)


def _window(pair: Pair, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Packed clip and sketch (1, T, h, w, 6), cut to the same random window."""
    clip, sketch = packed_planes(pair.clip), packed_planes(pair.sketch)
    height, width = clip.shape[2:4]
    tall, wide = min(height, side or height), min(width, side or width)
    y, x = (int(rng.integers(0, n + 1)) for n in (height - tall, width - wide))
    return clip[:, :, y : y + tall, x : x + wide], sketch[:, :, y : y + tall, x : x + wide]


def _rgb(packed: Tensor) -> Tensor:
    return planes_to_rgb(*unpack(packed))


def _captions(pairs: Sequence[Pair], rng: np.random.Generator) -> list[str | None]:
    """Captions, half of them hidden so that none is needed."""
    return [p.caption if p.caption and rng.random() < 0.5 else None for p in pairs]


class _Validation:
    """Every sixth validation clip at one step, refined with the averaged weights."""

    _STEP = 120.0

    def __init__(self, data: Path) -> None:
        self._samples: list[Sample] = validation_clips(data)[::6]
        self._lpips = load_lpips("alex")

    def figures(self, trainer: RefinerTrainer) -> dict[str, float]:
        refiner = GanRefiner(trainer.averaged(), trainer.device)
        modes = ("fidelity", "balanced")
        rows = validate(refiner, self._samples, self._STEP, modes, self._lpips)
        means = {key: mean(row) for key, row in rows.items()}
        out = {f"val_psnr_{key}": row.psnr for key, row in means.items()}
        return out | {f"val_lpips_{k}": row.lpips or 0.0 for k, row in means.items()}


def train_refiner(config: RefinerTraining, *, minutes: float, device: str = "auto") -> int:
    """Train, or go on training, for some minutes or until `config.steps`.

    Returns:
        The number of steps done in all.
    """
    trainer = RefinerTrainer(config, pick_device(device))
    validation = _Validation(config.validation) if config.validation else None
    log, clock, saved = Log(config.run / "log.jsonl"), Clock(minutes), 0.0
    sums: dict[str, list[float]] = {}
    while trainer.done < config.steps and not clock.over:
        for key, value in trainer.step().items():
            sums.setdefault(key, []).append(value)
        if trainer.done % config.report_every == 0:
            means = {key: float(np.mean(values)) for key, values in sums.items()}
            log.write(step=trainer.done, seconds=clock.elapsed, **means)
            sums.clear()
        if validation is not None and trainer.done % config.validate_every == 0:
            log.write(step=trainer.done, **validation.figures(trainer))
        if clock.elapsed - saved > config.checkpoint_minutes * 60:
            trainer.save()
            saved = clock.elapsed
    trainer.save()
    return trainer.done


def export_refiner(config: RefinerTraining, path: Path) -> None:
    """Write the averaged generator of a run's checkpoint as fp16 safetensors with its shape."""
    trainer = RefinerTrainer(config, torch.device("cpu"))
    if trainer.done == 0:
        raise UsageError(f"no checkpoint in {config.run}")
    tensors = {k: v.half().contiguous() for k, v in trainer.averaged().state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"config": json.dumps(asdict(config.network))})
