"""Results as Markdown: `python -m gistcast.eval.table results.json[.gz] [METRIC ...]`.

Means at every budget, descriptions alone, ours minus theirs with intervals, and BD-rates.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gistcast.eval.bd_table import FORMS
from gistcast.eval.summary import ALL_VARIANTS, FULL_RATE, OURS, REAL_TIME, summarise

HULLS = (ALL_VARIANTS, FULL_RATE, REAL_TIME)
_TITLES = {
    "psnr_rgb": "RGB-PSNR, dB (more is better)",
    "lpips_alex": "LPIPS, Alex (less is better)",
    "motion_error": "motion error, 1 = frozen (less is better)",
    "tlpips": "tLPIPS (less is better)",
}


def load(path: Path) -> dict[str, Any]:
    """Results of an evaluation, plain or gzipped."""
    data = path.read_bytes()
    results: dict[str, Any] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return results


def _digits(metric: str) -> int:
    return 2 if metric.startswith("psnr") else 3


def _number(value: float | None, metric: str) -> str:
    return "-" if value is None else f"{value:.{_digits(metric)}f}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _head(*cells: object) -> list[str]:
    return [_row(*cells), "|---" * len(cells) + "|"]


def values(part: Mapping[str, Any], size: str, metrics: Sequence[str]) -> list[str]:
    """The lines of ours and of the hulls, and descriptions alone."""
    budgets = part["budgets"]
    out = _head(f"{size}, {part['clips']} clips; bytes a clip", *budgets)
    for metric in metrics:
        out.append(_row(f"**{_TITLES.get(metric, metric)}**", *[""] * len(budgets)))
        for line in part["tables"][metric]["lines"]:
            if line["name"].startswith(OURS) or line["name"] in HULLS:
                out.append(_row(line["name"], *(_number(v, metric) for v in line["values"])))
    return [*out, "", *_single(part, metrics)]


def _single(part: Mapping[str, Any], metrics: Sequence[str]) -> Iterator[str]:
    for at, one in enumerate(part["tables"][metrics[0]]["single"]):
        figures = [
            f"{metric} {_number(part['tables'][metric]['single'][at]['value'], metric)}"
            for metric in metrics
        ]
        yield f"- {one['arm']}: {one['bytes']:.0f} bytes, {', '.join(figures)}"


def duels(part: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    """Ours minus theirs: mean, its 95 % interval, clips won and lost."""
    out = _head("metric", "ours", "against", *part["budgets"])
    for metric in metrics:
        for duel in part["tables"][metric]["duels"]:
            cells = [_gap(duel, metric, at) for at in range(len(part["budgets"]))]
            out.append(_row(metric, duel["arm"], duel["against"], *cells))
    return out


def _gap(duel: Mapping[str, Any], metric: str, at: int) -> str:
    if duel["difference"][at] is None:
        return "-"
    digits = _digits(metric)
    around = ""
    if duel["low"][at] is not None:
        around = f" [{duel['low'][at]:+.{digits}f}, {duel['high'][at]:+.{digits}f}]"
    won = f"{duel['wins'][at]}:{duel['losses'][at]}"
    return f"{duel['difference'][at]:+.{digits}f}{around} ({won})"


def bd_rates(part: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    """BD-rates by Akima over the budgets' range, on the running best."""
    out = _head(
        "metric", "ours", "against", "bytes at equal quality", "95 %", "won:lost", "overlap"
    )
    for metric in metrics:
        for bd in part["tables"][metric]["bd_rate"]:
            if bd["method"] != "akima" or bd["rates"] == "all" or bd["form"] == FORMS[0]:
                continue
            if bd["percent"] is None:
                why = ", ".join(f"{reason}: {count}" for reason, count in bd["refused"].items())
                out.append(_row(metric, bd["arm"], bd["against"], f"no figure ({why})", "", "", ""))
                continue
            around = "" if bd["low"] is None else f"[{bd['low']:+.1f}, {bd['high']:+.1f}]"
            won, share = f"{bd['wins']}:{bd['losses']}", f"{100 * bd['share']:.0f} %"
            percent = f"{bd['percent']:+.1f} %"
            out.append(_row(metric, bd["arm"], bd["against"], percent, around, won, share))
    return out


def markdown(results: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """All tables of every frame size."""
    out = []
    for size, part in results["summary"].items():
        out += values(part, size, metrics)
        out += ["", "Ours minus theirs: mean, 95 % interval, clips won : lost", ""]
        out += duels(part, metrics)
        out += ["", "BD-rate (Akima, running best) over the range of the budgets", ""]
        out += [*bd_rates(part, metrics), ""]
    return "\n".join(out)


def _budgets(text: str) -> list[int]:
    return sorted(map(int, text.split(",")))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m gistcast.eval.table", description=__doc__)
    metrics = ["psnr_rgb", "lpips_alex", "motion_error"]
    parser.add_argument("results", type=Path, help="results.json, or .gz")
    parser.add_argument("metrics", nargs="*", default=metrics, help=f"(default {metrics})")
    parser.add_argument("--again", action="store_true", help="work the summary out again from rows")
    parser.add_argument(
        "--budgets", type=_budgets, default=(), metavar="BYTES,..",
        help="other bytes a clip than the protocol's; from the least to the most for BD-rates",
    )  # fmt: skip
    args = parser.parse_args()
    results = load(args.results)
    if args.again or args.budgets:
        results["summary"] = summarise(results["rows"], args.metrics, budgets=args.budgets)
    print(markdown(results, args.metrics))


if __name__ == "__main__":
    main()
