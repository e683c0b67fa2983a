"""The assembler against loss, reordering, repetition, floods and nonsense."""

from __future__ import annotations

import random
import time
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gistcast.codec.errors import CorruptError
from gistcast.codec.packet import RESIDUAL
from gistcast.stream.assemble import Assembler, Limits, ReceivedClip
from gistcast.stream.fragment import cut_clip, xor_messages
from gistcast.stream.messages import (
    ClipMarker,
    Copied,
    Cut,
    End,
    Parity,
    Piece,
    parse_message,
)

GRACE = 0.25


def wire(
    toy: ModuleType, number: int, *, protect: int = 0, spread: int = 0
) -> tuple[bytes, list[bytes]]:
    """(marker, residual messages) of a toy clip."""
    cut = cut_clip(toy.toy_packets(number), toy.HEADER, protect=protect)
    marker = ClipMarker(number, 8, None, cut.layers, cut.numbered, 0, 0, spread, cut.inline)
    return marker.to_bytes(), cut.residual


def feed(assembler: Assembler, data: bytes, now: float = 0.0) -> list[ReceivedClip]:
    """Give the assembler one message, as the receiver does."""
    try:
        message = parse_message(data)
    except CorruptError:
        assembler.counters.malformed += 1
        message = None
    if isinstance(message, ClipMarker):
        assembler.mark(message, now)
    elif isinstance(message, Copied):
        assembler.mark(message.marker, now, copy=True)
    elif isinstance(message, (Piece, Parity)):
        assembler.take(message, data, now)
    elif isinstance(message, Cut):
        assembler.cut(message, now)
    elif isinstance(message, End):
        assembler.end(message, now)
    return assembler.ready(now)


@pytest.fixture
def assembler(toy: ModuleType) -> Assembler:
    return Assembler(toy.HEADER, limits=Limits(grace=GRACE))


def test_whole_clips_come_at_once_and_in_order(assembler: Assembler, toy: ModuleType) -> None:
    got = []
    for number in range(600):  # numbers wrap twice on the wire
        marker, messages = wire(toy, number)
        for data in (marker, *messages):
            got += feed(assembler, data)
    assert [c.number for c in got] == list(range(600))
    assert all(c.complete and c.data == toy.toy_bytes(c.number) for c in got)
    assert got[599].packets == toy.toy_packets(599)
    assert assembler.next_due() is None and assembler.done == 599


def test_any_order_within_a_clip(assembler: Assembler, toy: ModuleType) -> None:
    shuffle = random.Random(1)
    for number in range(30):
        marker, messages = wire(toy, number)
        everything = [marker, *messages]
        shuffle.shuffle(everything)
        got = [clip for data in everything for clip in feed(assembler, data)]
        assert [(c.number, c.complete) for c in got] == [(number, True)]


@pytest.mark.parametrize(("lost", "layers"), [(0, 3), (1, 4), (2, 5), (3, 6)])
def test_a_lost_message_costs_the_layers_behind_it(
    assembler: Assembler, toy: ModuleType, lost: int, layers: int
) -> None:
    marker, messages = wire(toy, 0)
    del messages[lost]
    assert [c for data in (marker, *messages) for c in feed(assembler, data)] == []
    assert assembler.ready(GRACE - 0.01) == []
    assert assembler.next_due() == GRACE
    (clip,) = assembler.ready(GRACE)
    assert clip.packets == toy.toy_packets(0)[:layers]
    assert not clip.complete and clip.missing == 1
    assert clip.data == b"".join(p.to_bytes(toy.HEADER) for p in clip.packets)


def test_nothing_but_the_marker(assembler: Assembler, toy: ModuleType) -> None:
    cut = cut_clip(toy.toy_packets(0)[3:], toy.HEADER)
    marker = ClipMarker(0, 8, 77, cut.layers, cut.numbered, 0, 0, 0, b"")
    feed(assembler, marker.to_bytes())
    (clip,) = assembler.ready(1.0)
    assert (clip.frames, clip.pts, clip.packets, clip.data) == (8, 77, [], b"")


def test_waiting_ends_when_it_is_vain(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0, spread=10_000)
    feed(assembler, marker, 0.0)
    feed(assembler, messages[0], 1.0)
    assert assembler.next_due() == 10 + GRACE  # the sender takes its time
    feed(assembler, messages[3], 2.0)
    assert assembler.next_due() == 2 + GRACE  # the last message is here
    feed(assembler, wire(toy, 1, spread=10_000)[0], 3.0)
    assert assembler.next_due() == 3 + 10 + GRACE and assembler.done == 0  # the next clip began
    feed(assembler, End(2, 0).to_bytes(), 4.0)
    assert assembler.ended and assembler.next_due() == 4 + GRACE


