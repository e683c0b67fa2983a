"""What a codec under test does: one clip in, one `Coded` out, at one operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError


@dataclass(frozen=True)
class Coded:
    """One clip, coded and decoded again.

    Attributes:
        payload: the bytes that are counted, packet by packet; `decoded` was made from them.
        decoded: what a viewer sees.
        encode_seconds, decode_seconds: wall time on one thread, set-up included.
        variants: what a receiver may show of the same payload, where it has a choice: each
            becomes a row of its own under this arm's name, instead of `decoded`.
        views: further pictures of the payload, for film strips.
        layers: bytes of each layer, for a layered codec.
    """

    payload: tuple[bytes, ...]
    decoded: Clip
    encode_seconds: float
    decode_seconds: float
    variants: Mapping[str, Clip] = field(default_factory=dict)
    views: Mapping[str, Clip] = field(default_factory=dict)
    layers: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(map(len, self.payload))


class Codec(Protocol):
    """A codec under test. One class or instance a file; `eval.codecs.CODECS` lists them."""

    @property
    def name(self) -> str:
        """As it appears in `results.json`."""

    @property
    def points(self) -> tuple[float, ...]:
        """Operating points from the coarsest to the finest, in the codec's own unit."""

    @property
    def counted(self) -> str:
        """How bytes are counted, in a sentence."""

    @property
    def uses_text(self) -> bool:
        """Whether the payload depends on the clip's description."""

    def settings(self, point: float) -> str:
        """Everything that the result depends on besides the clip, for people and cache keys."""

    def code(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Encode and decode `clip`, at most 32 frames, described by `text`."""


def spread(points: Sequence[float], count: int | None) -> list[float]:
    """`count` of the points, evenly spread from the first to the last; all for None."""
    if count is None or count >= len(points):
        return list(points)
    if count < 1:
        raise UsageError("a curve needs at least one point")
    last = len(points) - 1
    return [points[round(i * last / max(1, count - 1))] for i in range(count)]
