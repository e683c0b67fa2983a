"""Training of stage 1: rate and distortion of the latent, and the text prior beside it.

grids (clips at 8 x 16 x 16, cached) --augment--> encoder --+ noise or rounding--> decoder
loss = RGB squared error + rate_weight * bits(z | learned factorised prior)
       + squared error of the text prior's mean of z
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from gistcast.codec.errors import UsageError
from gistcast.models.data import ClipSampler, build_store, check_store
from gistcast.models.gist import (
    GRID,
    GistConfig,
    GistNetwork,
    integer_frequencies,
    low_resolution,
)
from gistcast.models.steps import RunSettings, run_steps
from gistcast.models.stills import StillSampler
from gistcast.models.training import (
    Average,
    Trained,
    learning_rate,
    load_checkpoint,
    pick_device,
    save_checkpoint,
)

#: squared RGB error of a unit of squared error in each packed plane (four luma phases, Cb, Cr),
#: averaged over the three colours and the phases' shares
_RGB_WEIGHT = (0.339, 0.339, 0.339, 0.339, 1.50, 1.17)
_PRIOR_RATE = 1e-2  #: peak learning rate of the prior


@dataclass(frozen=True, kw_only=True)
class GistTraining(RunSettings):
    """Everything a run depends on.

    Attributes:
        data: folder of videos, or of `train/`, `stills/` and `manifest.json`.
        grids: clips to draw and cache.
        rate_weight: squared 8-bit RGB levels that a bit is worth.
        network: shape of the network.
    """

    data: Path
    grids: int = 24000
    steps: int = 20000
    batch: int = 64
    rate: float = 1e-3
    rate_weight: float = 0.5
    report_every: int = 200
    network: GistConfig = field(default_factory=GistConfig)


class FactorisedPrior(nn.Module):
    """Bits of z under one discretised mixture-free table a latent, differentiable in z.

    The table is a softmax over -K..K, read between the integers by linear interpolation.
    """

    def __init__(self, config: GistConfig) -> None:
        super().__init__()
        self.limit = config.latent_range
        grid = torch.arange(-self.limit, self.limit + 1).float()
        self.logits = nn.Parameter((-grid.abs() / 2).repeat(config.latents, 1))

    def bits(self, z: Tensor) -> Tensor:
        """(N, n) values within -K..K -> (N,) bits."""
        table = -torch.log_softmax(self.logits, 1) / np.log(2)
        place = (z + self.limit).clamp(0, 2 * self.limit - 1e-3)
        low = place.floor().detach()
        part = place - low
        index = low.long().T
        below, above = table.gather(1, index).T, table.gather(1, index + 1).T
        out: Tensor = (below * (1 - part) + above * part).sum(1)
        return out


def cache_grids(config: GistTraining) -> tuple[NDArray[np.uint8], list[str]]:
    """Grids (n, 8, 8, 8, 6) of random training clips and their captions, drawn once."""
    path = config.cache / f"grids-{config.grids}.safetensors"
    check_store(config.data, "train", config.cache / "train")
    if not path.is_file():
        real = build_store(config.data, "train", config.cache / "train")
        photos = build_store(config.data, "stills", config.cache / "stills")
        clips, stills = ClipSampler(real, whole=0.6), StillSampler(photos)
        rng = np.random.default_rng([config.seed, config.grids])
        grids = np.empty((config.grids, *GRID), np.uint8)
        captions = []
        quiet = not sys.stderr.isatty()
        for row in tqdm(range(config.grids), desc="drawing", unit="clip", disable=quiet):
            sample = (stills if rng.random() < 0.1 else clips).sample(rng)
            grids[row] = low_resolution(sample.clip).round()
            captions.append(sample.caption)
        meta = {"captions": json.dumps(captions)}
        save_arrays({"grids": grids}, str(path), metadata=meta)
    with safe_open(str(path), framework="numpy") as file:
        return file.get_tensor("grids"), json.loads(file.metadata()["captions"])


def augment(grids: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Flip, reverse and stretch the colours of grids (N, 8, 8, 8, 6) -> float."""
    x = torch.from_numpy(grids).float()
    flip, back = rng.random(len(x)) < 0.5, rng.random(len(x)) < 0.2
    # mirroring swaps the luma phases of a cell from left to right too
    x[flip] = x[flip].flip(3)[..., [1, 0, 3, 2, 4, 5]]
    x[back] = x[back].flip(1)
    shape = (len(x), 1, 1, 1, 1)
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.12, shape)))
    colour = torch.from_numpy(np.exp(rng.normal(0, 0.2, shape)))
    offset = torch.from_numpy(rng.normal(0, 8, shape))
    luma, chroma = (x[..., :4] - 128) * gain + offset, (x[..., 4:] - 128) * gain * colour
    return (torch.cat([luma, chroma], -1) + 128).clamp(0, 255).float()


