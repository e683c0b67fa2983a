"""A blind sheet: for each clip the source, and beside it ours and the best standard codec at no
more bytes, left and right by chance. One page that works offline; a person judges it in minutes.

    curves of a clip --bytes--> ours refined, theirs of best LPIPS --seed--> left, right --> page

Forced choice, with the source in sight, as in ITU-T P.910's pair comparison: "which of the two is
more like the original?" The page counts, and tells who was who only after the last clip.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from gistcast.eval.cache import Cache
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.codecs.base import REALTIME
from gistcast.eval.strips import Candidate, Film, best_within, note_of, ours_within
from gistcast.eval.sweep import Case, Curve

RIVAL_METRIC = "lpips_alex"  #: by which the standards' best is chosen: ours is made for the eye


@dataclass(frozen=True)
class Shown:
    """One moving picture: frames side by side as a lossless WebP, and what it is."""

    who: str
    note: str
    webp: bytes


@dataclass(frozen=True)
class Pair:
    """One question of the sheet."""

    clip: str
    width: int
    height: int
    frames: int
    fps: float
    source: Shown
    ours: Shown
    theirs: Shown


def make_pair(
    case: Case, curves: Iterable[Curve], cache: Cache, budget: float, frames: int = 0
) -> Pair | None:
    """Ours and theirs at `budget` bytes; None where either has no payload as small.

    Theirs may be as big as ours came out, and is the best by LPIPS over all codecs and arms,
    stills that stand or fade included.

    Args:
        case: the clip.
        curves: what was measured of it.
        cache: where its payloads are.
        budget: bytes.
        frames: how many are shown, evenly spread, for as long as the clip takes; 0 shows all.
    """
    candidates = [(curve, row) for curve in curves for row in curve.rows]
    mine = ours_within(candidates, budget)
    limit = mine[1]["bytes"] if mine else 0
    standard = [
        c for c in candidates if c[1]["codec"] in STANDARD_NAMES and c[0].codec.mode != REALTIME
    ]
    other = best_within(standard, limit, RIVAL_METRIC)
    if mine is None or other is None:
        return None
    count = min(frames, case.clip.frames) or case.clip.frames
    film = Film(case, cache, tuple(k * case.clip.frames // count for k in range(count)))
    fps = float(case.fps) * count / case.clip.frames
    size = (case.clip.width, case.clip.height, count, fps)
    source = Shown("source", "", film.webp(case.clip))
    return Pair(case.name, *size, source, _shown(film, mine), _shown(film, other))


def _shown(film: Film, candidate: Candidate) -> Shown:
    row = candidate[1]
    who = f"{row['codec']} {row['arm']}"
    return Shown(who, note_of(row), film.picture("", candidate).webp)


def write_sheet(pairs: Sequence[Pair], seed: int = 0) -> str:
    """The page. Ours is on the left in half of the pairs; the order is drawn from the seed."""
    rng = np.random.default_rng(seed)
    left = rng.permutation(np.arange(len(pairs)) % 2 == 0)
    order = rng.permutation(len(pairs))
    trials = [_trial(pairs[at], ours_left=bool(left[at])) for at in order]
    data = json.dumps(trials, separators=(",", ":")).replace("<", "\\u003c")
    assets = files("gistcast.eval.report") / "assets"
    sizes = sorted({f"{pair.width}x{pair.height}" for pair in pairs})
    return Template((assets / "blind.html").read_text(encoding="utf-8")).substitute(
        count=len(pairs),
        sizes=escape(", ".join(sizes)),
        trials=data,
        style=(assets / "page.css").read_text(encoding="utf-8"),
        script=(assets / "blind.js").read_text(encoding="utf-8"),
    )


def _trial(pair: Pair, *, ours_left: bool) -> dict[str, object]:
    def picture(shown: Shown) -> dict[str, str]:
        image = f"data:image/webp;base64,{base64.b64encode(shown.webp).decode()}"
        return {**asdict(shown), "webp": image}

    sides = (pair.ours, pair.theirs) if ours_left else (pair.theirs, pair.ours)
    return {
        "clip": pair.clip,
        "width": pair.width,
        "height": pair.height,
        "frames": pair.frames,
        "fps": pair.fps,
        "ours": "left" if ours_left else "right",
        "source": picture(pair.source),
        "left": picture(sides[0]),
        "right": picture(sides[1]),
    }
