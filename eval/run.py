"""`gistcast eval`: clips in; `results.json`, tables as CSV and `report.html` out.

sources x sizes --load--> cases --codecs x arms--> curves --engine, cache--> rows
    --> summary, strips --> files
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.blind import make_pair, write_sheet
from gistcast.eval.cache import Cache, Row
from gistcast.eval.codecs import spread
from gistcast.eval.codecs.base import keeps_limits
from gistcast.eval.codecs.family import NAMES, codecs_of
from gistcast.eval.compressai import Outside
from gistcast.eval.engines import Engine, make_engine
from gistcast.eval.film import Strip
from gistcast.eval.inputs import Source
from gistcast.eval.metrics import DEFAULT, METRICS, Meter
from gistcast.eval.metrics.registry import check_metrics
from gistcast.eval.results import settings_of, write_results, write_whole
from gistcast.eval.strips import make_strip
from gistcast.eval.summary import OURS, SOURCE, size_scale, summarise
from gistcast.eval.sweep import Case, Curve, curves_of, load_case, run_curves

CEILING = 4500  #: bytes a clip at 64 x 64 beyond which a curve is not followed

_QUICK_POINTS = 4
_QUICK_ARMS = {"full", "half", "drop-8", "drop-2", "drop-1", "half-drop-4"}
_STRIPS = 8  # clips whose pictures go into the report
_STRIP_BUDGET = 450  # bytes a clip at 64 x 64 that pictures are shown at


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        sources: the clips.
        codecs: names, as `codecs.family` knows them.
        sizes: (width, height) of the clips.
        metrics: out of `METRICS`; `psnr_rgb` is always measured.
        points: points on every curve; None takes all.
        budgets: bytes a clip at 64 x 64 (others scaled): the finest payload within each is searched
            on every curve, in place of the codec's own points.
        quick: few arms and points, no real-time modes: a first look within a minute.
        device: auto, cpu or cuda, for networks.
    """

    sources: Sequence[Source]
    codecs: Sequence[str] = NAMES
    sizes: Sequence[tuple[int, int]] = ((64, 64),)
    metrics: Sequence[str] = DEFAULT
    points: int | None = None
    budgets: Sequence[float] = ()
    quick: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.sources or not self.codecs or not self.sizes:
            raise UsageError("evaluation needs at least one input, one codec and one size")
        for width, height in self.sizes:
            if width % 2 or height % 2 or min(width, height) < 16:
                raise UsageError(f"sizes are even and at least 16, not {width}x{height}")
        for name in self.codecs:
            codecs_of(name, self.sizes[0], self.device)  # said now, not after an hour
        check_metrics(self.measured)

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics, RGB-PSNR first, each once."""
        return tuple(dict.fromkeys(("psnr_rgb", *self.metrics)))

    def curves(self, case: Case) -> list[Curve]:
        """The curves of a clip."""
        ceiling = CEILING * size_scale(*case.size)
        found = list(curves_of(case, self.codecs, self.measured, self.device, ceiling))
        if self.quick:
            found = [c for c in found if c.codec.name == OURS or _is_quick(c)]
        points = _QUICK_POINTS if self.quick and self.points is None else self.points
        for curve in found:
            scaled = [round(b * size_scale(*case.size)) for b in self.budgets]
            curve.budgets = tuple(scaled)
            curve.points = spread(curve.points, points)
            if scaled and keeps_limits(curve.codec):
                curve.points = scaled
        return found


def run_eval(
    plan: Plan,
    out: Path,
    *,
    cache: Path | None = None,
    engine: str = "local",
    jobs: int | None = None,
    outside: Sequence[Outside] = (),
    blind: float | None = None,
    blind_frames: int = 0,
    command: str = "",
) -> Path:
    """Measure codecs on clips; the path of the report.

    Args:
        plan: what is measured.
        out: folder for the files and the cache; made if missing.
        cache: file of what was coded and measured before; by default in `out`.
        engine: local or ray.
        jobs: steps at a time; None takes a processor each.
        outside: curves that others measured.
        blind: bytes a clip at 64 x 64 (others scaled) of a blind sheet, `blind.html`.
        blind_frames: frames of each clip on the sheet; 0 shows all.
        command: the command line, for the report.

    Raises:
        UsageError: a choice that does not exist.
        GistcastError: nothing could be measured, or the engine broke down.
        CorruptError: an input cannot be read as video.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (
        closing(Cache(cache or out / "cache.sqlite")) as store,
        closing(make_engine(engine, jobs)) as workers,
    ):
        cases = [load_case(source, size) for source, size in product(plan.sources, plan.sizes)]
        curves = [curve for case in cases for curve in plan.curves(case)]
        follow(curves, store, workers)
        rows = [row for curve in curves for row in curve.rows]
        failures = _failures(plan, curves)
        if not rows:
            raise GistcastError(f"nothing could be measured: {'; '.join(failures)}")
        rows += _references(cases, plan.measured)
        strips = _strips(curves, store)
        if blind is not None:
            write_whole(out / "blind.html", _blind_sheet(curves, store, blind, blind_frames))
    results: dict[str, Any] = {
        "settings": settings_of(plan, curves, failures, command),
        "summary": summarise(rows, plan.measured, outside),
        "rows": rows,
    }
    return write_results(out, results, strips, outside)


