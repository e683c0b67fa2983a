"""What a codec under test does: a clip in, the bytes that are counted out, and back again.

    clip --encode--> Coded (kept in the cache) --decode--> one clip, or a clip a variant

Encoding and decoding are apart, so that a new metric decodes what was coded before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError

DELAY_MATCHED, REALTIME = "", "realtime"  #: modes
BARE = "bare"  #: delay-matched, without filters in the loop


class Geometry(NamedTuple):
    """Shape of a clip."""

    frames: int
    height: int
    width: int

    @classmethod
    def of(cls, clip: Clip) -> Geometry:
        """That of `clip`."""
        return cls(clip.frames, clip.height, clip.width)


@dataclass(frozen=True)
class Coded:
    """One coded clip.

    Attributes:
        packets: the bytes that are counted, and all that the decoder gets.
        times: presentation index of each packet, where the decoder wants one (a container or RTP
            would carry it; not counted for any codec).
        seconds: wall time of encoding on one thread, set-up included.
        layers: bytes of each layer, for a layered codec.
    """

    packets: tuple[bytes, ...]
    times: tuple[int, ...] = ()
    seconds: float = 0.0
    layers: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(map(len, self.packets))


@runtime_checkable
class Codec(Protocol):
    """A codec under test.

    Attributes:
        name: as it appears in `results.json`.
        mode: "" where it may look at the whole clip before it sends the first byte, as ours does;
            "realtime" where it must not look ahead.
        points: operating points from the coarsest to the finest, in the codec's own unit.
        counted: how bytes are counted, in a sentence.
        uses_text: whether the payload depends on the clip's description.
    """

    @property
    def name(self) -> str: ...

    @property
    def mode(self) -> str: ...

    @property
    def points(self) -> tuple[float, ...]: ...

    @property
    def counted(self) -> str: ...

    @property
    def uses_text(self) -> bool: ...

    def settings(self, point: float) -> str:
        """Everything that the result depends on besides the clip, for people and cache keys."""

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Code `clip`, at most 32 frames, described by `text`.

        Raises:
            GistcastError: it cannot be done.
        """

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        """What a viewer sees: `{"": clip}`, or a clip for each way to show the payload, by the
        name that its rows get.

        Raises:
            GistcastError: it cannot be done.
        """


def spread(points: Sequence[float], count: int | None) -> list[float]:
    """`count` of the points, evenly spread from the first to the last; all for None."""
    if count is None or count >= len(points):
        return list(points)
    if count < 1:
        raise UsageError("a curve needs at least one point")
    last = len(points) - 1
    return [points[round(i * last / max(1, count - 1))] for i in range(count)]


def keeps_limits(codec: Codec) -> bool:
    """Whether a codec's points are limits on its bytes, so that any budget can be one. Codecs say
    so by an attribute of this name, or say nothing."""
    return bool(getattr(codec, "keeps_limits", False))
