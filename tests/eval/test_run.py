"""The whole evaluation of one small clip: results, report, cache, refusals."""

from __future__ import annotations

import base64
import json
import re
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.eval.png import encode_png
from gistcast.eval.run import run_eval
from gistcast.eval.summary import headline

CODECS = ("gistcast", "x264", "vp9")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> str:
    path = tmp_path_factory.mktemp("eval") / "disc <!--<script>.y4m"
    writer = VideoWriter(path, VideoInfo(64, 64, Fraction(25)))
    writer.write(clip[:16])
    writer.close()
    return str(path)


@pytest.fixture(scope="module")
def out(video: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "deep"
    command = "gistcast eval <disc> & more"
    report = run_eval(
        [video], folder, codecs=CODECS, points=2, quick=True, command=command, device="cpu"
    )
    assert report == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def test_results_hold_settings_and_rows(results: dict[str, Any]) -> None:
    assert results["settings"]["command"] == "gistcast eval <disc> & more"
    assert {row["codec"] for row in results["rows"]} == set(CODECS)
    arms = {row["arm"] for row in results["rows"]}
    assert {"sketch", "full", "half", "drop-2-hold", "drop-2-fade", "drop-1-hold"} <= arms
    assert all(row["frames"] == 16 and row["psnr_rgb"] > 5 for row in results["rows"])


def test_series_frame_by_frame_are_kept_for_the_strips(results: dict[str, Any]) -> None:
    series = results["psnr_by_frame"]
    assert any(entry["picture"].startswith("sketch") for entry in series)
    assert all(len(entry["psnr"]) == 16 for entry in series)


def test_our_bytes_are_those_of_a_file_within_its_limit(results: dict[str, Any]) -> None:
    ours = [row for row in results["rows"] if row["arm"] == "sketch"]
    assert [row["point"] for row in ours] == [120, 3000]
    assert all(row["bytes"] <= row["point"] for row in ours)
    assert all(sum(row["layers"].values()) == row["bytes"] for row in ours)


def test_the_summary_has_both_hulls_and_duels(results: dict[str, Any]) -> None:
    table = results["summary"]["64x64"]["tables"]["psnr_rgb"]
    names = [line["name"] for line in table["lines"]]
    assert {"gistcast sketch", "hull, all variants", "hull, full frame rate"} <= set(names)
    lines = {line["name"]: line["values"] for line in table["lines"]}
    for all_, full in zip(lines["hull, all variants"], lines["hull, full frame rate"], strict=True):
        assert full is None or all_ >= full
    assert {duel["against"] for duel in table["duels"]} == {
        "hull, all variants",
        "hull, full frame rate",
    }
    assert len(headline(results["summary"])) == 3


def test_the_report_is_one_file_without_the_network(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert "gistcast eval &lt;disc&gt; &amp; more" in page
    assert not re.search(r"(src|href)=|@import|url\((?!data:)|https?://(?!www\.w3\.org/)", page)
    assert page.count("<script") == page.count("</script>") == 2  # the name makes none
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data is not None
    rows = json.loads(data[1])["rows"]
    assert rows[0]["clip"] == "disc <!--<script>.y4m"
    assert page.count("url(data:image/png;base64,") >= 4
    for label in ("source", "sketch", "standard, best PSNR", "standard, every frame"):
        assert f"<b>{label}</b>" in page


def test_a_second_run_measures_nothing_again(
    video: str, out: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    lines = (out / "cache.jsonl").read_text()
    run_eval(
        [video], tmp_path, codecs=CODECS, points=2, quick=True, cache=out / "cache.jsonl",
        device="cpu",
    )  # fmt: skip
    assert (out / "cache.jsonl").read_text() == lines
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == results["rows"]


@pytest.mark.parametrize(
    "change",
    [{"codecs": ("x266",)}, {"codecs": ()}, {"sizes": ((63, 64),)}, {"metrics": ("vmaf",)}],
)
def test_nonsense_is_refused(video: str, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run_eval([video], tmp_path, **{"codecs": ("x264",), **change})
    assert not (tmp_path / "report.html").exists()


def test_inputs_are_checked(video: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one input"):
        run_eval([], tmp_path)
    with pytest.raises(UsageError, match="same file name"):
        run_eval([video, video], tmp_path, codecs=("x264",))
    other = tmp_path / "not-a-video.mp4"
    other.write_bytes(b"no")
    with pytest.raises(CorruptError):
        run_eval([str(other)], tmp_path, codecs=("x264",))


def test_a_png_has_its_pixels() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = encode_png(rgb)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[16:24] == (7).to_bytes(4, "big") + (5).to_bytes(4, "big")
    start = data.index(b"IDAT")
    size = int.from_bytes(data[start - 4 : start], "big")
    raw = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + size]), np.uint8)
    rows = raw.reshape(5, 22)
    assert (np.cumsum(rows[:, 1:], 0, dtype=np.uint8).reshape(rgb.shape) == rgb).all()
    assert base64.b64encode(data).startswith(b"iVBORw0KGgo")
