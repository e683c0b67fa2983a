"""H.265 by x265: veryslow, tuned for PSNR, look-ahead of 32 frames, one key frame."""

from __future__ import annotations

from gistcast.eval.codecs.annexb import strip_h265
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, joined


def _options(crf: float) -> dict[str, str]:
    params = joined(
        {
            "crf": f"{crf:g}",
            "keyint": -1,
            "scenecut": 0,
            "rc-lookahead": 32,
            "info": 0,
            "hash": 0,
            "pools": "none",
            "frame-threads": 1,
            "log-level": "none",
        }
    )
    return {"preset": "veryslow", "tune": "psnr", "x265-params": params}


X265 = FfmpegCodec(
    name="x265",
    encoder="libx265",
    decoder="hevc",
    options=_options,
    strip=strip_h265,
    points=(51, 46, 41, 36, 31, 26, 20),
    counted="Annex B stream, parameter sets once, three-byte start codes, no SEI, no container",
)
