"""When which frame is shown: clips side by side on one clock, for all who watch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb

Picture = NDArray[np.uint8]  #: RGB, (H, W, 3)

_KEPT = 16  # segments that are remembered
_HURRY = 0.1  # how much faster is played what has fallen behind


@dataclass(frozen=True)
class Segment:
    """A clip's frames in every view, from `begin` to `end` on the loop's clock."""

    begin: float
    end: float
    views: Mapping[str, NDArray[np.uint8]]

    def frame(self, view: str, now: float) -> Picture | None:
        """The picture at a time in the segment, or its last one after it."""
        frames = self.views.get(view)
        if frames is None:
            return None
        index = int((now - self.begin) / (self.end - self.begin) * len(frames))
        picture: Picture = frames[max(0, min(index, len(frames) - 1))]
        return picture


def pictures(clip: Clip) -> NDArray[np.uint8]:
    """Frames of a clip as RGB, uint8 (T, H, W, 3): browsers take video for BT.601."""
    return clip_to_rgb(clip)


class Timeline:
    """Plays clips one behind the other.

    Args:
        delay: seconds that the first clip waits, so that a later one may come late.
    """

    def __init__(self, delay: float = 0.25) -> None:
        self.stalls = 0  #: how often the next clip was not there in time
        self._delay = delay
        self._segments: deque[Segment] = deque(maxlen=_KEPT)
        self._loop = asyncio.get_running_loop()

    @property
    def ahead(self) -> float:
        """Seconds that are still to be shown."""
        return max(0.0, self._segments[-1].end - self._loop.time()) if self._segments else 0.0

    def add(self, views: Mapping[str, NDArray[np.uint8]], seconds: float) -> None:
        """Append a clip; `views` are RGB frames (T, H, W, 3) by name."""
        now = self._loop.time()
        if not self._segments:
            begin = now + self._delay
        else:
            begin = self._segments[-1].end
            if begin < now:
                self.stalls += 1
                begin = now + self._delay
            elif begin - now > seconds + self._delay:
                seconds *= 1 - _HURRY
        self._segments.append(Segment(begin, begin + seconds, views))

    def frame(self, view: str, now: float) -> Picture | None:
        """What is on screen; None before the first clip, or without such a view."""
        shown = None
        for segment in self._segments:
            if shown is None or segment.begin <= now:
                shown = segment
        return shown.frame(view, now) if shown is not None else None

    def next_change(self, now: float) -> float | None:
        """When the picture changes next; None: nobody knows yet."""
        for segment in self._segments:
            if now < segment.begin:
                return segment.begin
            if now < segment.end:
                frames = len(next(iter(segment.views.values())))
                length = (segment.end - segment.begin) / frames
                index = int((now - segment.begin) / length) + 1
                return segment.begin + index * length
        return None
