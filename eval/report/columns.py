"""Rows as columns, thinned to what the page draws: a hundred thousand rows are a few megabytes.

rows --by frame size--> {column: values} --JSON, gzip, base64--> text of a script element
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gistcast.eval.cache import Row
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.codecs.base import BARE
from gistcast.eval.compressai import Outside
from gistcast.eval.hull import REAL_TIME as REAL_TIME_MODE
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER
from gistcast.eval.report import names
from gistcast.eval.summary import (
    ALL_VARIANTS,
    FULL_RATE,
    OURS,
    REAL_TIME,
    SOURCE,
    best_arm,
    own_codecs,
    size_scale,
)

_SIGNIFICANT = 5  # digits of a value


def page_data(results: Mapping[str, Any], outside: Sequence[Outside] = ()) -> dict[str, Any]:
    """Everything that the page's plots and tables are drawn from."""
    rows = [row for row in results["rows"] if row["codec"] != SOURCE]
    measured = [m for m in results["settings"]["metrics"] if _scalar(rows, m)]
    arms = list(dict.fromkeys(f"{OURS} {row['arm']}" for row in rows if row["codec"] == OURS))
    return {
        "ours": OURS,
        "names": {
            "ours": arms,
            "single": _single(rows),
            "codecs": sorted({row["codec"] for row in rows} - {OURS}),
            "own": {best_arm(codec): codec for codec in own_codecs(rows)},
            "shown": _shown([*arms, *map(best_arm, own_codecs(rows))]),
        },
        "standard": STANDARD_NAMES,
        "hulls": {
            ALL_VARIANTS: {"modes": ["", BARE], "dropped": True},
            FULL_RATE: {"modes": ["", BARE], "dropped": False},
            REAL_TIME: {"modes": [REAL_TIME_MODE], "dropped": True},
        },
        "metrics": [_metric(name) for name in measured],
        "sizes": {
            size: _columns([r for r in rows if _size(r) == size], measured, results)
            for size in results["summary"]
        },
        "outside": [
            {"name": one.name, "about": one.description, "bpp": one.bpp, "values": dict(one.values)}
            for one in outside
        ],
    }


def packed(whole: Mapping[str, Any]) -> str:
    """JSON, gzipped, in base64: text that can end no script element."""
    text = json.dumps(whole, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _shown(arms: Sequence[str]) -> str:
    """Ours as a user gets it: refined where there is a refiner."""
    wanted = (f"{OURS} refined", f"{OURS} sketch", *arms, "")
    return next(name for name in wanted if name in arms or not name)


def _single(rows: Sequence[Row]) -> list[str]:
    """Ours with one size a clip: descriptions alone."""
    ours = [row for row in rows if row["codec"] == OURS]
    points = Counter((row["arm"], row["clip"], _size(row)) for row in ours)
    curved = {arm for (arm, _, _), count in points.items() if count > 1}
    return [f"{OURS} {arm}" for arm in dict.fromkeys(r["arm"] for r in ours) if arm not in curved]


def _metric(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": names.title(name),
        "about": names.about(name),
        "higher": name in HIGHER_IS_BETTER,
        "digits": names.digits(name),
        "key": name in names.KEY,
    }


def _size(row: Row) -> str:
    return f"{row['width']}x{row['height']}"


def _scalar(rows: Iterable[Row], metric: str) -> bool:
    return any(isinstance(row.get(metric), int | float) for row in rows)


def _columns(
    rows: Sequence[Row], metrics: Sequence[str], results: Mapping[str, Any]
) -> dict[str, Any]:
    first = rows[0]
    clips = list(dict.fromkeys(row["clip"] for row in rows))
    curves = list(dict.fromkeys((r["codec"], r["arm"], r.get("mode", "")) for r in rows))
    clip_at = {name: at for at, name in enumerate(clips)}
    curve_at = {name: at for at, name in enumerate(curves)}
    seconds = {row["clip"]: row["bytes"] * 8 / 1000 / row["kbps"] for row in rows if row["kbps"]}
    return {
        "width": first["width"],
        "height": first["height"],
        "frames": first["frames"],
        "scale": size_scale(first["width"], first["height"]),
        "budgets": results["summary"][_size(first)]["budgets"],
        "clips": clips,
        "seconds": [_short(seconds.get(clip)) for clip in clips],
        "curves": curves,
        "settings": _settings(results["settings"]["codecs"].get(_size(first), ()), curves),
        "clip": [clip_at[row["clip"]] for row in rows],
        "curve": [curve_at[r["codec"], r["arm"], r.get("mode", "")] for r in rows],
        "bytes": [row["bytes"] for row in rows],
        "point": [f"{row['point']:g}" for row in rows],
        "encode": [_short(row["encode_seconds"], 3) for row in rows],
        "decode": [_short(row["decode_seconds"], 3) for row in rows],
        "metrics": {m: [_short(r.get(m)) for r in rows] for m in metrics if _scalar(rows, m)},
    }


def _settings(
    codecs: Iterable[Mapping[str, Any]], curves: Sequence[tuple[str, str, str]]
) -> list[dict[str, str]]:
    """For each curve, point -> the codec's own words on it, where the settings tell them apart."""
    by_codec: dict[tuple[str, str], list[dict[str, str]]] = {}
    for codec in codecs:
        words = codec["points"]
        if isinstance(words, Mapping):
            found = {f"{float(point):g}": text for point, text in words.items()}
            by_codec.setdefault((codec["name"], codec.get("mode", "")), []).append(found)
    sole = {key: found[0] for key, found in by_codec.items() if len(found) == 1}
    return [sole.get((codec, mode), {}) for codec, _, mode in curves]


def _short(value: float | None, digits: int = _SIGNIFICANT) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")
