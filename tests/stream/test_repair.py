"""What is asked for again, and when; and that it comes."""

from __future__ import annotations

import asyncio
import io
from itertools import pairwise
from types import ModuleType

from gistcast.stream import GistSink, Limits, ReceiveSettings, SendSettings
from gistcast.stream.link import ChannelName
from gistcast.stream.memory import lossy, memory_pair
from gistcast.stream.messages import SPREAD_MARGIN, ClipMarker, Kind
from gistcast.stream.network import Conditions, Path
from gistcast.stream.receiver import Receiver
from gistcast.stream.repair import Asking, Spacing
from gistcast.stream.sender import Sender


def marker(messages: int, sending: float = 0.0) -> ClipMarker:
    spread = int(1000 * sending) + SPREAD_MARGIN
    return ClipMarker(0, 32, None, 0b100, messages, 0, 0, spread, b"")


def quick() -> Spacing:
    """As learned on a link where messages follow each other closely."""
    spacing = Spacing()
    for _ in range(40):
        spacing.came(0.001)
    return spacing


def test_a_gap_is_asked_for_once_reordering_is_over() -> None:
    asking = Asking(Spacing())
    asking.touch(10.0)
    assert asking.due(marker(9), {0, 1, 3}, 10.01, passed=False) == ()
    assert asking.due(marker(9), {0, 1, 3}, 10.05, passed=False) == (3,)
    assert asking.due(marker(9), {0, 1, 3}, 10.1, passed=False) == ()  # give it time
    assert asking.due(marker(9), {0, 1, 3}, 10.21, passed=False) == (3,)


def test_the_tail_is_asked_for_when_the_clip_has_been_quiet() -> None:
    asking = Asking(quick())
    asking.touch(10.0)
    assert asking.due(marker(3), {0}, 10.05, passed=False) == ()
    assert asking.due(marker(3), {0}, 10.08, passed=False) == (2, 3)


def test_a_later_clip_ends_the_waiting_for_a_tail() -> None:
    asking = Asking(Spacing())
    asking.touch(10.0)
    assert asking.due(marker(3), {0}, 10.05, passed=True) == (2, 3)


def test_slow_links_and_slow_senders_are_given_time() -> None:
    slow = Spacing()
    slow.came(0.5)
    for asking, sent in ((Asking(slow), marker(3)), (Asking(quick()), marker(3, sending=2.0))):
        asking.touch(10.0)
        assert asking.due(sent, {0}, 11.2, passed=False) == ()
        assert asking.due(sent, {0}, 11.4, passed=False) == (2, 3)


def test_answers_teach_nothing_about_spacing() -> None:
    spacing = quick()
    asking = Asking(spacing)
    asking.touch(10.0)
    assert asking.due(marker(2), {0}, 10.5, passed=False)
    asking.touch(10.6)
    assert spacing.seconds < 0.01


def test_a_marker_that_did_not_come_is_asked_for_with_the_gaps() -> None:
    asking = Asking(Spacing())
    asking.touch(10.0)
    assert asking.due(None, {1}, 10.05, passed=False) == (0, 1)


def test_asking_ends() -> None:
    asking = Asking(quick())
    asking.touch(0.0)
    times = [t for t in range(300) if asking.due(marker(2), (), t / 100, passed=True)]
    assert len(times) == 8 and min(b - a for a, b in pairwise(times)) >= 15


async def test_what_is_lost_comes_again(toy: ModuleType) -> None:
    path = Path(Conditions(loss=0.2), seed=3)
    here, there = memory_pair(lossy(path))
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


async def test_nobody_is_sent_more_than_twice_of_a_clip(toy: ModuleType) -> None:
    here, there = memory_pair()
    sending = asyncio.create_task(
        Sender(here, toy.ToySource(3), SendSettings(realtime=False, rate=1e9)).run()
    )
    greedy = bytes([Kind.NACK, 1, *range(5)])
    for _ in range(20):
        there.send(ChannelName.RESIDUAL, greedy)
        await asyncio.sleep(0.01)
    residual = [d for name, d in here.sent if name == ChannelName.RESIDUAL and d[1] == 1]
    assert 4 + 5 >= len(residual) > 4
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
