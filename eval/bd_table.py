"""BD-rates of an arm of ours against a codec or a hull: every clip, then the mean.

    clip's curves --per clip, method, range of bytes, form--> percent --over clips--> mean, interval

"as measured" takes only clips on which both curves are monotonic; "running best" takes the Pareto
front of a curve, that is, leaves out points that a smaller one equals or beats. Where a curve is
monotonic both are the same. Against a hull the form is "sampled": a hull is a running best, linear
between points (`hull.hull_curve`), and so ours is read in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from gistcast.eval.bd import BdRate, Method, RateCurve, compare
from gistcast.eval.statistics import interval, mean

Form = Literal["as measured", "running best", "sampled"]

ALL_RATES = "all"
METHODS: tuple[Method, ...] = ("akima", "pchip")
FORMS: tuple[Form, ...] = ("as measured", "running best")
SAMPLED: tuple[Form, ...] = ("sampled",)
Curves = Mapping[str, RateCurve]  #: clip -> curve


@dataclass(frozen=True)
class BdSummary:
    """BD-rate over a set of clips.

    Attributes:
        arm, against, method, form: who and how.
        rates: "all", or the least and most bytes of the range, such as "200-2000".
        percent: mean over the clips that have a figure; None where none has.
        low, high: 95 % bootstrap interval of the mean.
        wins, losses: clips with fewer, and with more bytes than the anchor.
        clips: how many have a figure.
        share: mean part of the qualities that either curve covers, over the same clips.
        refused: clips without a figure, by reason.
        by_clip: clip -> percent, where there is one.
    """

    arm: str
    against: str
    method: Method
    form: Form
    rates: str
    percent: float | None
    low: float | None
    high: float | None
    wins: int
    losses: int
    clips: int
    share: float | None
    refused: dict[str, int]
    by_clip: dict[str, float]


def bd_summaries(
    ours: Mapping[str, Curves],
    anchors: Mapping[str, Curves],
    clips: Sequence[str],
    rates: tuple[float, float],
    forms: Sequence[Form] = FORMS,
) -> list[BdSummary]:
    """Every arm against every anchor: by both methods, at all rates and in `rates`.

    Args:
        ours, anchors: name -> clip -> curve.
        clips: all clips; one without a curve counts as "not measured".
        rates: least and most bytes.
        forms: of the curves.
    """
    ranges: dict[str, tuple[float, float] | None] = {
        ALL_RATES: None,
        f"{rates[0]:.0f}-{rates[1]:.0f}": rates,
    }
    found = []
    for arm, against in product(ours, anchors):
        pairs = {c: (anchors[against].get(c), ours[arm].get(c)) for c in clips}
        for method, (name, limits), form in product(METHODS, ranges.items(), forms):
            results = {
                clip: compare(anchor, tested, method=method, front=form != FORMS[0], rates=limits)
                for clip, (anchor, tested) in pairs.items()
                if anchor is not None and tested is not None
            }
            missing = len(pairs) - len(results)
            found.append(_summary(arm, against, method, form, name, results, missing))
    return found


def _summary(
    arm: str,
    against: str,
    method: Method,
    form: Form,
    rates: str,
    results: Mapping[str, BdRate],
    missing: int,
) -> BdSummary:
    by_clip = {clip: r.percent for clip, r in results.items() if r.percent is not None}
    percents = list(by_clip.values())
    around = interval(percents)
    refused = Counter(r.reason for r in results.values() if r.reason)
    if missing:
        refused["not measured"] = missing
    return BdSummary(
        arm=arm,
        against=against,
        method=method,
        form=form,
        rates=rates,
        percent=mean(percents),
        low=around[0] if around else None,
        high=around[1] if around else None,
        wins=sum(percent < 0 for percent in percents),
        losses=sum(percent > 0 for percent in percents),
        clips=len(percents),
        share=mean([results[clip].share for clip in by_clip]),
        refused=dict(refused),
        by_clip=by_clip,
    )
