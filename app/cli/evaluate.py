"""`gistcast eval`: the lab. Codecs side by side, at equal bytes, in one report."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gistcast.cli import common
from gistcast.codec.clip import MAX_FRAMES
from gistcast.codec.errors import GistcastError

if TYPE_CHECKING:
    from gistcast.eval.inputs import Source

EPILOG = """examples:
  gistcast eval in.mp4 -o out/                           # every codec, 64x64
  gistcast eval clips/ -o out/ --sizes 64,128 --codecs gistcast,x265,svt-av1
  gistcast eval in.mp4 -o out/ --quick                   # a first look within minutes
  gistcast eval in.mp4 -o out/ --codecs gistcast,./mine.py:CODEC       # your own codec
  gistcast eval clips/ -o out/ --metrics default,vmaf    # VMAF as well

A stopped run resumes: what was coded and measured is in DIR/cache.sqlite.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands, "eval", "measure codecs: results.json and report.html", EPILOG
    )
    parser.add_argument(
        "inputs", metavar="IN", nargs="+",
        help="videos, raw .yuv, folders of videos or of pictures, manifests",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", type=Path,
        help="results, report and what was measured; a run there is gone on with",
    )  # fmt: skip
    common.add_json(parser)
    _add_clips(parser.add_argument_group("the clips").add_argument)
    _add_codecs(parser.add_argument_group("what is compared").add_argument)
    how = parser.add_argument_group("how it runs")
    _add_running(how.add_argument)
    common.add_device(how)
    parser.set_defaults(run=run)


def _add_clips(add: Callable[..., object]) -> None:
    add(
        "--sizes", type=common.parse_sizes, default=((64, 64),), metavar="N|WxH,..",
        help="of the frames; one number is the side of a square (default 64)",
    )  # fmt: skip
    add("--clips", type=int, metavar="N", help="N clips, evenly out of the inputs")
    add(
        "--frames", type=int, default=MAX_FRAMES, metavar="N",
        help=f"in each clip, at most (default {MAX_FRAMES})",
    )  # fmt: skip
    add("--first-frame", type=int, default=0, metavar="N", help="where clips begin (default 0)")
    add("--fps", type=common.parse_fps, metavar="F", help="of picture folders and raw video")
    add("--raw", metavar="WxH[@FPS][:FORMAT]", help="geometry of raw video")
    add(
        "--untagged", metavar="MATRIX[,RANGE]",
        help="colour of inputs that do not say theirs, such as bt601,full (default: bt709,limited)",
    )  # fmt: skip
    add("--text", help="description of the clips, for the row of text alone")
    add("--manifest", type=Path, metavar="JSON", help="rows with `file` and `caption`")


def _add_codecs(add: Callable[..., object]) -> None:
    add(
        "--codecs", type=common.parse_names, metavar="A,B",
        help="names, or FILE.py:NAME for your own (default: ours and all standards at hand)",
    )  # fmt: skip
    add(
        "--metrics", type=common.parse_names, metavar="A,B", default=("default",),
        help="default, all, or names: see docs/evaluation.md",
    )  # fmt: skip
    add("--points", type=int, metavar="N", help="points on every curve")
    add(
        "--budgets", type=_numbers, default=(), metavar="BYTES,..",
        help="search the finest payload within each budget instead (bytes a clip at 64x64)",
    )  # fmt: skip
    add("--quick", action="store_true", help="few arms and points")
    add("--weights", type=Path, metavar="DIR", help="weights of compressai: codecs, safetensors")
    add(
        "--read", nargs="*", default=(), metavar="JSON[@WxH@FPS]",
        help="curves of others in CompressAI's form, shown beside ours; of what size and rate "
        "their videos were, where the file has bit rates alone",
    )  # fmt: skip
    add(
        "--blind", type=float, metavar="BYTES",
        help="also write blind.html, to judge ours and theirs at so many bytes a clip at 64x64",
    )  # fmt: skip
    add(
        "--blind-frames", type=int, default=0, metavar="N",
        help="so many frames of each clip on it, evenly spread (default: all)",
    )  # fmt: skip


def _add_running(add: Callable[..., object]) -> None:
    add("--cache", type=Path, metavar="FILE", help="what was measured before (default: in DIR)")
    add("--jobs", type=int, metavar="N", help="steps at a time (default: a processor each)")
    add("--engine", choices=("local", "ray"), default="local", help="where to run")


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in common.parse_names(text))


def _metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names with `default` and `all` spelled out; `all` leaves out what cannot be measured here."""
    from gistcast.eval.metrics import DEFAULT, METRICS

    spelled = {
        "default": DEFAULT,
        "all": tuple(name for name, metric in METRICS.items() if not metric.available()),
    }
    return tuple(dict.fromkeys(one for name in names for one in spelled.get(name, (name,))))


def _at_hand() -> tuple[str, ...]:
    """All codecs, but for those whose program is missing: they are named on standard error."""
    from gistcast.eval.codecs import STANDARD
    from gistcast.eval.codecs.executable import ExecutableCodec, ffmpeg_program
    from gistcast.eval.codecs.family import NAMES

    try:
        ffmpeg_program()
    except GistcastError as error:
        missing = {codec.name for codec in STANDARD if isinstance(codec, ExecutableCodec)}
        left = tuple(name for name in NAMES if name.split(":")[0] in missing)
        without = " and ".join(name for name in left if ":" not in name)
        print(f"gistcast eval: without {without}, so the hull is lower: {error}", file=sys.stderr)
        return tuple(name for name in NAMES if name not in left)
    return NAMES


def _codecs(names: tuple[str, ...], weights: Path | None) -> tuple[str, ...]:
    """Names, with the weights' folder where one is needed and not said."""
    needs = [weights is not None and n.startswith("compressai:") and "@" not in n for n in names]
    return tuple(f"{n}@{weights}" if need else n for n, need in zip(names, needs, strict=True))


def _sources(args: argparse.Namespace) -> list[Source]:
    from gistcast.codec.convert import Colour
    from gistcast.eval.codecs import spread
    from gistcast.eval.inputs import Options, find_sources, parse_raw

    raw = parse_raw(args.raw) if args.raw else None
    untagged = Colour.parse(args.untagged) if args.untagged else None
    options = Options(args.frames, args.first_frame, args.fps, raw, untagged)
    found = find_sources(args.inputs, options, manifest=args.manifest, text=args.text)
    return [found[int(at)] for at in spread(range(len(found)), args.clips)]


def run(args: argparse.Namespace) -> None:
    """Measure."""
    from gistcast.eval.compressai import curve_of
    from gistcast.eval.run import Plan, run_eval

    plan = Plan(
        sources=_sources(args),
        codecs=_codecs(args.codecs or _at_hand(), args.weights),
        sizes=args.sizes,
        metrics=_metrics(args.metrics),
        points=args.points,
        budgets=args.budgets,
        quick=args.quick,
        device=args.device,
    )
    report = run_eval(
        plan,
        args.output,
        cache=args.cache,
        engine=args.engine,
        jobs=args.jobs,
        outside=[curve_of(text) for text in args.read],
        blind=args.blind,
        blind_frames=args.blind_frames,
        command=shlex.join(["gistcast", *sys.argv[1:]]),
    )
    if args.json:
        results = json.loads((args.output / "results.json").read_text())
        print(json.dumps({"report": str(report), "summary": results["summary"]}))
    else:
        print(f"report: {report}", file=sys.stderr)
