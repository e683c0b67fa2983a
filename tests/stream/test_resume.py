"""Links that are lost: the sender sets up another one, and the stream goes on. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from gistcast.codec.errors import GistcastError
from gistcast.stream import (
    ReceivedClip,
    ReceiveSummary,
    SendSettings,
    SendSummary,
    StreamError,
    parse_network,
    receive,
    send,
    session,
    view,
    virtual,
)
from gistcast.stream.messages import ClipMarker
from gistcast.stream.network import Emulator
from gistcast.stream.relay import Relay, RelayServer, RelaySettings
from gistcast.stream.resume import Continuation, Continued, joined, waits
from gistcast.stream.signalling import WHEP, WHIP, WhipListener, whip_connect

SECONDS = 0.32
NETWORK = parse_network("delay=20ms,handshake=clean,seed=3")
SETTINGS = SendSettings(silence=4.0)


class Timed:
    """A sink that remembers what came when."""

    def __init__(self) -> None:
        self.clips: list[tuple[float, ReceivedClip]] = []
        self.closed = 0
        self._now = asyncio.get_running_loop().time

    def start(self, header: bytes) -> None:
        del header

    def write(self, clip: ReceivedClip) -> None:
        self.clips.append((self._now(), clip))

    def close(self) -> None:
        self.closed += 1

    @property
    def numbers(self) -> list[int]:
        return [clip.number for _, clip in self.clips]


@pytest.fixture
def emulators(monkeypatch: pytest.MonkeyPatch) -> list[Emulator]:
    """Those that sessions make."""
    made: list[Emulator] = []

    class Known(Emulator):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(session, "Emulator", Known)
    return made


def cut(emulator: Emulator) -> None:
    """Nothing passes any longer, either way, and nobody is told."""
    emulator.carry = lambda *_: None  # type: ignore[method-assign]


def waiting(
    sink: Timed,
) -> tuple[asyncio.Task[ReceiveSummary], asyncio.Future[str], list[float]]:
    """A receiver for several links in turn: itself, its address, and when each link began."""
    loop, begun = asyncio.get_running_loop(), list[float]()
    url: asyncio.Future[str] = loop.create_future()
    receiving = receive(
        sink,
        listening=url.set_result,
        hold=30.0,
        started=lambda _: begun.append(loop.time()),
        progress=None,
    )
    return asyncio.create_task(receiving), url, begun


async def until(wanted: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not wanted():
            await asyncio.sleep(0.01)


def test_a_sender_whose_link_is_cut_goes_on_over_another_within_two_clips(
    toy: ModuleType, emulators: list[Emulator]
) -> None:
    async def main() -> tuple[Timed, list[float], SendSummary, ReceiveSummary]:
        sink = Timed()
        receiving, url, begun = waiting(sink)
        sending = asyncio.create_task(
            send(
                toy.ToySource(60, SECONDS), await url, SETTINGS, network=NETWORK, reconnect=60.0,
                progress=None,
            )
        )  # fmt: skip
        await until(lambda: len(sink.clips) >= 10)
        cut(emulators[0])
        return sink, begun, await sending, await receiving

    sink, begun, sent, received = virtual.run(main())
    assert len(begun) == len(emulators) == sent.links == 2
    assert received.ended and sink.closed == 1
    assert sink.numbers == list(range(60))  # in order, none left out, none twice
    again = min(at for at, clip in sink.clips if at > begun[1] and clip.complete)
    assert again - begun[1] < 2 * SECONDS
    held = [clip.number for _, clip in sink.clips if not clip.packets]
    assert held and held == list(range(held[0], held[-1] + 1))  # what the silence took
    assert len(held) * SECONDS < SETTINGS.silence + 3 * SECONDS
    assert received.complete == 60 - len(held) and sent.clips <= 60


def test_a_receiver_that_is_started_again_gets_the_next_clip(toy: ModuleType) -> None:
    async def main() -> tuple[Timed, Timed, SendSummary]:
        first, second = Timed(), Timed()
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        receiving = asyncio.create_task(receive(first, listening=url.set_result, progress=None))
        sending = asyncio.create_task(
            send(toy.ToySource(30, SECONDS), await url, SETTINGS, reconnect=60.0, progress=None)
        )
        await until(lambda: len(first.clips) >= 5)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        port = int((await url).rpartition(":")[2].partition("/")[0])
        await receive(second, port=port, progress=None)
        return first, second, await sending

    first, second, sent = virtual.run(main())
    assert sent.links == 2
    assert second.numbers == list(range(second.numbers[0], 30))
    assert second.numbers[0] - first.numbers[-1] <= 3  # one coded, one on its way


def test_a_sender_that_is_started_again_goes_on_within_two_clips(toy: ModuleType) -> None:
    """It counts from 0, and the receiver on: packets and all, so that a file stays whole."""

    async def main() -> tuple[Timed, list[float], ReceiveSummary]:
        sink = Timed()
        receiving, url, begun = waiting(sink)
        first = asyncio.create_task(
            send(toy.ToySource(60, SECONDS), await url, SETTINGS, progress=None)
        )
        await until(lambda: len(sink.clips) >= 5)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await send(toy.ToySource(7, SECONDS), await url, SETTINGS, patience=10, progress=None)
        return sink, begun, await receiving

    sink, begun, summary = virtual.run(main())
    assert summary.ended and len(begun) == 2
    clips = [clip for _, clip in sink.clips]
    assert sink.numbers == list(range(len(clips)))
    assert [clip.marker.clip for clip in clips[-7:]] == list(range(7))
    assert all(clip.complete for clip in clips[-7:])
    assert {p.clip for clip in clips[-7:] for p in clip.packets} == set(sink.numbers[-7:])
    assert sink.clips[-7][0] - begun[1] < 2 * SECONDS
    sent = toy.toy_packets(0)
    data = b"".join(replace(p, clip=clips[-7].number).to_bytes(toy.HEADER) for p in sent)
    assert clips[-7].data == data


def test_a_viewer_whose_link_is_cut_calls_again(toy: ModuleType, emulators: list[Emulator]) -> None:
    async def main() -> tuple[Timed, ReceiveSummary]:
        sink, relay = Timed(), Relay(RelaySettings(), fps=lambda _: Fraction(25))
        async with RelayServer("127.0.0.1", 0, relay) as server:
            sending = asyncio.create_task(
                send(toy.ToySource(60, SECONDS), server.url + WHIP, SETTINGS, progress=None)
            )
            viewing = asyncio.create_task(
                view(
                    sink, server.url + WHEP, patience=10, network=NETWORK, hold=20.0,
                    progress=None,
                )
            )  # fmt: skip
            await until(lambda: len(sink.clips) >= 5)
            cut(emulators[0])
            await sending
            return sink, await viewing

    sink, summary = virtual.run(main())
    assert summary.ended and sink.closed == 1 and len(emulators) == 2
    assert sink.numbers == list(range(sink.numbers[0], 60))
    held = [clip.number for _, clip in sink.clips if not clip.packets]
    assert held == list(range(held[0], held[-1] + 1)) and 8 < len(held) * SECONDS < 13


def test_a_viewer_gives_up_in_the_end(toy: ModuleType) -> None:
    async def main() -> tuple[Timed, ReceiveSummary, float]:
        loop, sink = asyncio.get_running_loop(), Timed()
        relay = Relay(RelaySettings(), fps=lambda _: Fraction(25))
        async with RelayServer("127.0.0.1", 0, relay) as server:
            sending = asyncio.create_task(
                send(toy.ToySource(60, SECONDS), server.url + WHIP, SETTINGS, progress=None)
            )
            viewing = asyncio.create_task(
                view(sink, server.url + WHEP, patience=10, hold=12.0, progress=None)
            )
            await until(lambda: len(sink.clips) >= 5)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        gone = loop.time()
        return sink, await viewing, loop.time() - gone

    sink, summary, seconds = virtual.run(main())
    assert not summary.ended and summary.clips >= 5 and sink.closed == 1
    assert 10 < seconds < 25


def test_nobody_comes_back(toy: ModuleType, emulators: list[Emulator]) -> None:
    async def main(reconnect: float) -> tuple[ReceiveSummary, float]:
        loop, sink = asyncio.get_running_loop(), Timed()
        url: asyncio.Future[str] = loop.create_future()
        receiving = asyncio.create_task(
            receive(sink, listening=url.set_result, hold=10.0, progress=None)
        )
        source = toy.ToySource(200, SECONDS)
        sending = asyncio.create_task(
            send(source, await url, SETTINGS, network=NETWORK, reconnect=reconnect, progress=None)
        )
        await until(lambda: len(sink.clips) >= 3)
        sending.cancel()
        summary = await receiving
        assert sink.closed == 1
        return summary, loop.time()

    summary, seconds = virtual.run(main(60.0))
    assert not summary.ended and summary.clips >= 3 and 10 < seconds < 60


def test_a_sender_gives_up_in_the_end(toy: ModuleType) -> None:
    async def main(reconnect: float) -> float:
        loop, sink = asyncio.get_running_loop(), Timed()
        url: asyncio.Future[str] = loop.create_future()
        receiving = asyncio.create_task(receive(sink, listening=url.set_result, progress=None))
        source = toy.ToySource(200, SECONDS)
        sending = asyncio.create_task(
            send(source, await url, SETTINGS, reconnect=reconnect, progress=None)
        )
        await until(lambda: len(sink.clips) >= 3)
        lost = loop.time()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        with pytest.raises(StreamError, match="nothing listens" if reconnect else "closed"):
            await sending
        return loop.time() - lost

    assert virtual.run(main(0.0)) < 10 < virtual.run(main(12.0)) < 30


def test_a_silent_sender_may_be_replaced_and_one_that_is_heard_of_may_not() -> None:
    async def main() -> None:
        async with WhipListener("127.0.0.1", 0) as listener:
            first = await whip_connect(listener.url)
            link = await listener.accept()
            with pytest.raises(StreamError, match="503"):
                await whip_connect(listener.url)
            await asyncio.sleep(3.5)
            second = await whip_connect(listener.url)
            assert await listener.accept() is not link
            for one in (first, second):
                await one.close()

    virtual.run(main())


def test_a_clip_that_was_read_and_not_coded_is_coded_for_the_next_sender(toy: ModuleType) -> None:
    source = Continued(toy.ToySource(5, first=7))
    assert source.first == 7
    one = iter(source)
    assert next(one).code(None)[0].clip == 7
    next(one)  # its link is lost now
    two = iter(source)
    assert source.first == 8
    assert [clip.code(None)[0].clip for clip in two] == [8, 9, 10, 11]
    assert source.first == 12 and list(iter(source)) == []


def received(number: int) -> ReceivedClip:
    marker = ClipMarker(number, 8, None, 4, 0, 0, 0, 0, b"")
    return ReceivedClip(number, 8, None, [], b"x", True, marker, 0)


async def test_gaps_are_held_and_bounded_and_the_stream_stays_the_same() -> None:
    sink = Timed()
    continued = Continuation(sink)
    continued.finish()
    assert not sink.closed  # it was never started
    continued.start(b"header")
    continued.write(received(3))
    continued.close()
    continued.start(b"header")
    continued.write(received(6))
    assert sink.numbers == [3, 4, 5, 6]
    assert [clip.complete for _, clip in sink.clips] == [True, False, False, True]
    continued.write(received(0))  # a sender that was started again counts anew
    continued.write(received(2))  # a leap within a link is its sender's
    assert sink.numbers[4:] == [7, 9]
    continued.start(b"header")
    continued.write(received(1 << 40))
    assert len(sink.clips) == 6 + 256 + 1
    with pytest.raises(GistcastError, match="another stream"):
        continued.start(b"other")
    continued.finish()
    continued.finish()
    assert sink.closed == 1


def test_summaries_of_two_links_are_one() -> None:
    first, then = SendSummary(clips=3, lag_seconds=2.0), SendSummary(clips=4, lag_seconds=1.0)
    first.coded_ms.append(1.0)
    then.coded_ms.append(2.0)
    out = joined(first, then)
    assert (out.clips, out.lag_seconds, out.links, list(out.coded_ms)) == (7, 2.0, 2, [1.0, 2.0])
    assert (first.clips, then.clips, list(then.coded_ms)) == (3, 4, [2.0])
    one, two = ReceiveSummary(frames=8), ReceiveSummary(frames=16, ended=True)
    one.counters.late, two.counters.late = 1, 2
    both = joined(one, two)
    assert both.ended and both.frames == 24 and both.counters.late == 3
    assert two.counters.late == 2
    assert replace(both, ended=False) != both


def test_attempts_become_rarer() -> None:
    attempts = waits()
    drawn = [next(attempts) for _ in range(20)]
    assert 0 < drawn[0] <= 0.25 and all(1.0 <= wait <= 2.0 for wait in drawn[6:])
