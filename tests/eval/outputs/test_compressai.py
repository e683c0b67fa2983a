"""CompressAI's results files, read and written; a file of theirs as they publish it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gistcast.codec.errors import CorruptError
from gistcast.eval.compressai import curve_of, read_curve, write_curves

#: the shape of results/image/kodak/compressai-*.json
IMAGE = {
    "name": "mbt2018",
    "description": "Inference (ans)",
    "results": {
        "psnr-rgb": [28.1, 29.6, 31.4],
        "ms-ssim-rgb": [0.92, 0.94, 0.96],
        "bpp": [0.11, 0.19, 0.29],
        "encoding_time": [2.8, 2.7, 2.8],
        "decoding_time": [6.0, 6.0, 5.9],
    },
}
#: the shape of results/video/UVG-1080p/*.json
VIDEO = {
    "name": "ssf2020",
    "description": "",
    "results": {
        "q": ["ssf2020-mse-1", "ssf2020-mse-2"],
        "psnr-rgb": [32.5, 33.7],
        "psnr-yuv": [35.8, 37.0],
        "bitrate": [10416.9, 16466.7],
    },
}


def save(folder: Path, whole: Any) -> Path:
    path = folder / "curve.json"
    path.write_text(whole if isinstance(whole, str) else json.dumps(whole))
    return path


def test_a_file_of_images_is_read(tmp_path: Path) -> None:
    found = read_curve(save(tmp_path, IMAGE))
    assert (found.name, found.bpp) == ("mbt2018", (0.11, 0.19, 0.29))
    assert found.values["psnr_rgb"] == (28.1, 29.6, 31.4)
    assert found.values["decode_seconds"] == (6.0, 6.0, 5.9)
    assert found.points("psnr_rgb", 800)[0] == pytest.approx((11, 28.1))


def test_figures_that_mean_something_else_keep_a_name_of_their_own(tmp_path: Path) -> None:
    image = read_curve(save(tmp_path, IMAGE))
    assert "ms_ssim" not in image.values  # theirs is of RGB, ours of luma
    assert "ms_ssim_rgb" in image.values
    video = read_curve(save(tmp_path, VIDEO), pixels_per_second=1920 * 1080 * 30)
    assert "psnr_yuv" not in video.values  # theirs weighs 4:1:1, ours 6:1:1
    assert video.values["psnr_yuv_411"] == (35.8, 37.0)


def test_a_bitrate_needs_the_pixels(tmp_path: Path) -> None:
    path = save(tmp_path, VIDEO)
    with pytest.raises(CorruptError, match="@WxH@FPS"):
        read_curve(path)
    found = read_curve(path, pixels_per_second=1920 * 1080 * 30)
    assert found.bpp[0] == pytest.approx(10_416_900 / (1920 * 1080 * 30))
    assert curve_of(f"{path}@1920x1080@30") == found
    assert curve_of(f"{path}@1920x1080@60/2") == found
    with pytest.raises(CorruptError, match="@WxH@FPS"):
        curve_of(f"{path}@0x1080@30")


@pytest.mark.parametrize(
    "whole",
    [
        "{",
        "[]",
        {"results": []},
        {"results": {"psnr-rgb": [1]}},
        {"results": {"bpp": [0.1, "x"]}},
        {"results": {"bpp": [0.1, 0.2], "psnr-rgb": [1]}},
        {"results": {"bpp": [0.0], "psnr-rgb": [1]}},
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, whole: Any) -> None:
    with pytest.raises(CorruptError, match=r"curve\.json"):
        read_curve(save(tmp_path, whole))
    with pytest.raises(CorruptError):
        read_curve(tmp_path / "missing.json")


def test_what_is_written_is_read_again(results: dict[str, Any], tmp_path: Path) -> None:
    metrics = ["psnr_rgb", "lpips_alex"]
    files = write_curves(results["rows"], metrics, tmp_path, "Made up.")
    assert len(files) == 9
    path = tmp_path / "64x64-x264-full.json"
    whole = json.loads(path.read_text())
    assert set(whole) == {"name", "description", "results"}
    assert {"bpp", "psnr-rgb", "bitrate", "encoding_time"} <= set(whole["results"])
    found = read_curve(path)
    rows = [r for r in results["rows"] if (r["codec"], r["arm"]) == ("x264", "full")]
    for at in range(6):
        same = [row for row in rows if row["point"] == at]
        assert found.bpp[at] == pytest.approx(sum(r["bpp"] for r in same) / 5)
        for metric in metrics:
            assert found.values[metric][at] == pytest.approx(sum(r[metric] for r in same) / 5)


def test_a_point_that_a_clip_lacks_is_left_out(results: dict[str, Any], tmp_path: Path) -> None:
    lacking = [r for r in results["rows"] if (r["clip"], r["point"]) != ("two.mp4", 5)]
    write_curves(lacking, ["psnr_rgb"], tmp_path)
    assert len(read_curve(tmp_path / "64x64-vp9-full.json").bpp) == 5
