"""Trains the residual's probability model and exports it to integers.

    clips --ResidualEncoder with the current tables--> levels --contexts--> samples
    samples --network in float, quantisation-aware--> weights --round--> codec/tables/*.safetensors

Levels depend on the tables (the rate-distortion choice uses them) and the tables on the levels,
so the two are alternated: round 0 starts from constant logits.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save as dump_safetensors
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from gistcast.codec import tables as integer
from gistcast.codec.clip import Clip
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoReader, read_clips
from gistcast.codec.quantiser import UNARY, bucket, plane_steps
from gistcast.codec.residual import ResidualEncoder, group_contexts
from gistcast.codec.sketch import transform_clip
from gistcast.codec.tables import FEATURES, HIDDEN, Tables

Rows = NDArray[np.uint8]

_LABEL = FEATURES + 3  # columns: features, band row, detail row, time row, magnitude


def bootstrap_tables() -> Tables:
    """Tables with constant logits, to quantise the very first training data with."""
    return integer.parse_tables(_export(_Network(), *_neutral()))


def _neutral() -> tuple[NDArray[np.uint16], NDArray[np.int8]]:
    presence = np.full((integer.PRESENCE_CLASSES, integer.PRESENCE_CONTEXTS), 16384, np.uint16)
    offsets = np.full((integer.RECONSTRUCTION_BUCKETS, 3), -6, np.int8)
    return presence, offsets


class _Floor(torch.autograd.Function):
    """floor(z * 16) / 16 with a straight-through gradient."""

    @staticmethod
    def forward(ctx: object, z: Tensor) -> Tensor:
        return torch.floor(z * 16) / 16

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return grad


def rounded(w: Tensor) -> Tensor:
    """Weights as the integers have them, in 1/64, with a straight-through gradient."""
    return w + (torch.round(w * integer.WEIGHT_UNIT) / integer.WEIGHT_UNIT - w).detach()


class _Network(nn.Module):
    """The float twin of `codec/kernels/network.py`, with the same roundings."""

    def __init__(self) -> None:
        super().__init__()
        hidden = HIDDEN
        self.first = nn.Parameter(torch.randn(FEATURES, hidden) * 0.2)
        self.band = nn.Parameter(torch.zeros(integer.BAND_CLASSES, hidden))
        self.detail = nn.Parameter(torch.zeros(integer.DETAIL_CLASSES, hidden))
        self.time = nn.Parameter(torch.randn(integer.TIME_CLASSES, hidden) * 0.1)
        self.second = nn.Parameter(torch.randn(hidden, hidden) / math.sqrt(hidden))
        self.second_bias = nn.Parameter(torch.zeros(hidden))
        self.last = nn.Parameter(torch.zeros(hidden, 3))
        self.last_bias = nn.Parameter(torch.tensor([-3.0, -1.5, -1.0]))

    def forward(self, rows: Tensor) -> Tensor:
        """uint8 rows (n, >= 26) -> logits (n, 3)."""
        features = rows[:, :FEATURES].float() / 16
        band, detail, at = (rows[:, FEATURES + k].long() for k in range(3))
        bias = rounded(self.band)[band] + rounded(self.detail)[detail] + rounded(self.time)[at]
        hidden = activate(features @ rounded(self.first) + bias)
        hidden = activate(hidden @ rounded(self.second) + rounded(self.second_bias))
        return hidden @ rounded(self.last) + rounded(self.last_bias)


def activate(z: Tensor) -> Tensor:
    """clip(floor(z), 0, 255) in 1/16, as the integers do it."""
    floored: Tensor = _Floor.apply(z)  # type: ignore[no-untyped-call]
    return floored.clamp(0, 255 / 16)


def level_bits(logits: Tensor, magnitude: Tensor) -> Tensor:
    """Total bits of magnitudes (n,) under logits (n, 3), signs and escapes left out."""
    nonzero = (magnitude > 0).float()
    loss = functional.binary_cross_entropy_with_logits(logits[:, 0], nonzero, reduction="sum")
    at = magnitude > 0
    m = magnitude[at]
    loss = loss + functional.binary_cross_entropy_with_logits(
        logits[at, 1], (m > 1).float(), reduction="sum"
    )
    more = m > 1
    extra = (m[more].clamp(max=UNARY + 1) - 2).float()
    stops = (m[more] <= UNARY).float()
    z = logits[at][more][:, 2]
    loss = loss + (functional.softplus(-z) * extra + functional.softplus(z) * stops).sum()
    return loss / math.log(2)


# --- samples -----------------------------------------------------------------------------------


@dataclass
class Samples:
    """What one round of quantising the training clips gives.

    Attributes:
        rows: uint8 (n, 27): features, three class rows, magnitude.
        presence: int64 (classes, 8, 2), counts of absent and present groups.
        offsets: per bucket and magnitude class, sum of (|x| - m) and count.
    """

    rows: Rows
    presence: NDArray[np.int64]
    offsets: NDArray[np.float64]


def read_training_clips(folder: Path, sizes: tuple[int, ...]) -> Iterator[Clip]:
    """Every 32-frame clip of every video of a folder, centre square, at each size."""
    for path in sorted(folder.glob("*.mp4")):
        for size in sizes:
            with VideoReader(path, size=(size, size)) as reader:
                for clip in read_clips(reader, 32):
                    if clip.frames == 32:
                        yield clip


def collect(
    clips: list[Clip], tables: Tables, *, weight: float, keep: int, seed: int, per_clip: int = 2
) -> Samples:
    """Quantise every clip at `per_clip` random rates and sample its contexts."""
    rng = np.random.default_rng(seed)
    encoder = ResidualEncoder(tables, weight)
    presence = np.zeros((integer.PRESENCE_CLASSES, integer.PRESENCE_CONTEXTS, 2), np.int64)
    offsets = np.zeros((integer.RECONSTRUCTION_BUCKETS, 3, 2))
    kept = []
    for clip in tqdm(clips, disable=not sys.stderr.isatty(), desc="samples"):
        for _ in range(per_clip):
            quantiser = int(rng.integers(50, 165))
            kept.append(_sample(clip, quantiser, encoder, tables, presence, offsets, keep, rng))
    return Samples(np.concatenate(kept), presence, offsets)


def _sample(
    clip: Clip,
    quantiser: int,
    encoder: ResidualEncoder,
    tables: Tables,
    presence: NDArray[np.int64],
    offsets: NDArray[np.float64],
    keep: int,
    rng: np.random.Generator,
) -> Rows:
    layout = make_layout(clip.frames, clip.height, clip.width)
    coefficients = transform_clip(clip, None, layout)
    symbols = encoder.choose(layout, coefficients, quantiser).symbols
    parts = []
    for group in layout.groups:
        present = symbols.present[group.index]
        presence[integer.presence_class(group), symbols.presence(group), present] += 1
        if not present:
            continue
        window = slice(group.start, group.stop)
        levels = np.abs(symbols.signed[group.plane][group.band][window])
        unit = np.float32(1 / plane_steps(quantiser)[group.plane])
        size = np.abs(coefficients[group.plane][group.band][window] * unit)
        t, y, x = np.indices(levels.shape)
        for phase in range(2):
            mask = (group.start + t + y + x) % 2 == phase
            magnitude = levels[mask]
            features, logits = group_contexts(symbols, group, tables, quantiser, phase)
            rows = np.empty((magnitude.size, _LABEL + 1), np.uint8)
            rows[:, :FEATURES] = features
            rows[:, FEATURES] = integer.band_class(group)
            rows[:, FEATURES + 1] = integer.detail_class(group)
            rows[:, FEATURES + 2] = integer.time_classes(group, layout, phase)[t[mask]]
            rows[:, _LABEL] = np.minimum(magnitude, 31)
            parts.append(rows)
            at = np.flatnonzero(magnitude)
            kind = (bucket(logits[at, 0]), np.minimum(magnitude[at], 3) - 1)
            np.add.at(offsets[..., 0], kind, size[mask][at] - magnitude[at])
            np.add.at(offsets[..., 1], kind, 1)
    rows = np.concatenate(parts) if parts else np.zeros((0, _LABEL + 1), np.uint8)
    if len(rows) > keep:  # all rows of a clip weigh alike, so that big clips do not drown it
        rows = rows[rng.choice(len(rows), keep, replace=False)]
    return rows


# --- training and export -----------------------------------------------------------------------


def _export(network: _Network, presence: NDArray[np.uint16], offsets: NDArray[np.int8]) -> bytes:
    def grid(w: Tensor, unit: float) -> NDArray[np.int32]:
        return np.asarray(np.rint(w.detach().double().numpy() * unit), dtype=np.int32)

    # activations are in 1/16 and weights in 1/64, so biases are in 1/1024; features come in
    # 1/16 too
    logit = np.arange(-integer.LOGIT_LIMIT, integer.LOGIT_LIMIT) + 0.5
    p = np.clip(np.rint(65536 / (1 + np.exp(-logit / 16))), 1, 65535).astype(np.uint16)
    bias = {
        "band_rows": grid(rounded(network.band), 1024),
        "detail_rows": grid(rounded(network.detail), 1024),
        "time_rows": grid(rounded(network.time), 1024),
        "hidden_bias": grid(rounded(network.second_bias), 1024),
        "output_bias": grid(rounded(network.last_bias), 1024),
    }
    weights = {
        "input_weights": grid(network.first, integer.WEIGHT_UNIT).astype(np.int16),
        "hidden_weights": grid(network.second, integer.WEIGHT_UNIT).astype(np.int16),
        "output_weights": grid(network.last, integer.WEIGHT_UNIT).astype(np.int16),
    }
    return dump_safetensors(
        {**bias, **weights, "probability": p, "presence": presence, "reconstruction": offsets}
    )


def _presence_table(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Smoothed frequencies: contexts seldom seen lean on their class, classes on a half."""
    by_class = (counts[..., 1].sum(1) + 0.5) / (counts.sum((1, 2)) + 1)
    p = (counts[..., 1] + 2 * by_class[:, None]) / (counts.sum(-1) + 2)
    return np.asarray(np.clip(np.rint(p * 65536), 64, 65472), dtype=np.uint16)


