"""The sign network: its float twin, what it is trained from, and that it is worth its bytes."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec import tables as integer
from gistcast.codec.camera import still_ground
from gistcast.codec.errors import ModelError
from gistcast.codec.media import load_clip
from gistcast.codec.residual import ResidualEncoder, group_signs
from gistcast.codec.tables import HIDDEN, SIGNS, Tables, load_tables
from gistcast.models.signs import SignNetwork, SignSamples, bits_per_sign, train_signs

STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"
QUANTISER = 100


def _samples(tables: Tables) -> tuple[SignSamples, float]:
    """The signs of the bundled clip, and the bits that the encoder counts for them."""
    clip, _ = load_clip(STREET, size=(64, 64))
    ground = still_ground(clip, None)
    chosen = ground.choose(ResidualEncoder(tables, 0.13), QUANTISER)
    rows, parts = [], []
    for group in ground.layout.groups:
        parts.append(group_signs(chosen.symbols, group, tables))
        rows += [integer.sign_class(group)] * len(parts[-1][1])
    around, negative = (np.concatenate(part) for part in zip(*parts, strict=True))
    bare = load_tables(1)  # counts no signs
    magnitudes = ground.choose(ResidualEncoder(bare, 0.13), QUANTISER).group_bits().sum()
    bits = float(chosen.group_bits().sum() - magnitudes)
    return SignSamples(around, np.array(rows, np.int16), negative), bits


def _float_twin(tables: Tables) -> SignNetwork:
    network, signs = SignNetwork(), tables.signs
    values = {
        "first": signs.sign_input_weights / 16 / 64,
        "rows": signs.sign_rows / 1024,
        "second": signs.sign_hidden_weights / 64,
        "second_bias": signs.sign_hidden_bias / 1024,
        "last": signs.sign_output_weights / 64,
    }
    network.load_state_dict({name: torch.from_numpy(np.asarray(v)) for name, v in values.items()})
    return network


def test_float_twin_counts_what_the_codec_counts() -> None:
    tables = load_tables()
    samples, bits = _samples(tables)
    assert len(samples.row) > 1000
    twin = bits_per_sign(_float_twin(tables), samples) * len(samples.row)
    assert bits == pytest.approx(twin, rel=0.01)


def test_prediction_pays() -> None:
    samples, bits = _samples(load_tables())
    assert bits < 0.9 * len(samples.row)


def test_turned_round_it_says_the_opposite() -> None:
    samples, _ = _samples(load_tables())
    network = _float_twin(load_tables())
    around, row = torch.from_numpy(samples.around), torch.from_numpy(samples.row).long()
    turned = around.clone()
    turned[:, :SIGNS] *= -1
    with torch.no_grad():
        assert torch.allclose(network(around, row), -network(turned, row), atol=1e-3)


def test_tables_without_signs_write_nothing() -> None:
    clip, _ = load_clip(STREET, size=(32, 32), frames=4)
    ground = still_ground(clip, None)
    chosen = ground.choose(ResidualEncoder(load_tables(1), 0.13), QUANTISER)
    with pytest.raises(ModelError, match="sign network"):
        chosen.layer(0, len(ground.layout.groups))


def test_a_training(tmp_path: Path) -> None:
    videos, target = tmp_path / "videos", tmp_path / "tables.safetensors"
    videos.mkdir()
    shutil.copy(STREET, videos / "street.mp4")
    figures = train_signs(videos, integer.path_of(1), target, steps=3, sizes=(32, 48), keep=200)
    assert figures["signs"] > 100 and 0.5 < figures["bits_per_sign"] < 2
    made = integer.parse_tables(target.read_bytes())
    assert made.signs.known and not load_tables(1).signs.known
    assert made.signs.sign_rows.shape == (integer.SIGN_CLASSES, HIDDEN)
    assert np.array_equal(made.weights.hidden_weights, load_tables(1).weights.hidden_weights)
    assert math.isfinite(bits_per_sign(_float_twin(made), _samples(made)[0]))
