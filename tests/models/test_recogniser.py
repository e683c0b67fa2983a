"""The recogniser and its training, on made-up data: it learns, stops, resumes and is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models.data import Sample
from gistcast.models.recogniser import (
    ORDERS,
    Recogniser,
    RecogniserConfig,
    clip_features,
    load_recogniser,
    prepare,
)
from gistcast.models.steps import run_steps
from gistcast.models.train_recogniser import (
    OTHER,
    RecogniserTrainer,
    RecogniserTraining,
    accuracy,
    disorder,
    write_recogniser,
)

CPU = torch.device("cpu")
LABELS = ("scene 0", "scene 1", OTHER)


class _Scenes:
    """Stands in for the sampler of recordings: two kinds that have names, and a third."""

    def __init__(self, make_clip) -> None:
        self._make = make_clip

    def sample(self, rng: np.random.Generator) -> Sample:
        seed = int(rng.integers(3))
        return Sample(self._make(frames=8, seed=seed), "", f"scene {seed}")


@pytest.fixture
def trainer(tmp_path: Path, make_clip):
    config = RecogniserTraining(
        data=tmp_path, cache=tmp_path, run=tmp_path / "run", steps=12, batch=6, pool=9,
        report_every=4, features=6, widths=(4, 8, 8), noise=2.0,
    )  # fmt: skip
    return lambda: RecogniserTrainer(config, CPU, _Scenes(make_clip), LABELS)


def test_training_learns_and_resumes_exactly(trainer) -> None:
    whole = trainer()
    figures = [whole.step() for _ in range(12)]
    first, last = (np.mean([f["kind_loss"] for f in part]) for part in (figures[:3], figures[-3:]))
    assert last < first
    half = trainer()
    for _ in range(5):
        half.step()
    half.save()
    resumed = trainer()
    assert resumed.progress.step == 5
    for _ in range(7):
        resumed.step()
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    for name, tensor in whole.average.state.items():
        assert torch.equal(tensor, resumed.average.state[name]), name


def test_a_run_stops_at_the_end_of_its_schedule_and_writes_a_log(trainer) -> None:
    one = trainer()
    assert run_steps(one, one.config, 5) == 12
    log = (one.config.run / "log.jsonl").read_text().splitlines()
    assert len(log) == 3
    again = trainer()
    assert run_steps(again, again.config, 5) == 12  # nothing is left to do


def test_every_kind_comes_up_and_orders_differ(trainer) -> None:
    clips, kinds, orders = trainer().batch(np.random.default_rng(0))
    assert clips.shape == (6, 4, 8, 64, 64)
    assert clips[:, :3].abs().max() <= 1
    assert set(kinds.tolist()) <= {0, 1, 2}
    assert set(orders.tolist()) <= {0, 1, 2}


def test_disorder() -> None:
    rng = np.random.default_rng(1)
    assert disorder(32, "normal", rng).tolist() == list(range(32))
    assert len(set(disorder(32, "still", rng).tolist())) == 1
    shuffled = disorder(32, "shuffled", rng)
    assert sorted(shuffled.tolist()) == list(range(32)) != shuffled.tolist()
    assert (np.diff(shuffled) == 1).sum() >= 24  # stretches of four stay whole


def test_stored_in_half_precision_it_says_the_same(tmp_path: Path, make_clip) -> None:
    torch.manual_seed(0)
    network = Recogniser(RecogniserConfig(LABELS, 6, (4, 8, 8))).eval()
    write_recogniser(network, tmp_path / "r.safetensors")
    again = load_recogniser(tmp_path / "r.safetensors")
    assert again.config == network.config
    clips = [make_clip(seed=s) for s in range(2)]
    assert clip_features(again, clips) == pytest.approx(clip_features(network, clips), abs=5e-3)
    found = accuracy(again, [Sample(clips[0], "", "scene 0"), Sample(clips[1], "", "unheard of")])
    assert found["clips"] == 1
    assert 0 <= found["order"] <= 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    with pytest.raises(ModelError, match="no weights"):
        load_recogniser(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="does not hold"):
        load_recogniser(path)


def test_clips_of_any_size_are_seen_alike(make_clip) -> None:
    large = np.asarray(np.kron(np.ones((8, 1, 1, 1)), np.full((1, 96, 128, 3), 40)), np.uint8)
    x = prepare(large)
    assert x.shape == (1, 4, 8, 64, 64)
    assert x[:, :3].mean() == pytest.approx(40 / 127.5 - 1, abs=1e-5)
    assert x[:, 3].abs().max() == 0


def test_small_or_short_clips_and_wrong_shapes_are_refused(make_clip) -> None:
    network = Recogniser(RecogniserConfig(LABELS, 6, (4, 8, 8))).eval()
    with pytest.raises(UsageError, match="8 frames"):
        clip_features(network, [make_clip(frames=7)])
    with pytest.raises(UsageError, match="32 pixels"):
        clip_features(network, [make_clip(height=30)])
    with pytest.raises(UsageError):
        RecogniserConfig((), 6)
    assert len(ORDERS) == 3