def _is_quick(curve: Curve) -> bool:
    return not curve.codec.mode and curve.arm.name in _QUICK_ARMS


def follow(curves: Sequence[Curve], cache: Cache, engine: Engine) -> None:
    """Fill in all rows, with a progress bar on a terminal."""
    bar = tqdm(total=len(curves), desc="eval", unit="curve", disable=not sys.stderr.isatty())

    def ended(curve: Curve) -> None:
        bar.set_postfix_str(f"{curve.case.name} {curve.codec.name}", refresh=False)
        bar.update()

    with bar:
        run_curves(curves, cache, engine, ended)


def _failures(plan: Plan, curves: Sequence[Curve]) -> list[str]:
    """What is missing and why, each once: it may fail alike at every size."""
    left_out = [
        line
        for name, size in product(plan.codecs, plan.sizes)
        for line in codecs_of(name, size, plan.device)[1]
    ]
    return list(dict.fromkeys([*left_out, *(c.failure for c in curves if c.failure)]))


def _references(cases: Sequence[Case], metrics: Sequence[str]) -> list[Row]:
    """Rows of the sources themselves, for metrics that compare sets of clips."""
    vectors = [name for name in metrics if METRICS[name].group == "vector"]
    if not vectors:
        return []
    return [
        {
            "codec": SOURCE,
            "mode": "",
            "arm": SOURCE,
            "clip": case.name,
            "width": case.geometry.width,
            "height": case.geometry.height,
            "frames": case.geometry.frames,
            "bytes": 0,
            **Meter(case.clip, vectors, case.fps).measure(case.clip),
        }
        for case in cases
    ]


def _strips(curves: Sequence[Curve], cache: Cache) -> list[Strip]:
    """Pictures of the first few clips of each size."""
    strips: list[Strip] = []
    taken: dict[tuple[int, int], int] = {}
    for case, mine in groupby(curves, key=lambda curve: curve.case):
        taken[case.size] = taken.get(case.size, 0) + 1
        if taken[case.size] <= _STRIPS:
            budget = _STRIP_BUDGET * size_scale(*case.size)
            strips.append(make_strip(case, list(mine), cache, budget))
    return strips


def _blind_sheet(curves: Sequence[Curve], cache: Cache, budget: float, frames: int) -> str:
    """Ours beside the best standard codec on every clip, in a page.

    Raises:
        GistcastError: no clip has payloads of both that are as small.
    """
    pairs = [
        make_pair(case, mine, cache, budget * size_scale(*case.size), frames)
        for case, mine in groupby(curves, key=lambda curve: curve.case)
    ]
    found = [pair for pair in pairs if pair is not None]
    if not found:
        raise GistcastError(f"a blind sheet needs ours and a standard codec at {budget:g} bytes")
    return write_sheet(found)
