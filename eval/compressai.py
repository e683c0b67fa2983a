"""Curves in the shape of CompressAI's results files: `{"name", "description", "results": {...}}`.

`results` holds one list a quantity, all of the same length: `bpp` (images) or `bitrate` in kbit/s
(videos), `psnr-rgb`, `ms-ssim-rgb`, `encoding_time`, `decoding_time` and so on; see `results/` of
github.com/InterDigitalInc/CompressAI. Figures are means over a set of clips.

Names are translated only where they mean the same. Their `psnr-yuv` weighs 4:1:1, ours 6:1:1, and
their MS-SSIM is of RGB, ours of luma: such figures keep a name of their own, so that no plot mixes
them.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gistcast.codec.errors import CorruptError
from gistcast.eval.cache import Row
from gistcast.eval.statistics import mean

_NAMES = {  # ours -> theirs, where hyphens for underscores would say the wrong thing or too little
    "psnr_yuv": "psnr-yuv-611",
    "ssim": "ssim-y",
    "ms_ssim": "ms-ssim-y",
    "encode_seconds": "encoding_time",
    "decode_seconds": "decoding_time",
}
_OURS = {theirs: ours for ours, theirs in _NAMES.items()}
_OURS["psnr-yuv"] = "psnr_yuv_411"

_GEOMETRY = re.compile(r"(.+)@(\d{1,5})x(\d{1,5})@(\d{1,9}(?:\.\d{1,9}|/[1-9]\d{0,8})?)")


@dataclass(frozen=True)
class Outside:
    """A curve that was read, not measured here.

    Attributes:
        name, description: as in the file.
        bpp: bits a pixel of every point.
        values: metric, by our name -> its value at every point.
    """

    name: str
    description: str
    bpp: tuple[float, ...]
    values: Mapping[str, tuple[float, ...]]

    def points(self, metric: str, pixels: int) -> list[tuple[float, float]]:
        """(bytes, value) points of a clip of so many pixels, all frames together."""
        sizes = [bpp * pixels / 8 for bpp in self.bpp]
        return list(zip(sizes, self.values.get(metric, ()), strict=True))


def curve_of(text: str) -> Outside:
    """`curve.json`, or `curve.json@1920x1080@30` where the file has bit rates alone.

    Raises:
        CorruptError: as `read_curve`.
    """
    found = _GEOMETRY.fullmatch(text)
    if found is None:
        return read_curve(Path(text))
    path, width, height, fps = found.groups()
    pixels = int(width) * int(height) * float(Fraction(fps))
    return read_curve(Path(path), pixels_per_second=pixels or None)


def read_curve(path: Path, *, pixels_per_second: float | None = None) -> Outside:
    """A results file of CompressAI.

    Args:
        path: of a JSON file.
        pixels_per_second: of the videos that were measured, to turn `bitrate` into bits a pixel.

    Raises:
        CorruptError: not such a file, or lists of different lengths, or no rate that can be used.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("results"), dict):
        raise CorruptError(f"{path}: no `results` object")
    lists = {name: _numbers(value) for name, value in whole["results"].items()}
    found = {name: values for name, values in lists.items() if values}
    if "bpp" not in found and "bitrate" in found and pixels_per_second:
        found["bpp"] = tuple(rate * 1000 / pixels_per_second for rate in found["bitrate"])
    if "bpp" not in found:
        need = "; bit rates need the videos' geometry: FILE@WxH@FPS" if "bitrate" in found else ""
        raise CorruptError(f"{path}: no `bpp` list of numbers{need}")
    bpp = found.pop("bpp")
    uneven = sorted(name for name, values in found.items() if len(values) != len(bpp))
    if uneven or min(bpp) <= 0:
        raise CorruptError(f"{path}: {uneven or 'bpp'} does not fit {len(bpp)} points")
    values = {_OURS.get(name, name.replace("-", "_")): some for name, some in found.items()}
    title = whole.get("name") or path.stem
    return Outside(str(title), str(whole.get("description", "")), bpp, values)


def _numbers(value: Any) -> tuple[float, ...]:
    """A list of finite numbers; empty for anything else (`q` may hold names)."""
    if not isinstance(value, list):
        return ()
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in value):
        return ()
    return tuple(map(float, value))


def write_curves(
    rows: Iterable[Row], metrics: Sequence[str], folder: Path, description: str = ""
) -> list[Path]:
    """One file a frame size, codec and arm: means over the clips that have every point.

    Points are matched across clips by the codec's own operating point; one that some clip lacks is
    left out, as a mean over fewer clips would bend the curve.

    Returns:
        The files that were written.
    """
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        size = f"{row['width']}x{row['height']}"
        if row.get("point") is not None:  # the sources have rows of their own, without one
            groups[size, row["codec"], row["arm"]].append(row)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for key, some in groups.items():
        results = _means(some, [m for m in metrics if not isinstance(some[0].get(m), list)])
        if not results["bpp"]:
            continue
        size, codec, arm = key
        whole = {
            "name": f"{codec} {arm}",
            "description": f"{len({r['clip'] for r in some})} clips, {size}. {description}".strip(),
            "results": results,
        }
        written.append(folder / f"{size}-{codec}-{arm}.json")
        written[-1].write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return written


def _means(rows: Sequence[Row], metrics: Sequence[str]) -> dict[str, list[float]]:
    clips = {row["clip"] for row in rows}
    points: dict[float, list[Row]] = defaultdict(list)
    for row in rows:
        points[row["point"]].append(row)
    whole = [p for p in points.values() if {r["clip"] for r in p} == clips]
    whole.sort(key=lambda point: mean([row["bpp"] for row in point]) or 0)
    found: dict[str, list[float]] = {}
    for name in ("bpp", "kbps", *metrics, "encode_seconds", "decode_seconds"):
        columns = [[r[name] for r in point if r.get(name) is not None] for point in whole]
        if all(columns):
            theirs = "bitrate" if name == "kbps" else _NAMES.get(name, name.replace("_", "-"))
            found[theirs] = [sum(column) / len(column) for column in columns]
    return found
