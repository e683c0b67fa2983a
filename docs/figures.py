"""The README's figures from committed results: `make figures`, or `python docs/figures.py --write`.

    docs/results/RELEASE/val-64.json.gz --gistcast.eval.table--> README.md, between its two marks

Without `--write` they are printed. Other results: `python docs/figures.py results.json.gz`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from gistcast.eval.bd_table import FORMS
from gistcast.eval.summary import ALL_VARIANTS, FULL_RATE, OURS, REAL_TIME
from gistcast.eval.table import load, values

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
RESULTS = HERE / "results" / "0.8.0" / "val-64.json.gz"
METRICS = {"psnr_rgb": "RGB-PSNR", "lpips_alex": "LPIPS", "motion_error": "motion error"}
BEGIN, END = "<!-- figures: make figures -->\n", "<!-- end of figures -->\n"


def figures(results: Mapping[str, Any]) -> str:
    """Means at every budget, and bytes at equal quality, of ours and the hulls, as Markdown."""
    out = []
    for size, part in results["summary"].items():
        means = takewhile(bool, values(part, size, list(METRICS)))
        out += [line for line in means if not line.startswith(f"| {REAL_TIME} ")]
        out += ["", *_equal_quality(part["tables"]), ""]
    return "\n".join(out)


def _equal_quality(tables: Mapping[str, Any]) -> Iterator[str]:
    """BD-rates against both hulls; a plus is a loss of ours."""
    rivals = (ALL_VARIANTS, FULL_RATE)
    yield f"| bytes at equal quality, 95 % interval | {' | '.join(rivals)} |"
    yield "|---" * (1 + len(rivals)) + "|"
    for metric, title in METRICS.items():
        rates = [bd for bd in tables[metric]["bd_rate"] if _quoted(bd)]
        for arm in dict.fromkeys(bd["arm"] for bd in rates if bd["arm"].startswith(OURS)):
            cells = [_percent(rates, arm, rival) for rival in rivals]
            yield f"| {title}, {arm} | {' | '.join(cells)} |"


def _quoted(bd: Mapping[str, Any]) -> bool:
    """The form of BD-rate that releases quote: Akima, running best, the budgets' range."""
    return bd["method"] == "akima" and bd["rates"] != "all" and bd["form"] != FORMS[0]


def _percent(rates: Sequence[Mapping[str, Any]], arm: str, rival: str) -> str:
    bd = next((bd for bd in rates if (bd["arm"], bd["against"]) == (arm, rival)), None)
    if bd is None or bd["percent"] is None:
        return "-"
    around = "" if bd["low"] is None else f" [{bd['low']:+.1f}, {bd['high']:+.1f}]"
    return f"{bd['percent']:+.1f} %{around}"


def main() -> None:
    """Print the figures, or put them into the README."""
    parser = argparse.ArgumentParser(prog="python docs/figures.py", description=__doc__)
    parser.add_argument(
        "results", nargs="?", type=Path, default=RESULTS, help="(default: the last release's)"
    )
    parser.add_argument("--write", action="store_true", help="put them into README.md")
    args = parser.parse_args()
    found = figures(load(args.results))
    if not args.write:
        print(found)
        return
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + "\n" + found + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
