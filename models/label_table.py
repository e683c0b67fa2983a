"""The table of "Video Generation from Text" on real labels: what the recogniser sees in clips.

    validation clips --+--> recogniser                                          the ceiling
        captions ------+--> gist, stage 2 --> recogniser                        from text alone
        and clips -----+--> latent --> gist, stage 2 --> recogniser             latent, with text
                       '--> codec, residual layers 1 to n, stage 2 --> recogniser

python -m gistcast.models.label_table DATA -o labels.json

Only clips whose label is one of the recogniser's count.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import DecodedClip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.protocol import GistModel, Refiner
from gistcast.models.data import Sample, validation_clips
from gistcast.models.prefixes import decoded_prefixes, rows
from gistcast.models.recogniser import Recogniser, load_recogniser, prepare
from gistcast.models.zoo import load_gist, load_refiner

LAYERS = 3  #: residual layers that the codec is asked for


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: the arm.
        bytes: mean of a clip's layers, without packet headers; 0 for real clips.
        sketch: share of clips recognised in what stage 2 begins with: a gist or a sketch.
        refined: share of clips recognised in what stage 2 makes of it.
        clips: how many.
    """

    what: str
    bytes: float
    sketch: float
    refined: float
    clips: int


Arm = Callable[[int, Sample], list[tuple[DecodedClip, int]]]


def known_clips(data: Path, labels: Sequence[str]) -> list[Sample]:
    """Validation clips at 64x64 whose label is one of these."""
    return [sample for sample in validation_clips(data) if sample.label in labels]


@torch.no_grad()
def recognised(network: Recogniser, clips: Sequence[Clip], labels: Sequence[str]) -> float:
    """Share of clips whose label the recogniser finds the likeliest."""
    right = 0
    for clip, label in zip(clips, labels, strict=True):
        kinds, _ = network(prepare(clip_to_rgb(clip)))
        right += network.config.labels[int(kinds[0].argmax())] == label
    return right / len(clips)


def rows_of(
    names: Sequence[str], arm: Arm, network: Recogniser, chosen: Sequence[Sample]
) -> Iterator[Row]:
    """Recognise what an arm makes of every clip: one row a clip that it returns."""
    made = [arm(number, sample) for number, sample in enumerate(chosen)]
    labels = [sample.label for sample in chosen]
    sketches = [[(decoded.sketch, size) for decoded, size in each] for each in made]
    refined = [[(decoded.clip, size) for decoded, size in each] for each in made]
    for (name, before, size), (_, after, _) in zip(
        rows(names, sketches), rows(names, refined), strict=True
    ):
        shares = [recognised(network, clips, labels) for clips in (before, after)]
        yield Row(name, size, shares[0], shares[1], len(chosen))


def described(
    model: GistModel, refiner: Refiner, number: int, sample: Sample, *, latent: bool, text: bool
) -> list[tuple[DecodedClip, int]]:
    """The clip at the last layer of its description; the text's draw has the seed `number`."""
    settings = EncodeSettings(
        layers="latent" if latent else "text",
        text=sample.caption if text else None,
        seed=number,
    )
    return decoded_prefixes(sample.clip, settings, model, refiner)[-1:]


def table(
    network: Recogniser,
    model: GistModel,
    refiner: Refiner,
    chosen: Sequence[Sample],
    *,
    seeds: int,
    quality: float,
) -> Iterator[Row]:
    """All rows.

    Args:
        seeds: clips of each caption.
        quality: of the residual.
    """
    ceiling = recognised(network, [s.clip for s in chosen], [s.label for s in chosen])
    yield Row("real", 0.0, ceiling, ceiling, len(chosen))
    arms = {"text": (False, True), "latent": (True, False), "text and latent": (True, True)}
    for name, (latent, text) in arms.items():
        arm = partial(described, model, refiner, latent=latent, text=text)
        yield from rows_of([name], arm, network, list(chosen) * (1 if latent else seeds))
    settings = EncodeSettings(quality=quality, residual_layers=LAYERS, preset="fast")
    names = [f"residual.0 to {n}" for n in range(LAYERS)]
    yield from rows_of(
        names,
        lambda _, s: decoded_prefixes(s.clip, settings, refiner=refiner),
        network,
        chosen,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="gistcast.models.label_table", description=__doc__)
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="folder with val/ and manifest.json")
    add("-o", "--output", type=Path, required=True, metavar="OUT.json", help="what is found")
    add("--seeds", type=int, default=4, help="clips of each caption from text alone")
    add("--quality", type=float, default=20, help="of the residual")
    args = parser.parse_args(arguments)
    network = load_recogniser()
    chosen = known_clips(args.data, network.config.labels)
    commonest = Counter(sample.label for sample in chosen).most_common(1)[0][1] / len(chosen)
    shape = {"seeds": args.seeds, "quality": args.quality}
    found = []
    for row in table(network, load_gist(), load_refiner(), chosen, **shape):
        found.append(asdict(row))
        print(
            f"| {row.what} | {row.bytes:.1f} | {row.sketch:.3f} | {row.refined:.3f} "
            f"| {row.clips} |",
            file=sys.stderr,
        )
    print(f"always the commonest label: {commonest:.3f}", file=sys.stderr)
    result = {"settings": shape, "commonest": commonest, "rows": found}
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
