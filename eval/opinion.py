"""What other metrics say of the rows that compete in one: `python -m gistcast.eval.opinion CLIPS`.

curves, measured in a judge's metric --at a budget--> ours, and the best few of the standard codecs
    --decoded again, other metrics--> means, and who won how many clips

A metric that an encoder or a network was tuned with flatters it. Metrics that take seconds a clip
would take days on all rows of an evaluation; on the few that win in the judge's they take minutes.
The standard codecs' best row in each metric counts, of those few.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.eval.cache import Cache, Row
from gistcast.eval.engines import make_engine
from gistcast.eval.inputs import find_sources
from gistcast.eval.metrics import Meter
from gistcast.eval.metrics.registry import HIGHER_IS_BETTER, check_metrics
from gistcast.eval.run import Plan, follow
from gistcast.eval.summary import OURS
from gistcast.eval.sweep import Case, Curve, load_case
from gistcast.eval.work import decode

BUDGETS = (300, 640, 1500)  #: bytes a clip
JUDGE = "lpips_alex"
METRICS = ("lpips_alex", "lpips_vgg", "dists", "ssim", "motion_error", "warp_error", "psnr_rgb")
CODECS = (
    *("gistcast:perceptual", "x264", "x265", "vp9", "svt-av1", "libaom", "vvenc"),
    *("x264:bare", "x265:bare", "svt-av1:bare", "libaom:bare"),
)
_ARM = "perceptual-refined"
_FEW = 4  #: rows of the standard codecs at a budget


@dataclass(frozen=True)
class Seen:
    """What a row shows, as other metrics see it.

    Attributes:
        clip, budget: where it competes.
        codec, arm, bytes: the row.
        figures: by metric.
        source: figures of the source itself, compared with itself.
    """

    clip: str
    budget: int
    codec: str
    arm: str
    bytes: int
    figures: dict[str, float]
    source: dict[str, float]

    @property
    def ours(self) -> bool:
        """Whether it is gistcast's."""
        return self.codec == OURS


def competitors(
    curves: Iterable[Curve], budget: float, arm: str = _ARM, few: int = _FEW
) -> Iterator[tuple[Row, Curve]]:
    """Rows of one clip within a budget: ours with the most bytes, and the standard codecs' best.

    Args:
        curves: of the clip, measured in the judge's metric.
        budget: bytes.
        arm: ours that competes.
        few: rows of the standard codecs.
    """
    within = [(row, c) for c in curves for row in c.rows if row["bytes"] <= budget]
    ours = [pair for pair in within if pair[0]["codec"] == OURS and pair[0]["arm"] == arm]
    yield from sorted(ours, key=lambda pair: int(pair[0]["bytes"]))[-1:]
    sign = -1 if JUDGE in HIGHER_IS_BETTER else 1
    theirs = [pair for pair in within if pair[0]["codec"] != OURS]
    yield from sorted(theirs, key=lambda pair: sign * float(pair[0][JUDGE]))[:few]


def look(
    case: Case,
    curves: Sequence[Curve],
    cache: Cache,
    budgets: Sequence[int] = BUDGETS,
    *,
    metrics: Sequence[str] = METRICS,
    arm: str = _ARM,
) -> Iterator[Seen]:
    """What the metrics say of a clip's competitors.

    Args:
        case: the clip.
        curves: its curves, with their rows.
        cache: where the rows' payloads are.
        budgets: bytes.
        metrics: what is measured.
        arm: ours that competes.

    Raises:
        GistcastError: the cache has lost a payload.
    """
    meter = Meter(case.clip, metrics, case.fps)
    source = _numbers(meter, case.clip)
    known: dict[tuple[str, str, str, float], dict[str, float]] = {}
    for budget in budgets:
        for row, curve in competitors(curves, budget, arm):
            key = row["codec"], row["mode"], row["arm"], row["point"]
            if key not in known:
                step = curve.lookup(row["point"], cache)[1]
                if step.payload is None:
                    raise GistcastError(f"the cache has no payload of {key}: run again")
                shown = decode(step, step.payload, case.clip)[row["arm"]]
                known[key] = _numbers(meter, shown)
            told = (row["codec"], row["arm"], row["bytes"], known[key], source)
            yield Seen(case.name, budget, *told)


