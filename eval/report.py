"""`report.html`: one file that needs no network, for people who doubt the figures."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gistcast.eval.metrics.meter import HIGHER_IS_BETTER
from gistcast.eval.strips import Picture, Strip
from gistcast.eval.summary import OURS, headline

_STILLS = 6  # frames of a strip that are shown beside the one that plays
_CELL = 96  # least width of a frame in a strip, in CSS pixels
_FIRST = ("psnr_rgb", "lpips_alex", "motion_error")  # tables that are open at first
_DIGITS = {"psnr_rgb": 2, "psnr_yuv": 2, "tdiff": 2}


def write_report(results: dict[str, Any], strips: Sequence[Strip]) -> str:
    """The page, from what `results.json` holds and the film strips."""
    assets = files("gistcast.eval") / "assets"
    settings = results["settings"]
    failures = "".join(f"<li>{escape(line)}</li>" for line in settings["failures"])
    page = Template((assets / "report.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=(assets / "report.css").read_text(encoding="utf-8"),
        script=(assets / "report.js").read_text(encoding="utf-8"),
        command=escape(settings["command"]),
        headline=escape("\n".join(headline(results["summary"]))),
        failures=f'<ul class="failures">{failures}</ul>' if failures else "",
        tables="".join(_tables(size, found) for size, found in results["summary"].items()),
        strips=_strips(strips),
        settings=_settings(settings),
        data=_data(results),
    )


def _data(results: dict[str, Any]) -> str:
    """What the plots are drawn from; no `<`, so that no name can end the script early."""
    metrics = results["settings"]["metrics"]
    keep = ("codec", "arm", "clip", "bytes", "point", *metrics)
    rows = [
        {"size": f"{row['width']}x{row['height']}", **{key: row[key] for key in keep}}
        for row in results["rows"]
    ]
    higher = sorted(HIGHER_IS_BETTER & set(metrics))
    facts = {"metrics": metrics, "higher": higher, "rows": rows}
    return json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")


# --- tables ---


def _tables(size: str, found: dict[str, Any]) -> str:
    parts = [f"<section><h2>{escape(size)}: {found['clips']} clip(s)</h2>"]
    for metric, table in found["tables"].items():
        opened = " open" if metric in _FIRST else ""
        parts.append(f"<details{opened}><summary><b>{escape(metric)}</b></summary>")
        parts.append(_values(metric, table, found["budgets"]))
        if table["single"]:
            parts.append(_single(metric, table["single"]))
        if table["duels"]:
            parts.append(_duels(metric, table, found["budgets"]))
        if table["bd_rate"]:
            parts.append(_bd_rates(table["bd_rate"]))
        parts.append("</details>")
    return "".join(parts) + "</section>"


def _table(caption: str, head: Sequence[str], lines: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table; lines are (class, cells), cells are HTML."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for kind, cells in lines
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _figure(value: float | None, metric: str) -> str:
    return "–" if value is None else f"{value:.{_DIGITS.get(metric, 3)}f}"


def _values(metric: str, table: dict[str, Any], budgets: Sequence[int]) -> str:
    better = "higher is better" if table["higher_is_better"] else "lower is better"
    lines = []
    for line in table["lines"]:
        cells = [escape(line["name"])]
        for value, clips, arm in zip(line["values"], line["clips"], line["arms"], strict=True):
            title = (
                escape(f"{clips} clips, most often {arm}") if clips else "no payload is as small"
            )
            cells.append(f'<span title="{title}">{_figure(value, metric)}</span>')
        kind = "hull" if line["name"].startswith("hull") else ""
        lines.append(("ours" if line["name"].startswith(OURS) else kind, cells))
    caption = f"Mean over clips at so many bytes a clip; {better}. Point at a figure for its arms."
    return _table(caption, ["", *map(str, budgets)], lines)


def _single(metric: str, found: Sequence[dict[str, Any]]) -> str:
    lines = [
        (
            "ours",
            [
                escape(f"{OURS} {point['arm']}"),
                f"{point['bytes']:.0f}",
                _figure(point["value"], metric),
                str(point["clips"]),
            ],
        )
        for point in found
    ]
    caption = "Descriptions alone: one size a clip, whatever the budget; means over clips."
    return _table(caption, ["", "bytes", metric, "clips"], lines)


def _duels(metric: str, table: dict[str, Any], budgets: Sequence[int]) -> str:
    sign = 1 if table["higher_is_better"] else -1
    lines = []
    for duel in table["duels"]:
        cells = [escape(f"{duel['arm']} against {duel['against']}")]
        for gap, wins, losses, clips in zip(
            duel["difference"], duel["wins"], duel["losses"], duel["clips"], strict=True
        ):
            if gap is None:
                cells.append("–")
                continue
            kind = "win" if sign * gap > 0 else "loss"
            digits = _DIGITS.get(metric, 3)
            cells.append(
                f'<span class="{kind}">{gap:+.{digits}f}</span> {wins}:{losses} of {clips}'
            )
        lines.append(("", cells))
    caption = "Ours minus theirs, mean over the clips that both reach; clips won : lost."
    return _table(caption, ["", *map(str, budgets)], lines)


def _bd_rates(found: Sequence[dict[str, Any]]) -> str:
    lines = []
    for bd in found:
        percent = "–" if bd["percent"] is None else f"{bd['percent']:+.1f} %"
        share = "–" if bd["share"] is None else f"{100 * bd['share']:.0f} %"
        refused = ", ".join(f"{reason}: {count}" for reason, count in bd["refused"].items())
        names = escape(f"{bd['arm']} against {bd['against']}")
        lines.append(("", [names, bd["method"], percent, str(bd["clips"]), share, escape(refused)]))
    head = ["BD-rate", "method", "bytes", "clips", "overlap", "no figure"]
    caption = (
        "Bytes at equal quality against the codec at full size and frame rate, mean over clips; "
        "overlap is the part of the qualities that both curves cover."
    )
    return _table(caption, head, lines)


# --- film strips ---


def _strips(strips: Sequence[Strip]) -> str:
    parts = []
    for strip in strips:
        parts.append(
            f"<h3>{escape(strip.clip)}, {strip.width}x{strip.height}, "
            f"about {strip.budget:g} bytes</h3><div class='strip'>"
        )
        parts += [_picture(strip, picture) for picture in strip.pictures]
        parts.append("</div>")
    return f"<section><h2>Film strips</h2>{''.join(parts)}</section>" if parts else ""


def _picture(strip: Strip, picture: Picture) -> str:
    """One row of a strip: the clip playing, then stills of it, all out of one PNG."""
    zoom = max(1.0, _CELL / strip.width)
    width, height, count = strip.width * zoom, strip.height * zoom, len(strip.frames)
    source = base64.b64encode(picture.png).decode()
    name = f"p{zlib.crc32(picture.label.encode() + picture.png):08x}"
    style = (
        f"<style>.{name}{{background-image:url(data:image/png;base64,{source});"
        f"width:{width:g}px;height:{height:g}px;background-size:{width * count:g}px {height:g}px}}"
        "</style>"
    )
    playing = f'<div class="cell playing {name}" data-count="{count}" data-width="{width:g}"></div>'
    stills = sorted({round(i * (count - 1) / (_STILLS - 1)) for i in range(_STILLS)})
    cells = "".join(
        f'<div class="cell {name}" title="{_frame_title(strip, picture, i)}" '
        f'style="background-position-x:-{i * width:g}px"></div>'
        for i in stills
    )
    return (
        f"{style}<div><b>{escape(picture.label)}</b>"
        f'<span class="note">{escape(picture.note)}</span></div>'
        f'<div class="frames">{playing}{cells}</div>'
    )


def _frame_title(strip: Strip, picture: Picture, index: int) -> str:
    frame = strip.frames[index]
    psnr = f": {picture.psnr[frame]:.2f} dB" if picture.psnr else ""
    return f"frame {frame}{psnr}"


# --- settings ---


def _settings(settings: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    facts = [
        ("clips", ", ".join(settings["clips"])),
        ("sizes", ", ".join(settings["sizes"])),
        ("metrics", ", ".join(settings["metrics"])),
        ("grid", "quick: few arms and points" if settings["quick"] else "all arms"),
        ("versions", versions),
        ("machine", settings["machine"]),
    ]
    lines = [("", [escape(name), escape(value)]) for name, value in facts]
    parts = [_table("", ["", ""], lines)]
    for size, codecs in settings["codecs"].items():
        for codec in codecs:
            points = "\n".join(codec["points"])
            parts.append(
                f"<details><summary>{escape(codec['name'])} at {escape(size)}: counted is "
                f"{escape(codec['counted'])}</summary><pre>{escape(points)}</pre></details>"
            )
    return "".join(parts)
