"""What other metrics say of the rows that compete in one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gistcast.eval import opinion
from gistcast.eval.cache import Cache
from gistcast.eval.engines import Here
from gistcast.eval.inputs import Source
from gistcast.eval.metrics import Meter
from gistcast.eval.opinion import Seen, competitors, look, table
from gistcast.eval.run import Plan, follow
from gistcast.eval.sweep import load_case

ALONE = ("psnr_rgb", "motion_error", "warp_error")


@pytest.fixture
def plan(source: Source) -> Plan:
    return Plan([source], ("gistcast:plain", "x264"), metrics=("lpips_alex",), quick=True)


def test_competitors_are_what_a_budget_buys_and_are_measured_anew(
    plan: Plan, source: Source, tmp_path: Path
) -> None:
    case = load_case(source, (64, 64))
    curves = plan.curves(case)
    with closing(Cache(tmp_path / "cache.sqlite")) as cache:
        follow(curves, cache, Here())
        rows = [row for row, _ in competitors(curves, 640, "refined", few=2)]
        seen = list(look(case, curves, cache, [640], metrics=ALONE, arm="refined"))
    mine, *theirs = rows
    every = [row for curve in curves for row in curve.rows if row["bytes"] <= 640]
    assert mine["codec"] == "gistcast" and mine["arm"] == "refined"
    assert mine["bytes"] == max(r["bytes"] for r in every if r["codec"] == "gistcast")
    best = sorted(r["lpips_alex"] for r in every if r["codec"] == "x264")[:2]
    assert [row["lpips_alex"] for row in theirs] == best
    assert [(one.ours, one.bytes) for one in seen[:3]] == [
        (row["codec"] == "gistcast", row["bytes"]) for row in rows
    ]
    # decoded again it is what was measured the first time
    assert seen[0].figures["psnr_rgb"] == pytest.approx(mine["psnr_rgb"], abs=1e-6)
    assert seen[0].source == Meter(case.clip, ALONE, case.fps).measure(case.clip)


def row(clip: str, codec: str, **figures: float) -> Seen:
    return Seen(clip, 300, codec, "a", 299, figures, {"warp_error": 2.0})


def test_the_best_of_theirs_in_each_metric_counts() -> None:
    seen = [
        row("one", "gistcast", dists=0.2, psnr_rgb=30.0),
        row("one", "x264", dists=0.3, psnr_rgb=31.0),
        row("one", "x265", dists=0.25, psnr_rgb=29.0),
        row("two", "gistcast", dists=0.4, psnr_rgb=20.0),
        row("two", "x264", dists=0.35, psnr_rgb=18.0),
        row("three", "gistcast", dists=0.9, psnr_rgb=1.0),  # theirs cannot: it does not count
    ]
    assert list(table(seen))[2:] == ["| 300 | 2 | 0.300 : 0.300 (1) | 25.00 : 24.50 (1) |"]
    warped = [replace(one, figures={"warp_error": 1.0}) for one in seen]
    assert list(table(warped))[-1] == "warp_error of the sources: 2.00"


def test_it_says_what_cannot_be(capsys: pytest.CaptureFixture[str], source: Source) -> None:
    assert opinion.main([str(source.path), "--codecs", "nonsense", "--metrics", "psnr_rgb"]) == 1
    assert opinion.main([str(source.path), "--metrics", "beauty"]) == 1
    told = capsys.readouterr().err
    assert "nonsense" in told and "beauty" in told
