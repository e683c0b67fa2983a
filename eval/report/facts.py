"""What a doubter asks for: seconds, command lines, versions, and how bytes were counted."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gistcast.eval.cache import Row
from gistcast.eval.report.html import Line, fold, table
from gistcast.eval.summary import OURS, SOURCE

_TIMED_ARMS = ("full", "realtime")  # of the standards; the others code fewer or smaller frames


def times(rows: Iterable[Row], summary: Mapping[str, Any]) -> str:
    """Seconds of encoding and decoding a clip, and multiples of real time."""
    coded = [row for row in rows if row["codec"] != SOURCE]
    parts = []
    for size in summary:
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in coded:
            if f"{row['width']}x{row['height']}" == size and _timed(row):
                groups[row["codec"], row["arm"]].append(row)
        head = ["", "encode", "x real time", "decode", "x real time", "slowest encode", "rows"]
        lines = [_time(name, some) for name, some in groups.items()]
        caption = "Seconds a clip, median over clips and points; wall time, one process a clip."
        parts.append(f'<div data-size="{escape(size)}">{table(caption, head, lines)}</div>')
    return "".join(parts)


def _timed(row: Row) -> bool:
    return bool(row["codec"] == OURS or row["arm"] in _TIMED_ARMS)


def _time(name: tuple[str, str], rows: Sequence[Row]) -> Line:
    cells = [escape(" ".join(name))]
    for key in ("encode_seconds", "decode_seconds"):
        seconds = [row[key] for row in rows]
        length = [row["bytes"] * 8 / 1000 / row["kbps"] / max(row[key], 1e-6) for row in rows]
        cells += [f"{statistics.median(seconds):.3g} s", _speed(statistics.median(length))]
    cells += [f"{max(row['encode_seconds'] for row in rows):.3g} s", f"{len(rows):,}"]
    return ("ours" if name[0] == OURS else "", cells)


def _speed(times: float) -> str:
    return f"{times:,.0f}" if times >= 100 else f"{times:.3g}"


def settings(found: Mapping[str, Any]) -> str:
    """The command, versions and the machine; every codec's options at every point."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    known = {"command", "codecs", "versions", "clips", "sizes", "metrics", "machine", "failures"}
    facts = {
        "clips": ", ".join(found["clips"]),
        "sizes": ", ".join(found["sizes"]),
        "metrics": ", ".join(found["metrics"]),
        "versions": versions,
        "machine": found["machine"],
        **{name: _plain(value) for name, value in found.items() if name not in known},
    }
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    parts = [f"<pre>{escape(found['command'])}</pre><dl>{lines}</dl>"]
    for size, codecs in found["codecs"].items():
        inside = "".join(_codec(codec) for codec in codecs)
        parts.append(f'<div data-size="{escape(size)}">{inside}</div>')
    return "".join(parts)


def _codec(codec: Mapping[str, Any]) -> str:
    points = codec["points"]
    if isinstance(points, Mapping):
        points = [f"{point}: {text}" for point, text in points.items()]
    name = " ".join(filter(None, (codec["name"], codec.get("mode", ""))))
    title = f"{name}: counted is {codec['counted']}"
    return fold(title, f"<pre>{escape(chr(10).join(points))}</pre>")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()
