"""What is painted on the ground or floats on the water: lanes, ropes, lines in the ice, a path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gistcast.models.scenes.exact import Image
from gistcast.models.scenes.plane import Plane, over, rgb

#: paints on the ground; the last argument is the slope of what is not level
_Marking = Callable[[Plane, Image, float], Image]


def _lanes(plane: Plane, paint: Image, angle: float) -> Image:
    """A running track's white lines."""
    gap, half = np.float32(0.95), np.float32(0.05)
    across = np.mod(plane.z[..., None] + np.float32(angle) * plane.x, gap)
    apart = np.abs(across - gap / np.float32(2))
    width = np.maximum(plane.deep[..., None], 1e-3)
    cover = np.clip((half - apart) / width + np.float32(0.5), 0, 1)
    cover *= np.minimum(1, np.float32(2) * half / width)
    return over(paint, cover, (240, 238, 232))


def _street(plane: Plane, paint: Image, angle: float) -> Image:
    """A dashed middle line and the line at the edge."""
    apart = np.abs(np.mod(plane.x, 2.6) - 1.3)
    dash = np.clip((np.float32(0.65) - apart) / plane.pixel[..., None] + 0.5, 0, 1)
    paint = over(paint, plane.line(5.0, 0.09) * dash, (236, 234, 226))
    return over(paint, plane.line(2.95, 0.05), (222, 220, 214))


def _rink(plane: Plane, paint: Image, angle: float) -> Image:
    """Blue and red lines in the ice, in turn."""
    across = plane.x + np.float32(3 * angle) * plane.z[..., None]
    for shift, half, colour in ((0.0, 0.16, (36, 84, 170)), (4.5, 0.12, (204, 44, 54))):
        apart = np.abs(np.mod(across + np.float32(shift), 9.0) - 4.5)
        cover = np.clip((np.float32(half) - apart) / plane.pixel[..., None] + 0.5, 0, 1)
        paint = over(paint, cover * np.float32(0.8), colour)
    return paint


def _path(plane: Plane, paint: Image, angle: float) -> Image:
    """A gravel path that bends to and fro."""
    bend = np.abs(np.mod(plane.x, 16.0) - 8.0) * np.float32(0.12)
    apart = np.abs(plane.z[..., None] - bend - np.float32(4.9))
    cover = (np.float32(0.62) - apart) / np.maximum(plane.deep[..., None], 1e-3)
    return over(paint, np.clip(cover + 0.5, 0, 1), (206, 190, 158))


def _pool(plane: Plane, paint: Image, angle: float) -> Image:
    """Lane ropes of red and white floats, the tiled edge and the deck beyond."""
    red = (np.mod(plane.x, np.float32(0.9)) < np.float32(0.45))[..., None]
    colour = np.where(red, rgb((214, 46, 52)), rgb((244, 244, 240)))
    for at in (2.9, 5.1, 7.6):
        cover = plane.line(at, 0.09)[..., None]
        paint += cover * (colour - paint)
    paint = over(paint, plane.beyond(9.6), (214, 206, 190))
    return over(paint, plane.line(9.4, 0.22), (34, 92, 150))


MARKINGS: dict[str, _Marking] = {
    "track": _lanes,
    "street": _street,
    "rink": _rink,
    "path": _path,
    "pool": _pool,
}
