"""One direction of an emulated link in virtual time: statistics, queues, traces, determinism."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gistcast.stream.network import Conditions, Path, parse_network
from gistcast.stream.network.trace import FULL_PACKET, Trace

MANY = 20_000
GOLDEN_LOSSES = [1, 2, 4, 12, 18, 19, 30, 31, 33, 36, 38, 41, 62, 67, 79, 87, 96]


def arrivals(path: Path, packets: int = MANY, gap: float = 0.001, size: int = 500) -> list:
    """Arrival times of packets sent every `gap` seconds."""
    return [path.send(gap * number, size) for number in range(packets)]


def within(count: float, mean: float, deviation: float) -> bool:
    """Four standard deviations: the seeds are fixed, so this passes or fails for ever."""
    return abs(count - mean) < 4 * deviation


def binomial(count: int, share: float) -> bool:
    return within(count, MANY * share, (MANY * share * (1 - share)) ** 0.5)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2, 0.4])
def test_independent_losses(loss: float) -> None:
    path = Path(Conditions(loss=loss), seed=1)
    lost = [not times for times in arrivals(path)]
    assert binomial(sum(lost), loss) and path.counts.lost == sum(lost)
    pairs = sum(a and b for a, b in pairwise(lost))  # no memory
    assert within(pairs, MANY * loss**2, (3 * MANY * loss**2) ** 0.5)


@pytest.mark.parametrize(("loss", "burst"), [(0.01, 4), (0.05, 2), (0.2, 8), (0.4, 4)])
def test_bursts(loss: float, burst: float) -> None:
    lost = [not times for times in arrivals(Path(Conditions(loss=loss, burst=burst), seed=2))]
    runs = [len(list(run)) for is_lost, run in groupby(lost) if is_lost]
    # a run is geometric with mean `burst`; so are the gaps, with mean burst * (1 - loss) / loss
    assert within(float(np.mean(runs)), burst, (burst * (burst - 1) / len(runs)) ** 0.5)
    # correlation of neighbours stretches the binomial's variance by (1 + r) / (1 - r)
    r = 1 - 1 / burst - loss / (burst * (1 - loss))
    assert within(sum(lost), MANY * loss, (MANY * loss * (1 - loss) * (1 + r) / (1 - r)) ** 0.5)


def test_extremes_of_loss() -> None:
    assert not any(arrivals(Path(Conditions(loss=1, burst=3)), 5000))
    assert all(arrivals(Path(Conditions(loss=0)), 5000))


def test_the_same_packet_meets_the_same_fate() -> None:
    conditions = parse_network("loss=10%,burst=3,delay=20ms,jitter=5ms,duplicate=5%").up
    slow = arrivals(Path(conditions, seed=5), 5000, gap=1.0, size=1200)
    fast = arrivals(Path(conditions, seed=5), 5000, gap=0.03, size=60)
    late = [[t - 1.0 * n for t in times] for n, times in enumerate(slow)]
    soon = [[t - 0.03 * n for t in times] for n, times in enumerate(fast)]
    assert list(map(len, late)) == list(map(len, soon))
    assert late == [pytest.approx(times) for times in soon]
    for other in (Path(conditions, seed=6), Path(conditions, 5, 1)):
        different = arrivals(other, 5000, gap=1.0, size=1200)
        assert sum(bool(a) != bool(b) for a, b in zip(slow, different, strict=True)) > 500


def test_losses_are_the_same_in_every_version() -> None:
    path = Path(Conditions(loss=0.1), seed=7)
    assert [n for n, times in enumerate(arrivals(path, 100)) if not times] == GOLDEN_LOSSES


def test_delay_and_jitter_in_order() -> None:
    path = Path(Conditions(delay=0.04, jitter=0.01), seed=3)
    times = [t for (t,) in arrivals(path)]
    assert times == sorted(times) and path.counts.overtaking == 0
    delays = np.array(times) - 0.001 * np.arange(MANY)
    assert delays.min() >= 0.03 and delays.max() <= 0.05 + 1e-9
    assert delays.mean() > 0.043  # waiting for those before


def test_jitter_that_reorders() -> None:
    path = Path(Conditions(delay=0.04, jitter=0.01, ordered=False), seed=3)
    delays = np.array([t for (t,) in arrivals(path)]) - 0.001 * np.arange(MANY)
    assert within(delays.mean(), 0.04, 0.01 / 3**0.5 / MANY**0.5)
    assert within(delays.std(), 0.01 / 3**0.5, 0.01 / (15 * MANY) ** 0.5)
    assert path.counts.overtaking > MANY / 4


def test_some_overtake() -> None:
    path = Path(Conditions(delay=0.04, reorder=0.01), seed=4)
    early = [t - 0.001 * n < 1e-9 for n, (t,) in enumerate(arrivals(path))]
    assert binomial(sum(early), 0.01) and path.counts.overtaking >= sum(early) - 40


def test_copies() -> None:
    path = Path(Conditions(duplicate=0.03), seed=5)
    got = arrivals(path)
    twice = sum(len(times) == 2 for times in got)
    assert binomial(twice, 0.03) and path.counts.duplicated == twice
    assert path.counts.delivered == MANY + twice
    assert path.counts.delivered_bytes == 500 * (MANY + twice)


def test_rate_is_exact() -> None:
    path = Path(Conditions(rate=64_000, delay=0.1, queue_seconds=60))
    times = [path.send(0.0, 1000)[0] for _ in range(400)]
    assert times == pytest.approx([0.125 * (n + 1) + 0.1 for n in range(400)])
    assert path.send(100.0, 80) == pytest.approx([100.0 + 0.01 + 0.1])  # nothing was saved up


def test_queue_in_seconds_drops_the_tail() -> None:
    path = Path(Conditions(rate=80_000, queue_seconds=0.25))  # 0.1 s for 1,000 bytes
    assert [bool(path.send(0.0, 1000)) for _ in range(10)] == [True] * 3 + [False] * 7
    assert [bool(path.send(0.1, 1000)) for _ in range(3)] == [True, False, False]
    assert path.counts.dropped == 9 and path.counts.lost == 0
    assert path.counts.to_json()["queue_ms"] == {"p50": 200.0, "p95": 300.0}


def test_queue_in_bytes_drops_what_has_no_room() -> None:
    path = Path(Conditions(rate=80_000, queue_bytes=3000))
    assert [bool(path.send(0.0, 1000)) for _ in range(4)] == [True, True, True, False]
    assert not path.send(0.05, 1)  # the first is still being sent
    assert path.send(0.15, 999) and path.send(0.15, 1) and not path.send(0.15, 1)


def test_lost_packets_use_the_link() -> None:
    path = Path(Conditions(rate=80_000, loss=0.5, queue_seconds=60), seed=1)
    times = [t for _ in range(200) for t in path.send(0.0, 1000)]
    assert 60 < len(times) < 140 and times[-1] == pytest.approx(20, abs=1.5)


def mahimahi(times: list[int], sent: list[tuple[int, int]]) -> list[int]:
    """When `mm-link` lets packets out, by its own loop: ms by ms, opportunity by opportunity.

    At each ms the opportunities are used before what arrives then is queued, as its
    `LinkQueue::read_packet` does.
    """
    queue: list[list[int]] = []  # [packet, bytes left]
    out = [-1] * len(sent)
    ms = 0
    while -1 in out:
        turn, place = divmod(ms, times[-1])
        chances = times.count(place) if place else 0
        if place == 0 and ms:  # the last of one turn, the zeros of the next
            chances = times.count(times[-1]) + times.count(0)
        elif ms == 0:
            chances = times.count(0)
        for _ in range(chances):
            left = FULL_PACKET
            while left and queue:
                used = min(left, queue[0][1])
                left -= used
                queue[0][1] -= used
                if not queue[0][1]:
                    out[queue.pop(0)[0]] = ms
        queue += [[n, size] for n, (at, size) in enumerate(sent) if at == ms]
        ms += 1
        assert turn < 500
    return out


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=9).map(sorted).filter(lambda t: t[-1]),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 1504)), min_size=1, max_size=25),
)
def test_traces_replay_as_mahimahi_does(times: list[int], steps: list[tuple[int, int]]) -> None:
    clock = np.cumsum([gap for gap, _ in steps]).tolist()
    sent = [(int(at), size) for at, (_, size) in zip(clock, steps, strict=True)]
    path = Path(Conditions(trace=Trace(tuple(times)), queue_seconds=60))
    got = [1000 * path.send(at / 1000, size)[0] for at, size in sent]
    assert got == pytest.approx(mahimahi(times, sent))


def test_a_trace_goes_on_for_ever() -> None:
    trace = Trace((0, 3, 3, 10))
    assert [trace.time(n) for n in range(9)] == [0, 3, 3, 10, 10, 13, 13, 20, 20]
    for ms in (0, 0.5, 3, 9.9, 10, 10.1, 13, 1e6):
        index = trace.after(ms)
        assert trace.time(index - 1) <= ms < trace.time(index)
    path = Path(Conditions(trace=trace, queue_seconds=60))
    times = [path.send(0.0, FULL_PACKET)[0] for _ in range(400)]
    assert times[-1] == pytest.approx(1.0)  # four opportunities in 10 ms
