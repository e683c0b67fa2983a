"""The yardstick: per clip, the best that any standard codec and arm does at a byte budget.

    rows --by codec and arm--> curves --running best, linear in log bytes--> value at the budget
         --best over curves--> value of a clip --mean over clips--> one figure a budget

Interpolating between two coded points favours the standards: no payload of exactly that size
was made.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gistcast.eval.bd import pareto_front
from gistcast.eval.cache import Row
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER

BUDGETS = (200, 300, 450, 640, 1050, 1500, 2000)  #: bytes a clip of 32 frames at 64 x 64
PER_OCTAVE = 8  #: points of a hull's own curve for each doubling of bytes
REAL_TIME = "realtime"  #: the mode of rows that were coded in real time
Point = tuple[float, float]  #: bytes, value


@dataclass(frozen=True)
class Best:
    """The best value at a budget, and the curve that has it."""

    value: float
    codec: str
    arm: str


def running_best(points: Iterable[Point], higher: bool) -> list[Point]:
    """Points in order of bytes, each value the best that so many bytes have bought."""
    best: list[Point] = []
    for size, value in sorted(points):
        if best:
            value = max(value, best[-1][1]) if higher else min(value, best[-1][1])
            if best[-1][0] == size:
                best.pop()
        best.append((size, value))
    return best


def value_at(points: Iterable[Point], budget: float, higher: bool) -> float | None:
    """Value of a curve at `budget` bytes.

    Interpolated in the logarithm of bytes within the curve, the best point beyond its end, None
    before its beginning.
    """
    return _value_on(running_best(points, higher), budget)


def _value_on(curve: Sequence[Point], budget: float) -> float | None:
    """`value_at` of a running best."""
    if not curve or curve[0][0] > budget:
        return None
    for (size, value), (next_size, next_value) in pairwise(curve):
        if size <= budget < next_size:
            part = math.log(budget / size) / math.log(next_size / size)
            return value + part * (next_value - value)
    return curve[-1][1]


def curves(rows: Iterable[Row], metric: str) -> dict[str, dict[tuple[str, str], list[Point]]]:
    """Rows -> clip -> (codec, arm) -> points; rows without the metric are left out."""
    found: dict[str, dict[tuple[str, str], list[Point]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.get(metric) is not None:
            found[row["clip"]][row["codec"], row["arm"]].append((row["bytes"], row[metric]))
    return {clip: dict(by_arm) for clip, by_arm in found.items()}


def full_rate(row: Row) -> bool:
    """Whether every frame was coded."""
    return "drop" not in row["arm"]


def real_time(row: Row) -> bool:
    """Whether the codec ran in its real-time mode: fast, and without looking ahead."""
    return bool(row.get("mode") == REAL_TIME)


def hull(
    rows: Iterable[Row], metric: str, budgets: Sequence[float]
) -> dict[str, list[Best | None]]:
    """Per clip and budget, the best over all curves in `rows`; None where nothing is as small."""
    higher = metric in HIGHER_IS_BETTER
    found = {}
    for clip, by_arm in curves(rows, metric).items():
        fronts = {name: running_best(points, higher) for name, points in by_arm.items()}
        found[clip] = [_best(fronts, budget, higher) for budget in budgets]
    return found


def _best(fronts: dict[tuple[str, str], list[Point]], budget: float, higher: bool) -> Best | None:
    candidates = []
    for (codec, arm), front in fronts.items():
        value = _value_on(front, budget)
        if value is not None:
            candidates.append(Best(value, codec, arm))
    if not candidates:
        return None
    return (max if higher else min)(candidates, key=lambda best: best.value)


def hull_curve(by_arm: Mapping[tuple[str, str], Sequence[Point]], higher: bool) -> list[Point]:
    """The hull of a clip as a curve of its own: strictly more quality for more bytes.

    The hull is read on a geometric grid of bytes from the smallest payload to the largest,
    `PER_OCTAVE` points for each doubling; of these, the ones that beat all smaller ones are kept.
    """
    fronts = [running_best(points, higher) for points in by_arm.values() if points]
    if not fronts:
        return []
    low = min(front[0][0] for front in fronts)
    high = max(front[-1][0] for front in fronts)
    steps = math.ceil(math.log2(high / low) * PER_OCTAVE)
    sizes = np.geomspace(low, high, steps + 1)
    values = []
    for front in fronts:
        x, y = np.array(front, float).T
        # the first size of the grid may miss the smallest payload by a rounding error
        reached = sizes >= x[0] * (1 - 1e-12)
        nothing = -np.inf if higher else np.inf
        values.append(np.where(reached, np.interp(np.log(sizes), np.log(x), y), nothing))
    best = np.max(values, 0) if higher else np.min(values, 0)
    return pareto_front(zip(sizes.tolist(), best.tolist(), strict=True), higher)
