"""What is under way: the bytes that nobody has acknowledged, the round trip, and when to ask.

message sent --> under way --acknowledged--> arrived: round trip
                     |-------overtaken-----> lost: sent again, while it still helps
                     '---------quiet-------> a small message: its acknowledgement tells which

SCTP acknowledges every message, so the sender knows what came a round trip later, without a word
of the receiver's own. What it cannot know is whether a message is lost that nothing follows: it
may be waiting in a queue. Then it sends a few bytes (a tail loss probe, RFC 8985, with nothing in
it): a queue lets them out behind what waits, and a link that loses runs of packets loses small
ones in their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_FIRST_WAIT = 0.25  # seconds, before any round trip is known
_LEAST_WAIT, _MOST_WAIT = 0.05, 1.0  # seconds of quiet behind which is asked
_HURRIED_WAIT = 0.1  # seconds, on a link that is known to lose, or gave no answer in its time
_LONG = 0.2  # seconds of a round trip: one question goes ahead, for there is time for one repair
_GRADUAL = 4  # questions without an answer, until the wait has doubled
_QUEUE = 0.15  # seconds of it: what is late is waiting, not lost
_PATIENCE = 1.25  # round trips, at least
_SMOOTH, _DEVIATION = 1 / 8, 1 / 4  # weights of a sample (RFC 6298)


@dataclass(frozen=True)
class _UnderWay:
    size: int
    sent: float
    asks: bool


class Flight:
    """Messages by number, from when they are sent until they are known to have come or not."""

    def __init__(self) -> None:
        self.bytes = 0  #: under way
        self.round_trip = 0.0  #: seconds, smoothed; 0: not known
        self.least = float("inf")  #: seconds, the shortest round trip
        self.queue = 0.0  #: seconds that the two newest that arrived both took longer than that
        self._deviation = 0.0
        self._before = float("inf")  # the round trip measured before the newest
        self._under_way: dict[int, _UnderWay] = {}
        self._stirred = 0.0  # when anything was sent or heard
        self._newest = 0.0  # when the newest was sent that matters
        self._questioned = 0.0  # when the newest that asks was
        self._asked = 0  # times, without an answer

    def __contains__(self, number: int) -> bool:
        """Whether a message is under way."""
        return number in self._under_way

    def sent(self, number: int, size: int, now: float, *, asks: bool = False) -> None:
        """A message of `size` bytes, headers included, left; one that `asks` matters to nobody."""
        self._under_way[number] = _UnderWay(size, now, asks)
        self.bytes += size
        self._stirred = now
        if asks:
            self._asked += 1
            self._questioned = now
        else:
            self._newest = now

    def arrived(self, numbers: Iterable[int], timed: int | None, now: float) -> None:
        """Messages were found to have arrived; `timed` of them says how long it took."""
        sample = self._under_way.get(timed) if timed is not None else None
        for number in numbers:
            self._out(number)
        self._stirred, self._asked = now, 0
        if sample is not None:
            self._measure(now - sample.sent)

    def lost(self, number: int) -> None:
        """A message is known to be lost."""
        self._out(number)

    def quiet_at(self, hurry: bool) -> float | None:
        """When to ask, if nothing is heard until then; None: nothing is under way.

        Args:
            hurry: before a round trip is over.
        """
        if all(message.asks for message in self._under_way.values()):
            return None
        if not self.round_trip:
            return self._stirred + self._growing(_FIRST_WAIT)
        usual = self.round_trip * _PATIENCE + min(self.round_trip, 4 * self._deviation)
        usual = max(_LEAST_WAIT, usual)
        if self.queue >= _QUEUE:
            return self._stirred + self._growing(usual)
        if not hurry and self.least > _LONG and self._questioned < self._newest:
            return self._newest + _LEAST_WAIT
        expected = self._newest + self.round_trip + max(_LEAST_WAIT, 4 * self._deviation)
        if hurry or self._questioned >= expected:
            return self._stirred + self._growing(min(_HURRIED_WAIT, usual))
        return max(expected, self._stirred + _LEAST_WAIT)

    def _growing(self, wait: float) -> float:
        """The wait for an answer, longer with every question that had none."""
        return min(_MOST_WAIT, wait * 2 ** (self._asked / _GRADUAL))

    def carried(self, now: float) -> float | None:
        """Bits a second that the link cannot have carried more of, or what is under way longer
        than a round trip would have arrived; None: nothing is, or it may be lost."""
        if not self._under_way or self.queue < _QUEUE:
            return None
        oldest = next(iter(self._under_way.values()))
        waited = now - oldest.sent - self.least
        return 8 * self.bytes / waited if waited > self.round_trip else None

    def _out(self, number: int) -> _UnderWay | None:
        message = self._under_way.pop(number, None)
        if message is not None:
            self.bytes -= message.size
        return message

    def _measure(self, seconds: float) -> None:
        self.least = min(self.least, seconds)
        self.queue = min(seconds, self._before) - self.least  # one alone: a lost acknowledgement
        self._before = seconds
        if not self.round_trip:
            self.round_trip, self._deviation = seconds, seconds / 2
            return
        self._deviation += _DEVIATION * (abs(seconds - self.round_trip) - self._deviation)
        self.round_trip += _SMOOTH * (seconds - self.round_trip)
