"""Clip <-> transform coefficients, with or without a gist to subtract.

clip - gist (mid-grey without one) (--warp--> canvas) --3-D transform--> bands
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.layout import Layout
from gistcast.codec.protocol import FloatPlanes
from gistcast.codec.quantiser import plane_steps
from gistcast.codec.residual import Coefficients
from gistcast.codec.transform import BandKey, forward, inverse
from gistcast.codec.warp import Warps

GREY = np.float32(128)


def transform_clip(
    clip: Clip,
    gist: FloatPlanes | None,
    layout: Layout,
    warps: Warps | None = None,
    *,
    exact: bool = True,
) -> list[dict[BandKey, NDArray[np.float32]]]:
    """Bands of clip minus gist, per plane, on the 8-bit scale; of their canvas, if warped.

    Args:
        exact: see `Warp.canvas_of`.
    """
    planes = []
    for index, plane in enumerate(clip.planes):
        base = GREY if gist is None else gist[index]
        residual = plane.astype(np.float32) - base
        if warps is not None:
            residual = warps[index].canvas_of(residual, exact=exact)
        planes.append(forward(residual, layout.levels[index]))
    return planes


def synthesise(
    points: Coefficients,
    gist: FloatPlanes | None,
    layout: Layout,
    quantiser: int,
    warps: Warps | None = None,
) -> Clip:
    """Reconstructed coefficients in steps -> the sketch."""
    planes = []
    for index, step in enumerate(plane_steps(quantiser)):
        bands = {key: band * np.float32(step) for key, band in points[index].items()}
        base = GREY if gist is None else gist[index]
        residual = inverse(bands, layout.levels[index])
        if warps is not None:
            residual = warps[index].to_frames(residual)
        samples = residual + base
        planes.append(np.clip(np.rint(samples), 0, 255).astype(np.uint8))
    return Clip(*planes)
