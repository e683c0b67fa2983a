"""The table of "Video Generation from Text" on scenes: what a judge makes of generated clips.

renders of scenes --+--> judge                                        the ceiling
   captions --------+--> generator --> judge                          from text alone
   and clips -------+--> latent --> generator --> judge               text and latent
                    '--> codec, residual layers 1 to n --> judge

python -m gistcast.models.scene_table -o table.json --clips 200
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.latent import encode_latent
from gistcast.codec.text import encode_text
from gistcast.models.judge import Accuracy, Judge, accuracy, ask, looked_at
from gistcast.models.lpips import load_lpips
from gistcast.models.prefixes import decoded_prefixes, rows
from gistcast.models.scene_model import SceneModel, Symbols
from gistcast.models.scene_pool import SIDE, pack_clip
from gistcast.models.scenes import FPS, Scene, choose, render
from gistcast.models.scenes.labels import Split
from gistcast.models.validate import measure
from gistcast.models.zoo import load_judge, load_scenes

FRAMES = 32
LAYERS = 3  #: residual layers that the codec is asked for
_WORLD = 1001  #: seed of scenes that nothing was trained on


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: the arm.
        split: `val` (combinations that training saw) or `held-out`.
        accuracy: the judge's.
        bytes: mean of a clip's layers, without packet headers; 0 for renders.
    """

    what: str
    split: str
    accuracy: Accuracy
    bytes: float


@dataclass(frozen=True)
class Subject:
    """A scene and its render."""

    scene: Scene
    clip: Clip


Arm = Callable[[int, Subject], list[tuple[Clip, int]]]


def subjects(split: Split, count: int, world: int = _WORLD) -> list[Subject]:
    """The first scenes of a split, rendered at 64x64."""
    size = (SIDE, SIDE)
    scenes = islice(choose(world, split), count)
    return [Subject(scene, rgb_to_clip(render(scene, FRAMES, size))) for scene in scenes]


def rows_of(
    names: Sequence[str], arm: Arm, judge: Judge, chosen: Sequence[Subject], split: str
) -> Iterator[Row]:
    """Judge what an arm makes of every subject: one row a clip that it returns."""
    made = [arm(number, subject) for number, subject in enumerate(chosen)]
    actions = [subject.scene.action for subject in chosen]
    places = [subject.scene.surroundings for subject in chosen]
    for name, clips, spent in rows(names, made):
        answer = ask(judge, [_seen(clip) for clip in clips])
        yield Row(name, split, accuracy(answer, actions, places), spent)


def _seen(clip: Clip) -> NDArray[np.uint8]:
    return pack_clip(clip)[looked_at(clip.frames)]


def described(model: SceneModel, number: int, subject: Subject) -> list[tuple[Clip, int]]:
    """Text alone, latent alone, both: clips and bytes."""
    size = {"frames": FRAMES, "height": SIDE, "width": SIDE, "seed": number}
    text = subject.scene.caption
    said = len(encode_text(text))
    out = [(model.paint(model.symbols(text, number), **size), said)]
    for words, spent in ((None, 0), (text, said)):
        latent = model.describe(subject.clip, words)
        heard = model.sentence.describe(words)
        coded = len(encode_latent(latent, model.frequencies(heard)))
        out.append((model.paint(Symbols(heard, latent), **size), spent + coded))
    return out


def coded(quality: float, subject: Subject) -> list[tuple[Clip, int]]:
    """The sketch after each residual layer: clips and bytes."""
    settings = EncodeSettings(quality=quality, residual_layers=LAYERS, preset="fast")
    prefixes = decoded_prefixes(subject.clip, settings, fps=FPS)
    return [(decoded.sketch, spent) for decoded, spent in prefixes]


def diversity(
    model: SceneModel, chosen: Sequence[Subject], world: int = _WORLD
) -> dict[str, float]:
    """LPIPS (Alex) between two clips of the same action and surroundings.

    Returns:
        `generated`: two seeds, one caption; `renders`: two scenes of the same labels.
    """
    net = load_lpips("alex")
    size = {"frames": FRAMES, "height": SIDE, "width": SIDE}
    drawn: list[float | None] = []
    real: list[float | None] = []
    for number, subject in enumerate(chosen):
        text = subject.scene.caption
        pair = [
            model.paint(model.symbols(text, seed), seed=seed, **size)
            for seed in (2 * number, 2 * number + 1)
        ]
        drawn.append(measure(pair[0], pair[1], net, every=16).lpips)
        scene = subject.scene
        same = choose(
            world + 1, None, action=scene.action, surroundings=scene.surroundings, start=number
        )
        other = next(same)
        clip = rgb_to_clip(render(other, FRAMES, (SIDE, SIDE)))
        real.append(measure(clip, subject.clip, net, every=16).lpips)
    return {"generated": _mean(drawn), "renders": _mean(real)}


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def table(
    model: SceneModel, judge: Judge, *, clips: int, coded_clips: int, quality: float
) -> Iterator[Row]:
    """All rows."""
    for split in ("val", "held-out"):
        chosen = subjects(split, clips)
        yield from rows_of(["render"], lambda _, s: [(s.clip, 0)], judge, chosen, split)
        names = ["text", "latent", "text and latent"]
        yield from rows_of(
            names, lambda number, s: described(model, number, s), judge, chosen, split
        )
        names = [f"residual.0 to {n}" for n in range(LAYERS)]
        few = chosen[:coded_clips]
        yield from rows_of(names, lambda _, s: coded(quality, s), judge, few, split)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="gistcast.models.scene_table", description=__doc__)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="OUT.json", help="what is found")
    add("--clips", type=int, default=200, help="of each split")
    add("--coded-clips", type=int, default=40, help="of each split, for the residual's rows")
    add("--pairs", type=int, default=20, help="for the diversity; 0 leaves it out")
    add("--quality", type=float, default=20, help="of the residual")
    add("--weights", type=Path, help="of the generator (the bundled ones)")
    add("--judge", type=Path, help="weights of the judge (the bundled ones)")
    args = parser.parse_args(arguments)
    model = load_scenes(path=args.weights) if args.weights else load_scenes()
    judge = load_judge(args.judge) if args.judge else load_judge()
    shape = {"clips": args.clips, "coded_clips": args.coded_clips, "quality": args.quality}
    found = []
    for row in table(model, judge, **shape):
        found.append(asdict(row))
        a = row.accuracy
        print(
            f"| {row.split} | {row.what} | {row.bytes:.1f} | {a.joint:.3f} | {a.action:.3f} "
            f"| {a.surroundings:.3f} | {a.clips} |",
            file=sys.stderr,
        )
    result = {"settings": {**shape, "world": _WORLD}, "rows": found}
    if args.pairs:
        result["lpips_between_seeds"] = diversity(model, subjects("val", args.pairs))
        print(result["lpips_between_seeds"], file=sys.stderr)
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
