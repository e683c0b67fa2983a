"""Every byte of golden files damaged, every length cut off: `python tests/trust/sweep.py`.

    bytes     every byte takes other values: all 255 in files up to 700 bytes, else each bit flips
    cuts      every shorter length
    sealed    every byte of every payload takes another value, or 3 in small files, behind a
              checksum that fits
    headers   every byte of the header takes all 255 others, and all checksums fit

Each case may take 2 s and 512 MiB, must raise nothing but `GistcastError`, and clips that were not
touched must have the packets that they had and decode to the symbols of `symbols.json`. Packets
that were decoded before are not decoded again, but for one case in 61: a clip is a function of its
packets alone, and those cases look whether it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from worker import Outcome, run

from gistcast.codec.decoder import Decoder
from gistcast.codec.errors import GistcastError
from gistcast.codec.file import CodedClip, GistFile, decode_coded, read_gist
from gistcast.codec.packet import Packet

GOLDEN = Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))

from make import symbol_hash  # noqa: E402
from toy import ToyGist  # noqa: E402

#: what each has: see `tests/golden/make.py`
FILES = (
    "v3/flat-odd",  # a residual, odd and tiny
    "v3/text-64",  # a text alone
    "v3/latent-64",  # a latent and a residual
    "v3/latent-clips",  # four clips of latent and residual; a text, a seed, a model
    "v3/layers-64",  # two clips of four layers, an index
    "v3/pan-48",  # motion
    "v3/pan-64",
    "v3/pan-clips",  # three clips with motion
    "v3/short-48x80",  # three clips, two shorter
    "v3/fine-32",  # large levels
    "v3/video-short",  # a clip as residual, one as AV1
    "v3/video-odd",  # two clips as AV1, odd
    "v2/latent-clips",  # the older formats
    "v1/layers-64",
)
MAX_PIXELS = 128 * 128  #: of headers that say something else
_SMALL = 700  # bytes of a file whose bytes take all values
_AFRESH = 61  # one case in so many decodes everything again


class Sample:
    """A golden file and its damaged copies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = (GOLDEN / f"{name}.gist").read_bytes()
        self.parsed = read_gist(self.data)
        listed = json.loads((GOLDEN / name).parent.joinpath("symbols.json").read_text())
        self.symbols: list[str] = listed[Path(name).name]["symbols"]
        self.memory: dict[object, str] = {}
        rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        self.others = rng.integers(1, 256, len(self.data)).tolist()
        self._decode(self.parsed, afresh=True)  # kernels are ready before the clock runs

    def values(self) -> list[int]:
        """What is XORed to a byte."""
        if len(self.data) <= _SMALL:
            return list(range(1, 256))
        return [1 << bit for bit in range(8)]

    def kinds(self) -> dict[str, tuple[int, Callable[[int], str | None]]]:
        """Kind of damage -> number of cases, and the case of a number."""
        head = len(self.parsed.header_bytes)
        count = len(self.values())
        flips = 3 if len(self.data) <= _SMALL else 1
        payloads = sum(len(p.payload) for c in self.parsed.clips for p in c.packets)
        return {
            "bytes": (count * len(self.data), lambda k: self.damaged_byte(*divmod(k, count), k)),
            "cuts": (len(self.data), self.cut),
            "sealed": (flips * payloads, lambda k: self.sealed(*divmod(k, flips))),
            "headers": (255 * head, lambda k: self.other_header(k // 255, 1 + k % 255)),
        }

    def damaged_byte(self, at: int, which: int, number: int) -> str | None:
        data = bytearray(self.data)
        data[at] ^= self.values()[which]
        if at < len(self.parsed.header_bytes):
            return self._refused(bytes(data))
        return self._check(bytes(data), lambda c: not c.offset <= at < c.offset + c.size, number)

    def cut(self, length: int) -> str | None:
        if length < len(self.parsed.header_bytes):
            return self._refused(self.data[:length])
        return self._check(self.data[:length], lambda c: c.offset + c.size <= length, 0)

    def sealed(self, at: int, which: int) -> str | None:
        flip = (self.others[at], 0x01, 0x80)[which]
        pieces, hit = [self.parsed.header_bytes], -1
        for clip in self.parsed.clips:
            for packet in clip.packets:
                payload = bytearray(packet.payload)
                if 0 <= at < len(payload):
                    payload[at] ^= flip
                    hit = clip.number
                at -= len(payload)
                changed = Packet(
                    packet.clip,
                    packet.layer,
                    bytes(payload),
                    packet.last,
                    packet.frames,
                    packet.pts,
                )
                pieces.append(changed.to_bytes(self.parsed.header_bytes))
        return self._check(b"".join(pieces), lambda c: c.number != hit, 1)

    def other_header(self, at: int, flip: int) -> str | None:
        head = bytearray(self.parsed.header_bytes)
        head[at] ^= flip
        packets = [p.to_bytes(bytes(head)) for c in self.parsed.clips for p in c.packets]
        try:
            parsed = read_gist(bytes(head) + b"".join(packets))
            decoder = Decoder(parsed.header_bytes, ToyGist(), max_pixels=MAX_PIXELS)
            for clip in parsed.clips[:1]:
                decode_coded(decoder, clip, clip.packets)
        except GistcastError:
            pass
        return None

    def _refused(self, data: bytes) -> str | None:
        try:
            read_gist(data)
        except GistcastError:
            return None
        return "a damaged header is taken"

    def _check(
        self, data: bytes, untouched: Callable[[CodedClip], bool], number: int
    ) -> str | None:
        """Decode it all and compare the clips that were not touched.

        Args:
            number: of the case; one in `_AFRESH` decodes what was decoded before.
        """
        whole = [k for k, clip in enumerate(self.parsed.clips) if untouched(clip)]
        try:
            parsed = read_gist(data)
        except GistcastError as error:
            return f"clips {whole} are lost: {error}" if whole else None
        hashes = self._decode(parsed, afresh=number % _AFRESH == 0)
        for k in whole:
            clip = self.parsed.clips[k]
            if hashes.get(clip.number) != self.symbols[k]:
                return f"clip {clip.number} is not what it was"
        return None

    def _decode(self, parsed: GistFile, *, afresh: bool) -> dict[int, str]:
        """Hash of the symbols of each clip, by number."""
        decoder, out = _decoder(parsed.header_bytes), {}
        for clip in parsed.clips:
            key = parsed.header_bytes, clip.number, tuple(clip.packets)
            if afresh or key not in self.memory:
                self.memory[key] = symbol_hash(decode_coded(decoder, clip, clip.packets))
                if len(self.memory) > 10_000:
                    self.memory.clear()
            if key in self.memory:
                out[clip.number] = self.memory[key]
        return out


@lru_cache(maxsize=64)
def _decoder(header: bytes) -> Decoder:
    return Decoder(header, ToyGist())


def main() -> None:
    """Run it all, or a part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", default=list(FILES))
    parser.add_argument("--kinds", nargs="+", choices=("bytes", "cuts", "sealed", "headers"))
    args = parser.parse_args()
    total, findings = Outcome(), 0
    for name in args.files:
        sample = Sample(name)
        for kind, (count, case) in sample.kinds().items():
            if args.kinds and kind not in args.kinds:
                continue
            started = time.monotonic()
            outcome = run(case, range(count))
            total += outcome
            print(
                f"{name:16} {kind:8} {count:8} cases, {len(outcome.findings)} findings, "
                f"slowest {1000 * outcome.slowest:6.1f} ms, {outcome.peak / 1e6:5.1f} MB more, "
                f"{time.monotonic() - started:6.1f} s",
                flush=True,
            )
            for number, wrong in outcome.findings[:10]:
                print(f"    case {number}: {wrong}")
            findings += len(outcome.findings)
    print(f"{total.cases} cases, {findings} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
