"""The codec's own sketches: what stage 2 is judged on, and, kept on disk, learns from too.

    python -m gistcast.models.coded DATA --pairs 400

codes training clips at random budgets with all that the codec can choose from, and keeps each
clip with its sketch in WORK/coded. It takes seconds a clip, and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import GistcastError
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.layout import make_layout
from gistcast.codec.media import VideoInfo
from gistcast.codec.protocol import FloatPlanes, GistModel
from gistcast.codec.quantiser import QUANTISERS, luma_step
from gistcast.codec.residual import ResidualEncoder
from gistcast.codec.sketch import synthesise, transform_clip
from gistcast.codec.tables import load_tables
from gistcast.models.data import build_store
from gistcast.models.pairs import ClipShapes, TrainingClips, write_pair

BUDGETS = (150.0, 6000.0)  #: bytes of a clip to learn, drawn log-uniformly
_SHAPES = ClipShapes(sizes=((64, 1.0),), lengths=((32, 1.0),), stills=0.25)
_SEED = 77
_WEIGHT = 0.14  #: lambda of the rate-distortion choice, squared steps a bit


class CodecSketcher:
    """The codec's own sketches: slower than `gistcast.models.imitate`, and exact."""

    def __init__(self, gist: GistModel | None = None) -> None:
        self._encoder = ResidualEncoder(load_tables(), _WEIGHT)
        self._gist = gist

    def __call__(self, clip: Clip, step: float) -> Clip:
        """The sketch at the quantiser nearest to a luma step."""
        return self.code(clip, step)[0]

    def code(self, clip: Clip, step: float) -> tuple[Clip, float]:
        """The same sketch and what its residual costs in bytes, without packet headers."""
        layout = make_layout(clip.frames, clip.height, clip.width)
        quantiser = int(np.clip(np.rint(24 * np.log2(step / luma_step(0))), 0, QUANTISERS - 1))
        base: FloatPlanes | None = None
        if self._gist is not None:
            size = {"frames": clip.frames, "height": clip.height, "width": clip.width}
            base = self._gist.gist(self._gist.describe(clip), None, seed=0, **size)
        coefficients = transform_clip(clip, base, layout)
        chosen = self._encoder.choose(layout, coefficients, quantiser)
        sketch = synthesise(chosen.points, base, layout, quantiser)
        return sketch, sum(chosen.group_bits()) / 8


def code_at(clip: Clip, budget: int, preset: str = "medium") -> tuple[Clip, float, int]:
    """The sketch within a budget of bytes, the step it was coded with, and the file's bytes."""
    info = VideoInfo(clip.width, clip.height, Fraction(25))
    data = encode_video([clip], info, EncodeSettings(clip_bytes=budget, preset=preset))
    decoded = next(iter(decode_video(data)))
    return decoded.sketch, decoded.step, len(data)


def make_coded_pairs(data: Path, cache: Path, pairs: int, *, preset: str = "medium") -> None:
    """Fill `cache`/coded up to a number of pairs; those that are there stay.

    Args:
        data: folder with `train/`, `stills/` and `manifest.json`.
        cache: folder for decoded frames and the pairs.
        pairs: how many there shall be.
        preset: of the encoder.
    """
    recordings = build_store(data, "train", cache / "train")
    stills = build_store(data, "stills", cache / "stills")
    clips = TrainingClips(recordings, stills, _SEED, _SHAPES)
    folder = cache / "coded"
    folder.mkdir(exist_ok=True)
    for number in range(pairs):
        path = folder / f"{number:05}.safetensors"
        if path.is_file():
            continue
        y, u, v, _, caption = clips[number, 0]
        rng = np.random.default_rng([_SEED, number])
        budget = round(float(np.exp(rng.uniform(*np.log(BUDGETS)))))
        sketch, step, _ = code_at(Clip(y, u, v), budget, preset)
        write_pair(path, Clip(y, u, v), sketch, step, caption)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="train/, stills/ and manifest.json")
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--preset", default="medium", help="of the encoder")
    args = parser.parse_args()
    try:
        make_coded_pairs(args.data, args.work, args.pairs, preset=args.preset)
    except GistcastError as error:
        print(f"coded: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
