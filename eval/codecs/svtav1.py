"""AV1 by SVT-AV1, tuned for PSNR, one key frame.

Delay-matched: preset 1, look-ahead of 32 frames. Real time: preset 8, low-delay prediction.
"""

from __future__ import annotations

from gistcast.eval.codecs.av1 import COUNTED, strip_obus
from gistcast.eval.codecs.base import REALTIME
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, joined

_POINTS = (70, 66, 62, 57, 51, 44, 36, 27)


def _options(crf: float) -> dict[str, str]:
    # CRF goes to 70 in the library; FFmpeg's own option stops at 63
    params = joined(
        {"crf": f"{crf:g}", "tune": 1, "lookahead": 32, "keyint": -1, "scd": 0, "lp": 1}
    )
    return {"preset": "1", "svtav1-params": params}


def _realtime(crf: float) -> dict[str, str]:
    params = joined(
        {"crf": f"{crf:g}", "tune": 1, "lookahead": 0, "pred-struct": 1, "keyint": -1, "scd": 0,
         "lp": 1}
    )  # fmt: skip
    return {"preset": "8", "svtav1-params": params}


SVT_AV1 = FfmpegCodec(
    name="svt-av1",
    encoder="libsvtav1",
    decoder="libdav1d",
    options=_options,
    strip=strip_obus,
    points=_POINTS,
    counted=COUNTED,
)
SVT_AV1_REALTIME = FfmpegCodec(
    name="svt-av1",
    encoder="libsvtav1",
    decoder="libdav1d",
    options=_realtime,
    strip=strip_obus,
    points=_POINTS,
    counted=COUNTED,
    mode=REALTIME,
)
