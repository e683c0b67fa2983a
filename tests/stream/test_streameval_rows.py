"""What a row of `streameval` owes to rows measured before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gistcast.cli import main, streameval
from gistcast.codec.clip import Clip
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.stream.passage import Delivery, Passage


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "in.y4m"
    writer = VideoWriter(path, VideoInfo(64, 64, 25))
    luma = (np.arange(4 * 64 * 64).reshape(4, 64, 64) % 199).astype(np.uint8)
    chroma = np.full((4, 32, 32), 128, np.uint8)
    writer.write(Clip(luma, chroma, chroma))
    writer.close()
    return path


def test_a_rival_told_the_same_for_two_rates_is_sent_once(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a run that finds the other rate's row of an earlier one, which it does not search
    the rate to tell for again."""
    sent, searched = [], []

    def send(bench: streameval._Bench, arm: streameval._Arm, rate: int, spec: str) -> Passage:
        sent.append((rate, spec))
        told = bench.rate_to_tell(arm.codec, rate)
        clips = [Clip(*(p[None] for p in f)) for f in bench.frames]
        return Passage([Delivery(0, clips[0], 0.1)], 100, 200, notes={"told_rate": told})

    def calibrate(codec: str, frames: object, fps: object, rate: int) -> int:
        searched.append(rate)
        return max(rate, 30_000)

    monkeypatch.setattr(streameval._Bench, "send", send)
    monkeypatch.setattr("gistcast.stream.rivals.calibrate", calibrate)
    command = ["streameval", str(video), "-o", str(tmp_path / "out"), "--size", "64x64"]
    command += ["--codecs", "vp8"]
    assert main([*command, "--rates", "12k,24k,48k"]) == 0
    assert main([*command, "--rates", "12k,24k,48k", "--network", "loss=1%"]) == 0
    assert sent == [(12_000, ""), (48_000, ""), (12_000, "loss=1%"), (48_000, "loss=1%")]
    assert searched == [12_000, 24_000, 48_000]
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert [row["kbps_target"] for row in rows] == [12, 24, 48] * 2
    assert rows[1]["notes"] == {"told_rate": 30_000, "passage_of_rate": 12_000}
    assert rows[1]["psnr_rgb"] == rows[0]["psnr_rgb"]
