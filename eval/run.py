"""`gistcast eval`: clips in, `results.json` and `report.html` out.

files x sizes --load--> cases --codecs x arms x points, cached--> rows --> summary, strips
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import av
import torch
from tqdm import tqdm

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.arms import Arm, arms_for
from gistcast.eval.cache import Row, RowCache
from gistcast.eval.codecs import STANDARD, Codec, Coded, spread, standard_codec
from gistcast.eval.codecs.gistcast import gistcast_codecs
from gistcast.eval.metrics import DEFAULT, METRICS
from gistcast.eval.report import write_report
from gistcast.eval.strips import Strip, make_strip
from gistcast.eval.summary import OURS, size_scale, summarise
from gistcast.eval.sweep import Case, curve, load_case
from gistcast.models.lpips import Lpips

CODECS = (OURS, *(codec.name for codec in STANDARD))
CEILING = 4500  #: bytes a clip at 64 x 64 beyond which a curve is not followed

_QUICK_POINTS = 4
_QUICK_ARMS = {"full", "half", "drop-8", "drop-2", "drop-1", "half-drop-4"}
_STRIPS = 4  # clips whose pictures go into the report
_STRIP_BUDGET = 450  # bytes a clip at 64 x 64 that pictures are shown at


@dataclass
class _Run:
    """What one evaluation carries along."""

    cache: RowCache
    points: int | None
    quick: bool
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    kept: dict[str, Coded] = field(default_factory=dict)

    def follow(self, case: Case, codec: Codec, arm: Arm) -> None:
        """Add the rows of one curve."""
        ceiling = CEILING * size_scale(case.clip.width, case.clip.height)
        points = spread(codec.points, self.points)
        keep = self.kept if codec.name == OURS else None  # ours are the slow ones to code again
        try:
            # row by row: what was measured before a failure is kept
            self.rows.extend(curve(case, codec, arm, points, self.cache, ceiling, keep))
        except GistcastError as error:
            failure = f"{case.name}: {codec.name} {arm.name}: {error}"
            if failure not in self.failures:  # it may fail alike at every size
                self.failures.append(failure)


def run_eval(
    inputs: Sequence[str],
    out: Path,
    *,
    codecs: Sequence[str] = CODECS,
    sizes: Sequence[tuple[int, int]] = ((64, 64),),
    metrics: Sequence[str] = DEFAULT,
    points: int | None = None,
    quick: bool = False,
    texts: Mapping[str, str] | None = None,
    device: str = "auto",
    cache: Path | None = None,
    command: str = "",
) -> Path:
    """Measure codecs on clips; the path of the report.

    Args:
        inputs: video files; the first 32 frames of each, centre-cropped and scaled, are a clip.
        out: folder for `results.json`, `report.html` and the cache; made if missing.
        codecs: out of `CODECS`.
        sizes: (width, height) of the clips.
        metrics: out of `METRICS`; `psnr_rgb` is always measured.
        points: points on every curve; None takes all.
        quick: few arms and points: a first look within a minute for one small clip.
        texts: file name -> what the clip shows, for the row of text alone.
        device: auto, cpu or cuda, for gistcast's networks.
        cache: file of rows that were measured before; by default in `out`.
        command: the command line, for the report.

    Raises:
        UsageError: no input, or an unknown codec, size or metric.
        GistcastError: nothing could be measured.
        CorruptError: an input cannot be read as video.
    """
    _check(inputs, codecs, sizes, metrics)
    metrics = tuple(dict.fromkeys(("psnr_rgb", *metrics)))
    out.mkdir(parents=True, exist_ok=True)
    if quick and points is None:
        points = _QUICK_POINTS
    run = _Run(RowCache(cache or out / "cache.jsonl"), points, quick)
    network = None
    cases = list(_cases(inputs, sizes, metrics, network, texts or {}))
    chosen = {size: _codecs(codecs, size, points, device, run.failures) for size in sizes}
    jobs = [
        (case, codec, arm)
        for case in cases
        for codec in chosen[case.clip.width, case.clip.height]
        for arm in _arms(codec, case, quick)
    ]
    for case, codec, arm in tqdm(jobs, "eval", unit="curve", disable=not sys.stderr.isatty()):
        run.follow(case, codec, arm)
    if not run.rows:
        raise GistcastError(f"nothing could be measured: {'; '.join(run.failures)}")
    strips = _strips(cases, jobs, run)
    settings = _settings(command, inputs, sizes, metrics, chosen, run)
    results = {
        "settings": settings,
        "summary": summarise(run.rows, metrics),
        "psnr_by_frame": [series for strip in strips for series in _series(strip)],
        "rows": run.rows,
    }
    _write_whole(out / "results.json", _as_json(results))
    report = out / "report.html"
    _write_whole(report, write_report(results, strips))
    return report


def _check(
    inputs: Sequence[str],
    codecs: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    metrics: Sequence[str],
) -> None:
    if not inputs or not codecs or not sizes:
        raise UsageError("evaluation needs at least one input, one codec and one size")
    for name in codecs:
        if name not in CODECS:
            raise UsageError(f"no codec {name!r}; there are {', '.join(CODECS)}")
    for width, height in sizes:
        if width % 2 or height % 2 or min(width, height) < 16:
            raise UsageError(f"sizes are even and at least 16, not {width}x{height}")
    unknown = sorted(set(metrics) - set(METRICS))
    if unknown:
        raise UsageError(f"unknown metric {unknown[0]!r}; there are {', '.join(METRICS)}")


def _cases(
    inputs: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    metrics: tuple[str, ...],
    network: Lpips | None,
    texts: Mapping[str, str],
) -> Iterator[Case]:
    names = [Path(path).name for path in inputs]
    if len(set(names)) != len(names):
        raise UsageError("two inputs have the same file name: rows could not be told apart")
    for path, size in product(inputs, sizes):
        text = texts.get(Path(path).name)
        yield load_case(path, size, text=text, metrics=metrics, network=network)


def _codecs(
    names: Sequence[str],
    size: tuple[int, int],
    points: int | None,
    device: str,
    failures: list[str],
) -> list[Codec]:
    """The codecs by name; gistcast stands for all its choices of layers."""
    found: list[Codec] = []
    for name in dict.fromkeys(names):
        if name == OURS:
            ours, left_out = gistcast_codecs(device, size_scale(*size), points)
            found += ours
            failures += [line for line in left_out if line not in failures]
        else:
            found.append(standard_codec(name))
    return found


def _arms(codec: Codec, case: Case, quick: bool) -> list[Arm]:
    if codec.name == OURS:
        return [Arm()]
    arms = arms_for(case.clip.frames)
    return [arm for arm in arms if arm.name in _QUICK_ARMS] if quick else arms


def _strips(cases: list[Case], jobs: list[tuple[Case, Codec, Arm]], run: _Run) -> list[Strip]:
    """Pictures of the first few clips."""
    strips = []
    for case in cases[:_STRIPS]:
        mine = [(codec, arm) for of, codec, arm in jobs if of is case]
        budget = _STRIP_BUDGET * size_scale(case.clip.width, case.clip.height)
        strips.append(make_strip(case, mine, run.cache, run.kept, budget))
    return strips


def _series(strip: Strip) -> Iterator[dict[str, Any]]:
    """RGB-PSNR frame by frame of what a strip shows."""
    for picture in strip.pictures:
        if picture.psnr:
            yield {
                "clip": strip.clip,
                "size": f"{strip.width}x{strip.height}",
                "picture": f"{picture.label}: {picture.note}",
                "psnr": list(picture.psnr),
            }


def _settings(
    command: str,
    inputs: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    metrics: Sequence[str],
    chosen: dict[tuple[int, int], list[Codec]],
    run: _Run,
) -> dict[str, Any]:
    codecs = {
        f"{width}x{height}": [
            {
                "name": codec.name,
                "counted": codec.counted,
                "points": [codec.settings(p) for p in spread(codec.points, run.points)],
            }
            for codec in of_size
        ]
        for (width, height), of_size in chosen.items()
    }
    return {
        "command": command,
        "clips": [Path(path).name for path in inputs],
        "sizes": [f"{width}x{height}" for width, height in sizes],
        "metrics": list(metrics),
        "quick": run.quick,
        "codecs": codecs,
        "failures": run.failures,
        "versions": {
            "gistcast": version("gistcast"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "av": av.__version__,
            **{name: ".".join(map(str, v)) for name, v in av.library_versions.items()},
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
    }


def _as_json(results: dict[str, Any]) -> str:
    """JSON with a row a line: small, and pleasant to grep and diff."""
    head = json.dumps({key: results[key] for key in results if key != "rows"}, indent=1)
    rows = ",\n".join(json.dumps(row) for row in results["rows"])
    return f'{head[:-2]},\n "rows": [\n{rows}\n]}}\n'


def _write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
