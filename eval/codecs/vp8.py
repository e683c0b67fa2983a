"""VP8 by libvpx: deadline best, alternative reference frames, one pass (which looks ahead
no further than it codes, whatever `lag-in-frames` says; two passes were worse on most clips).

Its constant quality is a quantiser of 0..63 for every frame, set as both bounds. Real time:
deadline realtime, cpu-used -4 (4 would watch the clock and differ from run to run), no look-ahead.
"""

from __future__ import annotations

from gistcast.eval.codecs.base import REALTIME
from gistcast.eval.codecs.ffmpeg import FfmpegCodec

_POINTS = (63, 58, 52, 46, 39, 32, 24, 16)
_COUNTED = "frames as the encoder returns them, without container or frame lengths"
_AMPLE = "20000000"  # bits a second: the bounds alone decide


def _quality(point: float) -> dict[str, str]:
    bounds = {"qmin": f"{point:g}", "qmax": f"{point:g}", "crf": f"{point:g}"}
    return {"b": _AMPLE, **bounds, "g": "9999"}


def _options(point: float) -> dict[str, str]:
    search = {"deadline": "best", "cpu-used": "0", "lag-in-frames": "25", "auto-alt-ref": "1"}
    return search | _quality(point)


def _realtime(point: float) -> dict[str, str]:
    return {"deadline": "realtime", "cpu-used": "-4", "lag-in-frames": "0"} | _quality(point)


VP8 = FfmpegCodec(
    name="vp8",
    encoder="libvpx",
    decoder="vp8",
    options=_options,
    strip=bytes,
    points=_POINTS,
    counted=_COUNTED,
)
VP8_REALTIME = FfmpegCodec(
    name="vp8",
    encoder="libvpx",
    decoder="vp8",
    options=_realtime,
    strip=bytes,
    points=_POINTS,
    counted=_COUNTED,
    mode=REALTIME,
)
