"""The training loops on made-up data: they run, learn, stop on a budget and resume exactly."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models import run_refiner, training, zoo
from gistcast.models import train_refiner as refiner_module
from gistcast.models.gist import GistConfig
from gistcast.models.lpips import load_lpips
from gistcast.models.pairs import ClipShapes, Pair, Sketch, write_pair
from gistcast.models.refiner import RefinerConfig
from gistcast.models.train_gist import GistTrainer, GistTraining, export_gist, train_gist
from gistcast.models.train_refiner import RefinerTrainer, RefinerTraining

CPU = torch.device("cpu")


@pytest.fixture
def config(cache: Path, monkeypatch: pytest.MonkeyPatch) -> RefinerTraining:
    # the loss of real runs is not bundled; the metric that is stands in for it
    monkeypatch.setattr(refiner_module, "load_lpips", lambda name, path=None: load_lpips("alex"))
    return RefinerTraining(
        data=cache,
        cache=cache,
        run=cache / "run",
        steps=50,
        windows=1,
        perceptual_from=0.02,
        adversarial_from=0.04,
        shapes=ClipShapes(sizes=((32, 1.0),), lengths=((8, 1.0),)),
        gist=cache / "absent",
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
    assert second.progress.step == 3
    for _ in range(2):
        second.step()
    expected, got = _weights(whole.generator), _weights(second.generator)
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    critics = whole.critic.module.state_dict(), second.critic.module.state_dict()
    assert all(torch.equal(critics[0][key], critics[1][key]) for key in critics[0])


def test_a_run_is_bounded_resumable_and_exported(
    config: RefinerTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_refiner, "_REPORT_SECONDS", 0)
    config = replace(config, steps=5)
    assert run_refiner.train_refiner(config, minutes=0, device="cpu") == 0
    assert run_refiner.train_refiner(config, minutes=5, device="cpu") == 5
    rows = [json.loads(r) for r in (config.run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1]["share"] == 1
    assert any("critic" in row for row in rows)
    assert all(f.stat().st_size < 16 << 20 for f in (config.run / "checkpoint").iterdir())
    out = config.run / "out.safetensors"
    run_refiner.export_refiner(config, out)
    assert out.read_bytes() == (config.run / "refiner.safetensors").read_bytes()
    assert zoo.load_refiner(path=out).generator.config == config.network
    with pytest.raises(UsageError, match="no checkpoint"):
        run_refiner.export_refiner(replace(config, run=config.cache / "none"), out)


def test_a_plan_in_minutes_ends_when_they_are_used_up(config: RefinerTraining) -> None:
    planned = replace(config, plan=1e-5)  # less than one step takes
    assert run_refiner.train_refiner(planned, minutes=5, device="cpu") == 1
    trainer = RefinerTrainer(planned, CPU)
    assert trainer.share == 1
    assert trainer.progress.seconds > 6e-4
    assert RefinerTrainer(replace(planned, plan=1e6), CPU).share < 1e-3


def test_the_command_trains_and_goes_on_elsewhere(
    config: RefinerTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = config.cache
    command = ["run_refiner", str(folder), "--work", str(folder), "--device", "cpu"]
    command += ["--widths", "4,6,8", "--blocks", "1,1,1", "--windows", "1", "--minutes", "5"]
    command += ["--batch", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--steps", "2", "--out", str(folder / "a")])
    assert run_refiner.main() == 0
    more = [*command, "--steps", "3", "--out", str(folder / "b"), "--resume", str(folder / "a")]
    monkeypatch.setattr(sys, "argv", more)
    assert run_refiner.main() == 0
    assert "3 steps" in capsys.readouterr().err
    assert json.loads((folder / "a/checkpoint/state.json").read_text())["step"] == 2
    monkeypatch.setattr(sys, "argv", [*command, "--resume", str(folder / "none")])
    assert run_refiner.main() == 1
    assert "no checkpoint" in capsys.readouterr().err


def test_a_run_starts_from_weights(config: RefinerTraining, tmp_path: Path) -> None:
    first = RefinerTrainer(config, CPU)
    first.step()
    first.save()
    weights = config.run / "refiner.safetensors"
    second = RefinerTrainer(replace(config, run=tmp_path / "new", start=weights), CPU)
    assert second.progress.step == 0
    for key, value in second.network.state_dict().items():
        assert torch.allclose(value, first.averaged().state_dict()[key], atol=2e-3), key
    with pytest.raises(ModelError, match="no weights"):
        RefinerTrainer(replace(config, run=tmp_path / "x", start=tmp_path / "absent"), CPU)


def test_the_generator_learns(config: RefinerTraining) -> None:
    only_distortion = replace(config, rate=5e-3, perceptual_from=1.0, steps=80, batch=4)
    trainer = RefinerTrainer(only_distortion, CPU)
    gains = [float(trainer.step()["gain_db_0"]) for _ in range(40)]
    assert np.mean(gains[-15:]) > 0.003 > np.mean(gains[:3])


def test_a_checkpoint_is_dealt_out_to_small_files(
    config: RefinerTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = RefinerTrainer(config, CPU)
    trainer.step()
    monkeypatch.setattr(training, "_FILE_BYTES", 20_000)
    trainer.save()
    assert len(list((config.run / "checkpoint").glob("tensors-*.safetensors"))) > 3
    again = RefinerTrainer(config, CPU)
    expected, got = _weights(trainer.generator), _weights(again.generator)
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_what_does_not_compile_runs_uncompiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(function: object, dynamic: bool) -> object:
        def fail(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    double = training.compiled(lambda x: 2 * x, torch.device("cuda"))
    assert [float(double(torch.tensor(3.0))) for _ in range(2)] == [6, 6]
    assert capsys.readouterr().err.count("no compiler") == 1


def test_another_network_is_refused(config: RefinerTraining) -> None:
    RefinerTrainer(config, CPU).save()
    other = replace(config, network=replace(config.network, widths=(4, 6, 10)))
    with pytest.raises(ModelError):
        RefinerTrainer(other, CPU)


def test_no_data_no_training(config: RefinerTraining, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="manifest"):
        RefinerTrainer(replace(config, cache=tmp_path / "empty"), CPU).step()


def test_the_codecs_own_pairs_are_learned_from(config: RefinerTraining, make_clip) -> None:
    (config.cache / "coded-32").mkdir()
    clip, sketch = make_clip(frames=8, height=32, width=32), make_clip(8, 32, 32, seed=1)
    pair = Pair(clip, Sketch(sketch, 33.0, (1, 3, 5, 7)), "")
    write_pair(config.cache / "coded-32" / "0.safetensors", pair)
    always = replace(config, shapes=replace(config.shapes, coded=1.0))
    batch = RefinerTrainer(always, CPU).batch(np.random.default_rng(0))
    assert batch.condition.step.tolist() == [33, 33]
    assert batch.condition.kept == [(1, 3, 5, 7)] * 2
    assert float((batch.sketch[..., :4].mean() - float(sketch.y.mean())).abs()) < 0.1


def test_gists_alone_are_refined_too(
    config: RefinerTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refiner_module, "_GIST_ALONE", 1.0)
    batch = RefinerTrainer(replace(config, gist=zoo.GIST), CPU).batch(np.random.default_rng(0))
    assert batch.condition.step.tolist() == [0, 0]
    assert bool(batch.condition.latent.any())
    assert batch.sketch.shape == batch.clip.shape
    assert float((batch.sketch - batch.clip).abs().mean()) > 3


def test_stage_one_learns_resumes_and_exports(tmp_path: Path, make_clip) -> None:
    rng = np.random.default_rng(0)
    grids = rng.integers(16, 235, (16, 8, 8, 8, 6), dtype=np.uint8)
    meta = {"captions": json.dumps(["a scene"] * 16)}
    save_file({"grids": grids}, str(tmp_path / "grids-16.safetensors"), metadata=meta)
    network = GistConfig(latents=4, latent_range=3, hidden=16, text=4)
    config = GistTraining(
        data=tmp_path,
        cache=tmp_path,
        run=tmp_path / "run",
        grids=16,
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
    rates = [training.learning_rate(step, step / 1000, 1.0) for step in (0, 50, 300, 800, 1000)]
    assert rates == pytest.approx([0.01, 0.51, 1.0, 0.5, 0.0])
