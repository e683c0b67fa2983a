"""Everything that training takes, in one folder small enough to carry to a borrowed machine.

    python -m gistcast.models.pack DATA -o pack       here; at most 64 MiB
    sh pack/train.sh --minutes 9 --plan 27 --out run  there; torch, numpy, scipy, safetensors and
                                                      PyAV or OpenCV are all it needs

    pack/gistcast     the code and the bundled weights; with --bare they are left out, and
                      train.sh is to be run from a checkout
    pack/data/train   the recordings as they are
    pack/*.mp4, json  photographs, validation clips and the codec's own pairs (models/coded.py),
                      each one after the other in a video
    pack/vgg-8bit     LPIPS-VGG, eight bits a weight

`train.sh` decodes all that into pack/work the first time, and starts `run_refiner`.

    python -m gistcast.models.pack --scenes -o pack [--run RUN]   no data: the renderer is code
    sh pack/scenes.sh --minutes 25 --export scenes.safetensors    torch, numpy and safetensors

`scenes.sh` is `gistcast train scenes`, begun anew or gone on with from RUN.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.models.data import (
    FrameStore,
    Source,
    append_planes,
    build_store,
    read_planes,
    validation_store,
    write_index,
)
from gistcast.models.lpips_weights import HOW, vgg_weights
from gistcast.models.pairs import (
    CodedPairs,
    Pair,
    Sketch,
    coded_folder,
    coded_pairs,
    whole,
    write_pair,
)

LIMIT = 64 << 20  #: bytes of a pack
PAIRS = 200  #: of the codec's own that have room in it
_SMALL = 64  # side of their clips
_CODE = ("codec", "models")
_VGG = "vgg-8bit.safetensors"
_SCRIPT = """#!/bin/sh
# Trains stage 2; options as of gistcast.models.run_refiner.
here=$(cd "$(dirname "$0")" && pwd)
if [ ! -d "$here/gistcast" ]; then  # a bare pack: the checkout that this is run from has the code
    mkdir "$here/gistcast" && touch "$here/gistcast/__init__.py"
    ln -s "$PWD/codec" "$PWD/models" "$here/gistcast/"
fi
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
python3 -m gistcast.models.pack --unpack "$here" || exit
exec python3 -m gistcast.models.run_refiner "$here/data" --work "$here/work" \\
    --vgg "$here/work/lpips_vgg.safetensors" "$@"
