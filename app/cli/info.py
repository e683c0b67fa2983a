"""`gistcast info`: every field of a `.gist` file, and where its bytes went."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gistcast.cli import common
from gistcast.codec.errors import CorruptError
from gistcast.codec.file import CodedClip, GistFile, read_gist, read_index
from gistcast.codec.packet import TEXT, Packet, kind_of, layer_name
from gistcast.codec.quantiser import luma_step
from gistcast.codec.text import decode_text
from gistcast.codec.video import kept_of

EPILOG = """examples:
  gistcast info in.gist                      # every field, then a line a clip
  gistcast info in.gist --json | python3 -m json.tool

Of a damaged file it says what is lost; the exit status is then 3.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "info", "fields and bytes of a .gist file", EPILOG)
    parser.add_argument("input", metavar="IN.gist", help="coded file, or - for stdin")
    common.add_json(parser)
    parser.set_defaults(run=run)


def _packet_facts(packet: Packet, version: int) -> dict[str, Any]:
    name = layer_name(packet.layer, version)
    facts: dict[str, Any] = {"layer": name, "bytes": len(packet.payload)}
    if packet.layer == TEXT:
        try:
            facts["text"] = decode_text(packet.payload)
        except CorruptError as error:
            facts["damage"] = str(error)
    if name == "video.0" and packet.payload:
        facts["coded_frames"] = kept_of(packet.payload)
    if name == "residual.0" and packet.payload:
        facts["quantiser"] = packet.payload[0]
        facts["luma_step"] = round(luma_step(packet.payload[0]), 3)
    return facts


def _sketch(clip: CodedClip, version: int) -> str | None:
    """How the clip's sketch is carried: residual or video; None where it is not."""
    kinds = {kind_of(packet.layer, version)[0] for packet in clip.packets}
    return next((kind for kind in ("video", "residual") if kind in kinds), None)


def _clip_facts(clip: CodedClip, parsed: GistFile) -> dict[str, Any]:
    header = parsed.header
    frames = clip.packets[0].frames or header.clip_frames
    return {
        "number": clip.number,
        "offset": clip.offset,
        "bytes": clip.size,
        "frames": frames,
        "pts": clip.number * header.clip_frames if clip.pts is None else clip.pts,
        "complete": clip.complete,
        "sketch": _sketch(clip, header.version),
        "layers": [_packet_facts(p, header.version) for p in clip.packets],
    }


def describe(data: bytes) -> dict[str, Any]:
    """All facts of a file, as JSON-ready values."""
    parsed = read_gist(data)
    header = parsed.header
    clips = [_clip_facts(c, parsed) for c in parsed.clips]
    layers: dict[str, int] = {}
    for coded in parsed.clips:
        for packet in coded.packets:
            name = layer_name(packet.layer, header.version)
            layers[name] = layers.get(name, 0) + len(packet.payload)
    layers["headers"] = parsed.size - sum(layers.values())
    frames = sum(c["frames"] for c in clips)
    return {
        "version": f"{data[3] >> 4}.{data[3] & 15}",
        **common.rate_facts(parsed.size, frames, header.width, header.height, header.fps),
        "time_base": f"{header.fps.denominator}/{header.fps.numerator}",
        "clip_frames": header.clip_frames,
        "seed": header.seed,
        "tables": header.tables.hex(),
        "model": header.model_id,
        "weights": header.weights.hex() if header.model_id else None,
        "indexed": read_index(data) is not None,
        "layers": layers,
        "video_clips": sum(c["sketch"] == "video" for c in clips),
        "clips": clips,
        "damage": [{"offset": offset, "message": message} for offset, message in parsed.damage],
        "missing_clips": [list(run) for run in parsed.missing],
        "losses": parsed.losses() + _unread(clips),
    }


def _unread(clips: list[dict[str, Any]]) -> list[str]:
    """Layers behind a good checksum that make no sense."""
    return [
        f"clip {clip['number']}: {layer['layer']}: {layer['damage']}"
        for clip in clips
        for layer in clip["layers"]
        if "damage" in layer
    ]


def run(args: argparse.Namespace) -> None:
    """Print the facts.

    Raises:
        CorruptError: something of the file was lost; the facts are printed all the same.
    """
    facts = describe(common.read_input(args.input))
    if args.json:
        print(json.dumps(facts))
    else:
        _print(facts)
    if facts["losses"]:
        raise CorruptError(f"of the file is lost: {'; '.join(facts['losses'])}")


def _print(facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        if key not in ("clips", "damage", "missing_clips", "losses", "layers"):
            print(f"{key:12} {'-' if value is None else value}")
    for name, size in facts["layers"].items():
        print(f"{name:12} {size} bytes, {100 * size / max(1, facts['bytes']):.1f} %")
    for clip in facts["clips"]:
        parts = ", ".join(f"{p['layer']} {p['bytes']}" for p in clip["layers"])
        text = "".join(f" {p['text']!r}" for p in clip["layers"] if "text" in p)
        state = "" if clip["complete"] else " INCOMPLETE"
        size = f"{clip['frames']} frames, {clip['bytes']} bytes"
        print(f"clip {clip['number']:<6} {size}: {parts}{text}{state}")
    for line in facts["losses"]:
        print(f"{'lost':12} {line}")
