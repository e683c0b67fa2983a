"""The whole evaluation of one small clip: results, report, cache, refusals."""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.eval.inputs import Source
from gistcast.eval.run import Plan, run_eval

CODECS = ("gistcast", "x264", "vp9")
NAME = "disc <!--<script>.y4m"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> Plan:
    path = tmp_path_factory.mktemp("eval") / NAME
    writer = VideoWriter(path, VideoInfo(64, 64, Fraction(25)))
    writer.write(clip[:16])
    writer.close()
    return Plan([Source(NAME, path)], CODECS, points=2, quick=True, device="cpu")


@pytest.fixture(scope="module")
def out(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "deep"
    report = run_eval(
        plan, folder, jobs=1, blind=3000, blind_frames=8, command="gistcast eval <disc> & more"
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
    assert not any(arm.startswith("realtime") for arm in arms)  # a quick look leaves them out
    assert all(row["frames"] == 16 and row["psnr_rgb"] > 5 for row in results["rows"])


def test_series_frame_by_frame_are_kept(results: dict[str, Any], out: Path) -> None:
    series = results["psnr_by_frame"]
    assert any(entry["picture"].startswith("sketch") for entry in series)
    assert all(len(entry["psnr"]) == 16 for entry in series)
    assert not any("psnr_by_frame" in row for row in results["rows"])  # they would be most of it
    with gzip.open(out / "frames.csv.gz", "rt", newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 16 * len(results["rows"])


def test_our_bytes_are_those_of_a_file_within_its_limit(results: dict[str, Any]) -> None:
    ours = [row for row in results["rows"] if row["arm"] == "sketch"]
    assert [row["point"] for row in ours] == [120, 3000]
    assert all(row["bytes"] <= row["point"] for row in ours)
    assert all(sum(row["layers"].values()) == row["bytes"] for row in ours)


def test_the_summary_has_the_hulls_and_duels(results: dict[str, Any]) -> None:
    table = results["summary"]["64x64"]["tables"]["psnr_rgb"]
    lines = {line["name"]: line["values"] for line in table["lines"]}
    assert {"gistcast sketch", "hull, all variants", "hull, full frame rate"} <= set(lines)
    for all_, full in zip(lines["hull, all variants"], lines["hull, full frame rate"], strict=True):
        assert full is None or all_ >= full


def test_settings_say_how_everything_was_made(results: dict[str, Any]) -> None:
    codecs = results["settings"]["codecs"]["64x64"]
    assert {codec["name"] for codec in codecs} == set(CODECS)
    assert all(codec["counted"] and len(codec["points"]) in (1, 2) for codec in codecs)
    assert {"python", "torch", "av", "libavcodec"} <= set(results["settings"]["versions"])


def test_the_report_is_one_file_without_the_network(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert "gistcast eval &lt;disc&gt; &amp; more" in page
    assert not re.search(r"(src|href)=[\"']?(?!#|data:)|@import|https?://(?!www\.w3\.org/)", page)
    assert page.count("<script") == page.count("</script>")  # the name makes none


def test_the_blind_sheet_sets_ours_beside_theirs_at_no_more_bytes(out: Path) -> None:
    page = (out / "blind.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(?!#|data:)|@import|https?://", page)
    assert page.count("<script") == page.count("</script>")  # the name makes none
    found = re.search(r'id="trials">(.*?)</script>', page, re.S)
    assert found is not None
    (trial,) = json.loads(found[1])
    other = "left" if trial["ours"] == "right" else "right"
    assert trial["clip"] == NAME and trial[trial["ours"]]["who"] == "gistcast perceptual-refined"
    assert trial[other]["who"].split()[0] in ("x264", "vp9")
    ours, theirs = (int(trial[side]["note"].split()[0]) for side in (trial["ours"], other))
    assert theirs <= ours <= 3000
    assert (trial["frames"], trial["fps"]) == (8, 12.5)  # of 16 at 25: they last as long


def test_a_second_run_measures_nothing_again(
    plan: Plan, out: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    before = (out / "cache.sqlite").stat().st_mtime_ns
    run_eval(plan, tmp_path, cache=out / "cache.sqlite", jobs=1)
    assert (out / "cache.sqlite").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == results["rows"]


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": ("x266",)},
        {"codecs": ("gistcast:sluggish",)},
        {"codecs": ()},
        {"sizes": ((63, 64),)},
        {"metrics": ("beauty",)},
        {"sources": ()},
    ],
)
def test_nonsense_is_refused(plan: Plan, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        replace(plan, **change)


def test_what_is_no_video_is_refused(plan: Plan, tmp_path: Path) -> None:
    other = tmp_path / "not-a-video.mp4"
    other.write_bytes(b"no")
    bad = replace(plan, sources=[Source("not", other)], codecs=("x264",))
    with pytest.raises(CorruptError):
        run_eval(bad, tmp_path, jobs=1)
    assert not (tmp_path / "report.html").exists()
