"""H.265 by x265: veryslow, tuned for PSNR, look-ahead of 32 frames, one key frame.

Real time: preset fast, tune zerolatency, without psychovisual tools. Bare: without deblocking and
sample-adaptive offsets.

A coding tree unit is smaller than the frame: where one unit spans the frame (64 x 64 and the
default of 64), x265 4.x is not deterministic and its pictures drift away from the decoder's, up
to 6 dB by the last frame.
"""

from __future__ import annotations

from dataclasses import replace

from gistcast.eval.codecs.annexb import strip_h265
from gistcast.eval.codecs.base import BARE, REALTIME
from gistcast.eval.codecs.ffmpeg import Adapted, FfmpegCodec, joined

_POINTS = (51, 46, 41, 36, 31, 26, 20)
_COUNTED = "Annex B stream, parameter sets once, three-byte start codes, no SEI, no container"
_ALWAYS: dict[str, str | int] = {
    "keyint": -1,
    "scenecut": 0,
    "info": 0,
    "hash": 0,
    "pools": "none",
    "frame-threads": 1,
    "log-level": "none",
}


def _options(crf: float) -> dict[str, str]:
    params = joined({"crf": f"{crf:g}", "rc-lookahead": 32, **_ALWAYS})
    return {"preset": "veryslow", "tune": "psnr", "x265-params": params}


def _bare(crf: float) -> dict[str, str]:
    options = _options(crf)
    return options | {"x265-params": options["x265-params"] + ":no-deblock=1:no-sao=1"}


def _realtime(crf: float) -> dict[str, str]:
    # one tune at a time: what "psnr" would switch off is named
    psnr = {"aq-mode": 0, "psy-rd": 0, "psy-rdoq": 0}
    params = joined({"crf": f"{crf:g}", **psnr, **_ALWAYS})
    return {"preset": "fast", "tune": "zerolatency", "x265-params": params}


def _with_ctu(options: dict[str, str], side: int) -> dict[str, str]:
    ctu = max((size for size in (64, 32, 16) if size < side), default=16)
    return options | {"x265-params": f"{options['x265-params']}:ctu={ctu}"}


_CTU = Adapted(_with_ctu, "ctu is the largest of 64, 32, 16 below the shorter side")

X265 = FfmpegCodec(
    name="x265",
    encoder="libx265",
    decoder="hevc",
    options=_options,
    strip=strip_h265,
    points=_POINTS,
    counted=_COUNTED,
    adapt=_CTU,
)
X265_REALTIME = FfmpegCodec(
    name="x265",
    encoder="libx265",
    decoder="hevc",
    options=_realtime,
    strip=strip_h265,
    points=_POINTS,
    counted=_COUNTED,
    mode=REALTIME,
    adapt=_CTU,
)
X265_BARE = replace(X265, options=_bare, mode=BARE)
