"""How much the link carries: from when messages were sent and when they arrived.

messages sent, arrivals reported --> capacity --> pace of messages, bytes of the next clip
                                 \\-> loss     --> protection

The messages of a clip leave back to back, so every clip is a packet train: where the link is
slower than the sender, they arrive spread out, and bytes over spread is what the bottleneck
carries (dispersion, as in BBR's delivery rate). The growth of the delay along a train tells
such a train from one that the link kept up with, which only says that there is at least so much.
What waits in the queue when the next clip is due is taken off that clip's bytes.

Loss lowers the estimate where the queue is long, because then the queue is what drops. Where the
delay stays short, loss is the link's own and calls for protection, not for fewer bytes; a link
that polices its rate without a queue is therefore followed by its dispersion alone.

N. Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016; after its
model, for trains. The queue's share of the delay is measured as in RFC 8298 (SCReAM): above the
least delay of the recent past.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gistcast.codec.packet import CLIP_NUMBER_PERIOD
from gistcast.stream.messages import TICKS, Arrival, Report

MESSAGE_HEADERS = 93  #: bytes of IPv4, UDP, DTLS and SCTP around a message
_FIRST_GUESS = 500_000.0  # bits a second
_LEAST = 4_000.0  # bits a second: the estimate never falls lower
_SHARE = 0.85  # of the capacity that clips use: the rest drains queues and carries feedback
_CAREFUL, _CURIOUS = 1.25, 2.0  # pace over capacity, where the link was the limit, and where not
_LEAP = 4.0  # that a clip may raise the estimate by: two messages may come as one
_GROWTH = 0.15  # of a train's length by which the delay grew: more, and the link was the limit
_NOISE = 0.012  # seconds of growth that say nothing
_QUEUE = 0.08  # seconds: a queue as long explains losses
_QUIET_FIRST, _QUIET_MOST = 8, 24  # messages that the mean of such losses starts and ends with
_LEAST_SHARE = 0.1  # of the messages that must be taken to arrive
_MEMORY = 24  # clips over which the least delay is remembered
_LOSS_WEIGHT = 0.25  # of a clip in the mean loss
_PATIENCE = 4.0  # seconds without feedback after which the link is taken for worse


@dataclass
class _Sent:
    """A message under way or arrived; times in seconds, each on its own side's clock."""

    size: int
    sent: float
    arrived: float | None = None
    lost: bool = False  # known to be
    again: bool = False  # sent more than once: when it arrives says nothing
    known: bool = False  # to have arrived, if not yet when

    @property
    def under_way(self) -> bool:
        """Whether nothing is known of it yet."""
        return self.arrived is None and not (self.lost or self.known or self.again)


