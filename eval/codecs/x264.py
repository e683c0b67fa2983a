"""H.264 by x264: veryslow, tuned for PSNR, look-ahead of 32 frames, one key frame.

Real time: preset fast, tune zerolatency. Bare: without deblocking.

Without assembly: on frames this small that of the macroblock tree reads what was never written,
and bytes differ by 2 % from run to run. The streams are as large, encoding takes longer.
"""

from __future__ import annotations

from dataclasses import replace

from gistcast.eval.codecs.annexb import strip_h264
from gistcast.eval.codecs.base import BARE, REALTIME
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, joined


def _options(crf: float) -> dict[str, str]:
    params = joined(
        {
            "crf": f"{crf:g}",
            "keyint": "infinite",
            "scenecut": 0,
            "rc-lookahead": 32,
            "threads": 1,
            "no-asm": 1,
        }
    )
    return {"preset": "veryslow", "tune": "psnr", "x264-params": params}


def _bare(crf: float) -> dict[str, str]:
    options = _options(crf)
    return options | {"x264-params": options["x264-params"] + ":no-deblock=1"}


def _realtime(crf: float) -> dict[str, str]:
    params = joined(
        {"crf": f"{crf:g}", "keyint": "infinite", "scenecut": 0, "threads": 1, "no-asm": 1}
    )
    return {"preset": "fast", "tune": "psnr,zerolatency", "x264-params": params}


_POINTS = (51, 47, 43, 39, 34, 29, 24, 18)
_COUNTED = "Annex B stream, parameter sets once, three-byte start codes, no SEI, no container"

X264 = FfmpegCodec(
    name="x264",
    encoder="libx264",
    decoder="h264",
    options=_options,
    strip=strip_h264,
    points=_POINTS,
    counted=_COUNTED,
)
X264_REALTIME = FfmpegCodec(
    name="x264",
    encoder="libx264",
    decoder="h264",
    options=_realtime,
    strip=strip_h264,
    points=_POINTS,
    counted=_COUNTED,
    mode=REALTIME,
)
X264_BARE = replace(X264, options=_bare, mode=BARE)
