"""Results as a Markdown table: `python -m gistcast.eval.table results.json[.gz] [METRIC ...]`."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LINES = (
    "gistcast sketch",
    "gistcast refined",
    "gistcast gist-sketch",
    "hull, all variants",
    "hull, full frame rate",
)
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


def _number(value: float | None, metric: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if metric.startswith("psnr") else f"{value:.3f}"


def markdown(results: dict[str, Any], metrics: Sequence[str]) -> str:
    """One table a size: the chosen lines at every budget, ours and the standards' hull."""
    out = []
    for size, part in results["summary"].items():
        budgets = part["budgets"]
        out.append(
            f"| {size}, {part['clips']} clips; bytes a clip | " + " | ".join(map(str, budgets))
        )
        out[-1] += " |"
        out.append("|---" * (1 + len(budgets)) + "|")
        for metric in metrics:
            out.append(f"| **{_TITLES.get(metric, metric)}** |" + " |" * len(budgets))
            rows = {line["name"]: line for line in part["tables"][metric]["lines"]}
            for name in LINES:
                if name in rows:
                    values = " | ".join(_number(v, metric) for v in rows[name]["values"])
                    out.append(f"| {name} | {values} |")
        out.append("")
        alone = {(s["arm"], s["bytes"]) for s in part["tables"][metrics[0]].get("single", ())}
        for arm, size_of in sorted(alone):
            figures = []
            for metric in metrics:
                (value,) = (s["value"] for s in part["tables"][metric]["single"] if s["arm"] == arm)
                figures.append(f"{metric} {_number(value, metric)}")
            out.append(f"- {arm}: {size_of:.0f} bytes, {', '.join(figures)}")
    return "\n".join(out)


def main() -> None:
    """Print the table."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    metrics = sys.argv[2:] or ["psnr_rgb", "lpips_alex", "motion_error"]
    print(markdown(load(Path(sys.argv[1])), metrics))


if __name__ == "__main__":
    main()
