"""Rows -> the tables of the report: means at byte budgets, duels with the hulls, BD-rates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gistcast.eval.bd import RateCurve
from gistcast.eval.bd_table import SAMPLED, Curves, bd_summaries
from gistcast.eval.cache import Row
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.compressai import Outside
from gistcast.eval.duels import Found, duel, named
from gistcast.eval.hull import BUDGETS, curves, full_rate, hull, hull_curve, real_time, value_at
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER
from gistcast.eval.sets import distances
from gistcast.eval.statistics import interval, mean

OURS = "gistcast"
SOURCE = "source"  #: codec of rows that hold what was measured of the reference itself
ALL_VARIANTS, FULL_RATE = "hull, all variants", "hull, full frame rate"
REAL_TIME = "hull, real time"
_PIXELS = 64 * 64  # of the frames that the budgets are meant for


def size_scale(width: int, height: int) -> float:
    """What budgets are multiplied by at another frame size: the ratio of the sides."""
    return math.sqrt(width * height / _PIXELS)


@dataclass(frozen=True)
class Line:
    """One line of a table: a codec, an arm or a hull at every budget.

    Attributes:
        name: for people.
        values: mean over clips; None where no clip has a value.
        low, high: 95 % bootstrap interval of the mean.
        clips: how many clips have one.
        arms: the codec and arm that most often gave the value.
        read: whether the figures were read from a file and not measured here.
    """

    name: str
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    clips: list[int]
    arms: list[str]
    read: bool = False


@dataclass(frozen=True)
class Single:
    """An arm of ours with one size a clip: means over `clips` clips."""

    arm: str
    bytes: float
    value: float | None
    clips: int


@dataclass(frozen=True)
class AsVideo:
    """How many clips an operating point of ours carried as AV1, and which."""

    arm: str
    point: float
    clips: int
    names: list[str]


def summarise(
    rows: Sequence[Row],
    metrics: Sequence[str],
    outside: Sequence[Outside] = (),
    budgets: Sequence[int] = (),
) -> dict[str, Any]:
    """Tables of each frame size: `{"64x64": {"budgets", "clips", "tables": {metric: ...}}}`.

    Args:
        rows: what was measured.
        metrics: which of it; those whose values are vectors have one figure a set of clips.
        outside: curves that others measured, read from files.
        budgets: bytes a clip of the tables, and the ends of the range of BD-rates; by default those
            of the protocol, scaled to the frame size.
    """
    sizes = dict.fromkeys((row["width"], row["height"]) for row in rows)
    return {
        f"{width}x{height}": _one_size(
            [row for row in rows if (row["width"], row["height"]) == (width, height)],
            metrics,
            list(budgets) or [round(b * size_scale(width, height)) for b in BUDGETS],
            outside,
        )
        for width, height in sizes
    }


def _one_size(
    rows: list[Row], metrics: Sequence[str], budgets: list[int], outside: Sequence[Outside]
) -> dict[str, Any]:
    coded = [row for row in rows if row["codec"] != SOURCE]
    vectors = [m for m in metrics if any(isinstance(row.get(m), list) for row in rows)]
    scalar = [metric for metric in metrics if metric not in vectors]
    sets = [distances(rows, metric, budgets, SOURCE) for metric in vectors]
    return {
        "budgets": budgets,
        "clips": len({row["clip"] for row in coded}),
        "tables": {metric: _table(coded, metric, budgets, outside) for metric in scalar},
        "sets": [found for found in sets if found],
        "video": [asdict(found) for found in _as_video(coded)],
    }


def _as_video(rows: Iterable[Row]) -> list[AsVideo]:
    """Operating points of ours at which a clip's sketch was AV1 inside, in order."""
    points: dict[tuple[str, float], dict[str, bool]] = {}
    for row in rows:
        if row["codec"] == OURS and "layers" in row:
            found = points.setdefault((row["arm"], row["point"]), {})
            found[row["clip"]] = row["layers"].get("video", 0) > 0
    return [
        AsVideo(arm, point, len(found), sorted(name for name, video in found.items() if video))
        for (arm, point), found in sorted(points.items())
        if any(found.values())
    ]