def _numbers(meter: Meter, clip: Clip) -> dict[str, float]:
    """What has one figure a clip, and has it here."""
    return {k: v for k, v in meter.measure(clip).items() if isinstance(v, (int, float))}


def table(seen: Sequence[Seen]) -> Iterator[str]:
    """Markdown: means at each budget, ours : theirs (clips won of those that both reach)."""
    metrics = list(dict.fromkeys(metric for one in seen for metric in one.figures))
    yield f"| bytes | clips | {' | '.join(metrics)} |"
    yield "|---" * (len(metrics) + 2) + "|"
    for budget in sorted({one.budget for one in seen}):
        ours = {one.clip: one for one in seen if one.budget == budget and one.ours}
        theirs: dict[str, list[Seen]] = {}
        for one in seen:
            if one.budget == budget and not one.ours and one.clip in ours:
                theirs.setdefault(one.clip, []).append(one)
        cells = [_cell(metric, ours, theirs) for metric in metrics]
        yield f"| {budget} | {len(theirs)} | {' | '.join(cells)} |"
    if "warp_error" in metrics:
        sources = {one.clip: one.source["warp_error"] for one in seen}
        yield ""
        yield f"warp_error of the sources: {np.mean(list(sources.values())):.2f}"


def _cell(metric: str, ours: dict[str, Seen], theirs: dict[str, list[Seen]]) -> str:
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    pairs = [
        (ours[clip].figures[metric], [one.figures[metric] for one in few if metric in one.figures])
        for clip, few in theirs.items()
        if metric in ours[clip].figures
    ]
    mine = np.array([own for own, others in pairs if others])
    best = np.array([sign * min(sign * x for x in others) for _, others in pairs if others])
    if not len(mine):
        return "-"
    digits = 2 if metric in ("psnr_rgb", "warp_error") else 3
    won = int((sign * mine < sign * best).sum())
    return f"{mine.mean():.{digits}f} : {best.mean():.{digits}f} ({won})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="gistcast.eval.opinion", description=__doc__)
    add = parser.add_argument
    add("inputs", nargs="+", help="videos, or folders of them")
    add("--manifest", type=Path, help="manifest.json with names and captions")
    add("--size", type=int, default=64, help="side of the frames")
    add("--codecs", default=",".join(CODECS), help="as of gistcast eval")
    add("--arm", default=_ARM, help="ours that competes")
    add("--metrics", default=",".join(METRICS))
    add("--budgets", type=int, nargs="+", default=list(BUDGETS), help="bytes a clip")
    add("--cache", type=Path, default=Path("opinion.sqlite"), help="of gistcast eval, or a new one")
    add("--jobs", type=int, help="steps at a time; a processor each by default")
    add("-o", "--output", type=Path, help="JSON of all that was seen")
    args = parser.parse_args(arguments)
    try:
        sources = find_sources(args.inputs, manifest=args.manifest)
        size = (args.size, args.size)
        metrics = tuple(args.metrics.split(","))
        check_metrics(metrics)
        plan = Plan(sources, tuple(args.codecs.split(",")), (size,), (JUDGE,))
        seen: list[Seen] = []
        with (
            closing(Cache(args.cache)) as cache,
            closing(make_engine("local", args.jobs)) as engine,
        ):
            for number, source in enumerate(sources, 1):
                case = load_case(source, size)
                curves = plan.curves(case)
                follow(curves, cache, engine)
                seen += look(case, curves, cache, args.budgets, metrics=metrics, arm=args.arm)
                print(f"{number} of {len(sources)}: {case.name}", file=sys.stderr)
    except GistcastError as error:
        print(f"opinion: {error}", file=sys.stderr)
        return 1
    if args.output:
        args.output.write_text(json.dumps([asdict(one) for one in seen], indent=1) + "\n")
    print("\n".join(table(seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
