"""A gist model of a few lines: what the golden files with latents were coded with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.protocol import FloatPlanes


class ToyGist:
    """Six latents: mean and horizontal slope of each plane, in steps of 8."""

    model_id = 255
    weights_hash = b"toy1"

    @property
    def latent_frequencies(self) -> NDArray[np.uint16]:
        row = np.maximum(1, 6000 / (1 + np.abs(np.arange(-10, 11)))).astype(np.int64)
        row[10] += 32768 - row.sum()
        return np.tile(row.astype(np.uint16), (6, 1))

    def describe(self, clip: Clip) -> NDArray[np.int32]:
        values = []
        for plane in clip.planes:
            half = plane.shape[2] // 2
            slope = plane[:, :, half:].mean() - plane[:, :, :half].mean()
            values += [(plane.mean() - 128) / 8, slope / 8]
        return np.clip(np.rint(values), -10, 10).astype(np.int32)

    def gist(
        self,
        latent: NDArray[np.int32] | None,
        text: str | None,
        *,
        frames: int,
        height: int,
        width: int,
        seed: int,
    ) -> FloatPlanes:
        if latent is None:
            latent = np.random.Generator(np.random.Philox(seed)).integers(-3, 4, 6).astype(np.int32)
        shapes = [(height, width)] + [((height + 1) // 2, (width + 1) // 2)] * 2
        planes = []
        for (h, w), mean, slope in zip(shapes, latent[::2], latent[1::2], strict=True):
            ramp = 128 + 8 * mean + 8 * slope * (np.arange(w) / w - 0.5)
            planes.append(np.broadcast_to(ramp, (frames, h, w)).astype(np.float32))
        return planes[0], planes[1], planes[2]