class GistTrainer:
    """One run; `step()` trains on one batch."""

    def __init__(self, config: GistTraining, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.network = GistNetwork(config.network).to(device)
        self.prior = FactorisedPrior(config.network).to(device)
        self.average = Average(self.network, 0.9995)
        parameters = self.network.parameters()
        network = Trained(self.network, torch.optim.AdamW(parameters, config.rate), self.average)
        prior = torch.optim.AdamW(self.prior.parameters(), _PRIOR_RATE, weight_decay=0)
        self.parts = {"gist": network, "prior": Trained(self.prior, prior)}
        self.grids, self.captions = cache_grids(config)
        self.progress = load_checkpoint(config.run / "checkpoint", self.parts)

    @property
    def done(self) -> int:
        """Steps done."""
        return self.progress.step

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the figures to log."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.done])
        rows = rng.integers(0, len(self.grids), config.batch)
        grid = augment(self.grids[rows], rng).to(self.device)
        texts = [shorten(self.captions[row], rng) for row in rows]
        noise = torch.from_numpy(rng.random((config.batch, config.network.latents), np.float32))
        network, prior = self.network, self.prior
        z = network.encode(grid)
        bits = prior.bits(z + noise.to(self.device) - 0.5)
        rounded = z + (z.round() - z).detach()
        text = network.text(texts)
        guess = network.prior(text)
        # the decoder sometimes sees only what the text says, so that text alone draws a picture
        alone = torch.from_numpy(rng.random((config.batch, 1)) < 0.1).to(self.device)
        made = network.decode(torch.where(alone, guess.round().detach(), rounded), text)
        weight = torch.tensor(_RGB_WEIGHT, device=self.device)
        error = ((made - grid).square() * weight).sum(-1).mean((1, 2, 3))
        loss = (error + config.rate_weight * bits).mean() / 200
        loss = loss + 0.05 * (guess - rounded.detach()).square().mean()
        for part in self.parts.values():
            peak = config.rate if part.average is not None else _PRIOR_RATE
            for group in part.optimizer.param_groups:
                group["lr"] = learning_rate(self.done, self.progress.share(config.steps), peak)
            part.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        for part in self.parts.values():
            part.optimizer.step()
        self.average.update(network)
        self.progress.step += 1
        return {"error": float(error.detach().mean()), "bytes": float(bits.detach().mean()) / 8}

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(self.config.run / "checkpoint", self.progress, self.parts)


def shorten(caption: str, rng: np.random.Generator) -> str | None:
    """A caption with some words left out, or none at all: users write less than captions say."""
    if not caption or rng.random() < 0.2:
        return None
    words = [w for w in caption.split() if rng.random() < 0.85]
    return " ".join(words) or None


def train_gist(config: GistTraining, *, minutes: float, device: str = "auto") -> int:
    """Train, or go on training, for some minutes or until `config.steps`.

    Returns:
        The number of steps done in all.
    """
    trainer = GistTrainer(config, pick_device(device))
    return run_steps(trainer, config, minutes)


def export_gist(config: GistTraining, path: Path) -> None:
    """Write the averaged network of a run, its integer prior and its draws' spread."""
    trainer = GistTrainer(config, torch.device("cpu"))
    if trainer.done == 0:
        raise UsageError(f"no checkpoint in {config.run}")
    # the table is counted with the weights as they will be loaded
    network = GistNetwork(config.network)
    network.load_state_dict({k: _stored(v).to(v.dtype) for k, v in trainer.average.state.items()})
    symbols, guesses = _all_symbols(network, trainer.grids, trainer.captions)
    tensors = network.state_dict()
    tensors["frequencies"] = _count(symbols, config.network.latent_range)
    apart = (symbols - guesses).double()
    covariance = apart.T @ apart / len(apart) + 1e-3 * torch.eye(apart.shape[1]).double()
    tensors["spread"] = torch.linalg.cholesky(covariance).float()
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {k: _stored(v).contiguous() for k, v in tensors.items()}
    save_file(stored, str(path), metadata={"config": json.dumps(asdict(config.network))})


def _stored(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


@torch.inference_mode()
def _all_symbols(
    network: GistNetwork, grids: NDArray[np.uint8], captions: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Rounded z and the text prior's mean of it, (n, latents) each."""
    symbols, guesses = [], []
    for start in range(0, len(grids), 500):
        rows = slice(start, start + 500)
        symbols.append(network.encode(torch.from_numpy(grids[rows]).float()).round())
        guesses.append(network.prior(network.text(captions[rows])))
    return torch.cat(symbols), torch.cat(guesses)


def _count(symbols: Tensor, limit: int) -> Tensor:
    values = torch.arange(-limit, limit + 1)
    counts = torch.stack([(symbols == value).sum(0) for value in values], 1)
    return integer_frequencies(counts * 0.9 + counts.sum(1, keepdim=True) * 0.1 / len(values))