class Congestion:
    """Follows one link.

    Args:
        ceiling: most bits a second, headers included.
    """

    def __init__(self, ceiling: float) -> None:
        self.loss = 0.0  #: share of the messages that is lost, lately
        self.quiet_loss = 0.0  #: the same of messages before which no queue was that could drop
        self.queue = 0.0  #: seconds that the newest message waited
        self.capacity = min(ceiling, _FIRST_GUESS)  #: of the link, bits a second
        self._ceiling = ceiling
        self._probe = _CURIOUS
        self._trains: dict[int, dict[int, _Sent]] = {}  # clip -> index -> message
        self._floors: deque[float] = deque(maxlen=_MEMORY)  # least delay of every clip
        self._newest = self._left = 0.0  # when the newest that arrived was sent, left the queue
        self._heard = 0.0
        self._stuck = 0  # bytes that are known to wait
        self._quiet = _QUIET_FIRST  # messages that it is the mean of

    @property
    def pace(self) -> float:
        """Bits a second at which messages are to leave: a little faster than the link, to see."""
        return min(self._ceiling, self._probe * self.capacity)

    def sent(self, clip: int, index: int, size: int, now: float) -> None:
        """Take note of a message of `size` bytes; `index` as in `Arrival`."""
        train = self._trains.setdefault(clip, {})
        train[index] = _Sent(size + MESSAGE_HEADERS, now)

    def again(self, clip: int, index: int, *, lost: bool) -> None:
        """Take note that a message is sent again, because it is known to be lost or in case."""
        message = self._trains.get(clip, {}).get(index)
        if message is not None:
            message.again = True
            message.lost = message.lost or lost

    def acknowledged(self, clip: int, index: int) -> None:
        """Take note that a message is no longer under way; a report will say when it came."""
        message = self._trains.get(clip, {}).get(index)
        if message is not None:
            message.known = True

    def hold(self, most: float, size: int) -> None:
        """Take note that the link carries at most so many bits a second, for `size` bytes are
        waiting; 0: nothing is known to."""
        self._stuck = size
        if size:
            self.capacity = max(_LEAST, min(self.capacity, most))

    def backlog(self, now: float) -> float:
        """Seconds until what was sent has left the bottleneck."""
        waiting = [
            message
            for train in self._trains.values()
            for message in train.values()
            if message.under_way and message.sent > self._newest
        ]
        left = self._left
        if waiting:
            left = max(left, waiting[0].sent) + 8 * sum(m.size for m in waiting) / self.capacity
        return max(0.0, left - now)

    def budget(self, seconds: float, now: float) -> int:
        """Bytes, headers included, for a clip that lasts `seconds`."""
        starved = self._oldest(now) - _PATIENCE
        if starved > 0:
            self.capacity = max(_LEAST, self.capacity / 2)
            self._heard = now  # and again when nothing is heard for as long
        waiting = max(self.backlog(now), 8 * self._stuck / self.capacity)
        room = _SHARE * seconds - waiting
        return max(0, int(min(self._ceiling * seconds, self.capacity * room) / 8))

    def _oldest(self, now: float) -> float:
        """Seconds since the oldest message under way was sent, or feedback came."""
        waiting = [
            message.sent
            for train in self._trains.values()
            for message in train.values()
            if message.under_way
        ]
        if not waiting:
            return 0.0
        return now - max(min(waiting), self._heard)

    def reported(self, report: Report, now: float) -> None:
        """Learn from a report."""
        touched = self._match(report.arrivals)
        for clip in touched:
            self._learn(self._trains[clip])
        for clip in [clip for clip in self._trains if clip < report.assembled]:
            self._close(self._trains.pop(clip))
        if touched:
            self._heard = now

    def _match(self, arrivals: Iterable[Arrival]) -> list[int]:
        """Note the arrivals; the clips they belong to, in order."""
        numbers = {clip % CLIP_NUMBER_PERIOD: clip for clip in self._trains}
        touched = []
        for arrival in arrivals:
            clip = numbers.get(arrival.clip)
            message = self._trains[clip].get(arrival.index) if clip is not None else None
            if clip is None or message is None or message.again or message.arrived is not None:
                continue
            message.arrived = arrival.ticks / TICKS
            if clip not in touched:
                touched.append(clip)
        return sorted(touched)

    def _learn(self, train: dict[int, _Sent]) -> None:
        """Delay, queue and capacity from what has arrived of a clip."""
        came = _in_order(train.values())
        delays = [arrived - message.sent for message, arrived in came]
        if not delays:
            return
        self._floors.append(min(delays))
        self.queue = delays[-1] - min(self._floors)
        first, last = came[0], came[-1]
        if last[0].sent > self._newest:
            self._newest, self._left = last[0].sent, last[0].sent + self.queue
        span = last[1] - first[1]
        if len(came) < 2 or span <= 0:
            self._try_more()
            return
        limited = delays[-1] - delays[0] > max(_NOISE, _GROWTH * span)
        carried = self._carried(train, first[0], last[0])
        rate = 8 * carried / span
        if limited:
            # falls at once; rises by halves, since one late message makes the next look fast
            self.capacity = min(rate, (rate + self.capacity) / 2, _LEAP * self.capacity)
            self._probe = _CAREFUL
        else:  # it kept up with what was sent in that time: all but the last
            rate = 8 * (carried + first[0].size - last[0].size) / span
            self.capacity = max(self.capacity, min(rate, _LEAP * self.capacity))
            self._probe = _CURIOUS
        self.capacity = min(max(_LEAST, self.capacity), self._ceiling)

    def _try_more(self) -> None:
        """After a clip of one message, which measures no spread: grow while it did not wait, or
        not for longer than until the next one."""
        if self.queue < _QUEUE or not self._stuck:
            more = _CURIOUS if self.queue < _QUEUE else _CAREFUL
            self.capacity = min(more * self.capacity, self._ceiling)

    def _carried(self, train: dict[int, _Sent], first: _Sent, last: _Sent) -> int:
        """Bytes that passed the bottleneck behind `first` up to `last`. Lost ones did, too; but
        where the queue is so long that it drops, only as many as are lost without it."""
        between = [m for m in train.values() if first.sent < m.sent <= last.sent]
        everything = sum(m.size for m in between)
        if self.queue < _QUEUE:
            return everything
        arrived = sum(m.size for m in between if m.arrived is not None)
        return min(everything, int(arrived / max(_LEAST_SHARE, 1 - self.quiet_loss)))

    def _close(self, train: dict[int, _Sent]) -> None:
        """A clip is over: what has not arrived is lost."""
        train = {k: m for k, m in train.items() if m.lost or not m.again}
        if not train:
            return
        lost = sum(message.arrived is None for message in train.values()) / len(train)
        self.loss += _LOSS_WEIGHT * (lost - self.loss)
        floor = min(self._floors, default=0.0)
        waited = 0.0
        for message in train.values():
            if message.arrived is not None:
                waited = message.arrived - message.sent - floor
            if waited < _QUEUE:
                self._quiet = min(_QUIET_MOST, self._quiet + 1)
                self.quiet_loss += ((message.arrived is None) - self.quiet_loss) / self._quiet


def _in_order(train: Iterable[_Sent]) -> list[tuple[_Sent, float]]:
    """Messages that arrived, without those that came later than one sent after them: they were
    sent again, or took another way."""
    out: list[tuple[_Sent, float]] = []
    for message in train:
        if message.arrived is None:
            continue
        while out and out[-1][1] > message.arrived:
            out.pop()
        out.append((message, message.arrived))
    return out
