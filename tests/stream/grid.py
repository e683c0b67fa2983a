"""Tables of codecs over networks: `python tests/stream/grid.py FOLDER GUIDE.md`.

Reads FOLDER/results.json, a file of `gistcast streameval`. All of its tables go into
FOLDER/README.md, the overview into the guide: between the lines `<!-- grid -->` and
`<!-- /grid -->`, beyond which nothing is touched.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gistcast.streamtable import COLUMNS

Row = dict[str, Any]
_BEGIN, _END = "<!-- grid -->", "<!-- /grid -->"
_CODECS = {"gistcast": "gistcast", "vp8": "VP8", "h264": "H.264"}
_RATES = (12, 24, 48, 96)
_LOSSES = (0, 1, 5, 10, 20, 40)  # percent
_DELAYS = (20, 150)  # ms
_FALLING = "falling rate"
_CASES = [
    "none",
    *(f"{loss} %" for loss in _LOSSES[1:]),
    *(f"{loss} %, runs of 4" for loss in _LOSSES[1:]),
]
#: a table's title and row names say the rest
_COLUMNS = {
    name: show for name, show in COLUMNS.items() if name not in ("network", "codec", "target kbps")
}


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False)


def case_of(network: str) -> tuple[str, int]:
    """What a network is called in a table, and its delay in ms."""
    fields = dict(field.partition("=")[::2] for field in network.split(","))
    delay = int(fields["delay"].removesuffix("ms"))
    if "trace" in fields:
        return _FALLING, delay
    loss = fields.get("loss", "0%").removesuffix("%")
    name = "none" if loss == "0" else f"{loss} %"
    return name + (f", runs of {fields['burst']}" if "burst" in fields else ""), delay


class Grid:
    """Rows by codec, rate, network and delay."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {
            (row["codec"], row["kbps_target"], *case_of(row["network"])): row for row in rows
        }

    def find(self, codec: str, rate: int, case: str, delay: int) -> Row | None:
        """A row, if it was measured."""
        return self._rows.get((codec, rate, case, delay))

    def overview(self, delay: int) -> list[str]:
        """LPIPS and the share of the time stalled, everything at one delay."""
        names = [f"{rate} {name}" for rate in _RATES for name in _CODECS.values()]
        lines = [f"| loss | {' | '.join(names)} |", "|" + "---|" * (1 + len(names))]
        cases = [*_CASES, _FALLING] if delay == _DELAYS[0] else _CASES
        for case in cases:
            rows = [self.find(c, rate, case, delay) for rate in _RATES for c in _CODECS]
            cells = [
                f"{r['lpips_alex']:.3f}, {100 * r['stall_ratio']:.1f}" if r else "" for r in rows
            ]
            lines.append(f"| {case} | {' | '.join(cells)} |")
        return lines

    def table(self, rate: int, delay: int) -> list[str]:
        """All figures at one rate and delay, and what is missing."""
        cases = [*_CASES, _FALLING] if delay == _DELAYS[0] else _CASES
        lines = [f"| loss | codec | {' | '.join(_COLUMNS)} |", "|" + "---|" * (2 + len(_COLUMNS))]
        missing = []
        for case in cases:
            for codec, name in _CODECS.items():
                row = self.find(codec, rate, case, delay)
                if row is None:
                    missing.append(f"{name} at {case}")
                    continue
                cells = " | ".join(show(row) for show in _COLUMNS.values())
                lines.append(f"| {case} | {name} | {cells} |")
        return [_wrapped(f"Missing: {'; '.join(missing) or 'none'}."), "", *lines]

    def revisions(self) -> str:
        """What the rows were measured at."""
        counts = Counter((row["codec"], row["revision"]) for row in self._rows.values())
        parts = [f"{_CODECS[c]} {n} at {revision}" for (c, revision), n in sorted(counts.items())]
        return _wrapped(f"{len(self._rows)} rows: {', '.join(parts)}.")


def overviews(rows: Sequence[Row]) -> str:
    """What matters most, in Markdown."""
    grid, out = Grid(rows), []
    for delay in _DELAYS:
        out += [
            f"{delay} ms: LPIPS, and per cent of the time stalled.",
            "",
            *grid.overview(delay),
            "",
        ]
    return "\n".join(out).strip()


def report(rows: Sequence[Row]) -> str:
    """All figures, in Markdown."""
    grid = Grid(rows)
    out = [grid.revisions(), "", "## All rates", "", overviews(rows)]
    for delay in _DELAYS:
        for rate in _RATES:
            out += ["", f"## {rate} kbit/s, {delay} ms", "", *grid.table(rate, delay)]
    return "\n".join(out)


def replaced(text: str, tables: str) -> str:
    """A README with new tables.

    Raises:
        ValueError: it has no place for them.
    """
    pattern = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no lines {_BEGIN} and {_END}")
    return pattern.sub(lambda _: f"{_BEGIN}\n\n{tables}\n\n{_END}", text)


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("guide", type=Path)
    args = parser.parse_args()
    rows = json.loads((args.folder / "results.json").read_text())["rows"]
    for path, tables in ((args.folder / "README.md", report), (args.guide, overviews)):
        path.write_text(replaced(path.read_text(), tables(rows)))


if __name__ == "__main__":
    main()
