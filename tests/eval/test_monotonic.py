"""The command that looks at a clip's qualities one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gistcast.codec.clip import Clip
from gistcast.eval.monotonic import Point, curve, falls, main


def test_falls_are_found() -> None:
    up = [Point(0, 100, 20.0), Point(5, 120, 21.0), Point(10, 120, 21.0)]
    assert falls(up) == []
    for worse in (Point(15, 119, 22.0), Point(15, 130, 20.9), Point(15, 120, 21.5)):
        assert falls([*up, worse]) == [(up[-1], worse)]


def test_a_clip_rises(street: Clip) -> None:
    points = curve(street, "fast", (10, 40, 70))
    assert [p.quality for p in points] == [10, 40, 70]
    assert falls(points) == []


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Path(__file__).parents[2] / "app" / "assets" / "street.mp4"
    assert main([str(clip), "--size", "32", "--preset", "fast"]) == 0
    assert capsys.readouterr().out == "20 steps, 0 falls\n"
