"""The training loops on made-up data: they run, learn, stop on a budget and resume exactly."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models import training, zoo
from gistcast.models.data import Sample
from gistcast.models.gist import GistConfig
from gistcast.models.pairs import write_shard
from gistcast.models.refiner import RefinerConfig
from gistcast.models.train_gist import GistTrainer, GistTraining, export_gist, train_gist
from gistcast.models.train_refiner import (
    RefinerTrainer,
    RefinerTraining,
    export_refiner,
    train_refiner,
)

CPU = torch.device("cpu")


class _Scenes:
    """Stands in for the samplers of real clips and stills."""

    def __init__(self, make_clip) -> None:
        self._make = make_clip

    def sample(self, rng: np.random.Generator) -> Sample:
        seed = int(rng.integers(4))
        return Sample(self._make(frames=8, height=32, width=32, seed=seed), f"scene {seed}")


@pytest.fixture
def config(tmp_path: Path, make_clip) -> RefinerTraining:
    scenes = _Scenes(make_clip)
    path = tmp_path / "pairs" / "pairs-0000.safetensors"
    write_shard(path, (scenes, scenes), np.random.default_rng(0), clips=4)  # type: ignore[arg-type]
    return RefinerTraining(
        cache=tmp_path,
        run=tmp_path / "run",
        steps=50,
        perceptual_from=1,
        adversarial_from=2,
        report_every=1,
        vgg=tmp_path / "absent",
        gist=tmp_path / "absent",
        network=RefinerConfig(widths=(4, 6, 8), blocks=(1, 1, 1), condition=8, text=4),
    )


def _weights(part: training.Trained) -> dict[str, torch.Tensor]:
    assert part.average is not None
    return part.module.state_dict() | {f"average.{k}": v for k, v in part.average.state.items()}


def test_a_resumed_run_goes_on_exactly(config: RefinerTraining) -> None:
    whole = RefinerTrainer(config, CPU)
    for _ in range(5):
        whole.step()
    first = RefinerTrainer(config, CPU)
    for _ in range(3):  # past the start of every loss
        first.step()
    first.save()
    second = RefinerTrainer(config, CPU)
    assert second.done == 3
    for _ in range(2):
        second.step()
    expected, got = _weights(whole.generator), _weights(second.generator)
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    critics = whole.critic.module.state_dict(), second.critic.module.state_dict()
    assert all(torch.equal(critics[0][key], critics[1][key]) for key in critics[0])


def test_the_loop_logs_stops_and_exports(config: RefinerTraining, tmp_path: Path) -> None:
    assert train_refiner(config, minutes=0, device="cpu") == 0
    assert train_refiner(replace(config, steps=3), minutes=5, device="cpu") == 3
    rows = [json.loads(r) for r in (config.run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert "critic" in rows[-1]
    files = list((config.run / "checkpoint").iterdir())
    assert all(f.stat().st_size <= 16 << 20 for f in files)
    export_refiner(config, tmp_path / "out.safetensors")
    refiner = zoo.load_refiner(path=tmp_path / "out.safetensors")
    assert refiner.generator.config == config.network


def test_the_generator_learns(config: RefinerTraining) -> None:
    trainer = RefinerTrainer(
        replace(config, rate=5e-3, perceptual_from=99, adversarial_from=99), CPU
    )
    gains = [trainer.step()["gain_db_0"] for _ in range(40)]
    assert np.mean(gains[-8:]) > 0.02


def test_another_network_is_refused(config: RefinerTraining) -> None:
    RefinerTrainer(config, CPU).save()
    other = replace(config, network=replace(config.network, widths=(4, 6, 10)))
    with pytest.raises(ModelError):
        RefinerTrainer(other, CPU)


def test_no_pairs_no_training(config: RefinerTraining, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pairs"):
        RefinerTrainer(replace(config, cache=tmp_path / "empty"), CPU).step()


def test_stage_one_learns_resumes_and_exports(tmp_path: Path, make_clip) -> None:
    rng = np.random.default_rng(0)
    grids = rng.integers(16, 235, (16, 8, 8, 8, 6), dtype=np.uint8)
    meta = {"captions": json.dumps(["a scene"] * 16)}
    save_file({"grids": grids}, str(tmp_path / "grids-16.safetensors"), metadata=meta)
    network = GistConfig(latents=4, latent_range=3, hidden=16, text=4)
    config = GistTraining(
        tmp_path,
        tmp_path,
        tmp_path / "run",
        16,
        steps=20,
        batch=8,
        report_every=10,
        network=network,
    )
    whole = GistTrainer(config, CPU)
    errors = [whole.step()["error"] for _ in range(20)]
    assert np.mean(errors[-5:]) < np.mean(errors[:5])
    assert train_gist(replace(config, steps=9), minutes=5, device="cpu") == 9
    resumed = GistTrainer(config, CPU)
    for _ in range(11):
        resumed.step()
    state = resumed.network.state_dict()
    # the first nine steps ran on another schedule of rates, so compare a second resumption
    assert resumed.done == 20
    again = GistTrainer(config, CPU)
    for _ in range(11):
        again.step()
    assert all(torch.equal(state[k], v) for k, v in again.network.state_dict().items())
    export_gist(config, tmp_path / "gist.safetensors")
    gist = zoo.load_gist(path=tmp_path / "gist.safetensors")
    assert np.abs(gist.describe(make_clip())).max() <= 3


def test_devices_and_rates() -> None:
    assert training.pick_device("cpu").type == "cpu"
    with pytest.raises(UsageError):
        training.pick_device("tpu")
    rates = [training.learning_rate(step, 1000, 1.0) for step in (0, 50, 300, 800, 1000)]
    assert rates == pytest.approx([0.01, 0.51, 1.0, 0.5, 0.0])