def _offset_table(sums: NDArray[np.float64]) -> NDArray[np.int8]:
    mean = sums[..., 0] / np.maximum(sums[..., 1], 1)
    mean[sums[..., 1] < 100] = 0
    return np.asarray(np.clip(np.rint(mean * 128), -64, 64), dtype=np.int8)


def fit(
    samples: Samples, *, steps: int, seed: int, network: _Network | None = None
) -> tuple[bytes, _Network, float]:
    """Fit the network to samples: (tables as safetensors bytes, network, bits a row)."""
    torch.manual_seed(seed)
    network = network or _Network()
    rows = torch.from_numpy(samples.rows)
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    mean = 0.0
    for step in range(steps):
        batch = rows[torch.randint(len(rows), (16384,))]
        loss = level_bits(network(batch), batch[:, _LABEL].long()) / len(batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        mean += (loss.item() - mean) * max(0.005, 1 / (step + 1))
    tables = _export(network, _presence_table(samples.presence), _offset_table(samples.offsets))
    return tables, network, mean


def train(
    folder: Path,
    target: Path,
    *,
    rounds: int = 3,
    steps: int = 5000,
    weight: float = 0.13,
    sizes: tuple[int, ...] = (64, 96),
    keep: int = 4000,
    limit: int | None = None,
) -> dict[str, float]:
    """Alternate quantising and fitting; writes `target` after every round.

    Args:
        folder: training videos (`*.mp4`).
        weight: lambda of the rate-distortion choice.
        limit: use only so many clips (a quick trial).

    Returns:
        Figures of the last round; those of each are printed on standard error when it is over.
    """
    clips = list(read_training_clips(folder, sizes))
    np.random.default_rng(0).shuffle(clips)  # type: ignore[arg-type]
    clips = clips[:limit]
    tables, network = bootstrap_tables(), None
    record: dict[str, float] = {}
    for number in range(rounds):
        started = time.monotonic()
        part = clips if number else clips[: max(1, len(clips) // 4)]
        samples = collect(
            part, tables, weight=weight, keep=keep, seed=number, per_clip=1 + (number > 0)
        )
        data, network, bits = fit(samples, steps=steps, seed=number, network=network)
        tables = integer.parse_tables(data)
        target.write_bytes(data)
        record = {
            "round": number,
            "rows": len(samples.rows),
            "bits_per_row": round(bits, 5),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(json.dumps(record), file=sys.stderr, flush=True)
    return record
