"""The learned probability model: a small network in integers, and the tables it picks from.

    features (n, 23) 0..64 --W1--> + class rows --clip--> (n, H) 0..255 --W2--> (n, H) 0..255
        --W3--> three logits in 1/16 --> PROBABILITY[logit] / 65536

Number format: weights are integers in 1/64, activations in 1/16, so a product is in 1/1024 and
`floor(z / 64)` brings it back. Every partial sum is an integer below 2**24, hence exact in
float32 in any order of summation: matrix products may use any BLAS, any thread count, FMA or
not, and give the same integers. `load_tables` checks that bound.

The three logits are of: non-zero; magnitude > 1 given non-zero; magnitude > k + 1 given > k,
for k >= 1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from gistcast.codec.context import FEATURES
from gistcast.codec.errors import ModelError
from gistcast.codec.layout import MAX_RANK, MAX_TEMPORAL_GROUP, Group, Layout

F32 = NDArray[np.float32]
I16 = NDArray[np.int16]

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
    return ((1 if group.plane else 0) * 2 + phase) * 32 + np.minimum(frequency, 31)


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


@dataclass(frozen=True)
class Tables:
    """Integer weights and tables, as float32 holding integers where they enter a product.

    Attributes:
        hash: first four bytes of the SHA-256 of the file.
        probability: uint16 (352,), P(flag = 1) * 65536 for a logit.
        presence: uint16 (classes, 8), P(group present) * 65536.
        reconstruction: int8 (8, 3), where in its cell a magnitude of 1, 2, 3+ is put, in
            1/128 of a step, by bucket of the non-zero logit.
    """

    hash: bytes
    input_weights: F32
    band_rows: F32
    detail_rows: F32
    time_rows: F32
    hidden_weights: F32
    hidden_bias: F32
    output_weights: F32
    output_bias: F32
    probability: NDArray[np.uint16]
    presence: NDArray[np.uint16]
    reconstruction: NDArray[np.int8]

    def logits(
        self,
        features: NDArray[np.uint8],
        group: Group,
        layout: Layout,
        phase: int,
        planes: NDArray[np.int64],
    ) -> NDArray[np.int16]:
        """Logits (n, 3) of one phase, as indices 0..351 into `probability`.

        Args:
            features: uint8 (n, 23).
            planes: for each row, the index of its temporal plane within the group.
        """
        bias = self.time_rows[time_classes(group, layout, phase)] + (
            self.band_rows[band_class(group)] + self.detail_rows[detail_class(group)]
        )
        hidden = features.astype(np.float32) @ self.input_weights
        hidden += bias[planes]
        hidden = _activate(hidden)
        hidden = _activate(hidden @ self.hidden_weights + self.hidden_bias)
        out = np.floor((hidden @ self.output_weights + self.output_bias) * (1 / WEIGHT_UNIT))
        np.clip(out, -LOGIT_LIMIT, LOGIT_LIMIT - 1, out=out)
        return np.asarray(out + LOGIT_LIMIT, dtype=np.int16)


def _activate(z: F32) -> F32:
    """floor(z / 64) clipped to 0..255: exact, since z is an integer below 2**24."""
    z *= np.float32(1 / WEIGHT_UNIT)
    np.floor(z, out=z)
    np.clip(z, 0, ACTIVATION_MAX, out=z)
    return z


def _check_exact(weights: NDArray[np.int16], bias: NDArray[np.int32], largest: float) -> None:
    bound = np.abs(weights.astype(np.int64)).sum(0) * largest + np.abs(bias.astype(np.int64)).max(0)
    if bound.max() >= 1 << 24:
        raise ModelError("residual tables break the exactness bound of 2**24")


def parse_tables(data: bytes) -> Tables:
    """Build `Tables` from the bytes of a safetensors file.

    Raises:
        ModelError: a tensor is missing or of the wrong shape, or exactness is not guaranteed.
    """
    try:
        raw = parse_safetensors(data)
        hidden = raw["hidden_weights"].shape[0]
        rows = {
            "band_rows": (BAND_CLASSES, hidden),
            "detail_rows": (DETAIL_CLASSES, hidden),
            "time_rows": (TIME_CLASSES, hidden),
        }
        shapes = {
            "input_weights": (FEATURES, hidden),
            **rows,
            "hidden_weights": (hidden, hidden),
            "hidden_bias": (hidden,),
            "output_weights": (hidden, 3),
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
    tables = {"probability", "presence", "reconstruction"}
    floats = {n: raw[n].astype(np.float32) for n in shapes if n not in tables}
    return Tables(
        hash=hashlib.sha256(data).digest()[:4],
        probability=raw["probability"],
        presence=raw["presence"],
        reconstruction=raw["reconstruction"],
        **floats,
    )


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables shipped with this version."""
    if not _TABLES.is_file():
        raise ModelError(f"residual tables are missing: {_TABLES.name}")
    return parse_tables(_TABLES.read_bytes())
