"""Every codec at every operating point over every clip, one cached step at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av

from gistcast.codec.clip import Clip
from gistcast.codec.media import load_clip
from gistcast.eval.arms import Arm
from gistcast.eval.cache import Row, RowCache, clip_hash, key_of
from gistcast.eval.codecs import Codec, Coded
from gistcast.eval.metrics import DEFAULT, METRICS, Meter
from gistcast.models.lpips import Lpips

CLIP_FRAMES = 32


@dataclass
class Case:
    """One clip at one size, with its meter (made when first asked for).

    Attributes:
        name: of the file, for people.
        clip: the reference.
        fps: frames a second.
        text: what the clip shows, for codecs that send a description.
        metrics: what is measured.
        network: LPIPS, shared between cases.
    """

    name: str
    clip: Clip
    fps: Fraction
    text: str | None = None
    metrics: tuple[str, ...] = DEFAULT
    network: Lpips | None = None
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        self.hash = clip_hash(self.clip)

    @cached_property
    def meter(self) -> Meter:
        """Measures against this clip."""
        return Meter(self.clip, self.metrics, self.fps)


def load_case(
    path: str | Path,
    size: tuple[int, int],
    *,
    text: str | None = None,
    metrics: tuple[str, ...] = DEFAULT,
    network: Lpips | None = None,
    frames: int = CLIP_FRAMES,
) -> Case:
    """The first `frames` frames of a file, centre-cropped and scaled to `size` (width, height)."""
    clip, info = load_clip(path, size=size, frames=frames)
    return Case(Path(path).name, clip, info.fps, text, metrics, network)


@dataclass(frozen=True)
class Step:
    """One payload: a codec at one point behind one arm; one row for each fill of the arm."""

    codec: Codec
    arm: Arm
    point: float

    def run(self, case: Case) -> tuple[Coded, list[Row]]:
        """Encode, decode and measure."""
        small = self.arm.reduce(case.clip)
        coded = self.codec.code(small, case.fps, self.point, case.text)
        shown = self.shown(case, coded)
        return coded, [self._row(case, arm, coded, clip) for arm, clip in shown.items()]

    def shown(self, case: Case, coded: Coded) -> dict[str, Clip]:
        """What a viewer may see of a payload, by the name of the arm in `results.json`."""
        if coded.variants:
            return dict(coded.variants)
        return {
            self.arm.row_name(fill): self.arm.restore(coded.decoded, fill, case.clip)
            for fill in self.arm.fills()
        }

    def key(self, case: Case) -> str:
        """Everything that the rows depend on, hashed."""
        described = {"text": case.text} if self.codec.uses_text else {}
        return key_of(
            **described,
            clip=case.hash,
            fps=str(case.fps),
            codec=self.codec.name,
            settings=self.codec.settings(self.point),
            arm=self.arm.name,
            metrics=sorted([name, METRICS[name].version] for name in case.metrics),
            libraries=[av.__version__, *map(str, av.library_versions.values())],
        )

    def _row(self, case: Case, arm: str, coded: Coded, shown: Clip) -> Row:
        clip = case.clip
        seconds = clip.frames / case.fps
        row: Row = {
            "codec": self.codec.name,
            "arm": arm,
            "clip": case.name,
            "width": clip.width,
            "height": clip.height,
            "frames": clip.frames,
            "point": self.point,
            "bytes": coded.bytes,
            "kbps": round(float(coded.bytes * 8 / seconds / 1000), 4),
            "bpp": round(coded.bytes * 8 / clip.y.size, 6),
            **case.meter.measure(shown),
            "encode_seconds": round(coded.encode_seconds, 4),
            "decode_seconds": round(coded.decode_seconds, 4),
        }
        if coded.layers:
            row["layers"] = dict(coded.layers)
        return row


def curve(
    case: Case,
    codec: Codec,
    arm: Arm,
    points: Sequence[float],
    cache: RowCache,
    ceiling: float,
    keep: dict[str, Coded] | None = None,
) -> Iterator[Row]:
    """Rows of one codec and arm from the coarsest point on, until one exceeds `ceiling` bytes.

    Args:
        case, codec, arm: what is coded, by whom, behind what.
        points: operating points, coarsest first.
        cache: where rows are looked up and stored.
        ceiling: bytes.
        keep: takes what was coded anew, by key, for those who want its pictures.

    Raises:
        GistcastError: the codec cannot code this clip.
    """
    for point in points:
        step = Step(codec, arm, point)
        key = step.key(case)
        rows = cache.get(key)
        if rows is None:
            coded, rows = step.run(case)
            cache.put(key, rows)
            if keep is not None:
                keep[key] = coded
        for row in rows:
            yield {**row, "clip": case.name}
        if rows[0]["bytes"] > ceiling:
            return
