import json
import sys
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models import figures
from gistcast.models.lpips import load_lpips
from gistcast.models.validate import measure


@pytest.fixture
def data(tmp_path: Path, make_clip) -> Path:
    (tmp_path / "val").mkdir()
    rows = []
    for seed in range(1):
        writer = VideoWriter(tmp_path / f"val/{seed}.y4m", VideoInfo(64, 64, 25))  # type: ignore[arg-type]
        writer.write(make_clip(frames=8, seed=seed))
        writer.close()
        rows.append({"file": f"val/{seed}.y4m", "label": "", "caption": "", "group": "g"})
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    return tmp_path


def test_the_table(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["figures", str(data), "--work", str(data), "--budgets", "400,1500"]
    monkeypatch.setattr(sys, "argv", command)
    assert figures.main() == 0
    text = capsys.readouterr().out
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["mode"] for row in rows] == 2 * ["sketch", "fidelity", "balanced", "detail"]
    assert all(row["clips"] == 1 and row["bytes"] <= row["budget"] for row in rows)
    assert rows[0]["psnr"] < rows[4]["psnr"]
    assert rows[0]["psnr_up"] == rows[0]["lpips_down"] == 0
    # a second run codes nothing and finds the same
    monkeypatch.setattr(figures, "code_at", None)
    assert figures.main() == 0
    assert capsys.readouterr().out == text
    monkeypatch.setattr(sys, "argv", [*command, "--vgg", str(data / "absent")])
    assert figures.main() == 1


def test_tlpips_sees_flicker_and_no_still_error(make_clip) -> None:
    net, clip = load_lpips("alex"), make_clip(frames=8)
    assert measure(clip, clip, net, every=2).tlpips == 0
    still = Clip(*(np.repeat(p[:1], 8, 0) for p in clip.planes))
    assert measure(still, still, net, every=2).tlpips == 0
    grain = np.random.default_rng(0).integers(-9, 10, still.y.shape)
    flicker = Clip((still.y + grain).clip(0, 255).astype(np.uint8), still.u, still.v)
    held = Clip((still.y + grain[:1]).clip(0, 255).astype(np.uint8), still.u, still.v)
    found = [measure(c, still, net, every=2).tlpips for c in (held, flicker)]
    assert found[0] is not None and found[1] is not None
    assert found[0] < 1e-4 < 0.005 < found[1]
    assert (
        measure(
            Clip(*(p[:1] for p in clip.planes)), Clip(*(p[:1] for p in clip.planes)), net
        ).tlpips
        is None
    )


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(GistcastError):
        figures.coded_clips(tmp_path, tmp_path / "x", 64, 300, 1)
