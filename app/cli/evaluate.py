"""`gistcast eval`: the lab. Codecs side by side, at equal bytes, in one report."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from gistcast.cli import common

VIDEO = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".y4m"}

EPILOG = """examples:
  gistcast eval in.mp4 -o out/                           every codec, 64x64
  gistcast eval clips/ -o out/ --sizes 64,128 --codecs gistcast,x265,svt-av1
  gistcast eval in.mp4 -o out/ --quick                   a first look within a minute
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "eval",
        help="measure codecs: results.json and report.html",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", metavar="IN", nargs="+", help="videos, or folders of them")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", type=Path)
    parser.add_argument("--codecs", type=_names, metavar="A,B", help="default: all")
    parser.add_argument("--sizes", type=_sizes, default=((64, 64),), help="such as 64,128x96")
    parser.add_argument("--metrics", type=_names, metavar="A,B", help="default: all")
    parser.add_argument("--points", type=int, help="points on every curve")
    parser.add_argument("--quick", action="store_true", help="few arms and points")
    parser.add_argument("--text", help="description of the clips, for the row of text alone")
    parser.add_argument("--manifest", type=Path, help="JSON rows with `file` and `caption`")
    parser.add_argument("--cache", type=Path, help="rows measured before (default: in DIR)")
    parser.add_argument("--json", action="store_true", help="print the summary on stdout")
    common.add_device(parser)
    parser.set_defaults(run=run)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(common.parse_size(p if "x" in p else f"{p}x{p}") for p in text.split(","))


def _files(inputs: list[str]) -> list[str]:
    found = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            found += sorted(str(p) for p in path.iterdir() if p.suffix.lower() in VIDEO)
        else:
            found.append(name)
    return found


def _texts(args: argparse.Namespace, files: list[str]) -> dict[str, str]:
    if args.text:
        return {Path(f).name: args.text for f in files}
    if args.manifest:
        rows = json.loads(args.manifest.read_text())
        return {Path(row["file"]).name: row["caption"] for row in rows}
    return {}


def run(args: argparse.Namespace) -> None:
    """Measure."""
    from gistcast.eval.metrics import DEFAULT
    from gistcast.eval.run import CODECS, run_eval

    files = _files(args.inputs)
    report = run_eval(
        files,
        args.output,
        codecs=args.codecs or CODECS,
        sizes=args.sizes,
        metrics=args.metrics or DEFAULT,
        points=args.points,
        quick=args.quick,
        texts=_texts(args, files),
        device=args.device,
        cache=args.cache,
        command=shlex.join(["gistcast", *sys.argv[1:]]),
    )
    results = json.loads((args.output / "results.json").read_text())
    if args.json:
        print(json.dumps({"report": str(report), "summary": results["summary"]}))
    else:
        print(f"report: {report}", file=sys.stderr)
