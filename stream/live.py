"""A sender's encoder that keeps up with the clock: cheaper ways to code while time is short.

clip --the best way that there is time for--> Encoder --> packets
              ^----- how long the clips before took

The cheapest way searches nothing: a clip is coded once, at the quantiser that the clip before it
would have needed, and the leaky bucket takes what comes out larger or smaller than its budget.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import LEAST_LIMIT, Encoder
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.codec.protocol import GistModel
from gistcast.codec.ratecontrol import (
    BYTES_SLOPE,
    TYPICAL,
    Bucket,
    quality_to_quantiser,
    quantiser_to_quality,
)
from gistcast.codec.settings import PRESETS, EncodeSettings

#: Share of a clip's duration that coding it may take: of 8 frames at 25 a second, 107 ms.
SHARE = 1 / 3

_PATIENCE, _LONGEST = 8, 128  # clips that went well before more is tried; the same after failures
_FULL = 0.97  # share of a budget that is aimed at
_LEAST_SHARE = 0.5  # of its own bytes, that a clip gets although those before took more
_MOST = 2.0  # budgets that a clip takes, whatever it shows: then its last layers stay behind


@dataclass(frozen=True)
class Way:
    """One way to code.

    Attributes:
        name: for people.
        preset, without: as of `EncodeSettings`.
        searches: for what fits the budget; else the clip is coded once.
        dearer: how many times longer it takes than the way below it, about.
    """

    name: str
    preset: str
    without: frozenset[str]
    searches: bool
    dearer: float


_STILL, _PLAIN = frozenset({"motion", "video"}), frozenset({"video"})
_WAYS = (
    Way("still", "fast", _STILL, False, 1.0),
    Way("once", "fast", _PLAIN, False, 4.0),
    Way("fast", "fast", _PLAIN, True, 2.0),
    Way("medium, no video", "medium", _PLAIN, True, 1.5),
    Way("medium", "medium", frozenset(), True, 3.0),
    Way("slow", "slow", frozenset(), True, 6.0),
)


def ways_up_to(settings: EncodeSettings) -> list[Way]:
    """The ways to code up to these settings, cheapest first. Where they name no bit rate there is
    nothing but the tools to save on: a quality is coded once in any case, and a limit on the
    bytes of every clip has to be searched for."""
    best = PRESETS.index(settings.preset)
    ways = [way for way in _WAYS if PRESETS.index(way.preset) <= best]
    return ways if settings.bitrate is not None else [way for way in ways if way.name != "once"]


class Ladder:
    """Which of several ways, cheapest first, there is time for.

    One step up when the longest of the last clips would have had time for it; down at once, as
    far as it takes. After a step up that did not last, the next one is longer in coming.

    Args:
        dearer: of each way, how many times longer it takes than the one before it.
    """

    def __init__(self, dearer: Sequence[float]) -> None:
        self.at = 0  #: the way for the next clip
        self._dearer = dearer
        self._patience = _PATIENCE
        self._since = 0  # clips since the last step
        self._shares: deque[float] = deque(maxlen=_PATIENCE)

    def took(self, share: float) -> None:
        """Take note of a clip.

        Args:
            share: time it took over the time there was.
        """
        self._since += 1
        self._shares.append(share)
        if share > 1:
            self._down(share)
        elif self._since >= self._patience and self._has_room():
            self._step(1)

    def _has_room(self) -> bool:
        """Whether the next way would have kept up with the last clips."""
        above = self._dearer[self.at + 1 : self.at + 2]
        return bool(above) and max(self._shares) * above[0] < 1

    def _down(self, share: float) -> None:
        if not self.at:
            return
        lasted = self._since > self._patience
        self._patience = _PATIENCE if lasted else min(2 * self._patience, _LONGEST)
        while self.at and share > 1:
            share /= self._dearer[self.at]
            self._step(-1)

    def _step(self, by: int) -> None:
        self.at += by
        self._since = 0
        self._shares.clear()


class LiveEncoder:
    """A `ClipEncoder` that codes every clip as well as the clock allows.

    Args:
        info: geometry and frame rate of the video.
        settings: the most that is tried. A bit rate is a leaky bucket's, as of `Encoder`.
        model: as of `Encoder`.
        share: of a clip's duration that coding it may take, above 0 up to 1.
        clock: seconds.

    Raises:
        UsageError: the share is out of range, or as of `Encoder`.
    """

    def __init__(
        self,
        info: VideoInfo,
        settings: EncodeSettings,
        model: GistModel | None = None,
        *,
        share: float = SHARE,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not 0 < share <= 1:
            raise UsageError(f"the share of a clip's time is above 0 and at most 1, not {share:g}")
        self.used: Counter[str] = Counter()  #: clips, by the way they were coded
        self._info, self._settings, self._model = info, settings, model
        self._share, self._clock = share, clock
        self._ways = ways_up_to(settings)
        self._ladder = Ladder([way.dearer for way in self._ways])
        rate = settings.bitrate
        self._bucket = Bucket(rate / 8) if rate is not None else None
        self._encoder = Encoder(info, replace(settings, bitrate=None), model)
        self._quantiser = float(TYPICAL)

    @property
    def header(self) -> bytes:
        """As `ClipEncoder.header`."""
        return self._encoder.header

    def warm(self) -> None:
        """Load what coding needs, before there is a clock to keep up with."""
        height, width = self._info.height, self._info.width
        ramp = np.arange(height)[:, None] * 5 + np.arange(width) * 3
        luma = np.stack([(ramp + 2 * shift) % 251 for shift in range(8)]).astype(np.uint8)
        chroma = np.full((8, (height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        settings = replace(self._settings, bitrate=None, quality=20.0, clip_bytes=None)
        Encoder(self._info, settings, self._model).encode_clip(Clip(luma, chroma, chroma))

    def encode_clip(self, clip: Clip, limit: int | None = None) -> Sequence[Packet]:
        """As `ClipEncoder.encode_clip`."""
        begun = self._clock()
        seconds = float(clip.frames / self._info.fps)
        way, budget = self._ways[self._ladder.at], self._budget(seconds, limit)
        self._encoder.settings = self._settings_for(way, budget)
        packets: Sequence[Packet] = self._encoder.encode_clip(clip, limit)
        self.used[way.name] += 1
        if self._bucket is not None and budget is not None:
            self._aim(packets, self._size(packets), budget)
            packets = self._at_most(packets, _MOST * budget)
            self._bucket.spend(seconds, self._size(packets))
        self._ladder.took((self._clock() - begun) / (self._share * seconds))
        return packets

    def _budget(self, seconds: float, limit: int | None) -> int | None:
        """Bytes for the next clip: what the bucket has and the link carries."""
        rate = self._settings.bitrate
        if self._bucket is None or rate is None:
            return None
        budget = max(self._bucket.budget(seconds), int(_LEAST_SHARE * rate * seconds / 8))
        return budget if limit is None else min(budget, max(limit, LEAST_LIMIT))

    def _size(self, packets: Sequence[Packet]) -> int:
        return sum(len(packet.to_bytes(self.header)) for packet in packets)

    def _at_most(self, packets: Sequence[Packet], size: float) -> Sequence[Packet]:
        """The first layers, the base among them, of a clip that came out far too large."""
        while packets[-1].layer > RESIDUAL and self._size(packets) > size:
            packets = packets[:-1]
        return packets

    def _settings_for(self, way: Way, budget: int | None) -> EncodeSettings:
        settings = replace(
            self._settings, preset=way.preset, without=self._settings.without | way.without
        )
        if budget is None:
            return settings
        if way.searches:
            return replace(settings, bitrate=None, clip_bytes=budget)
        quality = min(100.0, max(0.0, quantiser_to_quality(self._quantiser)))
        return replace(settings, bitrate=None, quality=quality)

    def _aim(self, packets: Sequence[Packet], size: int, budget: int) -> None:
        """The quantiser that this clip would have needed; AV1 says nothing of it."""
        bases = [packet for packet in packets if packet.layer == RESIDUAL]
        if not bases:
            return
        finer = math.log(_FULL * budget / size) / BYTES_SLOPE
        coarsest, finest = quality_to_quantiser(0), quality_to_quantiser(100)
        self._quantiser = min(coarsest, max(finest, bases[0].payload[0] - finer))
