"""What a receiver asks for again: messages of a clip that must be lost, while they still help.

A piece is taken for lost when a later one of its clip has been there for a moment, when the clip
has been quiet for longer than its sender leaves between messages, or when a later clip has begun.
It is asked for up to `_TRIES` times; the answer is worth waiting for as long as the clip is not
due. A marker is asked for when pieces came, or later clips, and it did not.
"""

from __future__ import annotations

from collections.abc import Collection

from gistcast.stream.messages import MAX_ASKED, SPREAD_MARGIN, ClipMarker

_REORDER = 0.03  # seconds that reordering may take
_TAIL = 0.06  # seconds of quiet behind which nothing more comes, pacing aside
_PACES = 2.5  # of the usual spacing
_FIRST_SPACING = 0.1  # seconds between messages, before any came
_FORGET = 0.8  # of the widest spacing, a message
_MOST_SPACING = 2.0  # seconds
_AGAIN = 0.15  # seconds between two askings
_TRIES = 8


class Spacing:
    """How far apart messages of a clip come: what a narrow link makes of the sender's pace."""

    def __init__(self) -> None:
        self.seconds = _FIRST_SPACING  #: the widest, lately

    def came(self, seconds: float) -> None:
        """Learn from a message that came so long after the one before."""
        self.seconds = min(_MOST_SPACING, max(seconds, _FORGET * self.seconds))


class Asking:
    """What was asked for of one clip."""

    def __init__(self, spacing: Spacing) -> None:
        self._touched: float | None = None  # when the clip's newest message came
        self._spacing = spacing
        self._asked = 0.0
        self._tries = 0

    def touch(self, now: float) -> None:
        """A message of the clip came."""
        if self._touched is not None and not self._tries:
            self._spacing.came(now - self._touched)
        self._touched = now

    def due(
        self, marker: ClipMarker | None, have: Collection[int], now: float, *, passed: bool
    ) -> tuple[int, ...]:
        """Indices (`Arrival`) to ask for now.

        Args:
            marker: of the clip, if it came.
            have: numbers of the pieces that came.
            now: seconds.
            passed: a later clip has begun.
        """
        quiet = now - (now if self._touched is None else self._touched)
        if self._tries >= _TRIES or now < self._asked + _AGAIN or quiet < _REORDER:
            return ()
        end = max(have, default=-1) + 1
        if marker is not None and (passed or quiet > _TAIL + self._usual(marker)):
            end = marker.messages
        lost = [0] if marker is None else []
        lost += [1 + seq for seq in range(end) if seq not in have]
        if lost:
            self._asked = now
            self._tries += 1
        return tuple(lost[:MAX_ASKED])

    def _usual(self, marker: ClipMarker) -> float:
        """Seconds that two messages of the clip may lie apart."""
        sending = max(0, marker.spread - SPREAD_MARGIN) / 1000
        return _PACES * max(sending / (marker.messages + 1), self._spacing.seconds)