def test_the_next_marker_ends_the_wait_for_the_clip_before(
    assembler: Assembler, toy: ModuleType
) -> None:
    feed(assembler, wire(toy, 0, spread=10_000)[0], 0.0)
    feed(assembler, wire(toy, 1, spread=10_000)[0], 1.0)
    assert assembler.next_due() == 1 + GRACE


def test_repetition_and_late_comers_are_counted(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0)
    for data in (marker, messages[0], messages[0], *messages[1:], messages[2]):
        feed(assembler, data)
    feed(assembler, marker)
    counters = assembler.counters
    assert (counters.duplicates, counters.late, counters.malformed) == (1, 1, 1)


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_parity_repairs_one_loss_a_group(assembler: Assembler, toy: ModuleType, lost: int) -> None:
    marker, messages = wire(toy, 0, protect=4)
    del messages[lost]
    got = [c for data in (marker, *messages) for c in feed(assembler, data)]
    assert [(c.complete, c.data) for c in got] == [(True, toy.toy_bytes(0))]
    assert assembler.counters.recovered == 1 and assembler.counters.missing == 0


def test_parity_cannot_repair_two(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0, protect=4)
    for data in (marker, *messages[2:]):
        feed(assembler, data)
    (clip,) = assembler.ready(1.0)
    assert clip.missing == 2 and len(clip.packets) == 3


def test_flood_is_bounded_and_refused(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(total_bytes=100_000, clips=4))
    for clip in range(200):
        for seq in range(50):
            feed(assembler, Piece(clip % 100, seq, bytes(1000)).to_bytes())
    assert assembler._held <= 100_000 and len(assembler._clips) <= 8
    assert assembler.counters.refused > 4000
    marker, messages = wire(toy, 50)  # past the nonsense, the stream goes on
    got = [c for data in (marker, *messages) for c in feed(assembler, data)]
    got += assembler.ready(9.0)
    assert [c.number for c in got] == [50]
    assert assembler._held <= 100_000


def test_clips_beyond_the_limit_push_the_oldest_out(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(clips=4))
    got = []
    for number in range(10):
        got += feed(assembler, wire(toy, number, spread=60_000)[0])
    assert [c.number for c in got] == list(range(6))


def test_parity_flood_is_refused(assembler: Assembler, toy: ModuleType) -> None:
    for first in range(3000):
        feed(assembler, Parity(0, first, 1000, b"\1\0a").to_bytes())
    assert assembler.counters.refused == 3000 - 3
    assert len(assembler._clips[0].parities) == 3  # groups that do not overlap


def test_what_is_rebuilt_counts_as_held(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(total_bytes=58_000))
    for clip in range(100):
        piece = Piece(clip, 0, bytes(1000)).to_bytes()
        feed(assembler, Parity(clip, 0, 1, xor_messages([piece])).to_bytes())
    assert assembler.counters.recovered and assembler.counters.refused
    assert assembler._held <= 58_000
    assert assembler._held == sum(pending.size for pending in assembler._clips.values())


def _marker(clip: int = 0) -> bytes:
    return ClipMarker(clip, 8, None, 1 << RESIDUAL, 4096, 0, 0, 1 << 20, b"").to_bytes()


_PIECES = [Piece(0, seq, b"x").to_bytes() for seq in range(4096)]
_LONG = bytes([RESIDUAL, 0, 0xFF, 0xFF, 0x3F]) + bytes(1000)  # a packet of 1 MiB, with no sense


@pytest.mark.parametrize(
    ("messages", "seconds"),
    [
        ([_marker(), Parity(0, 0, 4096, b"123").to_bytes(), *_PIECES], 0.4),
        ([_PIECES[0], *(Parity(0, 0, 1, b"%5d" % k).to_bytes() for k in range(4096))], 0.4),
        ([_marker(), *_PIECES[1:], *(Cut(0, k).to_bytes() for k in range(4095, 0, -1))], 0.3),
        ([_marker(clip) for clip in range(4000)], 0.6),
        (
            [_marker(), Piece(0, 0, _LONG).to_bytes()]
            + [Piece(0, seq, bytes(1090)).to_bytes() for seq in range(1, 4096)],
            2.0,
        ),
    ],
    ids=["one parity", "parities", "cuts", "markers", "pieces behind damage"],
)
def test_work_goes_by_the_messages(toy: ModuleType, messages: list[bytes], seconds: float) -> None:
    """Each took two to twenty times as long when it went by the square of their number."""
    assembler = Assembler(toy.HEADER)
    begun = time.process_time()
    for data in messages:
        feed(assembler, data)
    assert time.process_time() - begun < seconds


