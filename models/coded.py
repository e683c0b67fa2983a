"""The codec's own sketches: what stage 2 is judged on, and, kept on disk, learns from too.

    python -m gistcast.models.coded DATA --pairs 1500

codes training clips in ways drawn at random from all that the codec can choose from, and keeps
each clip with its sketch in WORK/coded-64 (`--size`). It takes a fraction of a second a clip, and
goes on where it stopped. Nothing is chosen by rate and distortion here: which sketch of a clip is
sent is for the encoder and its viewer to say, and stage 2 has to know them all.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from gistcast.codec import video
from gistcast.codec.av1 import UnsupportedError
from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import GistcastError
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.media import VideoInfo
from gistcast.codec.protocol import Viewer
from gistcast.models.carry import carry
from gistcast.models.data import build_store
from gistcast.models.pairs import (
    ClipShapes,
    Pair,
    Sketch,
    TrainingClips,
    coded_folder,
    write_pair,
)

QUALITIES = (5.0, 85.0)  #: of the residuals to learn, drawn evenly, their motion and all
KEPT = (32, 16, 8, 4, 2, 1)  #: frames of a clip that is coded as video
_OFTEN = (0.34, 0.22, 0.18, 0.12, 0.08, 0.06)
CRFS = (26.0, 66.0)  #: of these videos, drawn evenly
VIDEO = 0.6  #: share of the pairs whose sketch is video
_PRESETS = (4, 2)  #: of SVT-AV1: what the encoder searches with, and what it sends
_EVEN = 0.3  #: share of the videos whose frames are coded more alike
_LENGTH, _STILLS = 32, 0.25  # frames of a clip, share of photographs
_SEED = 77


def code_at(clip: Clip, budget: int, viewer: Viewer | None = None) -> tuple[Sketch, int]:
    """The sketch within a budget of bytes, tuned for a viewer if there is one, else for PSNR; and
    the file's bytes."""
    tune = "psnr" if viewer is None else "perceptual"
    return _sent(clip, EncodeSettings(clip_bytes=budget, tune=tune), viewer)


def _sent(clip: Clip, settings: EncodeSettings, viewer: Viewer | None = None) -> tuple[Sketch, int]:
    info = VideoInfo(clip.width, clip.height, Fraction(25))
    data = encode_video([clip], info, settings, viewer=viewer)
    decoded = next(iter(decode_video(data)))
    return Sketch(decoded.sketch, decoded.step, decoded.kept), len(data)


def code_somehow(clip: Clip, rng: np.random.Generator) -> Sketch:
    """What stage 2's network is given of a sketch as the codec could have sent it: of a residual,
    or of video, at a random quality."""
    if rng.random() < VIDEO:
        for _ in range(8):  # a CRF may turn lossless, for which the format has no words
            kept = min(int(rng.choice(KEPT, p=_OFTEN)), clip.frames)
            crf = round(4 * rng.uniform(*CRFS)) / 4
            preset, even = int(rng.choice(_PRESETS)), bool(rng.random() < _EVEN)
            try:
                layers = video.encode(clip, kept, crf, preset, even=even).layers()
            except UnsupportedError:
                continue
            made = video.decode([p for _, p in layers], clip.frames, clip.height, clip.width)
            return Sketch(carry(made.clip, made.times), made.step, made.times)
    quality = float(rng.uniform(*QUALITIES))
    return _sent(clip, EncodeSettings(quality=quality, without=frozenset({"video"})))[0]


def make_coded_pairs(data: Path, cache: Path, pairs: int, size: int = 64) -> None:
    """Fill `cache`/coded-SIZE up to a number of pairs; those that are there stay.

    Args:
        data: folder with `train/`, `stills/` and `manifest.json`.
        cache: folder for decoded frames and the pairs.
        pairs: how many there shall be.
        size: side of the square clips, luma samples.
    """
    recordings = build_store(data, "train", cache / "train")
    stills = build_store(data, "stills", cache / "stills")
    shapes = ClipShapes(sizes=((size, 1.0),), lengths=((_LENGTH, 1.0),), stills=_STILLS)
    clips = TrainingClips(recordings, stills, _SEED, shapes)
    folder = coded_folder(cache, size)
    folder.mkdir(exist_ok=True)
    for number in range(pairs):
        path = folder / f"{number:05}.safetensors"
        if path.is_file():
            continue
        y, u, v, *_, caption = clips[number, 0]
        rng = np.random.default_rng([_SEED, number])
        clip = Clip(y, u, v)
        write_pair(path, Pair(clip, code_somehow(clip, rng), caption))


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="train/, stills/ and manifest.json")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where they are kept")
    parser.add_argument("--pairs", type=int, default=1500, help="how many there shall be")
    parser.add_argument("--size", type=int, default=64, help="side of the square clips")
    args = parser.parse_args()
    try:
        make_coded_pairs(args.data, args.work, args.pairs, args.size)
    except GistcastError as error:
        print(f"coded: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
