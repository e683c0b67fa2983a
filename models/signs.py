"""Trains the network that predicts the signs of the residual, and exports it to integers.

    clips --ResidualEncoder--> levels --signs around each--> samples
    samples --network in float, quantisation-aware--> weights --round--> beside the other tables

Signs change no choice of levels, so that one round of samples is enough.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as dump_safetensors
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from gistcast.codec import tables as integer
from gistcast.codec.camera import best_ground
from gistcast.codec.clip import Clip
from gistcast.codec.residual import ResidualEncoder, group_signs
from gistcast.codec.tables import HIDDEN, PLAIN, SIGNS, Tables
from gistcast.models.contexts import activate, read_training_clips, rounded


class SignSamples(NamedTuple):
    """Inputs int8 (n, 54), rows of the sign table int16 (n,), and whether there was a minus."""

    around: NDArray[np.int8]
    row: NDArray[np.int16]
    negative: NDArray[np.uint8]


class SignNetwork(nn.Module):
    """The float twin of `codec/kernels/signs.py`, with the same roundings."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(SIGNS + PLAIN, HIDDEN) * 0.2)
        self.rows = nn.Parameter(torch.zeros(integer.SIGN_CLASSES, HIDDEN))
        self.second = nn.Parameter(torch.randn(HIDDEN, HIDDEN) / math.sqrt(HIDDEN))
        self.second_bias = nn.Parameter(torch.zeros(HIDDEN))
        self.last = nn.Parameter(torch.randn(HIDDEN) / math.sqrt(HIDDEN))

    def forward(self, around: Tensor, row: Tensor) -> Tensor:
        """Logits (n,) of a minus, for inputs (n, 54) and rows (n,) of the sign table."""
        x, first = around.float(), rounded(self.first)
        odd = x[:, :SIGNS] @ first[:SIGNS]
        even = x[:, SIGNS:] @ first[SIGNS:] + rounded(self.rows)[row]
        return self._half(even + odd) - self._half(even - odd)

    def _half(self, z: Tensor) -> Tensor:
        z = activate(z)
        z = activate(z @ rounded(self.second) + rounded(self.second_bias))
        out: Tensor = z @ rounded(self.last)
        return out

    def export(self) -> dict[str, NDArray[np.generic]]:
        """The tensors of the tables' file: weights in 1/64, biases in 1/1024."""

        def grid(w: Tensor, unit: int) -> NDArray[np.float64]:
            return np.asarray(np.rint(rounded(w).detach().double().numpy() * unit))

        return {
            "sign_input_weights": grid(self.first, 64).astype(np.int16),
            "sign_rows": grid(self.rows, 1024).astype(np.int32),
            "sign_hidden_weights": grid(self.second, 64).astype(np.int16),
            "sign_hidden_bias": grid(self.second_bias, 1024).astype(np.int32),
            "sign_output_weights": grid(self.last, 64).astype(np.int16),
        }


def collect_signs(
    clips: Iterable[Clip], tables: Tables, *, weight: float, keep: int, seed: int
) -> SignSamples:
    """Quantise every clip at two rates, a coarse and a finer one, with the camera's motion where it
    pays, and keep at most `keep` signs of each."""
    rng = np.random.default_rng(seed)
    encoder = ResidualEncoder(tables, weight)
    parts = []
    for clip in tqdm(clips, disable=not sys.stderr.isatty(), desc="signs"):
        ground = best_ground(clip, encoder, 110, "medium")
        for low, high in ((60, 110), (100, 165)):
            symbols = ground.choose(encoder, int(rng.integers(low, high))).symbols
            found = [group_signs(symbols, group, tables) for group in ground.layout.groups]
            around, negative = (np.concatenate(part) for part in zip(*found, strict=True))
            row = np.repeat(
                [integer.sign_class(group) for group in ground.layout.groups],
                [len(n) for _, n in found],
            )
            some = rng.permutation(len(row))[:keep]
            parts.append(SignSamples(around[some], row[some].astype(np.int16), negative[some]))
    return SignSamples(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def fit_signs(samples: SignSamples, *, steps: int, seed: int, batch: int = 8192) -> SignNetwork:
    """Fit the network to samples."""
    torch.manual_seed(seed)
    network = SignNetwork()
    around, row = torch.from_numpy(samples.around), torch.from_numpy(samples.row)
    negative = torch.from_numpy(samples.negative)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    for _ in range(steps):
        some = torch.randint(len(row), (batch,))
        logits = network(around[some], row[some].long())
        loss = functional.binary_cross_entropy_with_logits(logits, negative[some].float())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network


@torch.no_grad()
def bits_per_sign(network: SignNetwork, samples: SignSamples) -> float:
    """Mean bits of a sign under the network."""
    total = 0.0
    for first in range(0, len(samples.row), 65536):
        part = slice(first, first + 65536)
        around, row, negative = (torch.from_numpy(a[part]) for a in samples)
        loss = functional.binary_cross_entropy_with_logits(
            network(around, row.long()), negative.float(), reduction="sum"
        )
        total += float(loss)
    return total / math.log(2) / len(samples.row)


def train_signs(
    folder: Path,
    base: Path,
    target: Path,
    *,
    steps: int = 20000,
    weight: float = 0.13,
    sizes: tuple[int, ...] = (64, 96),
    keep: int = 4000,
    limit: int | None = None,
) -> dict[str, float]:
    """Writes `target`: the tables of `base`, with a sign network trained on a folder's videos.

    Args:
        folder: training videos (`*.mp4`).
        weight: lambda of the rate-distortion choice.
        limit: use only so many clips (a quick trial).

    Returns:
        Signs, bits of one, seconds; `held_out` is bits of one in every twelfth clip, which is not
        trained on.
    """
    started = time.monotonic()
    raw = base.read_bytes()
    clips = list(read_training_clips(folder, sizes))
    np.random.default_rng(0).shuffle(clips)  # type: ignore[arg-type]
    clips = clips[:limit]
    tables = integer.parse_tables(raw)
    held_out = collect_signs(clips[::12], tables, weight=weight, keep=keep, seed=1)
    known = [clip for number, clip in enumerate(clips) if number % 12]
    samples = collect_signs(known, tables, weight=weight, keep=keep, seed=0)
    network = fit_signs(samples, steps=steps, seed=0)
    data = dump_safetensors({**parse_safetensors(raw), **network.export()})
    integer.parse_tables(data)
    target.write_bytes(data)
    return {
        "signs": len(samples.row),
        "bits_per_sign": round(bits_per_sign(network, samples), 4),
        "held_out": round(bits_per_sign(network, held_out), 4),
        "seconds": round(time.monotonic() - started, 1),
    }
