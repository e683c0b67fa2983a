"""What a network is like, and the text that says so.

    loss=5%,burst=4,delay=40ms,jitter=10ms,rate=64k,queue=200ms,down.loss=0,seed=7

Fields hold for both directions; `up.` (from the offering peer) and `down.` (to it) in front of
one make it hold for that direction alone, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from gistcast.codec.errors import UsageError
from gistcast.stream.network.trace import FULL_PACKET, Trace, read_trace

MAX_SECONDS = 60.0  #: longest delay, jitter and queue


@dataclass(frozen=True)
class Conditions:
    """One direction of a link.

    Attributes:
        loss: share of the packets that are lost behind the bottleneck, 0 to 1.
        burst: mean length of a run of losses, in packets; 0: losses are independent.
        delay: seconds every packet takes.
        jitter: seconds by which that varies, uniformly to both sides.
        reorder: share of the packets that skip the delay and so overtake others.
        ordered: packets keep their order, however the delay varies (but for `reorder`).
        duplicate: share of the packets that arrive twice.
        rate: bits a second, headers included; 0: unlimited.
        trace: when packets may leave, instead of a rate.
        queue_seconds, queue_bytes: what may wait in front of the bottleneck; a packet that would
            wait longer, or for which there is no room, is dropped (drop-tail).
    """

    loss: float = 0.0
    burst: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reorder: float = 0.0
    ordered: bool = True
    duplicate: float = 0.0
    rate: float = 0.0
    trace: Trace | None = None
    queue_seconds: float = 1.0
    queue_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"network: {name} is a share from 0% to 100%")
        for name in ("delay", "jitter", "queue_seconds"):
            if not 0 <= getattr(self, name) <= MAX_SECONDS:
                field = name.removesuffix("_seconds")
                raise UsageError(f"network: {field} lies between 0 and {MAX_SECONDS:g} s")
        if self.jitter > self.delay:
            raise UsageError("network: jitter exceeds delay; name a delay at least as long")
        if self.reorder and not self.delay:
            raise UsageError("network: reorder needs a delay to skip, such as delay=20ms")
        if self.rate and not 1000 <= self.rate <= 1e10:
            raise UsageError("network: rate lies between 1k and 10000M bits a second")
        if self.rate and self.trace is not None:
            raise UsageError("network: rate and trace exclude each other; name one")
        if self.queue_bytes is not None and self.queue_bytes < FULL_PACKET:
            raise UsageError(f"network: queue holds at least one packet of {FULL_PACKET} bytes")
        self._check_burst()

    def _check_burst(self) -> None:
        if not self.burst:
            return
        if not 1 <= self.burst <= 1000:
            raise UsageError("network: burst is a mean run of losses, 1 to 1000 packets")
        if self.loss < 1 and self.loss > self.burst / (self.burst + 1):
            raise UsageError(
                f"network: runs of {self.burst:g} cannot lose {self.loss:.0%} of the packets; "
                f"burst must be at least {self.loss / (1 - self.loss):.3g}"
            )


@dataclass(frozen=True)
class Network:
    """Both directions of a link.

    Attributes:
        up: from the peer that offers (the sender) to the one that answers.
        down: back.
        seed: decides every fate, together with the direction and the packet's number.
        clean_handshake: nothing is lost, copied or overtaken until the connection stands.
        text: as it was written.
    """

    up: Conditions
    down: Conditions
    seed: int = 0
    clean_handshake: bool = False
    text: str = ""


def parse_network(text: str) -> Network:
    """Read a specification; an empty one is a perfect link.

    Raises:
        UsageError: a field is unknown, repeated, unreadable or impossible.
    """
    scopes: dict[str, dict[str, Any]] = {"": {}, "up": {}, "down": {}}
    for item in text.split(",") if text.strip() else []:
        name, equals, value = (part.strip() for part in item.partition("="))
        scope, dot, field = name.rpartition(".")
        if not equals or not value:
            raise UsageError(f"network: {item.strip()!r} is not FIELD=VALUE, such as loss=5%")
        if scope not in scopes or (dot and not scope) or field not in _READERS:
            known = ", ".join(_READERS)
            raise UsageError(
                f"network: no field {name!r}; there are {known}, "
                f"and up. or down. may stand in front of all but {' and '.join(_SHARED)}"
            )
        if field in scopes[scope] or (field in _SHARED and scope):
            raise UsageError(f"network: {name} stands twice, or is no matter of one direction")
        scopes[scope][field] = _READERS[field](field, value)
    common = scopes[""]
    seed, clean = (common.pop(field, 0) for field in _SHARED)
    up, down = (_conditions(common | scopes[scope]) for scope in ("up", "down"))
    return Network(up, down, seed, bool(clean), text)


def _conditions(fields: dict[str, Any]) -> Conditions:
    queue = fields.pop("queue", None)
    if queue is not None and not (fields.get("rate") or fields.get("trace")):
        raise UsageError("network: queue needs a bottleneck; name a rate or a trace")
    if fields.get("burst") and not fields.get("loss"):
        raise UsageError("network: burst says how losses cluster; name a loss, too")
    if fields.get("reorder") == "jitter":
        fields |= {"reorder": 0.0, "ordered": False}
    made = Conditions(**fields)
    if isinstance(queue, int):
        return replace(made, queue_bytes=queue, queue_seconds=MAX_SECONDS)
    return made if queue is None else replace(made, queue_seconds=queue)


def _number(field: str, value: str, example: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e12:
        raise UsageError(f"network: {field}={value} cannot be read; write it like {example}")
    return number


def _share(field: str, value: str) -> float:
    if value.endswith("%"):
        return _number(field, value[:-1], f"{field}=5%") / 100
    number = _number(field, value, f"{field}=5%")
    if number > 1:
        raise UsageError(f"network: {field}={value} is no share; write {field}={value}%")
    return number


def _reorder(field: str, value: str) -> float | str:
    return value if value == "jitter" else _share(field, value)


def _seconds(field: str, value: str) -> float:
    for unit, scale in (("ms", 1e-3), ("s", 1.0)):
        if value.endswith(unit):
            return _number(field, value.removesuffix(unit), f"{field}=40ms") * scale
    if _number(field, value, f"{field}=40ms"):
        raise UsageError(f"network: {field}={value} has no unit; write {field}={value}ms")
    return 0.0


def _rate(field: str, value: str) -> float:
    scale = {"k": 1e3, "M": 1e6}.get(value[-1], 1.0)
    rate = _number(field, value[:-1] if scale > 1 else value, f"{field}=64k") * scale
    if not rate:
        raise UsageError("network: a rate of 0 carries nothing; leave it out for no limit")
    return rate


def _queue(field: str, value: str) -> float | int:
    """Seconds, or bytes as an int."""
    for unit, scale in (("kB", 1000), ("B", 1)):
        if value.endswith(unit):
            return int(_number(field, value.removesuffix(unit), f"{field}=20kB") * scale)
    if value.endswith("s"):
        return _seconds(field, value)
    raise UsageError(f"network: {field}={value} cannot be read; write {field}=200ms or 20kB")


def _burst(field: str, value: str) -> float:
    return _number(field, value, f"{field}=4")


def _trace(field: str, value: str) -> Trace:
    del field
    return read_trace(FilePath(value))


def _seed(field: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) >= 1 << 64:
        raise UsageError(f"network: {field}={value} is no whole number from 0, such as {field}=7")
    return int(value)


def _handshake(field: str, value: str) -> bool:
    """Whether it is clean."""
    if value not in ("clean", "lossy"):
        raise UsageError(f"network: {field}={value} is neither clean nor lossy")
    return value == "clean"


_SHARED = ("seed", "handshake")  #: of both directions
_READERS: dict[str, Callable[[str, str], Any]] = {
    "loss": _share,
    "burst": _burst,
    "delay": _seconds,
    "jitter": _seconds,
    "reorder": _reorder,
    "duplicate": _share,
    "rate": _rate,
    "queue": _queue,
    "trace": _trace,
    "seed": _seed,
    "handshake": _handshake,
}
