"""VP9 by libvpx: deadline best, alternative reference frames, one pass (which looks ahead
no further than it codes, whatever `lag-in-frames` says; two passes were worse on most clips).

CRF ends at 63, but frames still differ in quantiser there. Points 64, 65 and 66 go on below it
by raising the least quantiser that a frame may have, up to 63 for every frame. Real time:
deadline realtime, cpu-used 5, no look-ahead.
"""

from __future__ import annotations

from gistcast.eval.codecs.base import REALTIME
from gistcast.eval.codecs.ffmpeg import FfmpegCodec

_MAX_CRF = 63
_QMIN_STEP = 21  # a point beyond CRF 63 raises the least quantiser by this much


_POINTS = (66, 65, 63, 59, 53, 45, 36, 26)
_COUNTED = "frames as the encoder returns them, without container or frame lengths"


def _quality(point: float) -> dict[str, str]:
    return {
        "b": "0",
        "crf": f"{min(point, _MAX_CRF):g}",
        "qmin": f"{max(0, point - _MAX_CRF) * _QMIN_STEP:g}",
        "qmax": "63",
        "row-mt": "0",
        "g": "9999",
    }


def _options(point: float) -> dict[str, str]:
    search = {"deadline": "best", "cpu-used": "0", "lag-in-frames": "25", "auto-alt-ref": "1"}
    return search | _quality(point)


def _realtime(point: float) -> dict[str, str]:
    return {"deadline": "realtime", "cpu-used": "5", "lag-in-frames": "0"} | _quality(point)


VP9 = FfmpegCodec(
    name="vp9",
    encoder="libvpx-vp9",
    decoder="vp9",
    options=_options,
    strip=bytes,
    points=_POINTS,
    counted=_COUNTED,
)
VP9_REALTIME = FfmpegCodec(
    name="vp9",
    encoder="libvpx-vp9",
    decoder="vp9",
    options=_realtime,
    strip=bytes,
    points=_POINTS,
    counted=_COUNTED,
    mode=REALTIME,
)
