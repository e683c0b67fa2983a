"""A contender, ours or the user's own, against a hull: clip by clip, at every budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gistcast.eval.hull import Best
from gistcast.eval.statistics import interval, mean, sign_test

WORST = 5  #: clips that are named

Found = dict[str, list[Best | None]]  #: clip -> the best at each budget


@dataclass(frozen=True)
class Duel:
    """Two lines of the table, clip by clip; lists are one entry a budget.

    Attributes:
        arm, against: who, by the names of their lines.
        difference: mean of the arm's value minus the hull's over the clips where both have a value.
        low, high: 95 % bootstrap interval of that mean.
        wins, losses: clips on which ours is better, and worse.
        p: of the sign test on wins and losses.
        clips: how many clips were compared.
        by_clip: clip -> ours minus theirs.
        best: clip -> the codec and arm that theirs comes from, "" without one.
        worst: the clips on which ours does worst, by the mean difference over budgets.
    """

    arm: str
    against: str
    difference: list[float | None]
    low: list[float | None]
    high: list[float | None]
    wins: list[int]
    losses: list[int]
    p: list[float | None]
    clips: list[int]
    by_clip: dict[str, list[float | None]]
    best: dict[str, list[str]]
    worst: list[str]


def duel(arm: str, against: str, ours: Found, theirs: Found, higher: bool) -> Duel:
    """Compare two lines; `higher` says whether more is better."""
    by_clip = {clip: _gaps(bests, theirs[clip]) for clip, bests in ours.items() if clip in theirs}
    count = len(next(iter(ours.values()), []))
    columns = [[g[at] for g in by_clip.values() if g[at] is not None] for at in range(count)]
    gaps = [[gap for gap in column if gap is not None] for column in columns]
    sign = 1 if higher else -1
    wins = [sum(sign * gap > 0 for gap in column) for column in gaps]
    losses = [sum(sign * gap < 0 for gap in column) for column in gaps]
    ranges = [interval(column) for column in gaps]
    return Duel(
        arm=arm,
        against=against,
        difference=[mean(column) for column in gaps],
        low=[found and found[0] for found in ranges],
        high=[found and found[1] for found in ranges],
        wins=wins,
        losses=losses,
        p=[sign_test(*counts) for counts in zip(wins, losses, strict=True)],
        clips=[len(column) for column in gaps],
        by_clip=by_clip,
        best={clip: [named(best) for best in theirs[clip]] for clip in by_clip},
        worst=_worst(by_clip, sign),
    )


def named(best: Best | None) -> str:
    """Codec and arm, for people."""
    return f"{best.codec} {best.arm}" if best else ""


def _gaps(ours: Sequence[Best | None], theirs: Sequence[Best | None]) -> list[float | None]:
    return [a.value - b.value if a and b else None for a, b in zip(ours, theirs, strict=True)]


def _worst(by_clip: dict[str, list[float | None]], sign: int) -> list[str]:
    means = {c: mean([gap for gap in gaps if gap is not None]) for c, gaps in by_clip.items()}
    ranked = sorted((sign * gap, clip) for clip, gap in means.items() if gap is not None)
    return [clip for _, clip in ranked[:WORST]]
