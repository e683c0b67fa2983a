"""The learned probability model: a small network in integers, and the tables it picks from.

    features (23,) 0..64 --W1--> + class rows --clip--> (32,) 0..255 --W2--> (32,) 0..255
        --W3--> three logits in 1/16 --> PROBABILITY[logit] / 65536

Number format: weights are integers in 1/64, activations in 1/16, so a product is in 1/1024 and
`floor(z / 64)` brings it back. Every partial sum is an integer below 2**24: `parse_tables` checks
that bound. The network itself is `kernels/network.py`.

The three logits are of: non-zero; magnitude > 1 given non-zero; magnitude > k + 1 given > k,
for k >= 1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from gistcast.codec.errors import ModelError
from gistcast.codec.layout import MAX_RANK, MAX_TEMPORAL_GROUP, Group, Layout

I32 = NDArray[np.int32]

FEATURES = 23
HIDDEN = 32  #: units of each hidden layer
LOGIT_LIMIT = 176  #: logits are clipped to -176..175, in 1/16
WEIGHT_UNIT = 64.0
ACTIVATION_MAX = 255.0
RECONSTRUCTION_BUCKETS = 8

_TABLES = Path(__file__).parent / "tables" / "residual-1.safetensors"


def band_class(group: Group) -> int:
    """Row of the band table: plane (3) x orientation (4) x rank (8)."""
    return (group.plane * 4 + group.band[1]) * (MAX_RANK + 1) + group.rank


def detail_class(group: Group) -> int:
    """Row of the detail table: chroma? (2) x wavelet level, finest first (8)."""
    return (1 if group.plane else 0) * (MAX_RANK + 1) + group.band[0]


def time_classes(group: Group, layout: Layout, phase: int) -> NDArray[np.int64]:
    """Rows of the time table for each plane of the group: chroma? x phase x frequency (32)."""
    frequency = np.arange(group.start, group.stop) * 32 // max(1, layout.frames)
    return time_class(group, phase) + np.minimum(frequency, 31)


def time_class(group: Group, phase: int) -> int:
    """The first of the rows of the time table for a phase."""
    return ((1 if group.plane else 0) * 2 + phase) * 32


BAND_CLASSES = 3 * 4 * (MAX_RANK + 1)
DETAIL_CLASSES = 2 * (MAX_RANK + 1)
TIME_CLASSES = 2 * 2 * 32
PRESENCE_CONTEXTS = 8


def presence_class(group: Group) -> int:
    """Row of the presence table: chroma? x (rank 0 or orientation HH or other) x rank x time."""
    kind = 2 if group.band[1] == 3 else 1 if group.band[1] else 0
    return (((1 if group.plane else 0) * 3 + kind) * (MAX_RANK + 1) + group.rank) * (
        MAX_TEMPORAL_GROUP + 1
    ) + group.temporal


PRESENCE_CLASSES = 2 * 3 * (MAX_RANK + 1) * (MAX_TEMPORAL_GROUP + 1)


class Weights(NamedTuple):
    """Integers of the network, all int32: layers (inputs, 32), where 0 stands for a 24th feature;
    the last one (3, 32); rows of biases by class."""

    input_weights: I32
    band_rows: I32
    detail_rows: I32
    time_rows: I32
    hidden_weights: I32
    hidden_bias: I32
    output_weights: I32
    output_bias: I32


@dataclass(frozen=True)
class Tables:
    """The network and the tables that its logits pick from.

    Attributes:
        hash: first four bytes of the SHA-256 of the file.
        probability: uint16 (352,), P(flag = 1) * 65536 for a logit.
        presence: uint16 (classes, 8), P(group present) * 65536.
        reconstruction: int8 (8, 3), where in its cell a magnitude of 1, 2, 3+ is put, in
            1/128 of a step, by bucket of the non-zero logit.
    """

    hash: bytes
    weights: Weights
    probability: NDArray[np.uint16]
    presence: NDArray[np.uint16]
    reconstruction: NDArray[np.int8]


def _check_exact(weights: NDArray[np.int16], bias: NDArray[np.int32], largest: float) -> None:
    bound = np.abs(weights.astype(np.int64)).sum(0) * largest + np.abs(bias.astype(np.int64)).max(0)
    if bound.max() >= 1 << 24:
        raise ModelError("residual tables break the exactness bound of 2**24")


def _weights(raw: dict[str, NDArray[Any]]) -> Weights:
    arrays = {name: raw[name] for name in Weights._fields}
    arrays["input_weights"] = np.pad(raw["input_weights"], ((0, 1), (0, 0)))
    arrays["output_weights"] = raw["output_weights"].T
    return Weights(**{name: np.ascontiguousarray(a, np.int32) for name, a in arrays.items()})


def parse_tables(data: bytes) -> Tables:
    """Build `Tables` from the bytes of a safetensors file.

    Raises:
        ModelError: a tensor is missing or of the wrong shape, or exactness is not guaranteed.
    """
    try:
        raw = parse_safetensors(data)
        rows = {
            "band_rows": (BAND_CLASSES, HIDDEN),
            "detail_rows": (DETAIL_CLASSES, HIDDEN),
            "time_rows": (TIME_CLASSES, HIDDEN),
        }
        shapes = {
            "input_weights": (FEATURES, HIDDEN),
            **rows,
            "hidden_weights": (HIDDEN, HIDDEN),
            "hidden_bias": (HIDDEN,),
            "output_weights": (HIDDEN, 3),
            "output_bias": (3,),
            "probability": (2 * LOGIT_LIMIT,),
            "presence": (PRESENCE_CLASSES, PRESENCE_CONTEXTS),
            "reconstruction": (RECONSTRUCTION_BUCKETS, 3),
        }
        for name, shape in shapes.items():
            if raw[name].shape != shape or raw[name].dtype.kind not in "iu":
                raise ModelError(f"residual table {name} is {raw[name].shape}, not {shape}")
        if raw["probability"].min() < 1 or raw["presence"].min() < 1:
            raise ModelError("residual tables hold a probability of zero")
    except (KeyError, IndexError, ValueError, OSError, SafetensorError) as error:
        raise ModelError(f"residual tables cannot be read: {error}") from error
    worst_rows = sum(np.abs(raw[name].astype(np.int64)).max(0) for name in rows)
    _check_exact(raw["input_weights"], worst_rows, 64)
    _check_exact(raw["hidden_weights"], raw["hidden_bias"], ACTIVATION_MAX)
    _check_exact(raw["output_weights"], raw["output_bias"], ACTIVATION_MAX)
    return Tables(
        hash=hashlib.sha256(data).digest()[:4],
        weights=_weights(raw),
        probability=raw["probability"],
        presence=raw["presence"],
        reconstruction=raw["reconstruction"],
    )


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables shipped with this version."""
    if not _TABLES.is_file():
        raise ModelError(f"residual tables are missing: {_TABLES.name}")
    return parse_tables(_TABLES.read_bytes())
