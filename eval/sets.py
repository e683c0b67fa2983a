"""Distances between sets of clips, from metrics whose value is a vector a clip.

    source's vectors ------------------------------------\\
    codec and arm --each clip's point within the budget--> vectors --Fréchet distance--> one figure

Nothing is interpolated: of each clip the largest payload of at most the budget is taken, and a
budget that some clip has no payload for has no figure. A distance belongs to a set, so the
standards cannot be chosen clip by clip: their lines are the best single codec and arm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gistcast.eval.cache import Row
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.hull import full_rate, real_time
from gistcast.eval.metrics.frechet import FEWEST, frechet

BEST_OF_ALL, BEST_FULL_RATE = "best single arm, all variants", "best single arm, full frame rate"
BEST_REAL_TIME = "best single arm, real time"

Name = tuple[str, str]  #: codec and arm
Vectors = Mapping[str, Sequence[float]]  #: clip -> its vector


@dataclass(frozen=True)
class SetLine:
    """One line of the table.

    Attributes:
        name: for people.
        values: distance to the sources at each budget; None where some clip has no payload.
        arms: the codec and arm behind each value.
    """

    name: str
    values: list[float | None]
    arms: list[str]


def distances(
    rows: Iterable[Row], metric: str, budgets: Sequence[float], source: str
) -> dict[str, Any] | None:
    """The table of one vector metric; None for under `FEWEST` clips.

    Args:
        rows: of one frame size, those of the sources included.
        metric: its name in the rows.
        budgets: bytes a clip.
        source: the codec whose rows are of the sources.
    """
    groups: dict[Name, list[Row]] = defaultdict(list)
    for row in rows:
        if row.get(metric) is not None:
            groups[row["codec"], row["arm"]].append(row)
    reference = {row["clip"]: row[metric] for row in groups.pop((source, source), [])}
    if len(reference) < FEWEST:
        return None
    found = {name: _values(some, metric, budgets, reference) for name, some in groups.items()}
    lines = [
        SetLine(" ".join(name), values, [" ".join(name)] * len(budgets))
        for name, values in found.items()
        if name[0] not in STANDARD_NAMES and any(value is not None for value in values)
    ]
    first = {name: some[0] for name, some in groups.items() if name[0] in STANDARD_NAMES}
    matched = [name for name, row in first.items() if not real_time(row)]
    classes = {
        BEST_OF_ALL: matched,
        BEST_FULL_RATE: [name for name in matched if full_rate(first[name])],
        BEST_REAL_TIME: [name for name in first if name not in matched],
    }
    lines += [_best(title, names, found, len(budgets)) for title, names in classes.items() if names]
    return {"metric": metric, "clips": len(reference), "lines": [asdict(line) for line in lines]}


def _values(
    rows: Iterable[Row], metric: str, budgets: Sequence[float], reference: Vectors
) -> list[float | None]:
    return [_value(_within(rows, metric, budget), reference) for budget in budgets]


def _within(rows: Iterable[Row], metric: str, budget: float) -> Vectors:
    """Of each clip the largest payload of at most `budget` bytes."""
    fitting = sorted((r for r in rows if r["bytes"] <= budget), key=lambda row: row["bytes"])
    return {row["clip"]: row[metric] for row in fitting}


def _value(vectors: Vectors, reference: Vectors) -> float | None:
    if set(vectors) != set(reference):
        return None
    clips = list(reference)
    return frechet([vectors[clip] for clip in clips], [reference[clip] for clip in clips])


def _best(
    title: str, names: Iterable[Name], found: Mapping[Name, list[float | None]], count: int
) -> SetLine:
    values: list[float | None] = []
    arms = []
    for at in range(count):
        known = [(value, name) for name in names if (value := found[name][at]) is not None]
        best = min(known, default=None)
        values.append(best[0] if best else None)
        arms.append(" ".join(best[1]) if best else "")
    return SetLine(title, values, arms)
