"""Our own encoder measured alone, against no standard codec: what an ablation is made of."""

from __future__ import annotations

from typing import Any

from gistcast.eval.report.tables import tables
from gistcast.eval.summary import summarise


def _row(arm: str, point: float, size: int, psnr: float) -> dict[str, Any]:
    return {"codec": "gistcast", "arm": arm, "clip": "a", "point": point, "layers": {}} | {
        "width": 64, "height": 64, "frames": 32, "bytes": size, "psnr_rgb": psnr,
    }  # fmt: skip


def test_without_rivals_there_is_no_hull_and_still_a_report() -> None:
    rows = [_row("sketch", 200, 190, 25.0), _row("sketch", 2000, 1990, 33.0)]
    rows += [_row("fast-sketch", 200, 195, 24.0), _row("fast-sketch", 2000, 1980, 32.0)]
    summary = summarise(rows, ("psnr_rgb",))
    names = [line["name"] for line in summary["64x64"]["tables"]["psnr_rgb"]["lines"]]
    assert names == ["gistcast sketch", "gistcast fast-sketch"]
    assert "gistcast fast-sketch" in tables(summary)
