"""Random clips, coded in random ways, damaged and decoded: `python tests/trust/structured.py`.

    number --generator--> settings and clips --encoder--> packets --damage--> file --decoder-->

Every stream decodes without damage, and is the base of five cases. In each:
- the first layers of a clip decode to a part of what all of them do: the prefix property;
- the order of a clip's packets makes no difference, nor does a packet that came twice;
- a file that is cut anywhere decodes as if the packets behind the cut had never been written;
- after damage of any kind, clips that were not touched are what they were.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from worker import Outcome, run

from gistcast.codec.clip import Clip
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.codec.file import decode_coded, read_gist
from gistcast.codec.header import RATES
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import Chunk, Packet

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))

from make import symbol_hash
from toy import ToyGist

CASES = 50_000
ROUNDS = 5  #: cases of a stream
BATCH = 10  #: streams that may take twenty seconds together
DAMAGE = ("flip", "drop", "twice", "shuffle", "garbage", "chunk", "swap")
_WORDS = ("a man rides a bicycle", "", "snow", "zwei Hunde auf dem Eis ❄")

Packets = list[list[Packet]]  # by clip


class Stream:
    """A coded stream, made of its number."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng(number)
        moving = self.rng.random() < 0.1  # the camera: of any use in the larger ones alone
        height, width = self.rng.integers(16 if moving else 1, 21, 2).tolist()
        count = 1 + int(self.rng.integers(5) // 2)
        lengths = self.rng.integers(6 if moving else 1, 9, count).tolist()
        self.clips = [self._clip(length, height, width, moving) for length in lengths]
        info = VideoInfo(width, height, Fraction(self._pick(RATES)))
        settings = self._settings(width)
        try:
            self._encode(info, settings)
        except UsageError:  # so few bytes cannot be met
            self._encode(info, replace(settings, clip_bytes=None, bitrate=None))
        self.decoder = Decoder(self.header, ToyGist())
        whole = [self.decoder.decode_clip(p, k) for k, p in enumerate(self.packets)]
        self.whole = whole
        self.hashes = [symbol_hash(decoded) for decoded in whole]

    def _encode(self, info: VideoInfo, settings: EncodeSettings) -> None:
        encoder = Encoder(info, settings, ToyGist())
        self.header = encoder.header
        self.packets: Packets = [encoder.encode_clip(clip) for clip in self.clips]

    def _pick(self, values: tuple) -> object:
        return values[int(self.rng.integers(len(values)))]

    def _clip(self, frames: int, height: int, width: int, moving: bool) -> Clip:
        chroma = frames, (height + 1) // 2, (width + 1) // 2
        kind, out = 4 if moving else int(self.rng.integers(4)), []
        speed, waves = int(self.rng.integers(1, 4)), self.rng.uniform(-1, 1, (12, 2))
        for shape in ((frames, height, width), chroma, chroma):
            t, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
            far = 1 if len(out) == 0 else 2  # luma samples from one to the next
            planes = {
                0: np.full(shape, self.rng.integers(256)),
                1: self.rng.integers(0, 256, shape),
                2: 128 + 60 * np.sin((x + 2 * t) / 3) + 40 * np.cos(y / 2),
                3: 255 * ((x + y + t) // 4 % 2) + np.zeros(shape),
                4: 128
                + 25 * sum(np.sin(a * (far * x + speed * t) + b * far * y) for a, b in waves),
            }
            out.append(np.clip(planes[kind], 0, 255).astype(np.uint8))
        return Clip(*out)

    def _settings(self, width: int) -> EncodeSettings:
        rate = int(self.rng.integers(10))
        kinds = ("residual", "residual", "residual", "text", "latent")
        layers = self._pick(kinds if width > 2 else kinds[:-1])  # the toy wants a left and a right
        text = self._pick(_WORDS) or ("words" if layers == "text" else None)
        tools = ("motion", "rdo", "video")
        drop = {tool for tool in tools if self.rng.random() < (0.97 if tool == "video" else 0.3)}
        return EncodeSettings(
            quality=float(self.rng.integers(0, 101)) if rate < 8 else None,
            clip_bytes=int(self.rng.integers(16, 400)) if rate == 8 else None,
            bitrate=float(self.rng.integers(500, 50_000)) if rate == 9 else None,
            clip_frames=8,
            preset=str(self._pick(("fast",) * 8 + ("medium", "slow"))),
            text=text,  # type: ignore[arg-type]
            layers=str(layers),
            latent=str(self._pick(("off", "off", "on", "auto")) if width > 2 else "off"),
            seed=int(self.rng.integers(0, 1 << 32)),
            residual_layers=self._pick((None, None, 1, 2, 4)),  # type: ignore[arg-type]
            without=frozenset(drop),
        )

    def check(self) -> str | None:
        """What is wrong."""
        for decoded in self.whole:
            if decoded.damage:
                return f"a sound clip is damaged: {decoded.damage}"
        for _ in range(ROUNDS):
            wrong = self._prefix() or self._order() or self._cut() or self._damage()
            if wrong:
                return wrong
        return None

    def _file(self, packets: Packets) -> tuple[bytes, list[tuple[int, int]]]:
        """A file, and where each clip lies in it."""
        out, places = self.header, []
        for clip in packets:
            start = len(out)
            out += b"".join(p.to_bytes(self.header) for p in clip)
            places.append((start, len(out)))
        return out, places

    def _prefix(self) -> str | None:
        k = int(self.rng.integers(len(self.packets)))
        packets = self.packets[k]
        count = int(self.rng.integers(1, len(packets) + 1))
        part = self.decoder.decode_clip(packets[:count], k)
        if part.damage:
            return f"a prefix is damaged: {part.damage}"
        if part.symbols and not _is_part(part, self.whole[k], self.clips[k]):
            return f"{count} of {len(packets)} layers of clip {k} are no part of it"
        return None

    def _order(self) -> str | None:
        k = int(self.rng.integers(len(self.packets)))
        packets = [*self.packets[k], self.packets[k][0]]
        mixed = [packets[int(at)] for at in self.rng.permutation(len(packets))]
        if symbol_hash(self.decoder.decode_clip(mixed, k)) != self.hashes[k]:
            return f"clip {k} depends on the order of its packets"
        return None

    def _cut(self) -> str | None:
        data, _ = self._file(self.packets)
        at = int(self.rng.integers(len(self.header), len(data)))
        left, end = [], len(self.header)
        for k, clip in enumerate(self.packets):
            for packet in clip:
                end += len(packet.to_bytes(self.header))
                if end <= at:
                    left.append((k, packet))
        try:
            found = {c.number: c.packets for c in read_gist(data[:at]).clips}
        except GistcastError:
            return "what is whole of a cut file is lost" if left else None
        expected: dict[int, list[Packet]] = {}
        for k, packet in left:
            expected.setdefault(k, []).append(packet)
        return None if found == expected else f"cut at {at}, other packets are left"

    def _damage(self) -> str | None:
        kind = str(self._pick(DAMAGE))
        data, touched = getattr(self, f"_{kind}")()
        try:
            parsed = read_gist(data)
        except GistcastError as error:
            whole = len(touched) < len(self.packets)
            return f"{kind}: clips that were not touched are lost: {error}" if whole else None
        hashes = {}
        for coded in parsed.clips:
            decoded = decode_coded(self.decoder, coded, coded.packets)
            hashes[coded.number] = symbol_hash(decoded)
        for k, expected in enumerate(self.hashes):
            if k not in touched and hashes.get(k) != expected:
                return f"{kind}: clip {k} is not what it was"
        return None

    def _one(self) -> int:
        return int(self.rng.integers(len(self.packets)))

    def _flip(self) -> tuple[bytes, set[int]]:
        data, places = self._file(self.packets)
        at = int(self.rng.integers(len(self.header), len(data)))
        out = bytearray(data)
        out[at] ^= int(self.rng.integers(1, 256))
        return bytes(out), {k for k, (start, end) in enumerate(places) if start <= at < end}

    def _garbage(self) -> tuple[bytes, set[int]]:
        data, places = self._file(self.packets)
        start, _ = places[self._one()]
        return data[:start] + self.rng.bytes(int(self.rng.integers(1, 40))) + data[start:], set()

    def _chunk(self) -> tuple[bytes, set[int]]:
        data, places = self._file(self.packets)
        start, _ = places[self._one()]
        kind, payload = int(self.rng.integers(0x81, 0x100)), self.rng.bytes(5)
        return data[:start] + Chunk(kind, payload).to_bytes(self.header) + data[start:], set()

    def _drop(self) -> tuple[bytes, set[int]]:
        k = self._one()
        kept = [p for p in self.packets[k] if self.rng.random() < 0.5]
        return self._file([*self.packets[:k], kept, *self.packets[k + 1 :]])[0], {k}

    def _twice(self) -> tuple[bytes, set[int]]:
        k = self._one()
        twice = [p for p in self.packets[k] for _ in range(1 + int(self.rng.integers(2)))]
        return self._file([*self.packets[:k], twice, *self.packets[k + 1 :]])[0], set()

    def _shuffle(self) -> tuple[bytes, set[int]]:
        mixed = [[clip[int(at)] for at in self.rng.permutation(len(clip))] for clip in self.packets]
        return self._file(mixed)[0], set()

    def _swap(self) -> tuple[bytes, set[int]]:
        """Clips in any order: numbers are taken for later ones, and nothing must break."""
        order = self.rng.permutation(len(self.packets)).tolist()
        return self._file([self.packets[k] for k in order])[0], set(range(len(order)))


def _is_part(part: DecodedClip, whole: DecodedClip, clip: Clip) -> bool:
    """Whether every group is that of the whole, or not there."""
    layout = make_layout(clip.frames, clip.height, clip.width, part.motion)
    if part.motion != whole.motion or part.quantiser != whole.quantiser:
        return False
    ended = False  # from here on groups are missing
    for group in layout.groups:
        planes = np.s_[group.start : group.stop]
        here = part.symbols[group.plane][group.band][planes]
        there = whole.symbols[group.plane][group.band][planes]
        same = np.array_equal(here, there)
        if (ended and here.any()) or (not same and here.any()):
            return False
        ended = ended or not same
    return True


def batch(number: int) -> str | None:
    """Ten streams: what is wrong with the first that is a finding."""
    for stream in range(BATCH * number, BATCH * (number + 1)):
        try:
            wrong = Stream(stream).check()
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong is not None:
            return f"stream {stream}: {wrong}"
    return None


def cases(count: int, first: int = 0) -> Outcome:
    """So many cases, from stream `first` on."""
    for number in range(20):
        Stream(number).check()  # kernels are ready before the clock runs
    start, streams = first // BATCH, -(-count // ROUNDS)
    outcome = run(batch, range(start, start + -(-streams // BATCH)), seconds=20)
    outcome.cases *= BATCH * ROUNDS
    return outcome


def main() -> None:
    """Run fifty thousand cases, or some."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--first", type=int, default=0, help="number of the first stream")
    args = parser.parse_args()
    started = time.monotonic()
    outcome = cases(args.cases, args.first)
    for _, wrong in outcome.findings:
        print(wrong)
    print(
        f"{outcome.cases} cases, {len(outcome.findings)} findings, "
        f"{time.monotonic() - started:.0f} s, {outcome.peak / 1e6:.1f} MB more"
    )
    sys.exit(bool(outcome.findings))


if __name__ == "__main__":
    main()
