"""The report says which of our clips carried AV1 inside, and at which operating point."""

from __future__ import annotations

from typing import Any

from gistcast.eval.report.tables import tables
from gistcast.eval.summary import summarise


def _row(clip: str, point: float, video: int, codec: str = "gistcast") -> dict[str, Any]:
    layers = {"residual": 0 if video else 50, "video": video}
    return {"codec": codec, "arm": "sketch", "clip": clip, "point": point, "layers": layers} | {
        "width": 64, "height": 64, "frames": 32, "bytes": 70,
    }  # fmt: skip


def test_clips_with_av1_inside_are_named() -> None:
    rows = [_row("a", 200, 0), _row("b", 200, 0), _row("a", 900, 0), _row("b", 900, 800)]
    rows += [_row("c", 2000, 7, codec="another")]
    summary = summarise(rows, ())
    (found,) = summary["64x64"]["video"]
    assert found == {"arm": "sketch", "point": 900, "clips": 2, "names": ["b"]}
    page = tables(summary)
    assert "AV1 inside" in page and "1 of 2" in page
    assert "AV1 inside" not in tables(summarise(rows[:3], ()))
