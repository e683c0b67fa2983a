"""`gistcast train` from a folder of videos, and what it says for other programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gistcast.cli import main

STREET = Path(__file__).parent.parent.parent / "app" / "assets" / "street.mp4"


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with one video."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(STREET, folder)
    return folder


def test_train_json(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, run = tmp_path / "gist.safetensors", tmp_path / "run"
    told = ["--clips", "4", "--batch", "2", "--work", str(tmp_path / "work"), "--json"]
    told += ["-o", str(run), "--export", str(weights)]
    assert main(["train", "gist", str(videos), *told, "--steps", "3"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["stage"] == "gist" and facts["run"] == str(run)
    assert facts["weights"] == str(weights) and weights.is_file()
    assert facts["step"] == 3 and facts["error"] > 0 and facts["bytes"] > 0


def test_a_recogniser_takes_labels(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "recogniser", str(videos), "--work", str(tmp_path / "work")]) == 2
    assert "takes labels, in manifest.json" in capsys.readouterr().err


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even if frames of another folder are decoded already."""
    for stage in ("gist", "refiner", "recogniser"):
        assert main(["train", stage, str(tmp_path / "none"), "--work", str(tmp_path)]) == 2
        assert "no such folder" in capsys.readouterr().err
