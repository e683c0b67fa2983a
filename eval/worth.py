"""What a description is worth to the codec: bytes at equal quality of the sketch, with and without.

    python -m gistcast.eval.worth DATA -o worth.json

clip, caption --encoder, each mode at each budget--> packets --decoder, no stage 2--> PSNR in RGB
a mode's curve --BD-rate against the curve of neither--> per cent of bytes, clip by clip

Scenes are described by the generator of scenes, the validation clips of DATA by the gist of real
video. A clip counts alone: its packets with their headers, the text in every clip, although a
stream sends it once. The sketch as AV1 is left out on all sides. A call that was stopped is gone on
with.

The format lets a residual stand on the gist of a latent, never on what text alone draws
(docs/bitstream.md), so a text can but cost the residual bytes. What it would be worth as a base is
measured through `TextGist`, whose latent has no symbols.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import PRESETS, Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT
from gistcast.codec.protocol import FloatPlanes, GistModel
from gistcast.eval.bd import RateCurve, compare
from gistcast.eval.metrics.psnr import psnr_rgb
from gistcast.eval.statistics import interval, mean
from gistcast.models.data import validation_clips
from gistcast.models.scene_table import subjects
from gistcast.models.zoo import load_gist, load_scenes

BUDGETS = (35, 55, 90, 150, 260, 450)  #: bytes of a clip's packets
NEITHER, AUTO = "neither", "auto"
_FPS = Fraction(25)


@dataclass(frozen=True)
class Mode:
    """What is sent before the residual.

    Attributes:
        text: whether the caption is.
        latent: off, on or auto, as of `EncodeSettings`.
        drawn: whether the text alone draws the gist, in place of the latent.
    """

    text: bool = False
    latent: str = "off"
    drawn: bool = False


MODES = {
    NEITHER: Mode(),
    "text": Mode(text=True),
    "text as base": Mode(text=True, latent="on", drawn=True),
    "latent": Mode(latent="on"),
    "both": Mode(text=True, latent="on"),
    AUTO: Mode(latent="auto"),
}


@dataclass(frozen=True)
class Described:
    """A clip to be coded.

    Attributes:
        of: its set.
        name: unique within the set.
        clip, text: the clip and its caption.
    """

    of: str
    name: str
    clip: Clip
    text: str


@dataclass(frozen=True)
class Point:
    """A clip at one budget in one mode.

    Attributes:
        of, name, mode, budget: which.
        bytes: of the clip's packets, headers included.
        psnr: of the sketch in RGB, dB.
        latent: whether a latent was sent.
    """

    of: str
    name: str
    mode: str
    budget: int
    bytes: int
    psnr: float
    latent: bool


@dataclass(frozen=True)
class Worth:
    """A mode against neither, over the clips of a set.

    Attributes:
        of, mode: which.
        percent: mean BD-rate over all budgets; negative saves bytes. None where no clip has one.
        low, high: 95 % bootstrap interval of that mean.
        worse, clips: clips that take more bytes, and all with a figure.
        levels: what happens at each budget.
    """

    of: str
    mode: str
    percent: float | None
    low: float | None
    high: float | None
    worse: int
    clips: int
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Level:
    """A mode at one budget.

    Attributes:
        budget: bytes.
        clips: clips that can be coded both in this mode and in neither.
        decibels: mean PSNR over that of neither; None without clips.
        short: mean PSNR under the better one of latent and neither: what a choice between the two
            loses.
        latents: clips with a latent.
    """

    budget: int
    clips: int
    decibels: float | None
    short: float | None
    latents: int


class TextGist:
    """The gist that a text alone draws, as a model whose latent is empty.

    Args:
        model: what draws it, with the stream's seed.
    """

    def __init__(self, model: GistModel) -> None:
        self._model = model

    @property
    def model_id(self) -> int:
        return self._model.model_id

    @property
    def weights_hash(self) -> bytes:
        return self._model.weights_hash

    @property
    def latent_frequencies(self) -> NDArray[np.uint16]:
        """None: (0, 1)."""
        return np.zeros((0, 1), np.uint16)

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        """No symbols."""
        return np.zeros(0, np.int32)

    def gist(
        self,
        latent: NDArray[np.int32] | None,
        text: str | None,
        *,
        frames: int,
        height: int,
        width: int,
        seed: int,
    ) -> FloatPlanes:
        """What the model draws of the text."""
        return self._model.gist(None, text, frames=frames, height=height, width=width, seed=seed)


def measure(
    described: Described, model: GistModel, name: str, budget: int, preset: str = "fast"
) -> Point | None:
    """Code a clip alone and look at its sketch.

    Args:
        name: of the mode.
        budget: bytes of its packets, at most.
        preset: of the encoder.

    Returns:
        The point; None where the budget is too small for the mode.
    """
    mode, clip = MODES[name], described.clip
    used = TextGist(model) if mode.drawn else model
    settings = EncodeSettings(
        clip_bytes=budget,
        preset=preset,
        text=described.text if mode.text else None,
        latent=mode.latent,
        without=frozenset({"video"}),
    )
    encoder = Encoder(VideoInfo(clip.width, clip.height, _FPS), settings, used)
    try:
        packets = encoder.encode_clip(clip)
    except UsageError:
        return None
    sketch = Decoder(encoder.header, used).decode_clip(packets).sketch
    return Point(
        described.of,
        described.name,
        name,
        budget,
        sum(len(packet.to_bytes(encoder.header)) for packet in packets),
        psnr_rgb(clip_to_rgb(clip), clip_to_rgb(sketch)),
        any(packet.layer == LATENT for packet in packets),
    )


def summaries(points: Sequence[Point]) -> list[Worth]:
    """Every mode of every set that was measured, against neither."""
    groups = dict.fromkeys((point.of, point.mode) for point in points)
    return [
        _worth(of, mode, [point for point in points if point.of == of])
        for of, mode in groups
        if mode != NEITHER
    ]


def _worth(of: str, mode: str, points: Sequence[Point]) -> Worth:
    plain, mine = (_curves(points, name) for name in (NEITHER, mode))
    found = [compare(plain[clip], mine[clip], front=True) for clip in mine if clip in plain]
    percents = [each.percent for each in found if each.percent is not None]
    low, high = interval(percents) or (None, None)
    worse = sum(percent > 0 for percent in percents)
    levels = tuple(_level(mode, budget, points) for budget in BUDGETS)
    return Worth(of, mode, mean(percents), low, high, worse, len(percents), levels)


def _curves(points: Iterable[Point], mode: str) -> dict[str, RateCurve]:
    measured: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        if point.mode == mode:
            measured.setdefault(point.name, []).append((point.bytes, point.psnr))
    return {name: RateCurve.of(some) for name, some in measured.items()}


def _level(mode: str, budget: int, points: Iterable[Point]) -> Level:
    arms: dict[str, dict[str, Point]] = {NEITHER: {}, "latent": {}, mode: {}}
    for point in points:
        if point.budget == budget and point.mode in arms:
            arms[point.mode][point.name] = point
    mine, plain, latent = arms[mode], arms[NEITHER], arms["latent"]
    both = [name for name in mine if name in plain]
    gains = [mine[name].psnr - plain[name].psnr for name in both]
    losses = [
        max(plain[name].psnr, latent[name].psnr if name in latent else 0.0) - mine[name].psnr
        for name in both
    ]
    latents = sum(point.latent for point in mine.values())
    return Level(budget, len(both), mean(gains), mean(losses), latents)


def scenes(count: int) -> Iterator[Described]:
    """Renders of seen and of held-out pairs in turn, so many of each."""
    for pair in zip(subjects("val", count), subjects("held-out", count), strict=True):
        for split, subject in zip(("val", "held-out"), pair, strict=True):
            scene = subject.scene
            name = f"{scene.seed}:{scene.index}"
            yield Described(f"scenes {split}", name, subject.clip, scene.caption)


def real(data: Path, count: int) -> Iterator[Described]:
    """Validation clips, evenly spread over the manifest."""
    samples = validation_clips(data)
    for at in np.arange(min(count, len(samples))) * len(samples) // min(count, len(samples)):
        yield Described("real", str(at), samples[at].clip, samples[at].caption)


def markdown(rows: Sequence[Worth]) -> Iterator[str]:
    """A table of bytes, then one of PSNR budget by budget."""
    yield "| clips | sent | bytes at equal PSNR | 95 % | more on |"
    yield "|---|---|---|---|---|"
    for row in rows:
        percent = "-" if row.percent is None else f"{row.percent:+.1f} %"
        around = "" if row.low is None else f"[{row.low:+.1f}, {row.high:+.1f}]"
        yield f"| {row.of} | {row.mode} | {percent} | {around} | {row.worse} of {row.clips} |"
    yield ""
    yield f"| dB over neither | {' | '.join(map(str, BUDGETS))} |"
    yield "|---" * (len(BUDGETS) + 1) + "|"
    for row in rows:
        cells = [f"{_figure(level.decibels, '+.2f')} ({level.clips})" for level in row.levels]
        yield f"| {row.of}, {row.mode} | {' | '.join(cells)} |"
        if row.mode == AUTO:
            cells = [f"{level.latents} / {_figure(level.short, '.3f')}" for level in row.levels]
            yield f"| ... latents / dB short of the better one | {' | '.join(cells)} |"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="gistcast.eval.worth", description=__doc__)
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="folder with val/ and manifest.json")
    add("-o", "--output", type=Path, required=True, metavar="OUT.json", help="what is found")
    add("--scenes", type=int, default=20, help="renders of each split")
    add("--clips", type=int, default=23, help="validation clips")
    add("--preset", choices=PRESETS, default="fast", help="of the encoder")
    add("--modes", nargs="+", choices=MODES, default=list(MODES), help="leave some out")
    add("--weights", type=Path, help="of the generator of scenes (the bundled ones)")
    args = parser.parse_args(arguments)
    model = load_scenes(path=args.weights) if args.weights else load_scenes()
    jobs = ((load_gist(), real(args.data, args.clips)), (model, scenes(args.scenes)))
    hashes = [used.weights_hash.hex() for used, _ in jobs]
    shape = {"preset": args.preset, "budgets": list(BUDGETS), "modes": args.modes, "models": hashes}
    points = _kept(args.output, shape)
    done = {(point.of, point.name) for point in points}
    started = time.monotonic()
    for used, some in jobs:
        for described in some:
            if (described.of, described.name) in done:
                continue
            for mode, budget in product(args.modes, BUDGETS):
                point = measure(described, used, mode, budget, args.preset)
                points += [] if point is None else [point]
            _write(args.output, shape, points)
            spent = time.monotonic() - started
            print(f"{spent:6.0f} s {described.of} {described.name}", file=sys.stderr)
    print("\n".join(markdown(summaries(points))))


def _kept(path: Path, shape: Mapping[str, Any]) -> list[Point]:
    """Points of an earlier call that was stopped; none without a file.

    Raises:
        UsageError: it measured something else.
    """
    if not path.is_file():
        return []
    found = json.loads(path.read_text())
    if found["settings"] != shape:
        raise UsageError(f"{path} was measured otherwise: {found['settings']}")
    return [Point(**fields) for fields in found["points"]]


def _write(path: Path, shape: Mapping[str, Any], points: Sequence[Point]) -> None:
    worth = [asdict(found) for found in summaries(points)]
    result = {"settings": shape, "worth": worth, "points": [asdict(point) for point in points]}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)


if __name__ == "__main__":
    main()
