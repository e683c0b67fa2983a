"""The judge: what it looks at, how it is counted, that training resumes, the shipped weights."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.codec.errors import ModelError, UsageError
from gistcast.models import scene_pool, zoo
from gistcast.models.judge import Answer, Judge, JudgeConfig, accuracy, ask, looked_at
from gistcast.models.scene_pool import render_packed
from gistcast.models.scenes import ACTIONS, HELD_OUT, SURROUNDINGS, choose
from gistcast.models.train_judge import (
    GUIDE,
    JudgeTrainer,
    JudgeTraining,
    augment,
    export_judge,
    train_judge,
)


def test_it_looks_at_frames_of_the_whole_clip() -> None:
    assert looked_at(32).tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert looked_at(8).tolist() == list(range(8))


def test_accuracy_counts_both_and_each() -> None:
    answer = Answer(np.array([0, 1, 2, 3]), np.array([0, 1, 1, 3]))
    names = [ACTIONS[i] for i in (0, 1, 2, 4)], [SURROUNDINGS[i] for i in (0, 0, 1, 3)]
    found = accuracy(answer, *names)
    assert (found.joint, found.action, found.surroundings, found.clips) == (0.5, 0.75, 0.75, 4)


def test_shipped_weights_know_scenes_even_held_out_ones() -> None:
    judge = zoo.load_judge()
    scenes = [*islice(choose(77, "val"), 8), *islice(choose(77, "held-out"), 8)]
    answer = ask(judge, [render_packed(scene) for scene in scenes])
    found = accuracy(answer, [s.action for s in scenes], [s.surroundings for s in scenes])
    assert found.joint >= 0.9
    with pytest.raises(ModelError):
        zoo.load_judge(path=zoo.GIST)


def test_motion_is_seen() -> None:
    torch.manual_seed(0)
    judge = Judge(JudgeConfig((4, 4, 4, 4))).eval()
    clip = 128 + 40 * torch.randn(1, 8, 32, 32, 6)
    order = torch.tensor([7, 1, 4, 2, 0, 6, 3, 5])
    with torch.no_grad():
        assert not torch.allclose(judge(clip).action, judge(clip[:, order]).action)


def test_augmentation_keeps_cells_whole() -> None:
    planes = np.zeros((1, 2, 4, 4, 6), np.uint8) + 128
    planes[..., 0, 0] = 200  # the first phase of the leftmost cell: the leftmost column
    seen = [augment(planes, 0.0, np.random.default_rng(seed)) for seed in range(20)]
    columns = [x[0, 0, 0, :, :2].flatten().sub(128).abs().argmax().item() for x in seen]
    assert set(columns) == {0, 7}  # and mirrored, the second phase of the rightmost


def test_training_resumes_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_pool, "_CHUNK", 4)
    shape = JudgeConfig((4, 6, 8, 8))
    config = JudgeTraining(
        cache=tmp_path / "scenes", run=tmp_path / "a", clips=4, steps=6, batch=4, network=shape,
        test=(101, None), report_every=2,
    )  # fmt: skip
    assert train_judge(replace(config, steps=3), minutes=5, device="cpu") == 3
    assert train_judge(config, minutes=5, device="cpu") == 6
    whole = JudgeTrainer(replace(config, run=tmp_path / "b"), torch.device("cpu"))
    rows = [whole.step() for _ in range(6)]
    assert all(np.isfinite(row["loss"]) for row in rows)
    resumed = JudgeTrainer(config, torch.device("cpu")).network.state_dict()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.network.state_dict().items())
    assert (tmp_path / "a" / "log.jsonl").read_text().count("\n") == 4  # steps 2, 3, 4, 6
    path = tmp_path / "judge.safetensors"
    found = export_judge(config, path, clips=4)
    assert found.clips == 4
    loaded = zoo.load_judge(path)
    assert loaded.config == shape
    with pytest.raises(UsageError, match="no checkpoint"):
        export_judge(replace(config, run=tmp_path / "c"), path)


def test_a_guide_is_another_network_and_sees_no_held_out_pair(tmp_path: Path) -> None:
    judge = JudgeTraining(cache=tmp_path, run=tmp_path)
    guide = JudgeTraining.guide(tmp_path, tmp_path, 1, clips=10)
    assert guide.split == "train"
    assert guide.network == GUIDE != JudgeConfig()
    assert guide.seed != judge.seed
    assert guide.world != judge.world
    assert all((s.action, s.surroundings) not in HELD_OUT for s in islice(choose(1, "train"), 200))
