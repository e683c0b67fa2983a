"""The Markdown table says what the results say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from gistcast.eval.table import load, markdown

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
                    "single": [{"arm": "text", "bytes": 37.0, "value": 13.4}],
                }
            },
        }
    }
}


def test_table(tmp_path: Path) -> None:
    path = tmp_path / "results.json.gz"
    path.write_bytes(gzip.compress(json.dumps(RESULTS).encode()))
    lines = markdown(load(path), ["psnr_rgb"]).splitlines()
    assert lines[0] == "| 64x64, 2 clips; bytes a clip | 200 | 450 |"
    assert "| gistcast sketch | 24.57 | 26.96 |" in lines
    assert "| hull, full frame rate | - | 23.40 |" in lines
    assert "- text: 37 bytes, psnr_rgb 13.40" in lines
    assert not any("x264" in line for line in lines)
