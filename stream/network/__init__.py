"""A network emulator in user space: what a link does to packets, and a relay that does it.

    spec ("loss=5%,delay=40ms,rate=64k") -> Network -> Path, one a direction: packet -> arrivals
                                                   \\-> Emulator: a UDP relay between two peers

`Path` is pure and keeps no clock, so that tests and simulations run in virtual time. `Emulator`
applies two of them in real time. Nothing needs privileges. `docs/streaming.md` says what is
emulated and what is not.
"""

from gistcast.stream.network.path import Path, PathCounts
from gistcast.stream.network.relay import Emulator, NetworkSummary
from gistcast.stream.network.spec import Conditions, Network, parse_network

__all__ = [
    "Conditions",
    "Emulator",
    "Network",
    "NetworkSummary",
    "Path",
    "PathCounts",
    "parse_network",
]
