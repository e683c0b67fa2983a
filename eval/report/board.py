"""The first look: where a contender wins and loses, metric by metric and budget by budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gistcast.eval.report import names
from gistcast.eval.summary import ALL_VARIANTS, FULL_RATE, REAL_TIME

_MEANING = {
    ALL_VARIANTS: "it may freeze",
    FULL_RATE: "every frame is shown",
    REAL_TIME: "fast settings, no look-ahead",
}
_SHORT = {
    ALL_VARIANTS: "All variants, frozen stills included",
    FULL_RATE: "Full frame rate",
    REAL_TIME: "Real time",
}


def boards(summary: Mapping[str, Any]) -> str:
    """A board for each frame size, contender and hull; the page shows those of one contender."""
    parts = []
    for size, part in summary.items():
        for who in _contenders(part):
            shown = "".join(_board(part, who, against) for against in _hulls(part, who))
            parts.append(
                f'<div class="boards" data-size="{escape(size)}" data-who="{escape(who)}">{shown}'
                "</div>"
            )
    said = (
        "Its value minus the hull's, mean over clips that both reach; below it clips won : lost. "
        "Coloured where the 95 % bootstrap interval of the mean leaves out zero (a single clip: "
        "by its sign), grey where it does not."
    )
    return "".join(parts) + f'<p class="hint">{said}</p>'


def lead(summary: Mapping[str, Any], who: str) -> list[str]:
    """A sentence a key metric: where a contender is ahead of each hull, level and behind it.

    Of the first frame size.
    """
    part = next(iter(summary.values()))
    said = []
    for metric in (m for m in names.KEY if m in part["tables"]):
        sign = 1 if part["tables"][metric]["higher_is_better"] else -1
        clauses = [
            f"{_SHORT[against]}: {_verdict(duel, sign, part['budgets'])}."
            for against in _hulls(part, who)
            if (duel := _duel(part, metric, who, against))
        ]
        if clauses:
            said.append(f"{names.title(metric)}. {' '.join(clauses)}")
    return said


def _contenders(part: Mapping[str, Any]) -> list[str]:
    tables = part["tables"].values()
    return list(dict.fromkeys(duel["arm"] for table in tables for duel in table["duels"]))


def _hulls(part: Mapping[str, Any], who: str) -> list[str]:
    duels = [duel for table in part["tables"].values() for duel in table["duels"]]
    return list(dict.fromkeys(duel["against"] for duel in duels if duel["arm"] == who))


def _duel(part: Mapping[str, Any], metric: str, who: str, against: str) -> Any:
    duels = part["tables"][metric]["duels"]
    return next((d for d in duels if (d["arm"], d["against"]) == (who, against)), None)


def _board(part: Mapping[str, Any], who: str, against: str) -> str:
    lines = []
    for metric, table in part["tables"].items():
        duel = _duel(part, metric, who, against)
        if duel is None:
            continue
        sign = 1 if table["higher_is_better"] else -1
        cells = "".join(_cell(duel, metric, sign, at) for at in range(len(part["budgets"])))
        arrow = "↑" if sign > 0 else "↓"
        lines.append(f"<tr><td>{escape(names.title(metric))} {arrow}</td>{cells}</tr>")
    head = "".join(f"<th>{budget:,}</th>" for budget in part["budgets"])
    caption = f"<b>{escape(who)}</b> against <b>{escape(against)}</b>"
    return (
        f'<div class="board scroll"><table><caption>{caption}: {_MEANING[against]}</caption>'
        f"<thead><tr><th>bytes a clip</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
        "</table></div>"
    )


def _cell(duel: Mapping[str, Any], metric: str, sign: int, at: int) -> str:
    gap, wins, losses = duel["difference"][at], duel["wins"][at], duel["losses"][at]
    if gap is None:
        return '<td title="no clip of theirs is as small">–</td>'
    clips = max(1, duel["clips"][at])
    side = judge(duel, sign, at)
    kind = {1: "good", -1: "bad", 0: ""}[side]
    strength = min(1.0, 0.35 + abs(wins - losses) / clips)
    said = "" if duel["low"][at] is None else _interval(duel, metric, at)
    return (
        f'<td class="{kind}" style="--t:{strength:.2f}" title="{escape(said)}">'
        f"{gap:+.{names.digits(metric)}f}<small>{wins}:{losses}</small></td>"
    )


def judge(duel: Mapping[str, Any], sign: int, at: int) -> int:
    """1 where the contender is better, -1 where worse, 0 where the mean's interval has zero.

    One clip has no interval: its difference decides.
    """
    low, high = duel["low"][at], duel["high"][at]
    if low is None:
        low = high = duel["difference"][at]
    if low <= 0 <= high:
        return 0
    return sign if low > 0 else -sign


def _interval(duel: Mapping[str, Any], metric: str, at: int) -> str:
    low, high = (f"{duel[end][at]:+.{names.digits(metric)}f}" for end in ("low", "high"))
    p = duel["p"][at]
    sign = "" if p is None else f"; sign test p = {p:.2g}"
    return f"95 % [{low}, {high}] over {duel['clips'][at]} clips{sign}"


def _verdict(duel: Mapping[str, Any], sign: int, budgets: Sequence[int]) -> str:
    runs: list[tuple[str, list[int]]] = []
    for at, budget in enumerate(budgets):
        if duel["difference"][at] is None:
            continue
        word = ("level", "ahead", "behind")[judge(duel, sign, at)]
        if not runs or runs[-1][0] != word:
            runs.append((word, []))
        runs[-1][1].append(budget)
    said = [f"{word} at {_run(found)}" for word, found in runs]
    return ", ".join(said) or "nothing can be compared"


def _run(budgets: Sequence[int]) -> str:
    first, last = f"{budgets[0]:,}", f"{budgets[-1]:,}"
    return first if first == last else f"{first} to {last}"
