"""What goes out: how much may be under way, what is sent again, when to ask, what stays behind."""

from __future__ import annotations

import asyncio
import io
from types import ModuleType

import pytest

from gistcast.stream import GistSink, Limits, ReceiveSettings, SendSettings
from gistcast.stream.congestion import Congestion
from gistcast.stream.fitting import Protection, fit_clip
from gistcast.stream.flight import Flight
from gistcast.stream.link import Arrived, ChannelName, Lost
from gistcast.stream.memory import lossy, memory_pair
from gistcast.stream.messages import ClipMarker, Cut, Kind, parse_message
from gistcast.stream.network import Conditions, Path
from gistcast.stream.outgoing import Outgoing
from gistcast.stream.receiver import Receiver
from gistcast.stream.sender import Sender


def test_bytes_under_way() -> None:
    flight = Flight()
    for number in range(3):
        flight.sent(number, 100, 1.0)
    flight.arrived([0], 0, 1.2)
    flight.lost(2)
    assert flight.bytes == 100 and flight.least == pytest.approx(0.2)
    flight.arrived([1, 77], None, 1.4)
    assert flight.bytes == 0 and flight.round_trip == pytest.approx(0.2)  # nobody knows of 1


def test_quiet_is_asked_about_behind_a_round_trip_and_then_more_and_more_rarely() -> None:
    flight = Flight()
    assert flight.quiet_at(hurry=False) is None
    for number in range(20):
        flight.sent(number, 100, number)
        flight.arrived([number], number, number + 0.1)
    flight.sent(20, 100, 30.0)
    at = [flight.quiet_at(hurry=False) or 0]
    for number in range(21, 40):
        flight.sent(number, 94, at[-1], asks=True)
        at.append(flight.quiet_at(hurry=False) or 0)
    waits = [b - a for a, b in zip([30.0, *at], at, strict=False)]
    assert 0.1 < waits[0] <= 0.2 and waits[1] >= 0.1
    assert waits[1:] == sorted(waits[1:]) and waits[-1] == 1.0
    flight.arrived([20], 20, 60.0)
    assert flight.quiet_at(hurry=False) is None  # questions alone are not worth one


def test_on_a_link_that_loses_nobody_waits_for_a_long_round_trip() -> None:
    """On one that has not lost one question goes ahead, behind which what it overtook is lost."""
    flight = Flight()
    for number in range(20):
        flight.sent(number, 100, number)
        flight.arrived([number], number, number + 0.4)
    flight.sent(20, 100, 30.0)
    assert flight.quiet_at(hurry=False) == pytest.approx(30.05)
    assert 30 < (flight.quiet_at(hurry=True) or 0) < 30.2
    flight.sent(21, 94, 30.05, asks=True)
    assert 30.4 < (flight.quiet_at(hurry=False) or 0) < 30.6


def test_where_a_question_had_no_answer_in_its_time_the_next_ones_hurry() -> None:
    flight = Flight()
    for number in range(20):
        flight.sent(number, 100, number)
        flight.arrived([number], number, number + 0.15)
    flight.sent(20, 100, 30.0)
    asked = flight.quiet_at(hurry=False) or 0
    flight.sent(21, 94, asked, asks=True)
    assert asked < (flight.quiet_at(hurry=False) or 0) < asked + 0.15


def test_what_is_stuck_in_a_queue_tells_the_rate_and_what_may_be_lost_does_not() -> None:
    flight = Flight()
    for number, trip in enumerate((0.05, 0.05, 0.05)):
        flight.sent(number, 1000, number)
        flight.arrived([number], number, number + trip)
    flight.sent(3, 1000, 10.0)
    assert flight.carried(11.0) is None
    flight.arrived([3], 3, 11.0)  # a second: there is a queue, or the word of it was lost
    flight.sent(4, 1000, 11.0)
    assert flight.carried(13.05) is None
    flight.arrived([4], 4, 13.0)  # there is one
    flight.sent(5, 1000, 13.0)
    flight.sent(6, 1000, 13.0)
    assert flight.carried(13.1) is None
    assert flight.carried(15.05) == pytest.approx(8 * 2000 / 2)


class Wire:
    """A link that keeps what is sent; the test says what becomes of it."""

    overflowed = 0

    def __init__(self) -> None:
        self.sent: list[tuple[ChannelName, bytes]] = []
        self.arrived: Arrived
        self.lost: Lost

    def watch(self, arrived: Arrived, lost: Lost) -> bool:
        self.arrived, self.lost = arrived, lost
        return True

    def send(self, channel: ChannelName, data: bytes) -> None:
        self.sent.append((channel, data))

    def buffered(self) -> int:
        return 0

    def kinds(self) -> list[int]:
        return [data[0] for _, data in self.sent]