def test_packets_of_another_stream_do_not_pass(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0)
    other = Assembler(b"another header")
    for data in (marker, *messages):
        feed(other, data)
    (clip,) = other.ready(1.0)
    assert clip.packets == [] and other.counters.packets == 0
    assert other.counters.malformed == 1  # behind what is no packet, nothing is looked for


def test_layer_numbers_beyond_the_marker_are_ignored(assembler: Assembler, toy: ModuleType) -> None:
    packets = toy.toy_packets(0, (10, 1020, 10))
    cut = cut_clip(packets, toy.HEADER)
    fewer = cut.layers & ~(1 << RESIDUAL + 2)
    feed(assembler, ClipMarker(0, 8, None, fewer, 1, 0, 0, 0, cut.inline).to_bytes())
    (clip,) = feed(assembler, cut.residual[0])
    assert clip.complete and clip.packets == packets[:4]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # toy is a module
)
@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0, 0.3))
def test_a_hostile_network_never_breaks_it(
    toy: ModuleType, seed: int, loss: float, damage: float
) -> None:
    rng = random.Random(seed)
    assembler = Assembler(toy.HEADER, limits=Limits(clips=4, total_bytes=30_000))
    stream = [d for n in range(8) for d in (lambda m: (m[0], *m[1]))(wire(toy, n, protect=2))]
    got = []
    for data in sorted(stream, key=lambda d: rng.random() * 9 + stream.index(d)):
        if rng.random() < loss:
            continue
        if rng.random() < damage:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + rng.randrange(2) :]
        for copy in [data] * rng.choice((1, 1, 2)):
            got += feed(assembler, copy, now=0.1 * len(got))
    got += assembler.flush()
    assert [c.number for c in got] == sorted({c.number for c in got})
    for clip in got:
        if clip.number < 8:  # what passes the CRC is the truth, in order
            truth = toy.toy_packets(clip.number)
            assert clip.packets == [p for p in truth if p in clip.packets]
    assert assembler._held <= 30_000 and assembler.next_due() is None


def test_packets_of_another_clip_do_not_pass(assembler: Assembler, toy: ModuleType) -> None:
    feed(assembler, wire(toy, 0)[0])
    stray = wire(toy, 1)[1][0]
    feed(assembler, stray[:1] + b"\0" + stray[2:])  # relabelled as clip 0
    (clip,) = assembler.ready(1.0)
    assert clip.packets == toy.toy_packets(0)[:3] and assembler.counters.malformed == 1


def copied(data: bytes) -> bytes:
    """The copy of a marker."""
    marker = parse_message(data)
    assert isinstance(marker, ClipMarker)
    return Copied(marker).to_bytes()


def test_a_copy_does_for_its_marker(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0)
    got = [c for data in (*messages, copied(marker)) for c in feed(assembler, data)]
    assert [(c.complete, c.data) for c in got] == [(True, toy.toy_bytes(0))]
    assert feed(assembler, marker) == [] and assembler.counters.duplicates == 1


def test_a_copy_and_its_marker_count_once(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0)
    for data in (marker, copied(marker), copied(marker)):
        feed(assembler, data)
    got = [c for data in messages for c in feed(assembler, data)]
    assert [c.number for c in got] == [0] and assembler.counters.duplicates == 2
    assert assembler.counters.malformed == 0


def test_behind_a_copy_a_clip_waits_for_those_nobody_has_heard_of(
    assembler: Assembler, toy: ModuleType
) -> None:
    (first, _), (second, messages) = wire(toy, 0), wire(toy, 1)
    for data in (copied(second), *messages):
        assert feed(assembler, data) == []  # whole, but clip 0 may have been sent
    assert assembler.ready(100.0) == [] and assembler.next_due() is None
    feed(assembler, first, 100.0)  # it comes again, late
    (lost,) = assembler.ready(100 + GRACE)[:1]
    assert (lost.number, lost.complete) == (0, False)
    assert assembler.done == 1  # and clip 1 right behind


def test_clips_that_were_never_announced_are_not_waited_for(
    assembler: Assembler, toy: ModuleType
) -> None:
    marker, messages = wire(toy, 7)  # the marker itself: markers come in order
    got = [c for data in (marker, *messages) for c in feed(assembler, data)]
    assert [c.number for c in got] == [7]


