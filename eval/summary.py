"""Rows -> the tables of the report: means at byte budgets, duels with the hull, BD-rates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from gistcast.eval.bd import BdRate, Method, bd_rate
from gistcast.eval.cache import Row
from gistcast.eval.hull import BUDGETS, Best, curves, full_rate, hull
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER

OURS = "gistcast"
ALL_VARIANTS, FULL_RATE = "hull, all variants", "hull, full frame rate"
_PIXELS = 64 * 64  # of the frames that the budgets are meant for

Found = dict[str, list[Best | None]]  #: clip -> the best at each budget


def size_scale(width: int, height: int) -> float:
    """What budgets are multiplied by at another frame size: the ratio of the sides."""
    return math.sqrt(width * height / _PIXELS)


@dataclass(frozen=True)
class Line:
    """One line of a table: a codec, an arm or a hull at every budget.

    Attributes:
        name: for people.
        values: mean over clips; None where no clip has a value.
        clips: how many clips have one.
        arms: the codec and arm that most often gave the value.
    """

    name: str
    values: list[float | None]
    clips: list[int]
    arms: list[str]


@dataclass(frozen=True)
class Duel:
    """An arm of ours against a hull, clip by clip, at every budget.

    Attributes:
        arm, against: who.
        difference: mean of ours minus theirs over the clips where both have a value.
        wins, losses: clips on which ours is better, and worse.
        clips: how many clips were compared.
    """

    arm: str
    against: str
    difference: list[float | None]
    wins: list[int]
    losses: list[int]
    clips: list[int]


@dataclass(frozen=True)
class Single:
    """An arm of ours with one size a clip: means over `clips` clips."""

    arm: str
    bytes: float
    value: float | None
    clips: int


@dataclass(frozen=True)
class BdSummary:
    """BD-rates of an arm of ours against one standard codec at full size and frame rate.

    Attributes:
        arm, against, method: who and how.
        percent: mean over the clips that have a figure; None where none has.
        clips: how many have.
        share: mean part of the qualities that both curves cover, over the same clips.
        refused: clips without a figure, by reason.
    """

    arm: str
    against: str
    method: str
    percent: float | None
    clips: int
    share: float | None
    refused: dict[str, int]


def summarise(rows: Sequence[Row], metrics: Sequence[str]) -> dict[str, Any]:
    """Tables of each frame size: `{"64x64": {"budgets", "clips", "tables": {metric: ...}}}`."""
    sizes = dict.fromkeys((row["width"], row["height"]) for row in rows)
    return {
        f"{width}x{height}": _one_size(
            [row for row in rows if (row["width"], row["height"]) == (width, height)],
            metrics,
            [round(b * size_scale(width, height)) for b in BUDGETS],
        )
        for width, height in sizes
    }


def _one_size(rows: list[Row], metrics: Sequence[str], budgets: list[int]) -> dict[str, Any]:
    return {
        "budgets": budgets,
        "clips": len({row["clip"] for row in rows}),
        "tables": {metric: _table(rows, metric, budgets) for metric in metrics},
    }


def _table(rows: list[Row], metric: str, budgets: list[int]) -> dict[str, Any]:
    standard = [row for row in rows if row["codec"] != OURS]
    hulls = {
        ALL_VARIANTS: hull(standard, metric, budgets),
        FULL_RATE: hull(filter(full_rate, standard), metric, budgets),
    }
    arms, single = _our_arms(rows)
    ours = {
        arm: hull((r for r in rows if r["codec"] == OURS and r["arm"] == arm), metric, budgets)
        for arm in arms
    }
    codecs = dict.fromkeys(row["codec"] for row in standard)
    alone = {
        f"{codec}, best arm": hull((r for r in standard if r["codec"] == codec), metric, budgets)
        for codec in codecs
    }
    lines = {**{f"{OURS} {arm}": found for arm, found in ours.items()}, **hulls, **alone}
    higher = metric in HIGHER_IS_BETTER
    return {
        "higher_is_better": higher,
        "lines": [asdict(_line(name, found, budgets)) for name, found in lines.items()],
        "duels": [
            asdict(_duel(arm, against, ours[arm], hulls[against], budgets, higher))
            for arm in arms
            for against in hulls
        ],
        "single": [asdict(_single(rows, arm, metric)) for arm in single],
        "bd_rate": [asdict(bd) for bd in _bd_rates(rows, metric, arms, list(codecs))],
    }


def _our_arms(rows: list[Row]) -> tuple[list[str], list[str]]:
    """Our arms that are curves, and those with a single point (text or latent alone)."""
    clips: dict[str, list[str]] = {}
    for row in rows:
        if row["codec"] == OURS:
            clips.setdefault(row["arm"], []).append(row["clip"])
    curved = [arm for arm, names in clips.items() if len(names) > len(set(names))]
    return curved, [arm for arm in clips if arm not in curved]


def _single(rows: list[Row], arm: str, metric: str) -> Single:
    found = [r for r in rows if r["codec"] == OURS and r["arm"] == arm]
    values = [r[metric] for r in found if r.get(metric) is not None]
    return Single(arm, _mean([r["bytes"] for r in found]) or 0.0, _mean(values), len(found))


def _line(name: str, found: Found, budgets: list[int]) -> Line:
    values, clips, arms = [], [], []
    for at in range(len(budgets)):
        bests = [best for by_clip in found.values() if (best := by_clip[at]) is not None]
        values.append(_mean([best.value for best in bests]))
        clips.append(len(bests))
        common = Counter(f"{best.codec} {best.arm}" for best in bests).most_common(1)
        arms.append(common[0][0] if common else "")
    return Line(name, values, clips, arms)


def _duel(
    arm: str, against: str, ours: Found, theirs: Found, budgets: list[int], higher: bool
) -> Duel:
    difference, wins, losses, clips = [], [], [], []
    for at in range(len(budgets)):
        gaps = [
            a.value - b.value
            for clip, bests in ours.items()
            if (a := bests[at]) is not None and (b := theirs.get(clip, [None] * (at + 1))[at])
        ]
        better = [gap if higher else -gap for gap in gaps]
        difference.append(_mean(gaps))
        wins.append(sum(gap > 0 for gap in better))
        losses.append(sum(gap < 0 for gap in better))
        clips.append(len(gaps))
    return Duel(arm, against, difference, wins, losses, clips)


def _bd_rates(rows: list[Row], metric: str, arms: list[str], codecs: list[str]) -> list[BdSummary]:
    found = []
    by_clip = curves(rows, metric)
    methods: tuple[Method, ...] = ("akima", "pchip")
    for arm, codec, method in product(arms, codecs, methods):
        found.append(_bd_rate(by_clip, metric, arm, codec, method))
    return found


def _bd_rate(
    by_clip: dict[str, dict[tuple[str, str], list[tuple[float, float]]]],
    metric: str,
    arm: str,
    codec: str,
    method: Method,
) -> BdSummary:
    results: list[BdRate] = []
    for by_arm in by_clip.values():
        anchor, tested = by_arm.get((codec, "full"), []), by_arm.get((OURS, arm), [])
        results.append(bd_rate(anchor, tested, higher=metric in HIGHER_IS_BETTER, method=method))
    good = [r for r in results if r.percent is not None]
    return BdSummary(
        arm=arm,
        against=f"{codec} full",
        method=method,
        percent=_mean([r.percent for r in good if r.percent is not None]),
        clips=len(good),
        share=_mean([r.share for r in good]),
        refused=dict(Counter(r.reason for r in results if r.reason)),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def headline(summary: dict[str, Any]) -> list[str]:
    """Three lines for a terminal: the first frame size, our best arm, the middle budget."""
    size, found = next(iter(summary.items()))
    at = len(found["budgets"]) // 2
    lines = [f"{found['clips']} clip(s) at {size}, {found['budgets'][at]} bytes a clip:"]
    for metric, name, digits in (("psnr_rgb", "RGB-PSNR", 2), ("lpips_alex", "LPIPS", 3)):
        table = found["tables"].get(metric)
        if table is None:
            continue
        pick: Callable[..., Any] = max if table["higher_is_better"] else min
        ours = [ln for ln in table["lines"] if ln["name"].startswith(OURS)]
        best = pick((ln["values"][at] for ln in ours if ln["values"][at] is not None), default=None)
        theirs = {ln["name"]: ln["values"][at] for ln in table["lines"]}
        figures = [
            f"{what} {value:.{digits}f}"
            for what, value in (
                ("gistcast", best),
                ("standard codecs at their best", theirs[ALL_VARIANTS]),
                ("at full frame rate", theirs[FULL_RATE]),
            )
            if value is not None
        ]
        lines.append(f"  {name}: {', '.join(figures)}")
    return lines
