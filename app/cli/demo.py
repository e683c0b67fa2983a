"""`gistcast demo`: the main job on the bundled clip, start to finish, ending with a report."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gistcast.cli import common
from gistcast.cli.bench import DEMO
from gistcast.codec.errors import GistcastError, UsageError

_CLIP_BYTES = 450
_TEXT = "a man on a bicycle in a street"


EPILOG = """examples:
  gistcast demo                              # writes out/demo/report.html
  gistcast demo --input in.mp4 -o out/mine   # the same with a video of yours
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands, "demo", "encode, stream, regenerate and compare the bundled clip", EPILOG
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out/demo"), metavar="DIR",
        help="report and all that leads to it (default out/demo)",
    )  # fmt: skip
    parser.add_argument("--input", type=Path, default=DEMO, metavar="IN", help="another video")
    common.add_json(parser)
    parser.set_defaults(run=run)


def _gistcast(*arguments: str) -> dict[str, Any]:
    """Run a command of ours in a process of its own; its JSON."""
    return _finish(_start(*arguments))


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gistcast", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=600)
    if process.returncode:
        raise GistcastError(f"a step failed with status {process.returncode}")
    result: dict[str, Any] = json.loads(out)
    return result


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stream(folder: Path, coded: Path) -> tuple[dict[str, Any], bool]:
    """Send the file over WebRTC to a second process; its summary, and whether bytes agree."""
    kept, shown = folder / "received.gist", folder / "received.mp4"
    port = _free_port()
    receiver = _start(
        "receive", "-o", str(shown), "--keep", str(kept), "--listen", f"127.0.0.1:{port}",
        "--wait", "60", "-y",
    )  # fmt: skip
    try:
        _gistcast(
            "send", str(coded), "--to", f"http://127.0.0.1:{port}/whip",
            "--as-fast-as-possible", "--wait", "60",
        )  # fmt: skip
        summary = _finish(receiver)
    finally:
        receiver.kill()
    return summary, kept.read_bytes() == coded.read_bytes()


def run(args: argparse.Namespace) -> None:
    """The main job.

    Raises:
        UsageError: no such video.
        GistcastError: a step failed; it has said why on standard error.
    """
    if not args.input.is_file():
        raise UsageError(f"no such file: {args.input}")
    folder: Path = args.output
    folder.mkdir(parents=True, exist_ok=True)
    source, coded = str(args.input), folder / "clip.gist"
    started = time.monotonic()

    _say(f"1/4 encode {args.input.name} at 64x64, {_CLIP_BYTES} bytes a clip")
    encoded = _gistcast(
        "encode", source, "-o", str(coded), "--size", "64x64", "--clip-bytes", str(_CLIP_BYTES),
        "--text", _TEXT, "-y",
    )  # fmt: skip
    _say("2/4 stream it over WebRTC on the loopback, between two processes")
    received, identical = _stream(folder, coded)
    _say("3/4 regenerate it")
    decoded = _gistcast("decode", str(coded), "-o", str(folder / "clip.mp4"), "-y")
    _say("4/4 compare with the standard codecs")
    judged = _gistcast("eval", source, "-o", str(folder), "--quick", "--text", _TEXT)

    seconds = time.monotonic() - started
    if args.json:
        steps = {"encode": encoded, "receive": received, "decode": decoded, "eval": judged}
        print(json.dumps({**steps, "identical": identical, "seconds": round(seconds, 1)}))
        return
    lines = (
        f"coded and streamed: {encoded['frames']} frames, {encoded['bytes']} bytes, "
        f"{encoded['kbps']:.1f} kbps; {received['complete']} of {received['clips']} clips "
        f"complete, {'byte-identical' if identical else 'NOT IDENTICAL'}; "
        f"{decoded['frames']} regenerated",
        f"at {_CLIP_BYTES} bytes a clip: {_comparison(judged['summary'])}",
        f"report: {judged['report']} ({seconds:.0f} s in all)",
    )
    print("\n".join(lines))


def _comparison(summary: dict[str, Any]) -> str:
    """PSNR and LPIPS of ours and of the best standard codec, from the lab's summary."""
    (part,) = summary.values()
    column = part["budgets"].index(_CLIP_BYTES)
    names = {
        "gistcast sketch": "sketch",
        "gistcast refined": "refined",
        "gistcast perceptual-refined": "refined, coded for the eye",
        "hull, all variants": "best standard codec (frames dropped)",
    }
    found = []
    for metric, unit in (("psnr_rgb", "dB"), ("lpips_alex", "LPIPS")):
        lines = {line["name"]: line["values"][column] for line in part["tables"][metric]["lines"]}
        for name, short in names.items():
            if lines.get(name) is not None:
                found.append(f"{short} {lines[name]:.4g} {unit}")
    return ", ".join(found)
