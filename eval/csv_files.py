"""Results as CSV, for spreadsheets and data frames.

rows.csv      every row of results.json
per_clip.csv  ours and theirs on every clip, at every budget: the difference, and whose theirs is
bd_rate.csv   BD-rates clip by clip
frames.csv.gz frame by frame, of every row
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from gistcast.eval.cache import Row

Record = Mapping[str, Any]


def write_csv(folder: Path, rows: Sequence[Row], summary: Mapping[str, Any]) -> list[Path]:
    """`rows.csv`, `per_clip.csv` and `bd_rate.csv` in `folder`; the files."""
    files: dict[str, Iterable[Record]] = {
        "rows.csv": map(_flat, rows),
        "per_clip.csv": _per_clip(summary),
        "bd_rate.csv": _bd_rates(summary),
    }
    return [_write(folder / name, list(records)) for name, records in files.items()]


def write_frames(path: Path, series: Iterable[Record]) -> Path:
    """`frames.csv.gz`: one line a frame.

    Args:
        path: of the file.
        series: each with `clip`, `size`, `picture` (what is shown) and lists by metric name.
    """
    return _write(path, [line for one in series for line in _frames(one)])


def _frames(one: Record) -> Iterator[Record]:
    names = {name: value for name, value in one.items() if not isinstance(value, list | tuple)}
    lists = {name: value for name, value in one.items() if name not in names}
    for frame, values in enumerate(zip(*lists.values(), strict=True)):
        yield {**names, "frame": frame, **dict(zip(lists, values, strict=True))}


def _flat(row: Row) -> Record:
    """A row with a column for each layer, without vectors."""
    layers = {f"{name}_bytes": size for name, size in row.get("layers", {}).items()}
    plain = {k: v for k, v in row.items() if not isinstance(v, list | dict)}
    return {**plain, **layers}


def _per_clip(summary: Mapping[str, Any]) -> Iterator[Record]:
    for size, part in summary.items():
        for metric, table in part["tables"].items():
            for duel in table["duels"]:
                who = {"ours": duel["arm"], "against": duel["against"]}
                head = {"size": size, "metric": metric, **who}
                for clip, gaps in duel["by_clip"].items():
                    yield from _budgets(head, clip, part["budgets"], gaps, duel["best"][clip])


def _budgets(
    head: Record,
    clip: str,
    budgets: Sequence[int],
    gaps: Sequence[float | None],
    best: Sequence[str],
) -> Iterator[Record]:
    for budget, gap, name in zip(budgets, gaps, best, strict=True):
        yield {**head, "clip": clip, "budget": budget, "difference": gap, "their_best": name}


def _bd_rates(summary: Mapping[str, Any]) -> Iterator[Record]:
    for size, part in summary.items():
        for metric, table in part["tables"].items():
            for bd in table["bd_rate"]:
                keys = ("arm", "against", "method", "form", "rates")
                head = {"size": size, "metric": metric, **{key: bd[key] for key in keys}}
                for clip, percent in bd["by_clip"].items():
                    yield {**head, "clip": clip, "percent": percent}


def _text(path: Path) -> TextIO:
    """The file to write to; gzipped, and the same bytes every time, when its name ends in gz."""
    if path.suffix != ".gz":
        return path.open("w", newline="", encoding="utf-8")
    packed = gzip.GzipFile(path, "wb", compresslevel=6, mtime=0)
    return io.TextIOWrapper(packed, encoding="utf-8", newline="")


def _write(path: Path, records: Sequence[Record]) -> Path:
    """All columns that any record has, in order of appearance."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    with _text(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)
    return path
