"""The relay over queues in memory: who gets which clips, with how many layers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from gistcast.codec.errors import CorruptError
from gistcast.stream import GistSink, ReceivedClip, ReceiveSettings, StreamError
from gistcast.stream.link import ChannelName
from gistcast.stream.memory import MemoryLink, memory_pair
from gistcast.stream.messages import ClipMarker, End, Header, Report
from gistcast.stream.receiver import Receiver
from gistcast.stream.relay import Relay, RelaySettings, Viewer, ViewerSettings
from gistcast.stream.sender import Sender, SendSettings

FAST = SendSettings(realtime=False)
SMALL = (100, 50)  #: bytes of residual layers


def relay_of(toy: ModuleType, **settings: object) -> Relay:
    return Relay(RelaySettings(**settings), fps=lambda header: Fraction(16))


def viewing(
    toy: ModuleType, relay: Relay, settings: ViewerSettings | None = None
) -> tuple[Any, MemoryLink, asyncio.Task[object]]:
    """A viewer with a receiver of its own: what it gets, its link, the receiver's task."""
    here, there = memory_pair()
    sink = toy.Clips()
    receiver = Receiver(there, sink, ReceiveSettings())

    async def both() -> object:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(relay.view(here, settings))
            done = tasks.create_task(receiver.run())
        return done.result()

    return sink, there, asyncio.create_task(both())


def sending(relay: Relay, source: object, settings: SendSettings = FAST) -> asyncio.Task[object]:
    here, there = memory_pair()
    sender = Sender(here, source, settings)

    async def both() -> object:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(relay.receive(there))
            done = tasks.create_task(sender.run())
        return done.result()

    return asyncio.create_task(both())


class Hand:
    """Publishes clips by hand, as a sender's receiver would; one lasts 0.16 s."""

    def __init__(self, relay: Relay, toy: ModuleType, header: bytes | None = None) -> None:
        self._relay, self._toy = relay, toy
        relay.begin(header or toy.HEADER, Fraction(50))

    def __call__(self, number: int, sizes: Sequence[int] = SMALL, lost: int = 0) -> None:
        packets = self._toy.toy_packets(number, sizes)
        layers = sum(1 << packet.layer for packet in packets)
        marker = ClipMarker(number, 8, None, layers, 3, 0, 0, 0, b"")
        kept = packets[: len(packets) - lost]
        self._relay.publish(ReceivedClip(number, 8, None, kept, b"", not lost, marker, lost))


