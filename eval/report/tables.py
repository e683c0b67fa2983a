"""Every figure as a table: means, duels, descriptions alone, BD-rates; nothing needs a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gistcast.eval.bd_table import ALL_RATES, FORMS
from gistcast.eval.report import names
from gistcast.eval.report.html import Line, fold, table
from gistcast.eval.summary import OURS


def tables(summary: Mapping[str, Any]) -> str:
    """The tables of every frame size and metric."""
    return "".join(_size(size, part) for size, part in summary.items())


def _size(size: str, part: Mapping[str, Any]) -> str:
    parts = [f'<div data-size="{escape(size)}"><h3>{escape(size)}: {part["clips"]} clip(s)</h3>']
    for metric, found in part["tables"].items():
        inside = [_values(metric, found, part["budgets"])]
        inside.append(_single(metric, found["single"]))
        inside.append(_duels(metric, found, part["budgets"]))
        inside.append(_bd_rates(found["bd_rate"]))
        parts.append(fold(names.title(metric), "".join(inside)))
    parts += [_sets(found, part["budgets"]) for found in part["sets"]]
    parts.append(_as_video(part.get("video", [])))
    return "".join(parts) + "</div>"


def _values(metric: str, found: Mapping[str, Any], budgets: Sequence[int]) -> str:
    lines: list[Line] = []
    for line in found["lines"]:
        cells = [escape(line["name"]) + (" (read, not measured here)" if line["read"] else "")]
        cells += [_value(metric, line, at) for at in range(len(budgets))]
        kind = "hull" if line["name"].startswith("hull") else "read" if line["read"] else ""
        lines.append(("ours" if line["name"].startswith(OURS) else kind, cells))
    caption = (
        f"Mean over clips at so many bytes a clip; {names.direction(metric)}. "
        "Point at a figure for its interval, its clips and its arms."
    )
    return table(caption, ["", *map(str, budgets)], lines)


def _value(metric: str, line: Mapping[str, Any], at: int) -> str:
    value = line["values"][at]
    if value is None:
        return '<span title="no payload is as small">–</span>'
    if line["read"]:
        return names.figure(value, metric)
    around = ""
    if line["low"][at] is not None:
        low, high = (names.figure(line[end][at], metric) for end in ("low", "high"))
        around = f"95 % [{low}, {high}], "
    title = escape(f"{around}{line['clips'][at]} clips, most often {line['arms'][at]}")
    return f'<span title="{title}">{names.figure(value, metric)}</span>'


def _single(metric: str, found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    lines: list[Line] = []
    for point in found:
        name, size = escape(f"{OURS} {point['arm']}"), f"{point['bytes']:.0f}"
        cells = [name, size, names.figure(point["value"], metric), str(point["clips"])]
        lines.append(("ours", cells))
    caption = "Descriptions alone: one size a clip, whatever the budget; means over clips."
    return table(caption, ["", "bytes", names.title(metric), "clips"], lines)


def _as_video(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    lines: list[Line] = []
    for point in found:
        cells = [escape(f"{OURS} {point['arm']}"), f"{point['point']:g}"]
        cells += [f"{len(point['names'])} of {point['clips']}", escape(", ".join(point["names"]))]
        lines.append(("ours", cells))
    caption = "Clips whose sketch was carried as AV1 inside the stream, where that was better."
    return fold("AV1 inside", table(caption, ["", "limit", "clips", "which"], lines))


def _duels(metric: str, found: Mapping[str, Any], budgets: Sequence[int]) -> str:
    sign = 1 if found["higher_is_better"] else -1
    lines: list[Line] = []
    for duel in found["duels"]:
        cells = [escape(f"{duel['arm']} against {duel['against']}")]
        cells += [_gap(metric, duel, sign, at) for at in range(len(budgets))]
        cells.append(escape(", ".join(duel["worst"])))
        lines.append(("", cells))
    if not lines:
        return ""
    caption = (
        "A contender minus a hull, mean over the clips that both reach, with its 95 % bootstrap "
        "interval; clips won : lost, and p of the sign test (of each budget alone, not corrected "
        "for many)."
    )
    return table(caption, ["", *map(str, budgets), "worst clips, worst first"], lines)


def _gap(metric: str, duel: Mapping[str, Any], sign: int, at: int) -> str:
    gap, digits = duel["difference"][at], names.digits(metric)
    if gap is None:
        return "–"
    kind = "win" if sign * gap > 0 else "loss"
    around = ""
    if duel["low"][at] is not None:
        low, high = (f"{duel[end][at]:+.{digits}f}" for end in ("low", "high"))
        around = f" <small>[{low}, {high}]</small>"
    p = "" if duel["p"][at] is None else f", p {duel['p'][at]:.2g}"
    counts = f"{duel['wins'][at]}:{duel['losses'][at]} of {duel['clips'][at]}{p}"
    return f'<span class="{kind}">{gap:+.{digits}f}</span>{around}<br><small>{counts}</small>'


def _bd_rates(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    head = ["BD-rate", "bytes", "method", "curve", "mean", "95 %", "won:lost", "clips"]
    caption = (
        "Per cent of bytes at equal quality against a codec at full size and frame rate, or "
        "against a hull; negative saves. Mean over clips. Overlap: the part of the qualities of "
        'either curve that both cover. "As measured" takes only clips on whose curves more bytes '
        'always bought more; "running best" leaves out points that a smaller one equals or beats; '
        '"sampled" reads the running best of both linearly between points, as a hull is made.'
    )
    lines = [("", _bd_cells(bd)) for bd in found if not _repeated(bd, found)]
    return table(caption, [*head, "overlap", "no figure"], lines)


def _repeated(bd: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> bool:
    """Whether this is a running best that says the same as the curves as measured."""
    if bd["form"] != FORMS[1]:
        return False
    keys = ("arm", "against", "method", "rates")
    return any(
        other["form"] == FORMS[0]
        and all(other[key] == bd[key] for key in keys)
        and other["by_clip"] == bd["by_clip"]
        for other in found
    )


def _bd_cells(bd: Mapping[str, Any]) -> list[str]:
    percent = "–" if bd["percent"] is None else f"{bd['percent']:+.1f} %"
    around = "" if bd["low"] is None else f"[{bd['low']:+.1f}, {bd['high']:+.1f}]"
    share = "–" if bd["share"] is None else f"{100 * bd['share']:.0f} %"
    refused = ", ".join(f"{reason}: {count}" for reason, count in bd["refused"].items())
    rates = "all" if bd["rates"] == ALL_RATES else bd["rates"]
    names_ = escape(f"{bd['arm']} against {bd['against']}")
    counts = f"{bd['wins']}:{bd['losses']}"
    clips = str(bd["clips"])
    form = escape(bd["form"])
    return [names_, rates, bd["method"], form, percent, around, counts, clips, share, refused]


def _sets(found: Mapping[str, Any], budgets: Sequence[int]) -> str:
    """A distance between sets of clips."""
    lines: list[Line] = []
    for line in found["lines"]:
        cells = [
            f'<span title="{escape(arm)}">{names.figure(value, found["metric"])}</span>'
            for value, arm in zip(line["values"], line["arms"], strict=True)
        ]
        kind = "hull" if line["name"].startswith("best") else "ours"
        lines.append((kind, [escape(line["name"]), *cells]))
    caption = (
        f"Fréchet distance to the sources on features of gistcast's own recogniser (not FVD), over "
        f"{found['clips']} clips; lower is better. Of each clip the largest payload within the "
        "budget. Biased upwards with few clips: compare within this table only."
    )
    return fold("frechet_gistcast", table(caption, ["", *map(str, budgets)], lines))
