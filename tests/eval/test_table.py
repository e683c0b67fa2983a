"""The Markdown tables say what the results say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from gistcast.eval.table import load, markdown

DUEL = {
    "arm": "sketch",
    "against": "hull, all variants",
    "difference": [0.9, None],
    "low": [0.6, None],
    "high": [1.234, None],
    "wins": [2, 0],
    "losses": [0, 0],
}
BD = {
    "arm": "sketch",
    "against": "x264 full",
    "method": "akima",
    "form": "running best",
    "rates": "200-450",
    "percent": -12.34,
    "low": -15.0,
    "high": -9.0,
    "wins": 2,
    "losses": 0,
    "share": 0.5,
    "refused": {},
}
NO_BD = {**BD, "against": "vp9 full", "percent": None, "refused": {"no overlap": 2}}
RESULTS = {
    "summary": {
        "64x64": {
            "budgets": [200, 450],
            "clips": 2,
            "tables": {
                "psnr_rgb": {
                    "lines": [
                        {"name": "gistcast sketch", "values": [24.571, 26.964]},
                        {"name": "x264, best arm", "values": [1.0, 2.0]},
                        {"name": "hull, full frame rate", "values": [None, 23.4]},
                    ],
                    "duels": [DUEL],
                    "single": [{"arm": "text", "bytes": 37.0, "value": 13.4}],
                    "bd_rate": [BD, NO_BD, {**BD, "method": "pchip", "percent": 5.0}],
                }
            },
        }
    }
}


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "results.json.gz"
    path.write_bytes(gzip.compress(json.dumps(RESULTS).encode()))
    lines = markdown(load(path), ["psnr_rgb"]).splitlines()
    assert lines[0] == "| 64x64, 2 clips; bytes a clip | 200 | 450 |"
    assert "| gistcast sketch | 24.57 | 26.96 |" in lines
    assert "| hull, full frame rate | - | 23.40 |" in lines
    assert "- text: 37 bytes, psnr_rgb 13.40" in lines
    assert not any("x264, best arm" in line for line in lines)
    wanted = "| psnr_rgb | sketch | hull, all variants | +0.90 [+0.60, +1.23] (2:0) | - |"
    assert wanted in lines
    bd = "| psnr_rgb | sketch | x264 full | -12.3 % | [-15.0, -9.0] | 2:0 | 50 % |"
    assert bd in lines
    assert "| psnr_rgb | sketch | vp9 full | no figure (no overlap: 2) |  |  |  |" in lines
    assert not any("+5.0 %" in line for line in lines)
