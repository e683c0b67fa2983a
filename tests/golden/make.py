"""Makes the golden files of the version being written that are not there yet; see README.md."""

from __future__ import annotations

import hashlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TARGET = HERE / "v3"
sys.path.insert(0, str(HERE))

from toy import ToyGist  # noqa: E402

from gistcast.codec.clip import Clip  # noqa: E402
from gistcast.codec.decoder import DecodedClip  # noqa: E402
from gistcast.codec.encoder import EncodeSettings  # noqa: E402
from gistcast.codec.file import decode_video, encode_video  # noqa: E402
from gistcast.codec.media import VideoInfo, load_clip  # noqa: E402

STREET = HERE.parent.parent / "app" / "assets" / "street.mp4"


def symbol_hash(decoded: DecodedClip) -> str:
    """SHA-256 over latent, quantiser, motion and all levels, little-endian, bands in sorted order."""
    digest = hashlib.sha256()
    if decoded.latent is not None:
        digest.update(decoded.latent.astype("<i4").tobytes())
    digest.update(repr((decoded.text, decoded.quantiser, decoded.residual_layers)).encode())
    if decoded.motion is not None:
        digest.update(repr((decoded.motion.unit, decoded.motion.rows)).encode())
    if decoded.video is not None:
        digest.update(b"".join(decoded.video.units))
        for samples in decoded.video.clip.planes:
            digest.update(samples.tobytes())
    for plane in decoded.symbols:
        for key in sorted(plane):
            digest.update(plane[key].astype("<i4").tobytes())
    return digest.hexdigest()


def _clips(size: tuple[int, int], *lengths: int) -> list[Clip]:
    clip, _ = load_clip(STREET, size=size)
    out, start = [], 0
    for length in lengths:
        out.append(clip[start : start + length])
        start += length
    return out


def _panned(frames: int, size: int) -> Clip:
    """A window that moves over one real picture, slower and slower."""
    still = load_clip(STREET, size=(2 * size, 2 * size))[0]
    luma, cb, cr = [], [], []
    for t in range(frames):
        y, x = 2 + 2 * (t // 6), 2 * int(size / 2 * (1 - (1 - t / frames) ** 2) / 2)
        luma.append(still.y[0, y : y + size, x : x + size])
        for plane, out in ((still.u, cb), (still.v, cr)):
            out.append(plane[0, y // 2 : (y + size) // 2, x // 2 : (x + size) // 2])
    return Clip(np.stack(luma), np.stack(cb), np.stack(cr))


def cases() -> dict[str, tuple[list[Clip], EncodeSettings]]:
    """Name -> clips and settings."""
    flat = Clip(np.full((4, 9, 7), 90, np.uint8), *[np.full((4, 5, 4), 120, np.uint8)] * 2)
    words = "a man on a bicycle in a street"
    return {
        "plain-64": (_clips((64, 64), 32), EncodeSettings(quality=35, without=frozenset({"video"}))),
        "layers-64": (_clips((64, 64), 8, 8), EncodeSettings(quality=30, clip_frames=8, residual_layers=4)),
        "fine-32": (_clips((32, 32), 16), EncodeSettings(quality=95, clip_frames=16, without=frozenset({"video"}))),
        "short-48x80": (_clips((48, 80), 16, 5, 11), EncodeSettings(quality=25, clip_frames=16, seed=9, without=frozenset({"video"}))),
        "flat-odd": ([flat], EncodeSettings(quality=60)),
        "latent-64": (_clips((64, 64), 8), EncodeSettings(quality=20, clip_frames=8, latent="on", text=words)),
        "text-64": (_clips((64, 64), 8), EncodeSettings(clip_frames=8, layers="text", text=words)),
        "video-odd": (_clips((95, 71), 16, 16), EncodeSettings(clip_bytes=1500, clip_frames=16)),
        "video-short": (_clips((64, 48), 21, 11), EncodeSettings(quality=50)),
        "video-layers": (_clips((96, 96), 32), EncodeSettings(clip_bytes=4500)),
        "wide-160x90": (_clips((160, 90), 16), EncodeSettings(clip_bytes=900, clip_frames=16, without=frozenset({"video"}))),
        "pan-64": ([_panned(32, 64)], EncodeSettings(quality=35, residual_layers=2, without=frozenset({"video"}))),
        "pan-48": ([_panned(8, 48)], EncodeSettings(clip_bytes=400, clip_frames=8, preset="slow", without=frozenset({"video"}))),
        "pan-clips": ([_panned(8, 40)] * 3, EncodeSettings(quality=30, clip_frames=8, text=words, without=frozenset({"video"}))),
        "latent-clips": (_clips((30, 26), 8, 8, 8, 5), EncodeSettings(quality=25, clip_frames=8, latent="on", text=words, residual_layers=2, seed=70000)),
    }  # fmt: skip


def main() -> None:
    """Write the files that are not there yet, and add them to `symbols.json`."""
    TARGET.mkdir(exist_ok=True)
    listed = TARGET / "symbols.json"
    expected = json.loads(listed.read_text()) if listed.exists() else {}
    for name, (clips, settings) in cases().items():
        if name in expected:
            continue
        info = VideoInfo(clips[0].width, clips[0].height, Fraction(25))
        data = encode_video(clips, info, settings, ToyGist(), index=name == "layers-64")
        (TARGET / f"{name}.gist").write_bytes(data)
        decoded = list(decode_video(data, ToyGist()))
        expected[name] = {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "symbols": [symbol_hash(d) for d in decoded],
            "luma_mean": [round(float(d.sketch.y.mean()), 2) for d in decoded],
        }
    listed.write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
