"""The page, put together."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gistcast.eval.compressai import Outside
from gistcast.eval.film import Strip
from gistcast.eval.report import board, facts
from gistcast.eval.report.columns import packed, page_data
from gistcast.eval.report.tables import tables

PICTURE_BYTES = 9_000_000  #: of film strips in a page, as text
_SCRIPTS = ("curves.js", "model.js", "plot.js", "strips.js", "explore.js")


def write_report(
    results: Mapping[str, Any], strips: Sequence[Strip], outside: Sequence[Outside] = ()
) -> str:
    """The page, from what `results.json` holds, the film strips, and curves of others."""
    assets = files("gistcast.eval.report") / "assets"

    def asset(name: str) -> str:
        return (assets / name).read_text(encoding="utf-8")

    settings, summary = results["settings"], results["summary"]
    data = page_data(results, outside)
    shown, left_out = _fitting(strips)
    notes = [*settings["failures"], *left_out]
    failures = "".join(f"<li>{escape(line)}</li>" for line in notes)
    return Template(asset("page.html")).substitute(
        title="gistcast eval",
        style=asset("page.css"),
        script="\n".join(map(asset, _SCRIPTS)),
        lead=_lead(settings, summary, data["names"]["shown"]),
        failures=f'<ul class="failures">{failures}</ul>' if failures else "",
        boards=board.boards(summary),
        tables=tables(summary),
        times=facts.times(results["rows"], summary),
        settings=facts.settings(settings),
        strips=_plain_json([_strip(strip) for strip in shown]),
        data=packed(data),
    )


def _lead(settings: Mapping[str, Any], summary: Mapping[str, Any], shown: str) -> str:
    clips = max(part["clips"] for part in summary.values())
    codecs = list(dict.fromkeys(c["name"] for some in settings["codecs"].values() for c in some))
    what = f"{clips} clip(s) at {', '.join(summary)}: {', '.join(codecs)}, at equal bytes."
    if settings.get("quick"):
        what += " A quick look: a thinned hull, so no figures to claim anything by."
    said = board.lead(summary, shown)
    points = "".join(f"<li>{escape(line)}</li>" for line in said)
    size = escape(next(iter(summary)))
    who = f"<b>{escape(shown)}</b> at {size}, by bytes a clip:" if said else ""
    return f'{escape(what)}</p><div class="verdict">{who}<ul>{points}</ul></div><p>'


def _fitting(strips: Sequence[Strip]) -> tuple[list[Strip], list[str]]:
    """As many strips as the page has room for, and what is said of the others."""
    room = PICTURE_BYTES
    shown: list[Strip] = []
    left_out: list[Strip] = []
    for strip in strips:
        room -= sum(len(picture.webp) * 4 // 3 for picture in strip.pictures)
        (shown if room >= 0 else left_out).append(strip)
    names = [f"{strip.clip} at {strip.width}x{strip.height}" for strip in left_out]
    return shown, [f"no room for the film strip of {name}" for name in names]


def _strip(strip: Strip) -> dict[str, Any]:
    return {
        "clip": strip.clip,
        "size": f"{strip.width}x{strip.height}",
        "width": strip.width,
        "height": strip.height,
        "frames": strip.frames,
        "fps": strip.fps * len(strip.frames) / strip.count,
        "budget": strip.budget,
        "sides": strip.sides(),
        "pictures": [
            {
                "label": picture.label,
                "note": picture.note,
                "image": f"data:image/webp;base64,{base64.b64encode(picture.webp).decode()}",
                "psnr": [round(value, 2) for value in picture.psnr],
            }
            for picture in strip.pictures
        ],
    }


def _plain_json(value: Any) -> str:
    """JSON without `<`, so that no name can end the script element early."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
