"""The generator's training from nothing, as small as it gets: in order, resumed, exported."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec.errors import UsageError
from gistcast.models import run_scenes, scene_pool, zoo
from gistcast.models.run_scenes import SceneRun, strip, train_scenes, trained
from gistcast.models.scene_batches import SceneData
from gistcast.models.train_scene_gist import GistTrainer
from gistcast.models.train_sentence import train_sentence

RUN = SceneRun(
    Path(), Path(), clips=4, guides=2, gist_steps=3, guide_steps=2, painter_steps=3, gist_batch=2,
    painter_batch=2,
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SceneRun:
    monkeypatch.setattr(scene_pool, "_CHUNK", 4)
    monkeypatch.setattr(
        run_scenes, "train_sentence", partial(train_sentence, sentences=200, epochs=1)
    )
    fields = {name: getattr(RUN, name) for name in RUN.__dataclass_fields__}
    return SceneRun(**fields | {"cache": tmp_path / "scenes", "run": tmp_path / "run"})


def test_stages_in_order_and_weights_that_draw(run: SceneRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no guide"):
        trained(run)
    assert str(train_scenes(run, minutes=0, device="cpu")) == "stage 1: 0 of 3 steps"
    assert str(train_scenes(run, minutes=5, device="cpu")) == "stage 2: 3 of 3 steps"
    for stage in ("gist", "guide-0", "guide-1", "painter"):
        state = json.loads((run.run / stage / "checkpoint" / "state.json").read_text())
        assert state["step"] in (2, 3)
    path = tmp_path / "scenes.safetensors"
    model = trained(run, path)
    assert path.stat().st_size < 4 << 20
    picture = strip(model, ("golf in the pool", "sailing on snow"), frames=(0, 31))
    assert picture.shape == (128, 128, 3)
    assert picture.dtype == np.uint8
    loaded = zoo.load_scenes(path=path)
    drawn = [m.symbols("golf on grass", 1).latent for m in (model, loaded)]
    assert np.array_equal(*drawn)


def test_stage_1_learns_and_resumes_exactly(run: SceneRun) -> None:
    config = replace(run, gist_steps=80, gist_batch=4).gist
    whole = GistTrainer(config, torch.device("cpu"))
    errors = [whole.step()["error"] for _ in range(24)]
    assert np.mean(errors[-4:]) < 0.85 * np.mean(errors[:4])
    first = GistTrainer(config, torch.device("cpu"))
    for _ in range(20):
        first.step()
    first.save()
    second = GistTrainer(config, torch.device("cpu"))
    assert second.progress.step == 20
    rest = [second.step()["error"] for _ in range(4)]
    assert rest == pytest.approx(errors[20:], rel=1e-4)


def test_renders_of_training_hold_no_held_out_pair(run: SceneRun) -> None:
    data = run.gist.data()
    assert isinstance(data, SceneData)
    assert {scene.split for scene in data.pool.scenes} == {"train"}
