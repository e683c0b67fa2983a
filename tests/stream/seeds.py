"""Stalls over many seeds: `python tests/stream/seeds.py FILE.gist NETWORK... [--seeds 8]`.

Sends a coded file in virtual time as `gistcast streameval --clock virtual` does, and renders it
with a player of a fixed delay. Nothing is decoded: each clip takes `--drawn` seconds, so that a
minute takes less than a second and chance can be averaged out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from gistcast.codec.packet import TEXT
from gistcast.eval import timeline
from gistcast.stream import GistSource, SendSettings, StreamError, parse_network, virtual
from gistcast.stream import passage as passages
from gistcast.stream.assemble import ReceivedClip

_RESERVE = 0.35  # seconds of the playout delay, as in `streameval`


def send(data: bytes, spec: str, args: argparse.Namespace) -> dict[str, Any]:
    """One passage.

    Raises:
        StreamError: the connection did not last.
    """
    arrivals: list[tuple[float, ReceivedClip]] = []

    def keep(came: Sequence[tuple[float, ReceivedClip]], *_: object) -> list[passages.Delivery]:
        arrivals.extend(came)
        return []

    longest = args.clip / args.fps
    work = passages.pass_clips(
        GistSource(data), parse_network(spec), SendSettings(), lambda _: SimpleNamespace(),
        time.process_time, deadline=max(0.0, args.playout - longest - _RESERVE),
    )  # fmt: skip
    with patch.object(passages, "_decoded", keep):
        passage = virtual.run(work)
    numbers: list[int] = []
    times: list[float] = []
    first, free = 0, 0.0
    for came, clip in arrivals:
        if clip.packets and (clip.complete or clip.packets[-1].layer > TEXT):
            free = max(came, free) + args.drawn
            numbers += range(first, first + clip.frames)
            times += [free] * clip.frames
        first += clip.frames
    shown = timeline.render(numbers, times, first, Fraction(args.fps), args.playout)
    count, share = timeline.stalls(shown, Fraction(args.fps))
    kbps = 8e-3 * args.fps / first
    return {
        "shown": timeline.rendered_ratio(shown),
        "stalls": count,
        "stalled": share,
        "media": passage.payload_bytes * kbps,
        "wire": passage.wire_bytes * kbps,
    }


def main() -> None:
    """Print a line for each network: means, and the share of the time stalled by seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="of clips coded beforehand, a .gist")
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--playout", type=float, default=2.5, metavar="S")
    parser.add_argument("--drawn", type=float, default=0.45, metavar="S", help="a clip, by stage 2")
    parser.add_argument("--clip", type=int, default=32, metavar="FRAMES")
    parser.add_argument("--fps", type=int, default=25)
    args = parser.parse_args()
    data = args.file.read_bytes()
    print("| network | shown | stalls | stalled | media | wire | stalled, by seed |")
    print("|---|---|---|---|---|---|---|")
    for network in args.networks:
        rows = []
        for seed in range(1, args.seeds + 1):
            try:
                rows.append(send(data, f"{network},handshake=clean,seed={seed}", args))
            except StreamError as error:
                print(f"{network}, seed {seed}: {error}")
        if rows:
            print(_line(network, rows), flush=True)


def _line(network: str, rows: Sequence[dict[str, Any]]) -> str:
    def mean(name: str) -> float:
        return statistics.mean(row[name] for row in rows)

    each = " ".join(f"{100 * row['stalled']:.1f}" for row in rows)
    return (
        f"| `{network}` | {100 * mean('shown'):.1f} % | {mean('stalls'):.1f} "
        f"| {100 * mean('stalled'):.1f} % | {mean('media'):.1f} | {mean('wire'):.1f} | {each} |"
    )


if __name__ == "__main__":
    main()
