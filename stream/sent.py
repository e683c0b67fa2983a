"""What was sent, and how it was fitted to the link: the sender's summary."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gistcast.stream.messages import Report
from gistcast.stream.network import NetworkSummary

_HISTORY = 1024  # clips whose fitting is kept: 22 minutes


@dataclass(frozen=True)
class Fit:
    """How a clip was fitted to the link.

    Attributes:
        seconds: since the stream began, when it was sent.
        capacity: of the link by then, bits a second.
        queue, loss: seconds that messages waited, share of them that no queue lost, by then.
        budget, wire_bytes: that the clip was allowed and took, headers included, about.
        layers, left: layers sent, and left out.
    """

    seconds: float
    capacity: int
    queue: float
    loss: float
    budget: int
    wire_bytes: int
    layers: int
    left: int


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """Nearest-rank p50, p95 and p98, one decimal; None of nothing."""
    ordered = sorted(values)
    ranks = {p: -(-len(ordered) * p // 100) - 1 for p in (50, 95, 98)}
    return {f"p{p}": round(ordered[rank], 1) if ordered else None for p, rank in ranks.items()}


@dataclass
class SendSummary:
    """What was sent.

    Attributes:
        payload_bytes: serialised packets, what a `.gist` file of them holds without its header.
        message_bytes: what was handed to the data channels, in `messages`, framing included.
        media_seconds: how long the clips last; seconds: how long sending them took.
        lag_seconds: most that a clip was behind its time when it was sent (real time only).
        resent: messages that were lost and sent again.
        cut: messages that stayed behind because their clip was due before there was room.
        withheld: clips that were announced without their packets, since those would have come too
            late.
        left_bytes: of layers that did not fit the link and stayed behind.
        coded_ms: of the latest clips, from the capture of the last frame to the clip being coded
            (real time only).
        coded_as: clips by the way they were coded, of an encoder that keeps to the clock.
        fits: how the latest clips were fitted, when adapting.
        receiver: the receiver's last report.
        links: that it took, one after the other.
        network: what the emulated network carried, where there was one (the last link's).
    """

    clips: int = 0
    frames: int = 0
    packets: int = 0
    payload_bytes: int = 0
    messages: int = 0
    message_bytes: int = 0
    media_seconds: float = 0.0
    seconds: float = 0.0
    lag_seconds: float = 0.0
    resent: int = 0
    cut: int = 0
    withheld: int = 0
    left_bytes: int = 0
    coded_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    coded_as: dict[str, int] = field(default_factory=dict)
    fits: deque[Fit] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    links: int = 1
    receiver: Report | None = None
    network: NetworkSummary | None = None

    @property
    def kbps(self) -> float:
        """Message bits per second of media, in thousands."""
        return self.message_bytes * 8e-3 / self.media_seconds if self.media_seconds else 0.0

    @property
    def kbps_wire(self) -> float | None:
        """The same of everything that went up, headers down to IP included; None: not counted."""
        if self.network is None or not self.media_seconds:
            return None
        return self.network.stream_bytes * 8e-3 / self.media_seconds

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        out: dict[str, Any] = {"role": "sender", **asdict(replace(self, network=None))}
        out["fits"] = [asdict(fit) for fit in self.fits]
        out["coded_ms"] = percentiles(self.coded_ms)
        if self.receiver is not None:
            del out["receiver"]["arrivals"]
        out["kbps"] = round(self.kbps, 3)
        if self.kbps_wire is not None:
            out["kbps_wire"] = round(self.kbps_wire, 3)
        if self.network is not None:
            out["network"] = self.network.to_json()
        return out

    def line(self) -> str:
        """For the terminal."""
        written = self.receiver.clip if self.receiver else 0
        wire = "" if self.kbps_wire is None else f" ({self.kbps_wire:.1f} on the wire)"
        return (
            f"sent {self.clips} clips, {self.message_bytes} bytes, {self.kbps:.1f} kbps{wire}; "
            f"receiver has written {written}"
        )
