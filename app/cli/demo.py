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

from gistcast.cli.bench import DEMO
from gistcast.codec.errors import GistcastError

_CLIP_BYTES = 450
_TEXT = "a man on a bicycle in a street"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "demo", help="encode, stream, regenerate and compare the bundled clip"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("out/demo"), metavar="DIR")
    parser.add_argument("--input", type=Path, default=DEMO, help="another video")
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
    """The main job."""
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

    lines = (
        f"coded:    {encoded['frames']} frames in {encoded['bytes']} bytes, "
        f"{encoded['kbps']:.1f} kbps; "
        f"{json.dumps(encoded['layers'])}",
        f"streamed: {received['clips']} clips, {received['complete']} complete, "
        f"{'byte-identical' if identical else 'NOT IDENTICAL'}; "
        f"regenerated {decoded['frames']} frames in {decoded['seconds']:.1f} s",
        f"report:   {judged['report']} ({time.monotonic() - started:.0f} s in all)",
    )
    print("\n".join(lines))