"""
_SCENES_SCRIPT = """#!/bin/sh
# Trains the generator of scenes; options as of gistcast train scenes.
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec python3 -m gistcast train scenes --work "$here/work" "$@"
"""
_SCENES_DOOR = '''"""`gistcast train` without the other commands, which need more than torch."""

import argparse
import sys

from gistcast.cli import train
from gistcast.codec.errors import GistcastError

parser = argparse.ArgumentParser(prog="gistcast")
train.add(parser.add_subparsers(required=True))
args = parser.parse_args()
try:
    args.run(args)
except GistcastError as error:
    sys.exit(f"gistcast: {error}")
'''


def make_pack(
    data: Path, cache: Path, vgg: Path, out: Path, *, bare: bool = False, coded: int = PAIRS
) -> int:
    """Write a pack.

    Args:
        data: folder with `train/`, `stills/`, `val/` and `manifest.json`.
        cache: folder of decoded frames.
        vgg: LPIPS-VGG weights.
        out: folder to write, which must not exist.
        bare: leave out code and weights: train.sh takes those of the checkout it is run from.
        coded: at most so many of the codec's own pairs of 64x64; of larger ones fewer, by area.

    Returns:
        Its size in bytes.

    Raises:
        UsageError: it exists, something is missing, or it would be too large.
    """
    if out.exists():
        raise UsageError(f"{out} exists")
    if not vgg.is_file():
        raise UsageError(f"no LPIPS-VGG weights at {vgg}: {HOW}")
    (out / "data").mkdir(parents=True)
    shutil.copytree(data / "train", out / "data" / "train")
    shutil.copy(data / "manifest.json", out / "data")
    _bundle(out / "stills", build_store(data, "stills", cache / "stills"), crf=18)
    if validation_store(data, cache):
        _bundle(out / "val-64", FrameStore(cache / "val-64"), crf=6)
    for size, pairs in coded_pairs(cache).items():
        some = round(coded * (_SMALL / size) ** 2)  # larger ones take more room
        _bundle_coded(pairs, min(some, len(pairs)), coded_folder(out, size))
    _shrink(vgg, out / _VGG)
    if not bare:
        _copy_code(out / "gistcast", without="scenes")
    (out / "train.sh").write_text(_SCRIPT)
    return _checked_size(out)


def make_scenes_pack(out: Path, run: Path | None = None) -> int:
    """Write a pack that trains the generator of scenes; renders are made where it runs.

    Args:
        out: folder to write, which must not exist.
        run: folder of a run to go on with.

    Returns:
        Its size in bytes.

    Raises:
        UsageError: it exists, there is no such run, or it would be too large.
    """
    if out.exists():
        raise UsageError(f"{out} exists")
    checkpoints = sorted(run.glob("*/checkpoint")) if run is not None else []
    if run is not None and not checkpoints:
        raise UsageError(f"no checkpoint in {run}")
    out.mkdir(parents=True)
    package = out / "gistcast"
    _copy_code(package, without="weights")
    root = Path(__file__).parent.parent
    commands = root / "cli" if (root / "cli").is_dir() else root / "app" / "cli"  # or a checkout
    for module in (commands / "train.py", commands / "common.py", root / "eval" / "png.py"):
        (package / module.parent.name).mkdir(exist_ok=True)
        (package / module.parent.name / "__init__.py").touch()
        shutil.copy(module, package / module.parent.name)
    (package / "__main__.py").write_text(_SCENES_DOOR)
    (out / "scenes.sh").write_text(_SCENES_SCRIPT)
    for checkpoint in checkpoints:
        target = out / "work" / "run-scenes" / checkpoint.parent.name
        shutil.copytree(checkpoint, target / "checkpoint")
    return _checked_size(out)


def _checked_size(out: Path) -> int:
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    if size > LIMIT:
        raise UsageError(f"the pack has {size} bytes, more than {LIMIT}")
    return size


def _copy_code(package: Path, without: str) -> None:
    """The modules without the door and the commands: these need more than torch."""
    package.mkdir()
    (package / "__init__.py").write_text('"""See docs/training.md."""\n')
    root = Path(__file__).parent.parent
    for name in _CODE:
        ignored = shutil.ignore_patterns("__pycache__", without)
        shutil.copytree(root / name, package / name, ignore=ignored)


def _bundle(base: Path, store: FrameStore, crf: int) -> None:
    """All clips of a store in one video and an index; upright ones are laid on their side."""
    lying: list[tuple[Source, list[Plane]]] = []
    for source in store.sources:
        planes = [np.asarray(p) for p in store.planes(source, np.arange(source.frames))]
        if source.height > source.width:
            planes = [p.swapaxes(1, 2) for p in planes]
        lying.append((source, planes))
    height = min(planes[0].shape[1] for _, planes in lying) // 2 * 2
    width = min(planes[0].shape[2] for _, planes in lying) // 2 * 2
    whole = [np.concatenate([planes[i] for _, planes in lying]) for i in range(3)]
    _write_video(base.with_suffix(".mp4"), _crop(whole, height, width), crf)
    rows = [replace(source, height=height, width=width, offset=0) for source, _ in lying]
    base.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows]))


def _bundle_coded(pairs: CodedPairs, count: int, base: Path) -> None:
    """The first pairs: each clip and then its sketch, in one video, and an index."""
    planes: tuple[list[Plane], ...] = ([], [], [])
    rows = []
    for pair in map(pairs.read, range(count)):
        sketch = pair.sketch
        for both in zip(planes, pair.clip.planes, sketch.clip.planes, strict=True):
            both[0].extend(both[1:])
        told = {"step": sketch.step, "kept": len(sketch.kept), "caption": pair.caption}
        rows.append({"frames": pair.clip.frames, **told})
    _write_video(base.with_suffix(".mp4"), [np.concatenate(p) for p in planes], crf=12)
    base.with_suffix(".json").write_text(json.dumps(rows))


def _crop(planes: Sequence[Plane], height: int, width: int) -> list[Plane]:
    y, u, v = planes
    return [y[:, :height, :width], *(p[:, : height // 2, : width // 2] for p in (u, v))]


def _write_video(path: Path, planes: list[Plane], crf: int) -> None:
    import av

    from gistcast.codec.media import planes_to_frame

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = planes[0].shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryslow", "bf": "0"}
        for number, frame in enumerate(zip(*planes, strict=True)):
            y, u, v = (np.ascontiguousarray(p) for p in frame)
            picture = planes_to_frame((y, u, v))
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def unpack(pack: Path) -> None:
    """Decode a pack into its folder `work`; what is there already stays."""
    work = pack / "work"
    work.mkdir(exist_ok=True)
    for name in ("stills", "val-64"):
        if (pack / f"{name}.json").is_file() and not (work / f"{name}.json").is_file():
            _unbundle(pack / name, work / name)
    for index in pack.glob("coded-*.json"):
        if not (work / index.stem).is_dir():
            _unbundle_coded(index.with_suffix(""), work / index.stem)
    build_store(pack / "data", "train", work / "train")
    if not (work / "lpips_vgg.safetensors").is_file():
        _restore(pack / _VGG, work / "lpips_vgg.safetensors")


def _unbundle(base: Path, out: Path) -> None:
    planes, start = read_planes(base.with_suffix(".mp4")), 0
    sources: list[Source] = []
    with open(out.with_suffix(".yuv"), "wb") as file:
        for row in json.loads(base.with_suffix(".json").read_text()):
            stop = start + row["frames"]
            sources.append(append_planes(file, [p[start:stop] for p in planes], row))
            start = stop
    write_index(out, sources)


def _unbundle_coded(base: Path, folder: Path) -> None:
    planes, start = read_planes(base.with_suffix(".mp4")), 0
    temporary = folder.with_suffix(".tmp")
    temporary.mkdir(exist_ok=True)
    for number, row in enumerate(json.loads(base.with_suffix(".json").read_text())):
        middle, stop = start + row["frames"], start + 2 * row["frames"]
        clip, sketch = (
            Clip(*(p[a:b] for p in planes)) for a, b in ((start, middle), (middle, stop))
        )
        kept = whole(clip.frames, row["kept"])
        pair = Pair(clip, Sketch(sketch, row["step"], kept), row["caption"])
        write_pair(temporary / f"{number:05}.safetensors", pair)
        start = stop
    temporary.rename(folder)


def _shrink(weights: Path, out: Path) -> None:
    """Convolutions to eight bits with a scale for each output channel; as a loss this will do."""
    stored = {}
    for name, tensor in load_file(str(weights)).items():
        if tensor.ndim == 4:
            peak = np.abs(tensor.astype(np.float32)).max((1, 2, 3), keepdims=True) / 127
            stored[name] = np.rint(tensor / np.maximum(peak, 1e-12)).astype(np.int8)
            stored[f"{name}.scale"] = peak.astype(np.float32)
        else:
            stored[name] = tensor
    save_file(stored, str(out))


def _restore(packed: Path, out: Path) -> None:
    stored = load_file(str(packed))
    weights = {
        name: (tensor * stored[f"{name}.scale"]).astype(np.float16)
        if tensor.dtype == np.int8
        else tensor
        for name, tensor in stored.items()
        if not name.endswith(".scale")
    }
    save_file(weights, str(out))


def _say(out: Path, size: int) -> None:
    print(f"{out}: {size / (1 << 20):.1f} MiB", file=sys.stderr)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="?", help="train/, val/, stills/, manifest.json")
    parser.add_argument("-o", "--output", type=Path, default=Path("pack"), help="the folder")
    parser.add_argument("--work", type=Path, default=Path("work"), help="decoded frames")
    parser.add_argument("--vgg", type=Path, default=vgg_weights(), help="LPIPS-VGG weights")
    parser.add_argument("--bare", action="store_true", help="without code and weights")
    parser.add_argument("--scenes", action="store_true", help="to train the generator of scenes")
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help="of the codec's own, at most, where they are 64x64"
    )
    parser.add_argument("--run", type=Path, metavar="RUN", help="of scenes, to go on with")
    parser.add_argument("--unpack", type=Path, metavar="PACK", help="decode a pack instead")
    args = parser.parse_args()
    try:
        if args.unpack:
            unpack(args.unpack)
        elif args.scenes:
            _say(args.output, make_scenes_pack(args.output, args.run))
        elif args.data:
            told = {"bare": args.bare, "coded": args.pairs}
            size = make_pack(args.data, args.work, args.vgg, args.output, **told)
            _say(args.output, size)
        else:
            parser.error("DATA, --scenes or --unpack")
    except GistcastError as error:
        print(f"pack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
