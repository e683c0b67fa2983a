"""What each tool of our encoder brings: `python -m gistcast.eval.ablation results.json[.gz]`.

gistcast eval CLIPS -o out --codecs gistcast:plain,gistcast:without-motion,gistcast:fast
rows of each arm --BD-rate against the plain sketch, clip by clip--> mean, interval, seconds
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gistcast.eval.bd import RateCurve, compare
from gistcast.eval.cache import Row
from gistcast.eval.hull import BUDGETS
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER
from gistcast.eval.statistics import interval, mean
from gistcast.eval.summary import OURS, size_scale
from gistcast.eval.table import load

SKETCH = "sketch"  #: arm of the encoder as it is


@dataclass(frozen=True)
class Change:
    """An encoder against the plain one.

    Attributes:
        arm: its name in the results.
        percent: more bytes at equal quality, mean over clips; None without overlap.
        low, high: 95 % bootstrap interval of that mean.
        worse, clips: clips on which it takes more bytes, and all that have a figure.
        time: encoding time over the plain encoder's, of all payloads together.
    """

    arm: str
    percent: float | None
    low: float | None
    high: float | None
    worse: int
    clips: int
    time: float


def changes(rows: Iterable[Row], metric: str, rates: tuple[float, float]) -> list[Change]:
    """Every arm of ours that is a sketch against the plain one.

    Args:
        rows: of one frame size.
        metric: quality.
        rates: least and most bytes of the range.
    """
    arms: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row["codec"] == OURS and row["arm"].endswith(SKETCH):
            arms.setdefault(row["arm"], {}).setdefault(row["clip"], []).append(row)
    plain = arms.pop(SKETCH, {})
    return [_change(arm, by_clip, plain, metric, rates) for arm, by_clip in arms.items()]


def _change(
    arm: str,
    by_clip: Mapping[str, Sequence[Row]],
    plain: Mapping[str, Sequence[Row]],
    metric: str,
    rates: tuple[float, float],
) -> Change:
    both = [clip for clip in by_clip if clip in plain]
    results = [
        compare(_curve(plain[clip], metric), _curve(by_clip[clip], metric), front=True, rates=rates)
        for clip in both
    ]
    percents = [found.percent for found in results if found.percent is not None]
    low, high = interval(percents) or (None, None)
    mine, theirs = (
        _seconds(row for clip in both for row in some[clip]) for some in (by_clip, plain)
    )
    time = mine / theirs if theirs else float("nan")
    worse = sum(percent > 0 for percent in percents)
    return Change(arm, mean(percents), low, high, worse, len(percents), time)


def _curve(rows: Iterable[Row], metric: str) -> RateCurve:
    points = [(row["bytes"], row[metric]) for row in rows]
    return RateCurve.of(points, metric in HIGHER_IS_BETTER)


def _seconds(rows: Iterable[Row]) -> float:
    return float(sum(row["encode_seconds"] for row in rows))


def markdown(rows: Sequence[Row], metric: str) -> Iterator[str]:
    """A table for each frame size."""
    for width, height in dict.fromkeys((row["width"], row["height"]) for row in rows):
        scale = size_scale(width, height)
        rates = (BUDGETS[0] * scale, BUDGETS[-1] * scale)
        some = [row for row in rows if (row["width"], row["height"]) == (width, height)]
        yield f"{width}x{height}, {metric}, {rates[0]:.0f} to {rates[1]:.0f} bytes a clip"
        yield ""
        yield "| encoder | bytes at equal quality | 95 % | more on | encoding time |"
        yield "|---|---|---|---|---|"
        for found in changes(some, metric, rates):
            yield _line(found)
        yield ""


def _line(found: Change) -> str:
    if found.percent is None:
        return f"| {found.arm} | no overlap | | | {found.time:.2f} |"
    around = "" if found.low is None else f"[{found.low:+.1f}, {found.high:+.1f}]"
    name = found.arm.removesuffix(f"-{SKETCH}")
    share = f"{found.worse} of {found.clips}"
    return f"| {name} | {found.percent:+.1f} % | {around} | {share} | {found.time:.2f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m gistcast.eval.ablation", description=__doc__)
    parser.add_argument("results", type=Path, help="results.json, or .gz")
    parser.add_argument("metric", nargs="?", default="psnr_rgb", help="(default psnr_rgb)")
    args = parser.parse_args()
    results: dict[str, Any] = load(args.results)
    print("\n".join(markdown(results["rows"], args.metric)))


if __name__ == "__main__":
    main()
