"""CSV files hold what the results hold."""

from __future__ import annotations

import csv
import gzip
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gistcast.eval.csv_files import write_csv, write_frames


def read(path: Path) -> list[dict[str, str]]:
    openers = {".csv": path.open, ".gz": partial(gzip.open, path)}
    with openers[path.suffix]("rt", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_and_every_figure_is_there(results: dict[str, Any], tmp_path: Path) -> None:
    files = write_csv(tmp_path, results["rows"], results["summary"])
    assert [path.name for path in files] == ["rows.csv", "per_clip.csv", "bd_rate.csv"]
    rows = read(files[0])
    assert len(rows) == len(results["rows"])
    for line, row in zip(rows, results["rows"], strict=True):
        assert (line["codec"], line["arm"], line["clip"]) == (row["codec"], row["arm"], row["clip"])
        assert float(line["psnr_rgb"]) == row["psnr_rgb"]
        assert int(line["residual_bytes"]) + int(line["headers_bytes"]) == row["bytes"]


def test_the_mean_of_per_clip_differences_is_the_table_s(
    results: dict[str, Any], tmp_path: Path
) -> None:
    path = write_csv(tmp_path, results["rows"], results["summary"])[1]
    wanted = {"metric": "lpips_alex", "ours": "gistcast refined", "against": "hull, all variants"}
    lines = [
        line for line in read(path) if line["budget"] == "1050" and wanted.items() <= line.items()
    ]
    duels = results["summary"]["64x64"]["tables"]["lpips_alex"]["duels"]
    (duel,) = [
        d for d in duels if (d["arm"], d["against"]) == ("gistcast refined", "hull, all variants")
    ]
    gaps = [float(line["difference"]) for line in lines]
    assert sum(gaps) / len(gaps) == pytest.approx(duel["difference"][4])
    assert all(line["their_best"] for line in lines)


def test_bd_rates_are_there_clip_by_clip(results: dict[str, Any], tmp_path: Path) -> None:
    lines = read(write_csv(tmp_path, results["rows"], results["summary"])[2])
    found = {tuple(line[k] for k in ("metric", "arm", "against", "method", "form", "rates", "clip"))
             for line in lines}  # fmt: skip
    assert len(found) == len(lines)
    assert {line["method"] for line in lines} == {"akima", "pchip"}


def test_frames(tmp_path: Path) -> None:
    series = [
        {"clip": "a, b", "size": "64x64", "picture": "sketch", "psnr": [30.0, 31.5]},
        {"clip": "c", "size": "64x64", "picture": "x264", "psnr": [20.0]},
    ]
    lines = read(write_frames(tmp_path / "frames.csv.gz", series))
    assert [(line["clip"], line["frame"], line["psnr"]) for line in lines] == [
        ("a, b", "0", "30.0"),
        ("a, b", "1", "31.5"),
        ("c", "0", "20.0"),
    ]
