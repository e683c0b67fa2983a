"""`gistcast scenes`: folders that training and evaluation read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gistcast.cli import main
from gistcast.codec.media import load_clip
from gistcast.models.data import build_store, validation_clips
from gistcast.models.scenes import HELD_OUT, render, sample_scene

Capture = pytest.CaptureFixture[str]


def test_folder_for_training(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "world"
    command = ["scenes", "-o", str(out), "--count", "12", "--frames", "8", "--size", "32x32"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 12
    rows = json.loads((out / "manifest.json").read_text())
    assert len({row["file"] for row in rows}) == 12
    for row in rows:
        scene = sample_scene(row["seed"], row["index"])
        assert (row["action"], row["surroundings"]) == (scene.action, scene.surroundings)
        assert (row["label"], row["caption"]) == (scene.label, scene.caption)
        assert row["file"].split("/")[0] == scene.split
        clip, info = load_clip(out / row["file"])
        assert clip.y.shape == (8, 32, 32)
        assert (info.width, info.height, info.fps) == (32, 32, 25)
    assert any((row["action"], row["surroundings"]) in HELD_OUT for row in rows)
    store = build_store(out, "train", tmp_path / "cache")
    assert [s.caption for s in store.sources] == [
        row["caption"] for row in rows if row["split"] == "train"
    ]
    # a second run must not replace the first by accident
    assert main(command) == 2
    assert main([*command, "-y"]) == 0


def test_validation_protocol_reads_it(tmp_path: Path) -> None:
    out = tmp_path / "val"
    command = ["scenes", "-o", str(out), "--count", "2", "--split", "val", "--frames", "8"]
    assert main(command) == 0
    samples = validation_clips(out)
    assert [sample.clip.y.shape for sample in samples] == [(8, 64, 64)] * 2
    assert all(sample.caption for sample in samples)


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_exact_formats_keep_every_pixel(tmp_path: Path, kind: str) -> None:
    out = tmp_path / kind
    command = ["scenes", "-o", str(out), "--count", "1", "--frames", "2", "--size", "40x24"]
    command += ["--action", "golf", "--surroundings", "pool", "--seed", "5", "--format", kind]
    assert main(command) == 0
    (row,) = json.loads((out / "manifest.json").read_text())
    assert row["label"] == "golf in the pool"
    wanted = render(sample_scene(5, 0, action="golf", surroundings="pool"), 2, (40, 24))
    if kind == "npz":
        with np.load(out / row["file"]) as file:
            assert np.array_equal(file["frames"], wanted)
    else:
        pictures = sorted((out / row["file"]).glob("*.png"))
        assert len(pictures) == 2
        assert pictures[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_contact_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["scenes", "--sheet", str(sheet), "--size", "16x16"]) == 0
    head = sheet.read_bytes()[16:24]
    assert (int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")) == (160, 160)


@pytest.mark.parametrize(
    "arguments",
    [
        ["scenes"],
        ["scenes", "-o", "x", "--count", "0"],
        ["scenes", "-o", "x", "--action", "chess"],
        ["scenes", "-o", "x", "--action", "golf", "--surroundings", "pool", "--split", "train"],
        ["scenes", "-o", "x", "--size", "4x4"],
    ],
)
def test_usage_errors(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
