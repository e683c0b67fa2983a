"""The table that weights of stage 2 are chosen by: validation clips, at byte budgets.

    python -m gistcast.models.figures DATA [--size 64] [--budgets ...] [--weights FILE] [--vgg FILE]

prints one JSON object for each budget and mode, means over the clips. Sketches are kept in
WORK/sketches-SIZE-TUNE, so that two sets of weights are compared on the same ones; delete the
folder when the codec has changed. With `--tune perceptual` they are those that the weights' own
viewer chose when the folder was made.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.codec.protocol import Refiner, Viewer
from gistcast.models.coded import code_at
from gistcast.models.data import validation_clips
from gistcast.models.lpips import Lpips, load_lpips
from gistcast.models.pairs import Sketch, whole
from gistcast.models.refiner import DIALS
from gistcast.models.validate import Quality, mean, measure
from gistcast.models.viewer import LpipsViewer
from gistcast.models.zoo import REFINER, load_refiner

BUDGETS = (200, 300, 450, 640, 1050, 1500, 2000)


@dataclass(frozen=True)
class Coded:
    """A validation clip within a budget: the sketch, and the bytes of the file."""

    clip: Clip
    sketch: Sketch
    size: int


def coded_clips(
    data: Path, folder: Path, size: int, budget: int, every: int, viewer: Viewer | None = None
) -> list[Coded]:
    """Every `every`-th validation clip at a budget of bytes for the whole file, coded once.

    Args:
        viewer: who to code for; None is for PSNR.

    Raises:
        UsageError: there are none.
    """
    samples = validation_clips(data, (size, size))
    if not samples:
        raise UsageError(f"{data} has no clips for validation")
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for number, sample in enumerate(samples):
        if number % every:
            continue
        path = folder / f"{number:03}-{budget}.npz"
        if not path.is_file():
            # the header of the file counts too, though --clip-bytes is a clip's
            sketch, total = code_at(sample.clip, budget - 12, viewer)
            y, u, v = sketch.clip.planes
            told = {"step": sketch.step, "kept": len(sketch.kept), "size": total}
            np.savez_compressed(path, y=y, u=u, v=v, **told)
        with np.load(path) as file:
            clip = Clip(file["y"], file["u"], file["v"])
            sketch = Sketch(clip, float(file["step"]), whole(clip.frames, int(file["kept"])))
            out.append(Coded(sample.clip, sketch, int(file["size"])))
    return out


def rows(
    refiner: Refiner, clips: Sequence[Coded], nets: dict[str, Lpips], every: int
) -> list[dict[str, object]]:
    """Means over clips of one budget, for the sketch and each position of the dial.

    Args:
        refiner: stage 2.
        clips: what it is given.
        nets: LPIPS networks by name; the first one's tLPIPS is shown.
        every: LPIPS looks at every so many frames.
    """
    out: list[dict[str, object]] = []
    before: list[list[Quality]] = []
    for mode in ("sketch", *DIALS):
        found = []
        for coded in clips:
            sketch = coded.sketch
            made = sketch.clip
            if mode != "sketch":
                told = {"step": sketch.step, "kept": sketch.kept, "latent": None, "text": None}
                made = refiner.refine(made, **told, seed=0, mode=mode)  # type: ignore[arg-type]
            found.append([measure(made, coded.clip, net, every) for net in nets.values()])
        before = before or found
        means = [mean([row[k] for row in found]) for k in range(len(nets))]
        fields: dict[str, object] = {"mode": mode, "clips": len(clips)}
        fields["bytes"] = round(float(np.mean([coded.size for coded in clips])), 1)
        fields["psnr"], fields["motion"] = round(means[0].psnr, 3), round(means[0].motion, 3)
        fields["tlpips"] = round(means[0].tlpips or 0.0, 5)
        for k, name in enumerate(nets):
            fields[f"lpips_{name}"] = round(means[k].lpips or 0.0, 4)
        pairs = list(zip(found, before, strict=True))
        fields["psnr_up"] = sum(a[0].psnr > b[0].psnr for a, b in pairs)
        fields["lpips_down"] = sum((a[0].lpips or 0) < (b[0].lpips or 0) for a, b in pairs)
        out.append(fields)
    return out


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("data", type=Path, help="val/ and manifest.json")
    add("--work", type=Path, default=Path("work"), help="decoded frames (default work)")
    add("--size", type=int, default=64, help="side of the frames (default 64)")
    add("--tune", choices=("psnr", "perceptual"), default="psnr", help="(default psnr)")
    add("--budgets", default=",".join(map(str, BUDGETS)), help="bytes of a clip, file and all")
    add("--every", type=int, default=1, help="take every n-th clip")
    add("--frames", type=int, default=4, help="LPIPS looks at every n-th frame")
    add("--weights", type=Path, default=REFINER, help="of stage 2 (default: the bundled ones)")
    add("--vgg", type=Path, help="LPIPS-VGG weights, for a column")
    args = parser.parse_args()
    try:
        nets = {"alex": load_lpips("alex")}
        if args.vgg:
            nets["vgg"] = load_lpips("vgg", args.vgg)
        refiner = load_refiner(path=args.weights)
        viewer = LpipsViewer(refiner, nets["alex"]) if args.tune == "perceptual" else None
        folder = args.work / f"sketches-{args.size}-{args.tune}"
        for budget in map(int, args.budgets.split(",")):
            clips = coded_clips(args.data, folder, args.size, budget, args.every, viewer)
            for row in rows(refiner, clips, nets, args.frames):
                print(json.dumps({"budget": budget, **row}), flush=True)
    except GistcastError as error:
        print(f"figures: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
