"""The learned probability model: a small network in integers, and the tables it picks from.

    features (23,) 0..64 --W1--> + class rows --clip--> (32,) 0..255 --W2--> (32,) 0..255
        --W3--> three logits in 1/16 --> PROBABILITY[logit] / 65536

Number format: weights are integers in 1/64, activations in 1/16, so a product is in 1/1024 and
`floor(z / 64)` brings it back. Every partial sum is an integer below 2**24: `parse_tables` checks
that bound. The network itself is `kernels/network.py`.

The three logits are of: non-zero; magnitude > 1 given non-zero; magnitude > k + 1 given > k,
for k >= 1.

A second network of the same make gives the logit of a minus from the signs around: it is taken
twice, with all signs as they are and turned round, and the difference counts.
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
WEIGHT_UNIT = 64.0  #: integers that make 1
ACTIVATION_MAX = 255.0
RECONSTRUCTION_BUCKETS = 8

SIGNS, PLAIN = 48, 6  #: inputs of the sign network: signed ones, then those that have no sign
LARGEST_SIGNED = 3  #: signed inputs are clipped to -3..3

_FOLDER = Path(__file__).parent / "tables"


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


def sign_class(group: Group) -> int:
    """Row of the sign table: plane (3) x rank (8) x orientation (4) x time (6)."""
    place = (group.plane * (MAX_RANK + 1) + group.rank) * 4 + group.band[1]
    return place * (MAX_TEMPORAL_GROUP + 1) + group.temporal


SIGN_CLASSES = 3 * (MAX_RANK + 1) * 4 * (MAX_TEMPORAL_GROUP + 1)


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


class SignWeights(NamedTuple):
    """Integers of the sign network, all int32: layers (54, 32), (32, 32) and (32,), the first one
    times 16, so that its inputs count in whole levels; rows of biases by class. Without rows where
    signs are not predicted."""

    sign_input_weights: I32
    sign_rows: I32
    sign_hidden_weights: I32
    sign_hidden_bias: I32
    sign_output_weights: I32

    @property
    def known(self) -> bool:
        """Whether signs are predicted."""
        return self.sign_input_weights.size > 0


@dataclass(frozen=True)
class Tables:
    """The networks and the tables that their logits pick from.

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
    signs: SignWeights


def _check_exact(
    weights: NDArray[np.signedinteger[Any]], bias: NDArray[np.int32], largest: float
) -> None:
    bound = np.abs(weights.astype(np.int64)).sum(0) * largest + np.abs(bias.astype(np.int64)).max(0)
    if bound.max() >= 1 << 24:
        raise ModelError("residual tables break the exactness bound of 2**24")


def _weights(raw: dict[str, NDArray[Any]]) -> Weights:
    arrays = {name: raw[name] for name in Weights._fields}
    arrays["input_weights"] = np.pad(raw["input_weights"], ((0, 1), (0, 0)))
    arrays["output_weights"] = raw["output_weights"].T
    return Weights(**{name: np.ascontiguousarray(a, np.int32) for name, a in arrays.items()})


def _sign_weights(raw: dict[str, NDArray[Any]]) -> SignWeights:
    if "sign_rows" not in raw:
        none, empty = np.zeros((0, HIDDEN), np.int32), np.zeros(0, np.int32)
        return SignWeights(none, none, none, empty, empty)
    arrays = {name: raw[name].astype(np.int32) for name in SignWeights._fields}
    arrays["sign_input_weights"] *= 16
    return SignWeights(**arrays)


_ROWS = {
    "band_rows": (BAND_CLASSES, HIDDEN),
    "detail_rows": (DETAIL_CLASSES, HIDDEN),
    "time_rows": (TIME_CLASSES, HIDDEN),
}
_SHAPES: dict[str, tuple[int, ...]] = {
    "input_weights": (FEATURES, HIDDEN),
    **_ROWS,
    "hidden_weights": (HIDDEN, HIDDEN),
    "hidden_bias": (HIDDEN,),
    "output_weights": (HIDDEN, 3),
    "output_bias": (3,),
    "probability": (2 * LOGIT_LIMIT,),
    "presence": (PRESENCE_CLASSES, PRESENCE_CONTEXTS),
    "reconstruction": (RECONSTRUCTION_BUCKETS, 3),
}
_SIGN_SHAPES: dict[str, tuple[int, ...]] = {
    "sign_input_weights": (SIGNS + PLAIN, HIDDEN),
    "sign_rows": (SIGN_CLASSES, HIDDEN),
    "sign_hidden_weights": (HIDDEN, HIDDEN),
    "sign_hidden_bias": (HIDDEN,),
    "sign_output_weights": (HIDDEN,),
}


def parse_tables(data: bytes) -> Tables:
    """Build `Tables` from the bytes of a safetensors file.

    Raises:
        ModelError: a tensor is missing or of the wrong shape, or exactness is not guaranteed.
    """
    try:
        raw = parse_safetensors(data)
        shapes = _SHAPES | (_SIGN_SHAPES if "sign_rows" in raw else {})
        for name, shape in shapes.items():
            if raw[name].shape != shape or raw[name].dtype.kind not in "iu":
                raise ModelError(f"residual table {name} is {raw[name].shape}, not {shape}")
        if raw["probability"].min() < 1 or raw["presence"].min() < 1:
            raise ModelError("residual tables hold a probability of zero")
    except (KeyError, IndexError, ValueError, OSError, SafetensorError) as error:
        raise ModelError(f"residual tables cannot be read: {error}") from error
    worst_rows = sum(np.abs(raw[name].astype(np.int64)).max(0) for name in _ROWS)
    _check_exact(raw["input_weights"], worst_rows, 64)
    _check_exact(raw["hidden_weights"], raw["hidden_bias"], ACTIVATION_MAX)
    _check_exact(raw["output_weights"], raw["output_bias"], ACTIVATION_MAX)
    signs = _sign_weights(raw)
    if signs.known:
        _check_exact(signs.sign_input_weights, signs.sign_rows, LARGEST_SIGNED)
        _check_exact(raw["sign_hidden_weights"], raw["sign_hidden_bias"], ACTIVATION_MAX)
        _check_exact(raw["sign_output_weights"], np.zeros(1, np.int32), 2 * ACTIVATION_MAX)
    return Tables(
        hash=hashlib.sha256(data).digest()[:4],
        weights=_weights(raw),
        probability=raw["probability"],
        presence=raw["presence"],
        reconstruction=raw["reconstruction"],
        signs=signs,
    )


NEWEST = 2  #: edition of the tables that streams are written with


def path_of(edition: int) -> Path:
    """Where an edition of the tables lies."""
    return _FOLDER / f"residual-{edition}.safetensors"


@lru_cache(maxsize=2)
def load_tables(edition: int = NEWEST) -> Tables:
    """The tables shipped with this version: edition 1 without the sign network, or 2."""
    path = path_of(edition)
    if not path.is_file():
        raise ModelError(f"residual tables are missing: {path.name}")
    tables = parse_tables(path.read_bytes())
    if tables.signs.known != (edition > 1):
        raise ModelError(f"{path.name} is not of edition {edition}")
    return tables