def hull_rows(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows that each hull is made of: of standard codecs alone, so that a codec of the user's
    own is measured against them and not part of them. Real time only where something ran so."""
    standard = [row for row in rows if row["codec"] in STANDARD_NAMES]
    matched = [row for row in standard if not real_time(row)]
    found = {ALL_VARIANTS: matched, FULL_RATE: [row for row in matched if full_rate(row)]}
    quick = [row for row in standard if real_time(row)]
    return {**found, REAL_TIME: quick} if quick else found


def own_codecs(rows: Iterable[Row]) -> list[str]:
    """Codecs that are neither ours nor standard: the user's own, neural ones. Each is measured
    against the hulls by the best of its arms."""
    found = dict.fromkeys(row["codec"] for row in rows)
    return [name for name in found if name not in (OURS, SOURCE, *STANDARD_NAMES)]


def best_arm(codec: str) -> str:
    """The line of a codec that takes the best of its arms, clip by clip."""
    return f"{codec}, best arm"


def _matched(rows: Iterable[Row], codec: str) -> list[Row]:
    return [row for row in rows if row["codec"] == codec and not real_time(row)]


def _table(
    rows: list[Row], metric: str, budgets: list[int], outside: Sequence[Outside]
) -> dict[str, Any]:
    higher = metric in HIGHER_IS_BETTER
    parts = hull_rows(rows)
    hulls = {name: hull(some, metric, budgets) for name, some in parts.items() if some}
    arms, single = _our_arms(rows)
    ours = {f"{OURS} {arm}": hull(_of(rows, OURS, arm), metric, budgets) for arm in arms}
    matched = [row for row in rows if row["codec"] != OURS and not real_time(row)]
    codecs = list(dict.fromkeys(row["codec"] for row in matched))
    alone = {best_arm(codec): hull(_matched(rows, codec), metric, budgets) for codec in codecs}
    contenders = {**ours, **{name: alone[name] for name in map(best_arm, own_codecs(rows))}}
    lines = {**ours, **hulls, **alone}
    read = [_read_line(one, rows[0], metric, budgets) for one in outside if metric in one.values]
    return {
        "higher_is_better": higher,
        "lines": [asdict(line) for line in (*(_line(*item) for item in lines.items()), *read)],
        "duels": [
            asdict(duel(name, against, found, theirs, higher))
            for name, found in contenders.items()
            for against, theirs in hulls.items()
        ],
        "single": [asdict(_single(rows, arm, metric)) for arm in single],
        "bd_rate": _bd_rates(rows, metric, arms, codecs, (budgets[0], budgets[-1])),
    }


def _of(rows: Iterable[Row], codec: str, arm: str) -> list[Row]:
    return [row for row in rows if (row["codec"], row["arm"]) == (codec, arm)]


def _our_arms(rows: list[Row]) -> tuple[list[str], list[str]]:
    """Our arms that are curves, and those with a single point (text or latent alone)."""
    clips: dict[str, list[str]] = {}
    for row in rows:
        if row["codec"] == OURS:
            clips.setdefault(row["arm"], []).append(row["clip"])
    curved = [arm for arm, names in clips.items() if len(names) > len(set(names))]
    return curved, [arm for arm in clips if arm not in curved]


def _single(rows: list[Row], arm: str, metric: str) -> Single:
    found = _of(rows, OURS, arm)
    values = [r[metric] for r in found if r.get(metric) is not None]
    return Single(arm, mean([r["bytes"] for r in found]) or 0.0, mean(values), len(found))


def _line(name: str, found: Found) -> Line:
    values, clips, arms, ranges = [], [], [], []
    for column in zip(*found.values(), strict=True):
        bests = [best for best in column if best is not None]
        values.append(mean([best.value for best in bests]))
        ranges.append(interval([best.value for best in bests]))
        clips.append(len(bests))
        common = Counter(map(named, bests)).most_common(1)
        arms.append(common[0][0] if common else "")
    low, high = ([around and around[end] for around in ranges] for end in (0, 1))
    return Line(name, values, low, high, clips, arms)


def _read_line(one: Outside, like: Row, metric: str, budgets: list[int]) -> Line:
    """What others measured, at our budgets, were their clips of our size and length."""
    points = one.points(metric, like["width"] * like["height"] * like["frames"])
    values = [value_at(points, budget, metric in HIGHER_IS_BETTER) for budget in budgets]
    none: list[Any] = [None] * len(budgets)
    return Line(one.name, values, none, none, [0] * len(budgets), [""] * len(budgets), read=True)


def _bd_rates(
    rows: list[Row], metric: str, arms: list[str], codecs: list[str], rates: tuple[float, float]
) -> list[dict[str, Any]]:
    higher = metric in HIGHER_IS_BETTER
    by_clip = curves(rows, metric)
    clips = list(by_clip)

    def of(codec: str, arm: str) -> Curves:
        found = {clip: by_arm.get((codec, arm)) for clip, by_arm in by_clip.items()}
        return {clip: RateCurve.of(points, higher) for clip, points in found.items() if points}

    def sampled(some: Iterable[Row]) -> Curves:
        return {
            clip: RateCurve.of(hull_curve(by_arm, higher), higher)
            for clip, by_arm in curves(some, metric).items()
        }

    codecs_ = bd_summaries(
        {f"{OURS} {arm}": of(OURS, arm) for arm in arms},
        {f"{codec} full": of(codec, "full") for codec in codecs},
        clips,
        rates,
    )
    hulls = bd_summaries(
        {
            **{f"{OURS} {arm}": sampled(_of(rows, OURS, arm)) for arm in arms},
            **{best_arm(own): sampled(_matched(rows, own)) for own in own_codecs(rows)},
        },
        {name: sampled(some) for name, some in hull_rows(rows).items()},
        clips,
        rates,
        SAMPLED,
    )
    return [asdict(found) for found in (*hulls, *codecs_)]
