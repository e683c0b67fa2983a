"""Training of stage 2: first for distortion, then also for the eye.

clips --imitated sketch--> pairs --> generator (dial drawn at random per clip) --> RGB
    every dial:       squared error, relative to the sketch's, + error of temporal differences
    balanced, detail: + LPIPS (VGG, AlexNet) + strength of fine detail + adversary

Of the schedule, the first share is dial 0 only; then all dials; at last the critic plays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from gistcast.codec.clip import Clip
from gistcast.codec.errors import ModelError, UsageError
from gistcast.models import losses
from gistcast.models.colour import planes_to_rgb
from gistcast.models.data import build_store
from gistcast.models.discriminator import Discriminator
from gistcast.models.gist import Gist, draw
from gistcast.models.imitate import Planes, imitate, random_steps
from gistcast.models.lpips import Lpips, load_lpips
from gistcast.models.pairs import (
    ClipBatch,
    ClipShapes,
    TrainingClips,
    clip_batches,
    coded_pairs,
    whole,
    windows,
)
from gistcast.models.refine import noise
from gistcast.models.refiner import Condition, Generator, RefinerConfig, fades, pack, unpack
from gistcast.models.training import (
    Average,
    Trained,
    compiled,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)
from gistcast.models.zoo import GIST, load_gist

_GIST_ALONE = 0.05  #: share of the steps that have no residual: the sketch is the gist
_ALONE_CLIPS = 8  #: at most, of such a step: the gist is drawn clip by clip
_LPIPS_FRAMES = 3  #: of each window


@dataclass(frozen=True)
class RefinerTraining:
    """Everything a run depends on.

    Attributes:
        data: folder with `train/`, `stills/`, `val/` and `manifest.json`; not read where `cache`
            holds all of it decoded already.
        cache: folder for decoded frames, and of the codec's own pairs (models/coded.py), if any.
        run: folder for the checkpoint and the log.
        start: weights to begin with instead of random ones.
        steps: length of the schedule, unless there is `plan`.
        plan: length of the schedule in minutes of training, over all calls.
        batch: clips a step.
        window: side of the window that is cut from each pair, at half resolution; 0 for the whole.
        windows: windows cut from each pair.
        rate: peak learning rate.
        decay: of the average of the weights, per step.
        seed: of data order, dials and noise; with the step number it decides everything.
        perceptual_from, adversarial_from: where in the schedule (0..1) further losses begin.
        shapes: of the clips.
        gist: weights of stage 1, whose gists it learns to refine; none without the file.
        vgg: LPIPS-VGG weights; None for those of `gistcast.models.lpips_weights`.
        alex: whether LPIPS-AlexNet is in the loss, too. Left out it can witness, and what VGG16
            alone asks for is worse by a third in it (docs/training.md).
        perceptual, texture, adversarial: weights of the losses at dial 1.
        temporal: weight of the error of temporal differences, at every dial.
        network: shape of the generator.
    """

    data: Path
    cache: Path
    run: Path
    start: Path | None = None
    steps: int = 7000
    plan: float | None = None
    batch: int = 2
    window: int = 32
    windows: int = 1
    rate: float = 1e-3
    decay: float = 0.999
    seed: int = 1
    perceptual_from: float = 0.25
    adversarial_from: float = 0.5
    shapes: ClipShapes = field(default_factory=ClipShapes)
    gist: Path = GIST
    vgg: Path | None = None
    alex: bool = True
    perceptual: float = 26.0
    texture: float = 0.1
    temporal: float = 0.1
    adversarial: float = 0.1
    network: RefinerConfig = field(default_factory=RefinerConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.windows) < 1 or (self.plan or 1) <= 0:
            raise UsageError("a run needs at least one step of at least one clip")


@dataclass
class Batch:
    """Tensors of one step.

    Attributes:
        clip, sketch: packed planes (N, T, h, w, 6).
        noise: see `Generator.forward`.
        error: (N,) squared RGB error of the whole sketches that the windows were cut from.
        condition: what the generator is told.
        dials: (N,) its dial, on the host.
    """

    clip: Tensor
    sketch: Tensor
    noise: Tensor
    error: Tensor
    condition: Condition
    dials: NDArray[np.float64]


class RefinerTrainer:
    """One run; `step()` trains on one batch.

    Args:
        config: see `RefinerTraining`.
        device: where to train; bf16 is used for convolutions on either device.
        workers: processes that draw clips ahead.
    """

    def __init__(self, config: RefinerTraining, device: torch.device, workers: int = 0) -> None:
        self.config, self.device, self._workers = config, device, workers
        torch.manual_seed(config.seed)
        self.network = Generator(config.network)
        if config.start is not None:
            _start(self.network, config.start)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        critic = Discriminator(text=config.network.text).to(device)
        fused = device.type == "cuda"
        self.generator = Trained(
            self.network,
            torch.optim.AdamW(
                self.network.parameters(), config.rate, betas=(0.9, 0.98), fused=fused
            ),
            Average(self.network, config.decay),
        )
        self.critic = Trained(
            critic, torch.optim.AdamW(critic.parameters(), 2e-4, betas=(0.5, 0.98), fused=fused)
        )
        self.parts = {"generator": self.generator, "critic": self.critic}
        self._paint = compiled(self.network.paint, device)
        self._clips: Iterator[ClipBatch] | None = None
        self._lpips: list[Lpips] = []
        self.gist: Gist | None = None
        if config.gist.is_file():
            self.gist = load_gist(path=config.gist)
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)

    @property
    def share(self) -> float:
        """0..1 of the schedule that is done."""
        return self.progress.share(self.config.steps, self.config.plan)

    @property
    def lpips(self) -> list[Lpips]:
        """The perceptual losses, loaded when first needed: VGG16's, maybe AlexNet's."""
        if not self._lpips:
            nets = [load_lpips("vgg", self.config.vgg)]
            nets += [load_lpips("alex")] if self.config.alex else []
            as_here = {"device": self.device, "memory_format": torch.channels_last}
            self._lpips = [net.to(**as_here) for net in nets]  # type: ignore[call-overload]
        return self._lpips

    def _next_clips(self) -> ClipBatch:
        if self._clips is None:
            config = self.config
            recordings = build_store(config.data, "train", config.cache / "train")
            stills = build_store(config.data, "stills", config.cache / "stills")
            coded = coded_pairs(config.cache)
            self._clips = clip_batches(
                TrainingClips(recordings, stills, config.seed, config.shapes, coded),
                config.batch,
                start=self.progress.step,
                workers=self._workers,
                pin=self.device.type == "cuda",
            )
        return next(self._clips)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw a batch and its conditions."""
        drawn = self._next_clips()
        alone = self.gist is not None and rng.random() < _GIST_ALONE
        count = min(len(drawn.captions), _ALONE_CLIPS) if alone else len(drawn.captions)
        y, u, v = self._planes(drawn.clip, count)
        latent = torch.zeros(count, self.config.network.latents)
        texts: list[str | None] = [None] * count
        kept: list[tuple[int, ...]] = [()] * count
        if alone:
            texts = [c if c and rng.random() < 0.5 else None for c in drawn.captions[:count]]
            steps = torch.zeros(count, device=self.device)
            made = self._gists(drawn.clip, texts, latent)
        elif drawn.sketch is not None:
            steps, made = drawn.steps.to(self.device), self._planes(drawn.sketch, count)
            kept = [whole(y.shape[1], int(k)) for k in drawn.kept]
        else:
            steps = torch.from_numpy(random_steps(rng, count)).to(self.device)
            made = imitate((y, u, v), steps)
        clip, sketch = pack(y, u, v), pack(*made)
        error = losses.plane_error(sketch, clip)
        cuts = [windows(clip, sketch, self.config.window, rng) for _ in range(self.config.windows)]
        repeats = len(cuts)
        clip, sketch = (torch.cat(side) for side in zip(*cuts, strict=True))
        grain = [noise(int(rng.integers(2**32)), *clip.shape[2:4]) for _ in range(len(clip))]
        dials = self._dials(rng, len(clip))
        condition = Condition(
            steps.repeat(repeats),
            torch.tensor(dials, dtype=torch.float32).to(self.device),
            latent.repeat(repeats, 1).to(self.device),
            texts * repeats,
            kept * repeats,
        )
        return Batch(
            clip, sketch, torch.cat(grain).to(self.device), error.repeat(repeats), condition, dials
        )

    def _planes(self, planes: list[Tensor], count: int) -> Planes:
        y, u, v = (p[:count].to(self.device, non_blocking=True).float() for p in planes)
        return y, u, v

    def _gists(self, planes: list[Tensor], texts: list[str | None], latent: Tensor) -> Planes:
        """Gists of clips as planes on the device; fills in their latents."""
        assert self.gist is not None
        made = []
        for row, text in enumerate(texts):
            clip = Clip(*(p[row].numpy() for p in planes))
            symbols = self.gist.describe(clip)
            latent[row] = torch.from_numpy(symbols.astype(np.float32))
            made.append([torch.from_numpy(p) for p in draw(self.gist, symbols, text, clip).planes])
        return self._planes([torch.stack(p) for p in zip(*made, strict=True)], len(made))

    def _dials(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        if self.share < self.config.perceptual_from:
            return np.zeros(count)
        return rng.choice([0.0, 0.5, 1.0], count, p=[0.4, 0.3, 0.3])

    def step(self) -> dict[str, Tensor]:
        """Train on one batch; returns the figures to log, still on the device."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.progress.step, 3])
        batch = self.batch(rng)
        if batch.dials.any() and not bool(self.network.gates.bias.any()):
            self.network.open_gates()
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            made = self._made(batch)
        loss, figures = self._distortion(batch, made)
        if batch.dials.any():
            loss = loss + self._perception(batch, made, rng, figures)
            if self.share >= config.adversarial_from:
                loss = loss + self._adversary(batch, made, figures)
        optimizer = self.generator.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self.progress.step, self.share, config.rate)
        optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimizer.step()
        if self.generator.average is not None:
            self.generator.average.update(self.network)
        self.progress.step += 1
        return figures

    def _made(self, batch: Batch) -> Tensor:
        told = batch.condition
        # compiling takes a minute a shape: it pays for the one that most steps have
        usual = (self.config.batch * self.config.windows, 32)
        paint = self._paint if batch.clip.shape[:2] == usual else self.network.paint
        faded = fades(batch.clip.shape[1], told.kept).to(self.device)
        vector = self.network.embed(told, faded)
        return paint(batch.sketch, batch.noise, vector, told.step, told.dial, faded)

    def _distortion(self, batch: Batch, made: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        real, rgb, dial = _rgb(batch.clip), _rgb(made), batch.condition.dial
        after = losses.relative_error(rgb, real, batch.error)
        motion = losses.temporal_error(rgb, real)
        with torch.no_grad():
            sketch = _rgb(batch.sketch)
            gain = 4.34 * (losses.relative_error(sketch, real, batch.error) - after)
            still = losses.temporal_error(sketch, real)
        figures = {"motion": (motion.detach() - still).mean()}
        for value in (0.0, 0.5, 1.0):
            chosen = batch.dials == value
            if chosen.any():
                figures[f"gain_db_{value:g}"] = gain[torch.from_numpy(chosen)].mean()
        # the further from fidelity, the less the exact error counts
        return after * (1 - 0.5 * dial) + self.config.temporal * motion, figures

    def _perception(
        self, batch: Batch, made: Tensor, rng: np.random.Generator, figures: dict[str, Tensor]
    ) -> Tensor:
        config = self.config
        chosen = torch.from_numpy(np.flatnonzero(batch.dials)).to(self.device)
        real, image = batch.clip[chosen], made[chosen]
        count = min(_LPIPS_FRAMES, real.shape[1])
        frames = sorted(rng.choice(real.shape[1], count, replace=False).tolist())
        with torch.autocast(self.device.type, torch.bfloat16):
            distances = [
                losses.perceptual_error(net, _rgb(image), _rgb(real), frames) for net in self.lpips
            ]
        texture = losses.texture_error(image, real)
        for name, each in zip(("lpips_vgg", "lpips_alex"), distances, strict=False):
            figures[name] = each.detach().mean()
        figures["texture"] = texture.detach().mean()
        total = torch.zeros_like(batch.condition.dial)
        distance = torch.stack(distances).float().sum(0)
        total[chosen] = config.perceptual * distance + config.texture * texture
        return total * batch.condition.dial

    def _adversary(self, batch: Batch, made: Tensor, figures: dict[str, Tensor]) -> Tensor:
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
        figures["critic"] = loss.detach()
        weight = self.config.adversarial * batch.condition.dial
        return weight * verdict.float()

    def averaged(self) -> Generator:
        """A copy of the generator with the averaged weights, on the CPU."""
        generator = Generator(self.config.network)
        if self.generator.average is not None:
            generator.load_state_dict(self.generator.average.state)
        return generator

    def save(self) -> None:
        """Write the checkpoint and the averaged weights as `refiner.safetensors`."""
        save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)
        export_generator(self.averaged(), self.config.run / "refiner.safetensors")


def _start(generator: Generator, path: Path) -> None:
    """Weights as `export_generator` wrote them."""
    if not path.is_file():
        raise ModelError(f"no weights at {path}")
    try:
        generator.load_state_dict({k: v.float() for k, v in load_file(str(path)).items()})
    except RuntimeError as error:
        raise ModelError(f"{path} holds another network: {error}") from error


def _rgb(packed: Tensor) -> Tensor:
    return planes_to_rgb(*unpack(packed))


def export_generator(generator: Generator, path: Path) -> None:
    """Write a generator as fp16 safetensors with its shape."""
    tensors = {k: v.half().contiguous() for k, v in generator.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"config": json.dumps(asdict(generator.config))})