def test_the_end_and_the_limit_free_what_waits_behind_a_copy(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(clips=3, grace=GRACE))
    feed(assembler, copied(wire(toy, 5)[0]))
    assert assembler.ready(9.0) == []
    assert [c.number for c in feed(assembler, End(6, 0).to_bytes(), 10.0)] == [5]
    assembler = Assembler(toy.HEADER, limits=Limits(clips=3, grace=GRACE))
    got = [feed(assembler, copied(wire(toy, number)[0]), 20.0) for number in (8, 9, 10, 11)]
    assert [[c.number for c in clips] for clips in got] == [[], [], [], [8]]


def test_a_clip_of_the_greatest_size_is_not_parsed_again_and_again(toy: ModuleType) -> None:
    """Each piece is looked at once: what is cut off waits, what is damaged ends the clip."""
    packets = toy.toy_packets(0, (40, 900_000))
    cut = cut_clip(packets, toy.HEADER)
    assembler = Assembler(toy.HEADER, limits=Limits(grace=GRACE))
    marker = ClipMarker(0, 8, None, cut.layers, cut.numbered, 0, 0, 0, cut.inline)
    feed(assembler, marker.to_bytes())
    got = [c for data in cut.residual for c in feed(assembler, data)]
    assert [c.packets for c in got] == [packets]


def test_a_clip_that_was_cut_is_handed_on_with_what_was_sent(
    assembler: Assembler, toy: ModuleType
) -> None:
    marker, messages = wire(toy, 0, spread=60_000)
    assert not feed(assembler, marker)
    assert not feed(assembler, messages[0])
    assert not feed(assembler, Cut(0, 2).to_bytes())  # one more of two
    (clip,) = feed(assembler, messages[1])
    assert clip.packets == toy.toy_packets(0)[:5] and not clip.complete and clip.missing == 0


def test_a_cut_that_overtakes_what_was_sent(assembler: Assembler, toy: ModuleType) -> None:
    marker, messages = wire(toy, 0, spread=60_000)
    feed(assembler, marker)
    for data in reversed(messages[1:]):  # more than the cut says there are
        feed(assembler, data)
    feed(assembler, Cut(0, 1).to_bytes())
    (clip,) = feed(assembler, messages[0])
    assert clip.packets == toy.toy_packets(0)[:4]


@pytest.mark.parametrize("cut", [Cut(0, 4), Cut(0, 9), Cut(1, 0)])
def test_a_cut_that_makes_no_sense_changes_nothing(
    assembler: Assembler, toy: ModuleType, cut: Cut
) -> None:
    marker, messages = wire(toy, 0)
    feed(assembler, cut.to_bytes())
    feed(assembler, marker)
    feed(assembler, cut.to_bytes())
    (clip,) = [clip for data in messages for clip in feed(assembler, data)]
    assert clip.complete
    feed(assembler, Cut(0, 0).to_bytes())  # it is gone
    assert assembler.counters.late + assembler.counters.malformed == 3


def test_what_can_be_drawn_is_handed_on_at_its_deadline(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(grace=GRACE, deadline=0.5))
    for number, way in ((0, 0.3), (1, 0.1)):  # the way was 0.1 s once
        marker, messages = wire(toy, number, spread=9_000)
        sent = ClipMarker(**vars(parse_message(marker)) | {"sent": 1000 * number, "age": 100})
        now = 50.0 + number + way
        feed(assembler, sent.to_bytes(), now)
        feed(assembler, messages[0], now)
        [feed(assembler, data, now) for data in messages[1:] if number == 0]
    captured = 50.0 + 1 - 0.1
    assert assembler.next_due() == pytest.approx(captured + 0.1 + 0.5)
    (clip,) = assembler.ready(captured + 0.61)
    assert clip.number == 1 and len(clip.packets) == 4


def test_what_cannot_be_drawn_is_waited_for(toy: ModuleType) -> None:
    assembler = Assembler(toy.HEADER, limits=Limits(grace=GRACE, deadline=0.5))
    packets = toy.toy_packets(0)[:2] + toy.toy_packets(0, (3000, 900))[2:]  # the base is not inside
    cut = cut_clip(packets, toy.HEADER)
    marker = ClipMarker(0, 8, None, cut.layers, cut.numbered, 0, 0, 2000, cut.inline)
    feed(assembler, marker.to_bytes(), 1.0)
    assert assembler.ready(3.2) == [] and len(assembler.ready(3.3)) == 1
