"""The controller against the emulator's model of a link, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gistcast.stream.congestion import MESSAGE_HEADERS, Congestion
from gistcast.stream.messages import TICKS, Arrival, Report
from gistcast.stream.network import Path
from gistcast.stream.network.spec import Conditions
from gistcast.stream.network.trace import Trace

CLIP = 1.28  # seconds
MESSAGE = 500  # bytes


@dataclass
class Simulation:
    """A sender that always has as much to send as the link allows, up to `most` bits a second.

    The report of a clip comes when the next one is due, or later if its messages take longer.
    """

    path: Path
    most: float = 96e3
    congestion: Congestion = field(default_factory=lambda: Congestion(8e6))
    now: float = 0.0
    clip: int = 0
    sent: list[int] = field(default_factory=list)  # bytes of every clip, headers included
    delays: list[float] = field(default_factory=list)  # of every message that arrived
    under_way: list[tuple[float, Arrival]] = field(default_factory=list)

    def run(self, clips: int) -> None:
        for _ in range(clips):
            self._report()
            budget = min(self.congestion.budget(CLIP, self.now), int(self.most * CLIP / 8))
            count = max(1, budget // (MESSAGE + MESSAGE_HEADERS))
            self.sent.append(count * (MESSAGE + MESSAGE_HEADERS))
            at = self.now
            for index in range(count):
                self.congestion.sent(self.clip, index, MESSAGE, at)
                for arrival in self.path.send(at, MESSAGE + MESSAGE_HEADERS):
                    self.delays.append(arrival - at)
                    ticks = int((arrival + 1000) * TICKS)  # another clock than the sender's
                    self.under_way.append((arrival, Arrival(self.clip % 256, index, ticks)))
                at += 8 * (MESSAGE + MESSAGE_HEADERS) / self.congestion.pace
            self.clip += 1
            self.now += CLIP

    def _report(self) -> None:
        came = sorted((w for w in self.under_way if w[0] <= self.now), key=lambda w: w[0])
        self.under_way = [w for w in self.under_way if w[0] > self.now]
        if came:
            done = self.clip - (len(self.under_way) > 0)
            arrivals = tuple(arrival for _, arrival in came)
            report = Report(False, 0, 0, 0, 0, 0, 0, 0, 0, done, arrivals=arrivals)
            self.congestion.reported(report, self.now)


def simulate(conditions: Conditions, clips: int, **options: float) -> Simulation:
    simulation = Simulation(Path(conditions, seed=1), **options)
    simulation.run(clips)
    return simulation


def test_a_link_without_limits_is_not_limited() -> None:
    run = simulate(Conditions(delay=0.02), 20)
    assert run.congestion.capacity == 8e6 and run.congestion.loss == 0
    assert min(run.sent[2:]) == max(run.sent)


@pytest.mark.parametrize("rate", [16e3, 32e3, 64e3])
def test_a_narrow_link_is_filled_but_not_flooded(rate: float) -> None:
    run = simulate(Conditions(delay=0.02, rate=rate), 40)
    used = 8 * sum(run.sent[5:]) / (CLIP * len(run.sent[5:])) / rate
    assert 0.6 < used < 0.95
    assert rate * 0.85 < run.congestion.capacity < rate * 1.15
    settled = run.delays[len(run.delays) // 4 :]
    assert max(settled) < CLIP  # a clip is through before the next one comes
    assert run.path.counts.dropped <= 25  # of the first clips, before anything is known


@pytest.mark.parametrize("loss", [0.05, 0.2, 0.4])
def test_loss_without_a_queue_costs_no_rate(loss: float) -> None:
    run = simulate(Conditions(delay=0.02, loss=loss), 60)
    assert min(run.sent[5:]) == max(run.sent)
    assert loss / 2 < run.congestion.loss < loss * 1.7


def test_loss_on_a_narrow_link_does_not_hide_its_rate() -> None:
    run = simulate(Conditions(delay=0.02, rate=32e3, loss=0.2), 60)
    used = 8 * sum(run.sent[10:]) / (CLIP * len(run.sent[10:])) / 32e3
    assert 0.6 < used < 1


def test_drops_of_a_short_queue_are_not_taken_for_rate() -> None:
    run = simulate(Conditions(delay=0.02, rate=32e3, queue_seconds=0.25), 60)
    used = 8 * sum(run.sent[10:]) / (CLIP * len(run.sent[10:])) / 32e3
    assert 0.4 < used < 1.2
    late = run.path.counts.dropped / run.path.counts.packets
    assert late < 0.25


def test_a_rate_that_falls_and_rises_is_followed() -> None:
    # 64 kbit/s, then 16, then 64 again, 20 s each, in opportunities of 1,504 bytes
    times = [round(188 * n) for n in range(1, 107)]
    times += [20_000 + 752 * n for n in range(1, 27)]
    times += [40_000 + 188 * n for n in range(1, 107)]
    run = simulate(Conditions(delay=0.02, trace=Trace(tuple(times))), 46)
    rates = [8 * size / CLIP for size in run.sent]
    wide, narrow, again = rates[5:14], rates[19:30], rates[38:46]
    assert sum(wide) / len(wide) > 40e3
    assert sum(narrow) / len(narrow) < 17e3
    assert sum(again) / len(again) > 40e3


def test_feedback_that_fails_lowers_the_rate() -> None:
    congestion = Congestion(1e6)
    before = congestion.capacity
    for clip in range(12):
        now = clip * CLIP
        congestion.budget(CLIP, now)
        congestion.sent(clip, 0, MESSAGE, now)
    assert congestion.capacity <= before / 4


def test_what_was_sent_again_is_no_sample() -> None:
    congestion = Congestion(8e6)
    for index in range(4):
        congestion.sent(0, index, MESSAGE, 0.001 * index)
    # the first one comes a second late, by retransmission; the others arrive at once
    ticks = [10_000 + 10 * index for index in (1, 2, 3)]
    arrivals = [Arrival(0, index, at) for index, at in zip((1, 2, 3), ticks, strict=True)]
    arrivals.append(Arrival(0, 0, 20_000))
    report = Report(False, 0, 0, 0, 0, 0, 0, 0, 0, 1, arrivals=tuple(arrivals))
    congestion.reported(report, 1.5)
    assert congestion.capacity > 1e6 and congestion.queue < 0.01 and congestion.loss == 0
