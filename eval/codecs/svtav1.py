"""AV1 by SVT-AV1: preset 1, tuned for PSNR, look-ahead of 32 frames, one key frame."""

from __future__ import annotations

from gistcast.eval.codecs.ffmpeg import FfmpegCodec, joined

_TEMPORAL_DELIMITER = b"\x12\x00"  # AV1 specification, 5.3.1: containers leave it out


def _options(crf: float) -> dict[str, str]:
    # CRF goes to 70 in the library; FFmpeg's own option stops at 63
    params = joined(
        {"crf": f"{crf:g}", "tune": 1, "lookahead": 32, "keyint": -1, "scd": 0, "lp": 1}
    )
    return {"preset": "1", "svtav1-params": params}


def _strip(packet: bytes) -> bytes:
    return packet.removeprefix(_TEMPORAL_DELIMITER)


SVT_AV1 = FfmpegCodec(
    name="svt-av1",
    encoder="libsvtav1",
    decoder="libdav1d",
    options=_options,
    strip=_strip,
    points=(70, 66, 62, 57, 51, 44, 36, 27),
    counted="OBUs with the sequence header once, no temporal delimiters, no container",
)
