"""`gistcast streameval`: codecs over emulated networks, scored on the rendered timeline."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shlex
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from gistcast.api import load_model
from gistcast.cli import common
from gistcast.cli.decode import add_refine
from gistcast.cli.streaming import make_decoder
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import Frame, VideoInfo, VideoReader, read_clips, stack
from gistcast.stream import (
    ClipSource,
    EncodedSource,
    GistSource,
    SendSettings,
    StreamError,
    parse_network,
)
from gistcast.streamtable import table

if TYPE_CHECKING:
    from gistcast.rendered import RememberingDecoder
    from gistcast.stream.passage import Passage

EPILOG = """examples:
  gistcast streameval clips/*.mp4 -o out/net --rates 24k --network "" --network loss=20%,delay=20ms
  gistcast streameval in.mp4 -o out/net --codecs gistcast,gistcast:latent=on,vp8 --rates 12k,48k

Passages follow each other, in real time or as fast as they can be computed. A stopped run resumes.
"""

#: of `gistcast:KEY=VALUE`, and what they may be
_ARM_KEYS = {
    "latent": ("off", "on", "auto"),
    "video": ("auto", "off"),
    "refine": ("off", "fidelity", "balanced", "detail"),
    "adapt": ("on", "off"),
    "code": ("before", "live"),
}
_RIVALS = ("vp8", "h264")
_RESERVE = 0.35  # seconds of the playout delay for the shortest way and for decoding
_STRAGGLERS = 1.0  # seconds behind the playout delay that a passage goes on


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands,
        "streameval",
        "measure codecs over emulated networks: results.json and table.md",
        EPILOG,
    )
    parser.add_argument("inputs", metavar="IN", nargs="+", help="videos, played one after another")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", type=Path,
        help="results.json and table.md; a run there is gone on with",
    )  # fmt: skip
    parser.add_argument(
        "--codecs", type=common.parse_names, default=("gistcast", *_RIVALS), metavar="A,B",
        help="gistcast, vp8, h264; gistcast:latent=on,video=off are arms of it, joined by +",
    )  # fmt: skip
    parser.add_argument(
        "--network", action="append", metavar="SPEC", help="as for send; may be repeated"
    )
    parser.add_argument(
        "--rates", type=_rates, default=(24_000,), metavar="R,..", help="such as 12k,24k"
    )
    parser.add_argument(
        "--size", type=common.parse_size, default=(128, 128), metavar="WxH",
        help="crop and scale to (default 128x128)",
    )  # fmt: skip
    parser.add_argument(
        "--fps", type=common.parse_fps, default=Fraction(25), metavar="F",
        help="sample at this rate (default 25)",
    )  # fmt: skip
    parser.add_argument("--clip", type=int, choices=(8, 16, 32), default=32, help="frames a clip")
    parser.add_argument(
        "--preset", choices=("fast", "medium", "slow"), default="medium",
        help="time for bytes, of gistcast (default medium)",
    )  # fmt: skip
    _add_passages(parser)
    add_refine(parser)
    common.add_device(parser)
    parser.add_argument("--json", action="store_true", help="print the results on stdout, too")
    parser.set_defaults(run=run)


def _add_passages(parser: argparse.ArgumentParser) -> None:
    """How passages go, and what they are called."""
    parser.add_argument(
        "--playout", type=float, default=2.0, metavar="S",
        help="seconds from a frame's capture to its instant on the screen (default 2)",
    )  # fmt: skip
    parser.add_argument(
        "--clock", choices=("real", "virtual"), default="real",
        help="virtual: time moves on where nothing is left to do, so that a passage takes seconds "
        "and a busy machine disturbs nothing",
    )  # fmt: skip
    parser.add_argument("--label", help="what to call the source in the table")
    parser.add_argument(
        "--revision", metavar="TEXT", help="kept with every row: of what it was measured"
    )


def _rates(text: str) -> tuple[int, ...]:
    return tuple(round(common.parse_rate(part)) for part in text.split(","))


@dataclass(frozen=True)
class _Arm:
    """A codec and how it is set; `name` is what was typed."""

    name: str
    codec: str
    options: dict[str, str]


def parse_arm(text: str) -> _Arm:
    """`gistcast:latent=on+video=off`, `vp8`.

    Raises:
        UsageError: no such codec, key or value.
    """
    codec, _, rest = text.partition(":")
    if codec not in ("gistcast", *_RIVALS) or (rest and codec != "gistcast"):
        raise UsageError(f"no codec {text!r}; there are gistcast, {', '.join(_RIVALS)}")
    options = {}
    for item in rest.split("+") if rest else []:
        key, _, value = item.partition("=")
        if value not in _ARM_KEYS.get(key, ()):
            known = "; ".join(f"{k}={'|'.join(v)}" for k, v in _ARM_KEYS.items())
            raise UsageError(f"{text!r}: {item!r} is none of {known}")
        options[key] = value
    return _Arm(text, codec, options)


class _Bench:
    """The source, and how to send it."""

    def __init__(self, args: argparse.Namespace) -> None:
        from gistcast.scores import TimelineScores

        self.args = args
        self.frames: list[Frame] = []
        for path in args.inputs:
            with VideoReader(path, size=args.size, fps=args.fps) as reader:
                self.frames += list(reader)
        if not self.frames:
            raise UsageError("the inputs have no frames")
        self.reference = np.concatenate([clip_to_rgb(stack([f])) for f in self.frames])
        self.info = VideoInfo(args.size[0], args.size[1], args.fps)
        self.told: dict[tuple[str, int], int] = {}  #: what a rival is told, by codec and rate
        self._decoders: dict[str, RememberingDecoder] = {}
        self._scores = TimelineScores(self.reference)

    def send(self, arm: _Arm, rate: int, spec: str) -> Passage:
        """One passage."""
        from gistcast.stream.passage import pass_clips
        from gistcast.stream.rivals import pass_track

        network = parse_network(spec)
        if arm.codec in _RIVALS:
            patience = self.args.playout + _STRAGGLERS
            told = self.rate_to_tell(arm.codec, rate)
            work = pass_track(
                arm.codec, self.frames, self.args.fps, told, network, patience=patience
            )
            return self._run(work)
        decoder = self._decoder(arm.options.get("refine", self.args.refine))
        settings = SendSettings(adapt=arm.options.get("adapt", "on") == "on")
        source = self._source(arm, rate)
        decoder.warm(source.header, stack(self.frames[: self.args.clip]), self.info)
        deadline = self.args.playout - float(self.args.clip / self.args.fps) - _RESERVE
        return self._run(
            pass_clips(
                source,
                network,
                settings,
                decoder.open,
                decoder.clock,
                deadline=max(0.0, deadline),
            )
        )

    def _decoder(self, refine: str) -> RememberingDecoder:
        from gistcast.rendered import RememberingDecoder

        if refine not in self._decoders:
            make = make_decoder(refine=refine, device=self.args.device)
            self._decoders[refine] = RememberingDecoder(make)
        return self._decoders[refine]

    def _run(self, work: Coroutine[Any, Any, Passage]) -> Passage:
        from gistcast.stream import virtual

        if self.args.clock == "real":
            return asyncio.run(work)
        return virtual.run(work, charge=True)

    def rate_to_tell(self, codec: str, rate: int) -> int:
        """What a rival's encoder is told so that it spends `rate`."""
        from gistcast.stream.rivals import calibrate

        if (codec, rate) not in self.told:
            self.told[codec, rate] = calibrate(codec, self.frames, self.args.fps, rate)
        return self.told[codec, rate]

    def _source(self, arm: _Arm, rate: int) -> ClipSource:
        settings = EncodeSettings(
            bitrate=rate,
            clip_frames=self.args.clip,
            preset=self.args.preset,
            latent=arm.options.get("latent", "off"),
            without=frozenset({"video"} if arm.options.get("video") == "off" else ()),
        )
        if arm.options.get("code", "before") == "live":
            encoder = Encoder(self.info, settings, load_model(settings, self.args.device))
            return EncodedSource(read_clips(self.frames, self.args.clip), self.info.fps, encoder)
        return GistSource(self._coded(settings).read_bytes())

    def _coded(self, settings: EncodeSettings) -> Path:
        """The source coded beforehand, kept in the folder of the results."""
        without = "+".join(sorted(settings.without))
        kept = f"{settings.bitrate:g}-{settings.latent}-{without}-{settings.preset}"
        source = hashlib.sha256(self.reference.tobytes()).hexdigest()[:8]
        path: Path = self.args.output / f"{kept}-{settings.clip_frames}-{source}.gist"
        if not path.exists():
            encoder = Encoder(self.info, settings, load_model(settings, self.args.device))
            clips = list(read_clips(self.frames, self.args.clip))
            coded = [encoder.header]
            for clip in common.progress(clips, what=f"coding {kept}", total=len(clips)):
                coded += [p.to_bytes(encoder.header) for p in encoder.encode_clip(clip)]
            with common.whole_file(str(path)) as name:
                Path(name).write_bytes(b"".join(coded))
        return path

    def score(self, passage: Passage) -> dict[str, Any]:
        """What the viewer saw, and when."""
        from gistcast.eval import timeline

        numbers: list[int] = []
        times: list[float] = []
        pictures = [np.zeros((0, *self.reference.shape[1:]), np.uint8)]
        for delivery in passage.deliveries:
            pictures.append(clip_to_rgb(delivery.clip))
            numbers += range(delivery.first, delivery.first + delivery.clip.frames)
            times += [delivery.at] * delivery.clip.frames
        fps, count = self.args.fps, len(self.frames)
        shown = timeline.render(numbers, times, count, fps, self.args.playout)
        stalls, ratio = timeline.stalls(shown, fps)
        delays = [
            round(1000 * (at - float(n / fps)), 1) for n, at in zip(numbers, times, strict=True)
        ]
        seconds = float(count / fps)
        return {
            "kbps_payload": round(passage.payload_bytes * 8e-3 / seconds, 3),
            "kbps_wire": round(passage.wire_bytes * 8e-3 / seconds, 3),
            "kbps_back": round(passage.back_bytes * 8e-3 / seconds, 3),
            "rendered_ratio": round(timeline.rendered_ratio(shown), 4),
            "arrived_ratio": round(len(set(numbers)) / count, 4),
            "stalls": stalls,
            "stall_ratio": round(ratio, 4),
            "first_frame_ms": round(1000 * min(times), 1) if times else None,
            **{f"delay_ms_{name}": ms for name, ms in timeline.percentiles(delays).items()},
            **self._scores.of(shown, np.concatenate(pictures)),
            "late_ms": round(passage.late_ms, 1),
            "notes": passage.notes,
            "fits": [asdict(fit) for fit in passage.fits],
        }


def run(args: argparse.Namespace) -> None:
    """Measure."""
    args.output.mkdir(parents=True, exist_ok=True)
    arms = [parse_arm(name) for name in args.codecs]
    networks = args.network or [""]
    for spec in networks:
        parse_network(spec)
    bench = _Bench(args)
    path = args.output / "results.json"
    rows = _kept(path, _settings(args, bench))
    cases = [(a, r, n) for n in networks for r in args.rates for a in arms]
    bench.told |= _told_before(rows)
    done = {(row["codec"], row["rate"], row["network"]) for row in rows}
    open_cases = [c for c in cases if (c[0].name, c[1], c[2]) not in done]
    for arm, rate, spec in tqdm(open_cases, unit="run", disable=not sys.stderr.isatty()):
        try:
            rows.append(_row(args, bench, (arm, rate, spec), rows))
        except StreamError as error:  # the others are not to wait for somebody to look
            print(f"{arm.name}, {rate}, {spec}: {error}", file=sys.stderr)
            continue
        _write(path, _settings(args, bench), rows)
    shown = [r for r in rows if (r["codec"], r["rate"], r["network"]) in set(_keys(cases))]
    if args.json:
        print(json.dumps({"settings": _settings(args, bench), "rows": shown}))
    else:
        print("\n".join(table(rows)), file=sys.stderr)


def _row(
    args: argparse.Namespace,
    bench: _Bench,
    case: tuple[_Arm, int, str],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Measure one case; `rows` are known already."""
    arm, rate, spec = case
    row = {
        "codec": arm.name,
        "clip": args.label or "+".join(Path(p).stem for p in args.inputs),
        "network": spec,
        "rate": rate,
        "kbps_target": rate / 1000,
    }
    if args.revision is not None:
        row["revision"] = args.revision
    if arm.codec in _RIVALS:
        twin = _twin(rows, arm, bench.rate_to_tell(arm.codec, rate), spec)
        if twin is not None:
            notes = {"passage_of_rate": twin["rate"]} | twin["notes"]
            return row | {k: v for k, v in twin.items() if k not in row} | {"notes": notes}
    return row | bench.score(bench.send(arm, rate, spec))


def _told_before(rows: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """What rivals were told in an earlier run, by codec and rate."""
    tracks = [row for row in rows if row["codec"] in _RIVALS and "told_rate" in row["notes"]]
    return {(row["codec"], row["rate"]): row["notes"]["told_rate"] for row in tracks}


def _twin(rows: list[dict[str, Any]], arm: _Arm, told: int, spec: str) -> dict[str, Any] | None:
    """The row of a rival that was told the same for another rate, which makes it the same
    passage: VP8's quantiser ends, and then it does not matter how much less is asked for."""
    for row in rows:
        same = row["codec"] == arm.name and row["network"] == spec
        if same and row["notes"].get("told_rate") == told:
            return row
    return None


def _keys(cases: list[tuple[_Arm, int, str]]) -> Iterator[tuple[str, int, str]]:
    return ((arm.name, rate, spec) for arm, rate, spec in cases)


def _settings(args: argparse.Namespace, bench: _Bench) -> dict[str, Any]:
    """What all rows have in common."""
    return {
        "inputs": list(args.inputs),
        "frames": len(bench.frames),
        "width": args.size[0],
        "height": args.size[1],
        "fps": float(args.fps),
        "clip_frames": args.clip,
        "preset": args.preset,
        "refine": args.refine,
        "playout_seconds": args.playout,
        "clock": args.clock,
    }


def _kept(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an earlier run.

    Raises:
        UsageError: it was set differently.
    """
    if not path.exists():
        return []
    earlier: dict[str, Any] = json.loads(path.read_text())
    changed = [key for key in settings if earlier["settings"].get(key) != settings[key]]
    if changed:
        raise UsageError(f"{path} was measured with another {', '.join(changed)}")
    rows: list[dict[str, Any]] = earlier["rows"]
    return rows


def _write(path: Path, settings: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    from gistcast.eval.results import write_whole

    command = shlex.join(["gistcast", *sys.argv[1:]])
    results = {"settings": settings | {"command": command}, "rows": rows}
    write_whole(path, json.dumps(results, indent=1) + "\n")
    write_whole(path.with_name("table.md"), "\n".join(table(rows)) + "\n")
