"""Film strips: the same frames of a clip as each codec shows them at about the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.errors import GistcastError
from gistcast.eval.cache import Cache, Row
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.film import Picture, Strip
from gistcast.eval.hull import full_rate
from gistcast.eval.metrics.meter import HIGHER_IS_BETTER
from gistcast.eval.summary import OURS
from gistcast.eval.sweep import Case, Curve
from gistcast.eval.webp import encode_webp
from gistcast.eval.work import decode

_STRIP_PIXELS = 200_000  # of one strip, all its frames together

Candidate = tuple[Curve, Row]  #: a row, and the curve that it is of

#: arms of ours as a user gets it: small files are made for the eye, where that was measured
_AS_SENT = ("perceptual-refined", "refined", "perceptual-sketch", "sketch")


def make_strip(case: Case, curves: Iterable[Curve], cache: Cache, budget: float) -> Strip:
    """Pictures of a clip at `budget` bytes.

    Args:
        case: the clip.
        curves: what was measured of it.
        cache: where its payloads are.
        budget: bytes.
    """
    candidates = [(curve, row) for curve in curves for row in curve.rows]
    film = Film(case, cache, _shown_frames(case.clip))
    pictures = [Picture("source", "", film.webp(case.clip))]
    ours = ours_within(candidates, budget)
    limit = budget
    if ours is not None:
        pictures += film.ours(ours, candidates)
        limit = ours[1]["bytes"]
    standard = [c for c in candidates if c[1]["codec"] in STANDARD_NAMES]
    chosen = {
        "best PSNR": best_within(standard, limit, "psnr_rgb"),
        "best LPIPS": best_within(standard, limit, "lpips_alex"),
        "every frame": min(
            (c for c in standard if full_rate(c[1])),
            key=lambda c: (max(c[1]["bytes"], limit), -c[1]["psnr_rgb"]),
            default=None,
        ),
    }
    for why, candidate in chosen.items():
        if candidate is not None:
            pictures.append(film.picture(f"standard, {why}", candidate, who=True))
    size = (case.clip.width, case.clip.height)
    return Strip(
        case.name, *size, film.frames, budget, tuple(pictures), case.clip.frames, float(case.fps)
    )


@dataclass(frozen=True)
class Film:
    """Makes the pictures of one clip.

    Attributes:
        case: the clip.
        cache: where its payloads are.
        frames: indices of the frames that are shown.
    """

    case: Case
    cache: Cache
    frames: tuple[int, ...]

    def picture(self, label: str, candidate: Candidate, *, who: bool = False) -> Picture:
        """What a candidate's row was measured on; `who` names the codec and arm."""
        row = candidate[1]
        note = (f"{row['codec']} {row['arm']}, " if who else "") + note_of(row)
        return Picture(label, note, self.webp(self.clip(candidate)), tuple(row["psnr_by_frame"]))

    def clip(self, candidate: Candidate) -> Clip:
        """What a candidate's row was measured on.

        Raises:
            GistcastError: its payload is not in the cache any more.
        """
        curve, row = candidate
        _, step = curve.lookup(row["point"], self.cache)
        if step.payload is None:
            raise GistcastError(f"the cache lost a payload of {row['codec']} while it was in use")
        return decode(step, step.payload, self.case.clip)[row["arm"]]

    def ours(self, sent: Candidate, candidates: Sequence[Candidate]) -> list[Picture]:
        """Text alone, latent alone, sketch and regenerated clip, as far as they were measured."""
        sketch = sketch_of(sent, candidates)
        found = {
            "gist from text": [c for c in candidates if c[1]["arm"] == "text"],
            "gist from the latent": [c for c in candidates if c[1]["arm"] == "latent"],
            "sketch": [sketch] if sketch is not None else [],
            "regenerated": [sent] if sent != sketch else [],
        }
        return [self.picture(label, some[0]) for label, some in found.items() if some]

    def row(self, clip: Clip) -> NDArray[np.uint8]:
        """The chosen frames side by side, uint8 RGB (H, frames * W, 3)."""
        return np.concatenate(list(clip_to_rgb(clip)[list(self.frames)]), 1)

    def webp(self, clip: Clip) -> bytes:
        """`row` as a file."""
        return encode_webp(self.row(clip))


def ours_within(candidates: Sequence[Candidate], budget: float) -> Candidate | None:
    """Ours as a user gets it with at most `budget` bytes."""
    for arm in _AS_SENT:
        some = [c for c in candidates if (c[1]["codec"], c[1]["arm"]) == (OURS, arm)]
        fitting = [c for c in some if c[1]["bytes"] <= budget]
        if fitting:
            return max(fitting, key=lambda c: int(c[1]["bytes"]))
    return None


def sketch_of(sent: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    """What stage 2 was given to make what is shown of the same payload."""
    curve, row = sent
    arm = row["arm"].replace("refined", "sketch")
    same = (c for c in candidates if c[0] is curve and c[1]["point"] == row["point"])
    return next((c for c in same if c[1]["arm"] == arm), None)


def best_within(candidates: Iterable[Candidate], budget: float, metric: str) -> Candidate | None:
    """Of candidates of at most `budget` bytes, the best by a metric."""
    fitting = [c for c in candidates if c[1]["bytes"] <= budget and c[1].get(metric) is not None]
    sign = 1 if metric in HIGHER_IS_BETTER else -1
    return max(fitting, key=lambda c: sign * c[1][metric], default=None)


def note_of(row: Row) -> str:
    """Bytes and figures of a row, for people."""
    parts = [f"{row['bytes']} B", f"{row['psnr_rgb']:.2f} dB"]
    if row.get("lpips_alex") is not None:
        parts.append(f"LPIPS {row['lpips_alex']:.3f}")
    if row.get("motion_error") is not None:
        parts.append(f"motion error {row['motion_error']:.2f}")
    return ", ".join(parts)


def _shown_frames(clip: Clip) -> tuple[int, ...]:
    """Evenly spread frames, as many as a strip has room for."""
    count = max(4, min(clip.frames, _STRIP_PIXELS // (clip.width * clip.height)))
    return tuple(dict.fromkeys(np.linspace(0, clip.frames - 1, count).astype(int).tolist()))
