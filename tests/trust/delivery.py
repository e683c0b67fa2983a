"""Clips cut into messages and delivered in random ways: `python tests/trust/delivery.py`.

    number --generator--> clips --sender's cutting--> messages --network--> assembler --> clips

A fair network loses, repeats and reorders what is on the channel that loses, and keeps the order of
the other. Then each clip must be handed out once, in order, with exactly the layers that a search
through what arrived finds: messages that came, and one more for each parity whose group lacks one.

A hostile one damages, repeats and invents messages as well. Then numbers must rise, memory must
stay within its bound, and what is handed out must have been sent.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from itertools import pairwise

from targets import HEAD, check_received, deliver
from worker import Outcome, run

from gistcast.codec.packet import LATENT, RESIDUAL, TEXT, Packet
from gistcast.stream.assemble import Assembler, Limits, ReceivedClip
from gistcast.stream.fragment import cut_clip, xor_messages
from gistcast.stream.messages import (
    ClipMarker,
    Copied,
    Cut,
    End,
    Kind,
    Parity,
    Piece,
    parse_message,
)

CASES = 50_000
BATCH = 20  #: streams that may take two seconds together
CLIP_SECONDS = 0.2
LATEST = 0.3  #: seconds on the way, at most
GRACE = 0.6

Events = list[tuple[float, bytes]]  # when each message arrives


@dataclass
class Sent:
    """A clip as it left: its messages in order, and those of them that are on the lossy channel."""

    number: int
    packets: list[Packet]
    inline: bytes
    reliable: list[bytes]
    lossy: list[bytes]
    kept: int  # numbered messages, less what a CUT took back


class Stream:
    """A few clips and how they travel, made of its number."""

    def __init__(self, number: int) -> None:
        self.draw = random.Random(number)
        self.first = self.draw.choice((0, 0, 1, 200, 255, 70_000))
        self.loss, self.twice = self.draw.choice((0.0, 0.05, 0.3)), self.draw.choice((0.0, 0.2))
        count = self.draw.randint(1, 6)
        self.clips = [self._clip(self.first + k) for k in range(count)]

    def _clip(self, number: int) -> Sent:
        sizes = [int(2 ** self.draw.uniform(0, 12)) for _ in range(self.draw.randint(0, 4))]
        packets = [Packet(number, RESIDUAL + k, self._bytes(n)) for k, n in enumerate(sizes)]
        for layer in (LATENT, TEXT):
            if self.draw.random() < 0.5:
                size = 1500 if self.draw.random() < 0.1 else 20
                packets.insert(0, Packet(number, layer, self._bytes(size)))
        cut = cut_clip(packets, HEAD, protect=self.draw.choice((0, 0, 1, 2, 4)))
        sent = round(1000 * CLIP_SECONDS * (number - self.first))
        marker = ClipMarker(number, 8, None, cut.layers, cut.numbered, sent, 5, 100, cut.inline)
        lossy = list(cut.residual)
        kept, words = cut.numbered, list[bytes]()
        if lossy and self.draw.random() < 0.2:
            del lossy[self.draw.randrange(len(lossy)) :]
            kept = len(cut.control) + sum(isinstance(parse_message(m), Piece) for m in lossy)
            words = [Cut(number, kept).to_bytes()] if kept < cut.numbered else []
        if self.draw.random() < 0.3:
            lossy.insert(0, Copied(marker).to_bytes())
        reliable = [marker.to_bytes(), *cut.control, *words]
        return Sent(number, packets, cut.inline, reliable, lossy, kept)

    def _bytes(self, count: int) -> bytes:
        return self.draw.randbytes(count)

    def fair(self) -> str | None:
        """What is wrong after a network that only loses, repeats and reorders."""
        events, arrived = self._travel()
        received = _received(Assembler(HEAD, self.first, Limits(grace=GRACE)), events)
        if [clip.number for clip in received] != [clip.number for clip in self.clips]:
            return f"handed out: {[clip.number for clip in received]}"
        for clip, sent in zip(received, self.clips, strict=True):
            expected = _layers(sent, arrived[sent.number])
            if clip.packets != expected:
                return f"clip {clip.number}: {len(clip.packets)} layers, not {len(expected)}"
        return None

    def _travel(self) -> tuple[Events, dict[int, set[bytes]]]:
        """When each message arrives, and those of each clip that do."""
        events, arrived, free = Events(), dict[int, set[bytes]](), 0.0
        for k, clip in enumerate(self.clips):
            left = [m for m in clip.lossy if self.draw.random() >= self.loss]
            left += [m for m in left if self.draw.random() < self.twice]
            arrived[clip.number] = {*clip.reliable, *left}
            for data in clip.reliable:
                free = max(free, k * CLIP_SECONDS + self.draw.uniform(0, LATEST))
                events.append((free, data))
            for data in left:
                events.append((k * CLIP_SECONDS + self.draw.uniform(0, LATEST), data))
        end = End(self.first + len(self.clips), 0).to_bytes()
        events.append((max(free, len(self.clips) * CLIP_SECONDS), end))
        return sorted(events, key=lambda event: event[0]), arrived

    def hostile(self) -> str | None:
        """What is wrong after a network that does as it likes."""
        events, _ = self._travel()
        strange: Events = []
        for at, data in events:
            for _ in range(self.draw.choice((1, 1, 1, 2))):
                kind = self.draw.randrange(8)
                strange.append((at, data if kind else self._damaged(data)))
                if kind == 1:
                    strange.append((at, self._invented()))
                if kind == 2:
                    strange.append((at, self.draw.choice(events)[1]))
        limits = Limits(self.draw.choice((2, 64)), self.draw.choice((4_000, 1 << 24)), GRACE)
        assembler = Assembler(HEAD, self.first, limits)
        received = _received(assembler, strange)
        waiting = sum(pending.size for pending in assembler._clips.values())  # never announced
        if assembler._held != waiting or assembler._order:
            return f"{assembler._held} bytes are held, {waiting} of clips that wait"
        truth = {p.to_bytes(HEAD) for clip in self.clips for p in clip.packets}
        for clip in received:  # numbers are sent modulo 256: a marker may lie about the rest
            check_received(clip)
            if any(p.to_bytes(HEAD) not in truth for p in clip.packets):
                return f"clip {clip.number} holds what was never sent"
        return None

    def _damaged(self, data: bytes) -> bytes:
        at = self.draw.randrange(len(data))
        return data[:at] + self._bytes(1) + data[at + self.draw.randrange(2) :]

    def _invented(self) -> bytes:
        """A message that parses and was never sent."""
        clip, seq = self.first + self.draw.randrange(8), self.draw.randrange(6)
        count, body = 1 + self.draw.randrange(6), self._bytes(30)
        layers, far = self.draw.randrange(1 << 12), self.draw.choice((clip, clip, 1 << 40))
        return self.draw.choice((
            Piece(clip, seq, body),
            Piece(clip, 4095, body),
            Parity(clip, seq, count, body),
            Parity(clip, 0, 4096, body),
            Parity(clip, seq, 1, xor_messages([bytes([Kind.PIECE, clip % 256, seq])])),  # empty
            Cut(clip, seq),
            Copied(ClipMarker(far, 8, None, layers, count, 0, 0, 1 << 40, body)),
            ClipMarker(clip, 8, 1 << 40, layers, 4096, 0, 1 << 40, 0, b""),
            End(clip, 0),
        )).to_bytes()  # fmt: skip


def _received(assembler: Assembler, events: Events) -> list[ReceivedClip]:
    """Deliver it all; what was handed out, with the last at once."""
    out: list[ReceivedClip] = []
    for at, data in events:
        while (due := assembler.next_due()) is not None and due <= at:
            out += assembler.ready(due)
        out += deliver(assembler, data, at)
        assert assembler._held <= assembler._limits.total_bytes
    while (due := assembler.next_due()) is not None and due < 1e6:
        out += assembler.ready(due)
    out += assembler.flush()
    for before, clip in pairwise(out):
        assert before.number < clip.number
    return out


def _layers(sent: Sent, arrived: set[bytes]) -> list[Packet]:
    """The layers that can be had of what arrived: found in another way than the assembler's."""
    messages = [parse_message(data) for data in arrived]
    bodies = {m.seq: m.body for m in messages if isinstance(m, Piece)}
    pieces = [m for m in map(parse_message, sent.reliable + sent.lossy) if isinstance(m, Piece)]
    for parity in (m for m in messages if isinstance(m, Parity)):
        lost = [s for s in range(parity.first, parity.first + parity.count) if s not in bodies]
        if len(lost) == 1:
            bodies |= {m.seq: m.body for m in pieces if m.seq == lost[0]}
    joined = sent.inline
    for seq in range(sent.kept):
        if seq not in bodies:
            break
        joined += bodies[seq]
    out, at = [], 0
    for packet in sent.packets:
        at += len(packet.to_bytes(HEAD))
        if at <= len(joined):
            out.append(packet)
    return out


def batch(number: int) -> str | None:
    """Twenty streams: what is wrong with the first that is a finding."""
    for at in range(BATCH * number, BATCH * (number + 1)):
        for way in ("fair", "hostile"):
            try:
                wrong = getattr(Stream(at), way)()
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong is not None:
                return f"stream {at}, {way}: {wrong}"
    return None


def cases(count: int) -> Outcome:
    """So many cases: a stream is two."""
    outcome = run(batch, range(-(-count // (2 * BATCH))))
    outcome.cases *= 2 * BATCH
    return outcome


def main() -> None:
    """Run fifty thousand cases, or some."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=CASES)
    args = parser.parse_args()
    started = time.monotonic()
    outcome = cases(args.cases)
    for _, wrong in outcome.findings:
        print(wrong)
    print(
        f"{outcome.cases} cases, {len(outcome.findings)} findings, "
        f"{time.monotonic() - started:.0f} s, {outcome.peak / 1e6:.1f} MB more"
    )
    sys.exit(bool(outcome.findings))


if __name__ == "__main__":
    main()