def outgoing(toy: ModuleType, capacity: float) -> tuple[Wire, Outgoing, ClipMarker, object]:
    wire = Wire()
    congestion = Congestion(1e9)
    congestion.capacity = capacity
    out = Outgoing(wire, congestion, rate=1e9, high_water=1 << 20)
    fitted = fit_clip(toy.toy_packets(0), toy.HEADER, Protection(), None)
    cut = fitted.messages
    marker = ClipMarker(0, 8, None, cut.layers, cut.numbered, 0, 0, 0, cut.inline)
    return wire, out, marker, fitted


async def test_a_lost_piece_goes_again_until_its_clip_is_over(toy: ModuleType) -> None:
    wire, out, marker, fitted = outgoing(toy, 1e8)
    now = asyncio.get_running_loop().time()
    await out.clip(marker, fitted, now + 1, now + 0.2)
    assert wire.kinds() == [Kind.CLIP, *[Kind.PIECE] * 4]
    wire.lost(2)
    assert wire.sent[5] == wire.sent[2] and out.resent == 1
    wire.lost(5)  # that one, too
    assert wire.sent[6] == wire.sent[2]
    wire.arrived([0, 1, 6], 6)
    wire.lost(1)  # it had been told to have arrived
    assert len(wire.sent) == 7
    await asyncio.sleep(0.25)
    wire.lost(4)
    assert len(wire.sent) == 7  # too late


async def test_what_the_link_has_no_room_for_stays_behind_but_for_the_base(toy: ModuleType) -> None:
    wire, out, marker, fitted = outgoing(toy, 60e3)
    now = asyncio.get_running_loop().time()
    await out.clip(marker, fitted, now + 0.4, now + 0.5)  # nothing is acknowledged
    kinds = wire.kinds()
    assert kinds[0] == Kind.CLIP and kinds[-1] == Kind.CUT
    pieces = kinds.count(Kind.PIECE)
    assert 1 <= pieces < 4 and out.cut == 4 - pieces
    cut = parse_message(wire.sent[-1][1])
    assert cut == Cut(0, pieces) and wire.sent[-1][0] == ChannelName.RESIDUAL


async def test_acknowledgements_make_room(toy: ModuleType) -> None:
    wire, out, marker, fitted = outgoing(toy, 60e3)
    now = asyncio.get_running_loop().time()

    async def acknowledge() -> None:
        for number in range(5):
            while len(wire.sent) <= number:
                await asyncio.sleep(0.001)
            wire.arrived([number], number)

    await asyncio.gather(acknowledge(), out.clip(marker, fitted, now + 5, now + 6))
    assert wire.kinds() == [Kind.CLIP, *[Kind.PIECE] * 4] and out.cut == 0


async def test_the_base_goes_whatever_the_link_is_like(toy: ModuleType) -> None:
    wire, out, _, _ = outgoing(toy, 8e3)
    packets = toy.toy_packets(0, (2800, 900, 900))
    fitted = fit_clip(packets, toy.HEADER, Protection(), None)
    assert fitted.messages.needed == 2
    marker = ClipMarker(0, 8, None, 1, fitted.messages.numbered, 0, 0, 0, fitted.messages.inline)
    out._rate = 1e9
    now = asyncio.get_running_loop().time()
    await out.clip(marker, fitted, now, now)
    assert wire.kinds() == [Kind.CLIP, Kind.PIECE, Kind.PIECE, Kind.CUT]


async def test_a_quiet_peer_is_asked(toy: ModuleType) -> None:
    del toy
    wire = Wire()
    out = Outgoing(wire, None, rate=1e9, high_water=1 << 20)
    attending = asyncio.create_task(out.attend())
    await asyncio.sleep(0.3)
    assert wire.sent == []  # there is nothing to ask about
    out.send(ChannelName.CONTROL, b"what matters")
    async with asyncio.timeout(2):
        while len(wire.sent) < 3:
            await asyncio.sleep(0.01)
    assert wire.sent[1:3] == [(ChannelName.RESIDUAL, bytes([Kind.PING]))] * 2
    count = len(wire.sent)
    wire.arrived([0], 0)
    await asyncio.sleep(0.7)
    assert len(wire.sent) <= count + 1
    attending.cancel()


async def test_what_is_lost_comes_again(toy: ModuleType) -> None:
    path = Path(Conditions(loss=0.2), seed=3)
    here, there = memory_pair(lossy(path), acknowledge=True)
    out = io.BytesIO()
    send = SendSettings(realtime=False, rate=1e9, adapt=False)
    receive = ReceiveSettings(limits=Limits(grace=5), silence=10)
    async with asyncio.timeout(30):
        sent, received = await asyncio.gather(
            Sender(here, toy.ToySource(12), send).run(),
            Receiver(there, GistSink(out), receive).run(),
        )
    assert path.counts.lost > 5 and sent.resent >= path.counts.lost
    assert received.complete == 12 and received.counters.missing == 0
    assert out.getvalue() == toy.HEADER + b"".join(map(toy.toy_bytes, range(12)))
