"""The association of a stream: what aiortc's would do, and what ours does instead."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import USERDATA_MAX_LENGTH, SackChunk

from gistcast.stream.peer import PeerLink
from gistcast.stream.sctp import BACKOFF_MAX, RTO_MIN, WINDOW, MediaSctpTransport


def transports() -> tuple[RTCSctpTransport, MediaSctpTransport]:
    """aiortc's and ours, neither connected."""
    made = [RTCSctpTransport(SimpleNamespace(state="new")) for _ in range(2)]
    for transport in made:
        transport._ssthresh = 1 << 20
    MediaSctpTransport.adopt(made[1])
    return made[0], made[1]


async def test_the_window_outlives_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def transmit(self: RTCSctpTransport) -> None:
        return

    monkeypatch.setattr(RTCSctpTransport, "_transmit", transmit)
    theirs, ours = transports()
    for transport in (theirs, ours):
        transport._t3_expired()
    assert theirs._cwnd == USERDATA_MAX_LENGTH and ours._cwnd == WINDOW


async def test_the_window_outlives_a_loss() -> None:
    _, ours = transports()
    ours._cwnd = USERDATA_MAX_LENGTH
    sack = SackChunk()
    sack.cumulative_tsn = ours._last_sacked_tsn
    await ours._receive_sack_chunk(sack)
    assert ours._cwnd == WINDOW


async def test_what_is_lost_is_sent_again_soon() -> None:
    theirs, ours = transports()
    for transport in (theirs, ours):
        for _ in range(50):
            transport._update_rto(0.04)
    assert theirs._rto == 1 and ours._rto == RTO_MIN
    ours._update_rto(30.0)
    assert 1 < ours._rto <= 60


async def test_the_timer_backs_off_where_the_link_is_slower_than_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def transmit(self: RTCSctpTransport) -> None:
        return

    monkeypatch.setattr(RTCSctpTransport, "_transmit", transmit)
    _, ours = transports()
    ours._update_rto(0.04)
    times = []
    for _ in range(10):
        ours._t3_expired()
        times.append(ours._rto)
    assert times[:2] == [2 * RTO_MIN, 4 * RTO_MIN] and times[-1] == BACKOFF_MAX
    ours._update_rto(30.0)  # measured: slower still
    measured = ours._rto
    ours._t3_expired()
    assert ours._rto == measured > BACKOFF_MAX


async def test_both_ends_of_a_link_have_it() -> None:
    here, there = PeerLink(), PeerLink()
    try:
        answer = await there.answer(await here.offer())
        await here.accept_answer(answer)
        await here.opened(20)
        for link in (here, there):
            assert isinstance(link.connection.rtc.sctp, MediaSctpTransport)
            assert link.connection.rtc.sctp._cwnd >= WINDOW
    finally:
        await here.close()
        await there.close()


@pytest.mark.parametrize(("sent", "timed"), [((1, 1), 11), ((1, 2), None)])
async def test_what_is_known_with_a_repeated_message_is_not_timed(
    sent: tuple[int, int], timed: int | None
) -> None:
    """The acknowledgement of the first one may be lost; the second, sent again, brings another."""
    told = []
    _, ours = transports()
    ours.watch(lambda numbers, newest: told.append((numbers, newest)), lambda _: None)
    for tsn, count in zip((1, 2), sent, strict=True):
        ours._under_way[tsn] = (SimpleNamespace(_sent_count=count, _abandoned=False), float(tsn))
        ours._numbers[tsn] = 9 + tsn
    sack = SackChunk()
    sack.cumulative_tsn = 2
    ours._acknowledge(sack)
    assert told == [([10, 11], timed)]