async def soon(wanted: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not wanted():
            await asyncio.sleep(0.005)


async def test_every_byte_reaches_every_viewer(toy: ModuleType) -> None:
    relay = relay_of(toy)
    sent = sending(relay, toy.ToySource(15, seconds=0.08), SendSettings(realtime=True, adapt=False))
    async with asyncio.timeout(20):
        await relay.live()
    viewers = [viewing(toy, relay) for _ in range(3)]
    await sent
    for sink, _, task in viewers:
        await task
        first = sink.numbers[0]
        assert sink.numbers == list(range(first, 15))
        assert sink.header == toy.HEADER
        for clip in sink.clips:
            assert clip.complete and clip.data == toy.toy_bytes(clip.number)
    assert not relay.viewers and relay.header is None


async def test_late_joiners_start_at_the_next_clip(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    for number in range(5):
        publish(number)
    sink, _, task = viewing(toy, relay)
    await soon(lambda: relay.viewers)
    publish(5)
    publish(6)
    await sink.until(lambda: len(sink.clips) == 2)
    assert sink.numbers == [5, 6]
    task.cancel()


async def test_layers_are_dropped_per_viewer(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    rich, _, one = viewing(toy, relay)
    # description and base are 570 bytes with headers; the next layer adds 900
    poor, _, two = viewing(toy, relay, ViewerSettings(rate=8 * 700 / 0.16))
    thin, _, three = viewing(toy, relay, ViewerSettings(layers=0))
    await soon(lambda: len(relay.viewers) == 3)
    for number in range(3):
        publish(number, (400, 800, 50))
        for sink in (rich, poor, thin):
            await sink.until(lambda sink=sink, number=number: len(sink.clips) > number)
    assert [len(clip.packets) for clip in rich.clips] == [5, 5, 5]
    assert [len(clip.packets) for clip in poor.clips] == [3, 3, 3]
    assert [len(clip.packets) for clip in thin.clips] == [2, 2, 2]
    assert all(clip.complete for clip in (*rich.clips, *poor.clips, *thin.clips))
    for task in (one, two, three):
        task.cancel()


async def test_a_viewer_that_stands_still_holds_nobody_up(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)

    class Stuck(MemoryLink):
        """Takes messages, but its buffers never drain."""

        def buffered(self) -> int:
            return 1 << 20

        async def drained(self, below: int) -> None:
            await asyncio.get_running_loop().create_future()

    stuck = Stuck(lambda channel, data: [data])
    _, other = memory_pair()
    stuck.join(other)
    held = asyncio.create_task(relay.view(stuck))
    sink, _, task = viewing(toy, relay)
    await soon(lambda: len(relay.viewers) == 2)
    for number in range(100):
        publish(number)
        await sink.until(lambda number=number: len(sink.clips) > number)
    (slow,) = [viewer for viewer in relay.viewers if viewer._link is stuck]
    assert len(slow._waiting) <= 64
    assert len(stuck.sent) < 10
    held.cancel()
    task.cancel()


async def test_clips_that_the_link_cannot_take_are_announced_all_the_same(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    sink, _, task = viewing(toy, relay, ViewerSettings(waiting=2))
    await soon(lambda: relay.viewers)
    for number in range(6):  # in one turn of the loop: four are too many
        publish(number)
    await sink.until(lambda: len(sink.clips) == 6)
    assert sink.numbers == list(range(6))
    assert [len(clip.packets) for clip in sink.clips] == [0, 0, 0, 0, 4, 4]
    assert not any(clip.complete for clip in sink.clips[:4])  # the receiver conceals them
    task.cancel()


async def test_what_was_lost_on_the_way_in_is_concealed_behind_the_relay(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    sink, _, task = viewing(toy, relay)
    await soon(lambda: relay.viewers)
    publish(0, lost=4)
    publish(1, lost=1)
    await sink.until(lambda: len(sink.clips) == 2)
    assert [len(clip.packets) for clip in sink.clips] == [0, 3]
    assert not sink.clips[0].complete
    task.cancel()


@pytest.mark.parametrize(("last", "resumed"), [(0, 256), (57, 256), (255, 256), (300, 512)])
async def test_a_sender_that_starts_again_continues_the_stream(
    toy: ModuleType, last: int, resumed: int
) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    publish(last)
    sink, _, task = viewing(toy, relay)
    await soon(lambda: relay.viewers)
    publish = Hand(relay, toy)
    for number in range(3):
        publish(number)
    await sink.until(lambda: len(sink.clips) == 3)
    assert sink.numbers == [resumed, resumed + 1, resumed + 2]
    for clip, number in zip(sink.clips, range(3), strict=True):
        assert clip.complete and clip.data == toy.toy_bytes(number, SMALL)  # not a byte has changed
    assert relay.resumed == 1
    task.cancel()


async def test_another_stream_ends_the_one_before(toy: ModuleType) -> None:
    relay = relay_of(toy)
    Hand(relay, toy)(0)
    sink, _, task = viewing(toy, relay)
    await soon(lambda: relay.viewers)
    Hand(relay, toy, b"another header")
    summary = await task
    assert summary.ended and not sink.clips
    assert relay.header == b"another header" and relay.resumed == 0


async def test_a_sender_that_vanishes_is_waited_for_and_then_given_up(toy: ModuleType) -> None:
    relay = relay_of(toy, hold=0.0)
    here, there = memory_pair()
    receiving = asyncio.create_task(relay.receive(there))
    here.send(ChannelName.CONTROL, Header(0, 0, toy.HEADER).to_bytes())
    await soon(lambda: relay.header)
    _, _, task = viewing(toy, relay)
    await soon(lambda: relay.viewers)
    await here.close()
    assert not (await receiving).ended
    assert (await task).ended
    assert relay.header is None
    with pytest.raises(StreamError):
        await relay.view(here)
    await relay.close()


async def test_viewers_wait_for_a_sender_while_it_is_held(toy: ModuleType) -> None:
    relay = relay_of(toy, hold=60.0)
    here, there = memory_pair()
    receiving = asyncio.create_task(relay.receive(there))
    here.send(ChannelName.CONTROL, Header(0, 0, toy.HEADER).to_bytes())
    await soon(lambda: relay.header)
    sink, _, task = viewing(toy, relay)
    await here.close()
    await receiving
    sent = sending(relay, toy.ToySource(3, seconds=0.01), SendSettings(realtime=True))
    await sent
    assert (await task).ended
    assert sink.numbers == [0, 1, 2]
    await relay.close()


async def test_the_newer_of_two_senders_is_the_one(toy: ModuleType) -> None:
    relay = relay_of(toy)
    _, first = memory_pair()
    receiving = asyncio.create_task(relay.receive(first))
    await asyncio.sleep(0)
    await sending(relay, toy.ToySource(2))
    with pytest.raises(StreamError):
        await receiving


async def test_streams_are_recorded(toy: ModuleType) -> None:
    out = io.BytesIO()
    relay = Relay(fps=lambda header: Fraction(25), record=lambda: GistSink(out))
    await sending(relay, toy.ToySource(5))
    assert out.getvalue() == toy.HEADER + b"".join(map(toy.toy_bytes, range(5)))


async def test_a_header_that_makes_no_sense_is_the_senders_problem(toy: ModuleType) -> None:
    relay = Relay()
    here, there = memory_pair()
    receiving = asyncio.create_task(relay.receive(there))
    here.send(ChannelName.CONTROL, Header(0, 0, b"nonsense").to_bytes())
    with pytest.raises(CorruptError):
        await receiving
    assert relay.header is None


async def test_viewers_that_say_nothing_are_dropped(toy: ModuleType) -> None:
    relay = relay_of(toy)
    Hand(relay, toy)
    here, there = memory_pair()
    with pytest.raises(StreamError, match="no word"):
        await relay.view(here, ViewerSettings(silence=0.5))
    await there.close()
    assert not relay.viewers


async def test_viewers_that_acknowledge_are_not_dropped(toy: ModuleType) -> None:
    """A busy viewer may be late with its reports: its transport says that it is there."""
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    here, there = memory_pair(acknowledge=True)
    viewing = asyncio.create_task(relay.view(here, ViewerSettings(silence=0.3)))
    for number in range(15):  # reports are looked for once a second
        await asyncio.sleep(0.1)
        publish(number)
    assert not viewing.done() and relay.viewers
    await there.close()
    with pytest.raises(StreamError):
        await viewing


async def test_noise_is_no_sign_of_life(toy: ModuleType) -> None:
    relay = relay_of(toy)
    Hand(relay, toy)
    here, there = memory_pair()
    viewing = asyncio.create_task(relay.view(here, ViewerSettings(silence=0.3)))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if viewing.done():
            break
        there.send(ChannelName.CONTROL, b"\xff")
    viewing.cancel()
    with pytest.raises(StreamError, match="no word"):
        await viewing
    await there.close()


async def test_viewers_that_talk_nonsense_are_no_worse(toy: ModuleType) -> None:
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    here, there = memory_pair()
    viewer = Viewer(here)
    task = asyncio.create_task(relay.serve(viewer))
    await asyncio.sleep(0)
    for data in (b"", b"\xff", b"\x07\x09", b"\x02", End(1, 1).to_bytes(), b"x" * 1101):
        there.send(ChannelName.CONTROL, data)
    publish(0)
    await soon(lambda: viewer.summary.clips == 1)
    report = Report(False, 1, 1, 1, 1, 0, 0, 0, 0)
    there.send(ChannelName.CONTROL, report.to_bytes())
    there.send(ChannelName.CONTROL, replace(report, finished=True).to_bytes())
    await soon(lambda: viewer.summary.report and viewer.summary.report.finished)
    viewer.end()
    await task


async def test_a_slow_link_gets_fewer_layers(toy: ModuleType) -> None:
    """A viewer behind 60 kbit/s of a stream of 140: it keeps up, with the layers that fit."""
    relay = relay_of(toy)
    publish = Hand(relay, toy)
    loop = asyncio.get_running_loop()
    here, there = memory_pair()
    free = loop.time()

    def later(channel: ChannelName, data: bytes) -> list[bytes]:
        nonlocal free
        free = max(free, loop.time()) + (len(data) + 93) * 8 / 60_000
        loop.call_at(free, there._inbox.put, data)
        return []

    here._fate = later
    sink = toy.Clips()
    receiver = Receiver(there, sink, ReceiveSettings())
    viewer = Viewer(here)
    tasks = [asyncio.create_task(relay.serve(viewer)), asyncio.create_task(receiver.run())]
    await soon(lambda: relay.viewers)
    for number in range(12):
        publish(number, toy.LAYER_BYTES)
        await asyncio.sleep(0.16)
    await sink.until(lambda: len(sink.clips) == 12)
    assert viewer.summary.thinned > 4
    assert viewer.congestion.capacity < 140_000  # it still learns
    assert sum(bool(clip.packets) for clip in sink.clips) > 8
    for task in tasks:
        task.cancel()
