"""`gistcast generate`: names of files, a labelled data set, which model draws."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gistcast.cli import main
from gistcast.models.scene_gist import SceneGist, SceneGistConfig, ScenePrior
from gistcast.models.scene_model import save_scene_model
from gistcast.models.scene_painter import ScenePainter, ScenePainterConfig
from gistcast.models.train_sentence import train_sentence


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    shape = SceneGistConfig(figure=3, place=2, latent_range=3, widths=(4, 4, 4), hidden=8)
    painter = ScenePainter(ScenePainterConfig((4, 4), (4, 4), 4), shape)
    path = tmp_path_factory.mktemp("weights") / "scenes.safetensors"
    sentence = train_sentence(sentences=1500, epochs=3)
    save_scene_model(path, sentence, SceneGist(shape), painter, ScenePrior(shape))
    return path


def test_a_labelled_data_set(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    told = ["golf in the pool", "sailing on snow", "-o", str(out), "--count", "2", "--seed", "7"]
    assert main(["generate", *told, "--weights", str(weights), "--size", "16x16"]) == 0
    rows = json.loads((out / "manifest.json").read_text())
    assert [row["file"] for row in rows] == [f"{n:06d}.mp4" for n in range(4)]
    assert all((out / row["file"]).stat().st_size > 0 for row in rows)
    assert [row["seed"] for row in rows] == [7, 8, 7, 8]
    assert {(row["action"], row["surroundings"]) for row in rows} == {
        ("golf", "pool"),
        ("sailing", "snow"),
    }
    assert [row["label"] for row in rows[::2]] == ["golf in the pool", "sailing on snow"]


def test_one_file_or_several(weights: Path, tmp_path: Path) -> None:
    size = ["--size", "16x16", "--frames", "3", "--weights", str(weights)]
    one, many = tmp_path / "one.y4m", tmp_path / "many.y4m"
    assert main(["generate", "golf on grass", "-o", str(one), "--seed", "1", *size]) == 0
    assert main(["generate", "golf on grass", "-o", str(many), "--count", "2", *size]) == 0
    first, second = (np.fromfile(tmp_path / f"many-{n}.y4m", np.uint8) for n in range(2))
    assert np.array_equal(np.fromfile(one, np.uint8), second)  # seed 1
    assert not np.array_equal(first, second)


def test_what_it_refuses(weights: Path, tmp_path: Path) -> None:
    file, folder = str(tmp_path / "a.mp4"), str(tmp_path / "b")
    assert main(["generate", "a", "b", "-o", file]) == 2
    assert main(["generate", "a", "-o", file, "--count", "0"]) == 2
    assert main(["generate", "a", "-o", file, "--model", "scenes", "--weights", folder]) == 1
