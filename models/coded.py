"""The codec's own sketches, at a step instead of a budget: what stage 2 is judged on."""

from __future__ import annotations

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.layout import make_layout
from gistcast.codec.protocol import FloatPlanes, GistModel
from gistcast.codec.quantiser import QUANTISERS, luma_step
from gistcast.codec.residual import ResidualEncoder
from gistcast.codec.sketch import analyse, synthesise
from gistcast.codec.tables import load_tables

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
        coefficients = analyse(clip, base, layout, quantiser)
        chosen = self._encoder.choose(layout, coefficients, quantiser)
        sketch = synthesise(chosen.points, base, layout, quantiser)
        return sketch, sum(chosen.group_bits()) / 8
