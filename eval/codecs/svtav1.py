"""AV1 by SVT-AV1, tuned for PSNR, one key frame.

Delay-matched: preset 1, look-ahead of 32 frames. Real time: preset 8, low-delay prediction. Bare:
preset 0, without deblocking, CDEF and restoration: fields in every header, which weigh here.
"""

from __future__ import annotations

from dataclasses import replace

from gistcast.eval.codecs.av1 import COUNTED, strip_obus
from gistcast.eval.codecs.base import BARE, REALTIME
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, joined

_POINTS = (70, 66, 62, 57, 51, 44, 36, 27)


def _options(crf: float) -> dict[str, str]:
    # CRF goes to 70 in the library; FFmpeg's own option stops at 63
    params = joined(
        {"crf": f"{crf:g}", "tune": 1, "lookahead": 32, "keyint": -1, "scd": 0, "lp": 1}
    )
    return {"preset": "1", "svtav1-params": params}


def _bare(crf: float) -> dict[str, str]:
    params = _options(crf)["svtav1-params"]
    return {
        "preset": "0",
        "svtav1-params": f"{params}:enable-dlf=0:enable-cdef=0:enable-restoration=0",
    }


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
SVT_AV1_BARE = replace(SVT_AV1, options=_bare, mode=BARE)
