"""The files of an evaluation: `results.json`, CSV tables, CompressAI's curves, `report.html`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import torch

from gistcast.eval.compressai import Outside, write_curves
from gistcast.eval.csv_files import write_csv, write_frames
from gistcast.eval.film import Strip
from gistcast.eval.metrics import METRICS
from gistcast.eval.report import write_report
from gistcast.eval.sweep import Curve

if TYPE_CHECKING:
    from gistcast.eval.run import Plan

SERIES = "psnr_by_frame"  #: of a row: kept out of `results.json`, all of it in `frames.csv.gz`

_PACKAGES = ("gistcast", "numpy", "scipy", "imageio-ffmpeg", "opencv-python-headless", "compressai")


def write_results(
    out: Path, results: dict[str, Any], strips: Sequence[Strip], outside: Sequence[Outside]
) -> Path:
    """Write all files; the path of the report.

    Args:
        out: the folder.
        results: settings, summary and rows.
        strips: pictures for the report.
        outside: curves that others measured.
    """
    rows = results["rows"]
    series = [
        {
            "clip": row["clip"],
            "size": f"{row['width']}x{row['height']}",
            "picture": f"{row['codec']} {row['arm']}",
            "bytes": row["bytes"],
            "psnr_rgb": row[SERIES],
        }
        for row in rows
        if SERIES in row
    ]
    thin = [{key: value for key, value in row.items() if key != SERIES} for row in rows]
    results = {**results, "psnr_by_frame": list(_shown_series(strips)), "rows": thin}
    metrics = results["settings"]["metrics"]
    write_whole(out / "results.json", _as_json(results))
    write_csv(out, thin, results["summary"])
    write_frames(out / "frames.csv.gz", series)
    plain = [name for name in metrics if METRICS[name].group != "vector"]
    write_curves(thin, plain, out / "compressai", results["settings"]["command"])
    report = out / "report.html"
    write_whole(report, write_report(results, strips, outside))
    return report


def settings_of(
    plan: Plan, curves: Sequence[Curve], failures: Sequence[str], command: str
) -> dict[str, Any]:
    """Everything that the figures depend on, for people."""
    codecs: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for curve in curves:
        width, height = curve.case.size
        codec = curve.codec
        codecs.setdefault(f"{width}x{height}", {})[curve.member.spec, curve.member.index] = {
            "name": codec.name,
            "mode": codec.mode,
            "counted": codec.counted,
            "points": {f"{point:g}": codec.settings(point) for point in curve.points},
        }
    return {
        "command": command,
        "clips": [source.name for source in plan.sources],
        "sizes": [f"{width}x{height}" for width, height in plan.sizes],
        "metrics": list(plan.measured),
        "quick": plan.quick,
        "codecs": {size: list(found.values()) for size, found in codecs.items()},
        "failures": list(failures),
        "versions": _versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__, "av": av.__version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return found | {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}


def _shown_series(strips: Sequence[Strip]) -> Iterator[dict[str, Any]]:
    """RGB-PSNR frame by frame of what the strips show."""
    for strip in strips:
        for picture in strip.pictures:
            if picture.psnr:
                yield {
                    "clip": strip.clip,
                    "size": f"{strip.width}x{strip.height}",
                    "picture": f"{picture.label}: {picture.note}",
                    "psnr": list(picture.psnr),
                }


def _as_json(results: dict[str, Any]) -> str:
    """JSON with a row a line: small, and pleasant to grep and diff."""
    head = json.dumps({key: results[key] for key in results if key != "rows"}, indent=1)
    rows = ",\n".join(json.dumps(row) for row in results["rows"])
    return f'{head[:-2]},\n "rows": [\n{rows}\n]}}\n'


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
